import { PutItemCommand } from "@aws-sdk/client-dynamodb";
import { FileObjectStore, restore } from "@evenkeel/wal/archive";
import { expect, test, vi } from "vitest";
import { archiveDir, NODE_IDS } from "../src/control/fleet.js";
import type { Store } from "../src/store.js";
import { caughtUp } from "./support/replicas.js";
import { client, createKeyTable, eventually, openStore, temporaryDir } from "./support/store.js";

test("times along a log do not go back when the clock is set back between two runs", async () => {
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
