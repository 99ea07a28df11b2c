import {
  CreateBackupCommand,
  GetItemCommand,
  PutItemCommand,
  RestoreTableFromBackupCommand,
  RestoreTableToPointInTimeCommand,
} from "@aws-sdk/client-dynamodb";
import { FileObjectStore, restore } from "@evenkeel/wal/archive";
import { expect, test, vi } from "vitest";
import { archiveDir, NODE_IDS } from "../src/control/fleet.js";
import type { Store } from "../src/store.js";
import { caughtUp } from "./support/replicas.js";
import { tableExists } from "./support/single.js";
import { client, createKeyTable, eventually, openStore, temporaryDir } from "./support/store.js";

test("times along a log do not go back when the clock is set back between two runs, and what is written then is in a backup and the latest moment", async () => {
  const { dir, remove } = await temporaryDir();
  const put = (store: Store, n: string) =>
    client(store.endpoint).send(new PutItemCommand({ TableName: "kept", Item: { id: { S: "one" }, n: { N: n } } }));
  const first = await openStore({ dir, mode: "single", partitionsPerTable: 1 });
  await createKeyTable(client(first.endpoint), "kept");
  const { now } = Date;
  vi.spyOn(Date, "now").mockImplementation(() => now() + 3_600_000);
  await put(first, "1");
  // So that nothing is left to replay.
  await caughtUp(first.fleet);
  await first.close();
  vi.restoreAllMocks();

  const second = await openStore({ dir, mode: "single", partitionsPerTable: 1 });
  try {
    await put(second, "2");
    const dynamo = client(second.endpoint);
    const { BackupDetails } = await dynamo.send(new CreateBackupCommand({ TableName: "kept", BackupName: "two" }));
    await put(second, "3");
    const BackupArn = BackupDetails?.BackupArn;
    await dynamo.send(new RestoreTableFromBackupCommand({ BackupArn, TargetTableName: "backed-up" }));
    const latest = { UseLatestRestorableTime: true, SourceTableName: "kept", TargetTableName: "latest" };
    const { TableDescription } = await dynamo.send(new RestoreTableToPointInTimeCommand(latest));
    const saidMs = TableDescription?.RestoreSummary?.RestoreDateTime?.getTime();
    expect(saidMs, "the moment as the logs have it").toBeGreaterThan(Date.now() + 1_800_000);
    await put(second, "4");
    const heldIn = async (TableName: string) => {
      await tableExists(dynamo, TableName);
      return (await dynamo.send(new GetItemCommand({ TableName, Key: { id: { S: "one" } }, ConsistentRead: true })))
        .Item?.n?.N;
    };
    expect([await heldIn("backed-up"), await heldIn("latest")]).toEqual(["2", "3"]);
    await eventually("the partition's leader archives it", async () => {
      const archived = NODE_IDS.map((node) => second.fleet.callerTo(node).call("archive", { partition: 1 }));
      return (await Promise.allSettled(archived)).some(({ status }) => status === "fulfilled");
    });
    const times: number[] = [];
    for await (const { timeMs } of restore({ store: new FileObjectStore({ dir: archiveDir(dir) }), stream: "p1" }))
      if (timeMs > 0) times.push(timeMs);
    // The two writes, and whatever else went through the log meanwhile: a mark of a scrub, say.
    expect(times.length).toBeGreaterThanOrEqual(2);
    expect(times).toEqual([...times].sort((a, b) => a - b));
    expect(times.at(-1), "written when the clock was an hour behind").toBeGreaterThan(Date.now() + 1_800_000);
  } finally {
    await second.close();
    await remove();
  }
});
