import { beforeEach, expect, test } from "vitest";
import type { StreamRecord } from "../src/api/streams/model.js";
import { HASH_END, type PartitionRecord, partitionKey, putRecord, tableKey } from "../src/metadata/records.js";
import { SplitService } from "../src/metadata/split-service.js";
import { putStream } from "../src/metadata/stream-service.js";
import { Metadata } from "./support/metadata.js";

const MIDDLE = HASH_END / 2;
const WHOLE: PartitionRecord = { partition: 7, tableId: "t", hashFrom: 0, hashTo: HASH_END, members: ["a1"] };
const table = (status: string) =>
  putRecord(tableKey("orders"), { name: "orders", tableId: "t", status, partitions: 1 });
const stream = (status: string) => {
  const shards = [{ id: "whole", partition: 7, hashFrom: 0, fromSlot: 3, marks: [] }];
  return putStream({
    tableName: "orders",
    tableId: "t",
    label: "on",
    createdAtMs: 1,
    status,
    shards,
  } as unknown as StreamRecord);
};

let metadata: Metadata;
let splits: SplitService;
beforeEach(() => {
  metadata = new Metadata();
  splits = new SplitService({ metadata });
  metadata.write(putRecord(Buffer.from("n"), { next: 12 }), table("ACTIVE"), putRecord(partitionKey(WHOLE), WHOLE));
});
const numbers = (records: readonly PartitionRecord[]) => records.map(({ partition }) => partition);

test("what a partition is to be split into is written down once, and nothing else is found by its hash before that is so", async () => {
  const splitting = { at: MIDDLE, lower: 12, upper: 13 };
  expect(await splits.begin(7, MIDDLE)).toEqual({ ...WHOLE, splitting });
  const { slot } = metadata;
  expect(await splits.begin(7, 5)).toEqual({ ...WHOLE, splitting });
  expect(metadata.slot).toBe(slot);
  expect(numbers(metadata.view.partitionsOf("t"))).toEqual([7]);
  expect(metadata.view.nextPartition).toBe(14);
  for (const [partition, hashFrom, hashTo] of [
    [12, 0, MIDDLE],
    [13, MIDDLE, HASH_END],
  ] as const) {
    expect(metadata.view.partitions.get(partition)).toMatchObject({ hashFrom, hashTo, filledFrom: 7, members: ["a1"] });
    await expect(splits.begin(partition, hashFrom + 1)).rejects.toMatchObject({ code: "ERR_STORE_UNKNOWN_PARTITION" });
  }
});

test.each<[string, () => void]>([
  ["its table is being changed", () => metadata.write(table("UPDATING"))],
  ["its table is not there", () => metadata.write({ op: "delete", key: tableKey("orders") })],
  ["its table's stream begins", () => metadata.write(stream("ENABLING"))],
  ["its table's stream ends", () => metadata.write(stream("DISABLING"))],
  ["a member is being replaced", () => metadata.write(putRecord(partitionKey(WHOLE), { ...WHOLE, log: ["d1"] }))],
  ["a replica is being built", () => metadata.write(putRecord(partitionKey(WHOLE), { ...WHOLE, building: ["d1"] }))],
])("a partition is not split while %s", async (_, happens) => {
  happens();
  await expect(splits.begin(7, MIDDLE)).rejects.toMatchObject({ code: "ERR_STORE_CONFLICT" });
  expect(numbers([...metadata.view.partitions.values()])).toEqual([7]);
});

test.each([0, HASH_END, 1.5])("the hash %d splits nothing off", async (at) => {
  await expect(splits.begin(7, at)).rejects.toMatchObject({ code: "ERR_STORE_ARGUMENT" });
});

test("the parts take over in one entry, with shards that go on where they were opened, and the whole is kept for what was before", async () => {
  metadata.write(stream("ENABLED"));
  await splits.begin(7, MIDDLE);
  const before = metadata.slot;
  const takeover = {
    atMs: 1_000,
    slot: 50,
    openedAt: new Map([
      [12, 8],
      [13, 9],
    ]),
  };
  await splits.takenOver(7, takeover);
  await splits.takenOver(7, takeover);
  expect(metadata.slot).toBe(before + 1);
  const { view } = metadata;
  expect(numbers(view.partitionsOf("t"))).toEqual([12, 13]);
  expect(numbers(view.heirsOf(7))).toEqual([12, 13]);
  expect([999, 1_000].map((atMs) => numbers(view.partitionsAt("t", atMs)))).toEqual([[7], [12, 13]]);
  expect(view.tables.get("orders")?.partitions).toBe(2);
  expect(view.streamsOf("t")[0]?.shards).toMatchObject([
    { partition: 7, fromSlot: 3, throughSlot: 50, splitAtMs: 1_000 },
    { partition: 12, hashFrom: 0, fromSlot: 9, parent: "whole" },
    { partition: 13, hashFrom: MIDDLE, fromSlot: 10, parent: "whole" },
  ]);
  // Its nodes have it until it is archived, and its archive is known until no moment before the split can be restored.
  expect(view.partitions.has(7)).toBe(true);
  await splits.archived(7);
  expect([view.partitions.has(7), view.closed.has(7)]).toEqual([false, true]);
  await splits.forget(7);
  expect([view.closed.has(7), view.remains.get(7)]).toEqual([false, { partition: 7, goneAtMs: 1_000 }]);
});
