import {
  PutItemCommand,
  RestoreTableToPointInTimeCommand,
  ScanCommand,
  type ScanCommandOutput,
} from "@aws-sdk/client-dynamodb";
import { FileObjectStore, restoreState, verifyArchive } from "@evenkeel/wal/archive";
import { expect, test } from "vitest";
import { archiveDir, NODE_IDS } from "../src/control/fleet.js";
import type { ProcessFleet } from "../src/control/process-fleet.js";
import { expectInAllReplicas } from "./support/replicas.js";
import { tableExists } from "./support/single.js";
import { client, createKeyTable, eventually, openStore, temporaryDir } from "./support/store.js";
import { toldRandom } from "./support/workload.js";

/** Few: an entry has some five of the writes below, and the logs are let go of in steps of so many. */
const SLOTS_KEPT = 30;

test("a node that is away holds nobody's log; back again it is given the state, though it is killed while that comes", {
  timeout: 300_000,
}, async () => {
  const random = toldRandom();
  const { dir, remove } = await temporaryDir();
  const store = await openStore({
    dir,
    partitionsPerTable: 1,
    upkeep: { slotsKept: SLOTS_KEPT, snapshotAfterBytes: 2_000_000 },
  });
  const fleet = store.fleet as ProcessFleet;
  try {
    // Leaders come and go here more than the three attempts of the SDK expect.
    const dynamo = client(store.endpoint, 10);
    await createKeyTable(dynamo, "kept");
    const acknowledged = new Map<string, string>();
    const write = async (count: number) => {
      await Promise.all(
        Array.from({ length: count }, async () => {
          const id = `item-${acknowledged.size}`;
          // The leader also remembers its last 4 MiB: they have to be passed as well.
          const value = "v".repeat(30_000 + random.int(20_000));
          acknowledged.set(id, value);
          await dynamo.send(new PutItemCommand({ TableName: "kept", Item: { id: { S: id }, v: { S: value } } }));
        }),
      );
    };
    const partitionAt = async (node: string) =>
      (await fleet.callerTo(node).call("status", {})).partitions.find(({ partition }) => partition === 1);
    await write(50);
    const [away, ...others] = random.shuffle([...NODE_IDS]) as [string, string, string];
    const awayThrough = (await partitionAt(away))?.chosenThrough ?? 0;
    fleet.kill(away, { hold: true });
    await eventually(
      "the others have let go of what it lacks",
      async () => {
        await write(50);
        const statuses = await Promise.all(others.map(partitionAt)).catch(() => []);
        for (const [i, status] of statuses.entries()) {
          // It may have stopped leading since it was asked: then the other one is, the next time round.
          const isDeposed = ({ code }: { code?: string }) =>
            expect(code).toMatch(/^ERR_STORE_(NOT_LEADER|UNKNOWN_OUTCOME)$/);
          const caller = fleet.callerTo(others[i] as string);
          if (status?.ready) await caller.call("archive", { partition: 1 }).then(() => undefined, isDeposed);
        }
        return (
          statuses.length === 2 && statuses.every((found) => (found?.trimmedThrough ?? 0) > awayThrough + SLOTS_KEPT)
        );
      },
      180_000,
    );
    // Killed again and again on its way back, now before the state comes, now in the middle of it, now behind it.
    for (let kills = 0; kills < 3; kills++) {
      fleet.release(away);
      await eventually("it is back", async () => (await partitionAt(away).catch(() => undefined)) !== undefined);
      await new Promise((resolve) => setTimeout(resolve, random.int(150)));
      fleet.kill(away, { hold: true });
      await eventually("it is gone", () => fleet.pidOf(away) === undefined);
      await write(10);
    }
    fleet.release(away);
    await write(10);
    await expectInAllReplicas(fleet, acknowledged);
    expect((await partitionAt(away))?.trimmedThrough, "where its log begins now").toBeGreaterThan(awayThrough);
    // It takes full part: with another one away it is one of the two that every write needs.
    fleet.kill(others[0] as string, { hold: true });
    await write(10);
    fleet.release(others[0] as string);
    await expectInAllReplicas(fleet, acknowledged);

    // All the while snapshots were begun, by whoever led, and broken off where that was killed: one takes half a minute unasked. What came of it is whole, and a restore from it survives its controller.
    await eventually("a snapshot is written", async () => {
      const asked = NODE_IDS.map((node) => fleet.callerTo(node).call("snapshot", { partition: 1 }));
      return (await Promise.allSettled(asked)).some(({ status }) => status === "fulfilled");
    });
    const archive = new FileObjectStore({ dir: archiveDir(dir) });
    expect((await verifyArchive({ store: archive, stream: "p1" })).problems).toEqual([]);
    expect((await restoreState({ store: archive, stream: "p1" })).snapshot?.sequence).toBeGreaterThan(0);
    const restore = { SourceTableName: "kept", TargetTableName: "again", UseLatestRestorableTime: true };
    await dynamo.send(new RestoreTableToPointInTimeCommand(restore));
    for (const node of NODE_IDS) {
      const metadata = (await fleet.callerTo(node).call("status", {})).partitions.find(
        ({ partition }) => partition === 0,
      );
      if (metadata?.ready) fleet.kill(node);
    }
    await tableExists(dynamo, "again");
    const found = new Map<string, string | undefined>();
    let ExclusiveStartKey: ScanCommandOutput["LastEvaluatedKey"];
    do {
      const page: ScanCommandOutput = await dynamo.send(
        new ScanCommand({ TableName: "again", ConsistentRead: true, ...(ExclusiveStartKey && { ExclusiveStartKey }) }),
      );
      for (const { id, v } of page.Items ?? []) found.set(id?.S as string, v?.S);
      ExclusiveStartKey = page.LastEvaluatedKey;
    } while (ExclusiveStartKey !== undefined);
    expect(found).toEqual(acknowledged);
  } finally {
    await store.close();
    await remove();
  }
});
