import { expect, test } from "vitest";
import type { StreamRecord, StreamShard } from "../src/api/streams/model.js";
import { HASH_END, type PartitionRecord } from "../src/metadata/records.js";
import type { LeaderCalls } from "../src/router/leader-calls.js";
import type { Routes } from "../src/router/routes.js";
import { StreamPlane } from "../src/router/streams/stream-plane.js";
import { StoreError } from "../src/storage-node/errors.js";

const MIDDLE = HASH_END / 2;
const record = (partition: number, hashFrom: number, hashTo: number): PartitionRecord => ({
  partition,
  tableId: "t",
  hashFrom,
  hashTo,
  members: ["a1"],
});
const WHOLE = record(7, 0, HASH_END);
const LOWER = record(12, 0, MIDDLE);
const UPPER = record(13, MIDDLE, HASH_END);

const shard = (partition: number, hashFrom: number, more: Partial<StreamShard> = {}): StreamShard => ({
  id: `shard-${partition}`,
  partition,
  hashFrom,
  fromSlot: 3,
  marks: [],
  ...more,
});
const streamOf = (shards: readonly StreamShard[]) =>
  ({ tableName: "orders", tableId: "t", label: "on", status: "ENABLED", shards }) as unknown as StreamRecord;
const OPEN = streamOf([shard(7, 0)]);
const SPLIT = streamOf([
  shard(7, 0, { throughSlot: 9 }),
  shard(12, 0, { parent: "shard-7" }),
  shard(13, MIDDLE, { parent: "shard-7" }),
]);

const json = Buffer.from('{"id":{"S":"a"}}');
const changeAt = (slot: number) => {
  const after = { bytes: json, itemSizeBytes: 3 };
  return { slot, index: 0, timeMs: 1, key: Uint8Array.of(1), expired: false, after };
};

/** What routers and metadata answer one look after the other, the last of it again and again; the nodes have the partitions that are named. */
function planeWith(
  routes: readonly (readonly (PartitionRecord | undefined)[])[],
  metadata: readonly StreamRecord[],
  nodesHave: readonly number[],
): StreamPlane {
  const looks = new Map<string, number>();
  const nth = <T>(name: string, answers: readonly T[]): T => {
    const look = looks.get(name) ?? 0;
    looks.set(name, look + 1);
    return answers[Math.min(look, answers.length - 1)] as T;
  };
  const unknown = new StoreError("ERR_STORE_UNKNOWN_PARTITION", "a1 has no such partition");
  const call = async (asked: number, _: unknown, method: string) => {
    if (method === "describeStream") return nth("metadata", metadata);
    if (!nodesHave.includes(asked)) throw unknown;
    if (method === "changesEnd") return { slot: 9 };
    return { changes: [changeAt(9)], through: { slot: 9, index: 0 }, atEnd: true };
  };
  const archived = async () => ({ changes: [changeAt(9)], through: { slot: 9, index: 0 }, atEnd: true });
  return new StreamPlane({
    leaders: { call } as unknown as LeaderCalls,
    nodes: {
      routes: {
        partition: async (_: string, hash: number) =>
          nth("routes", routes).find((one) => one && hash >= one.hashFrom && hash < one.hashTo),
      } as unknown as Routes,
      callerTo: () => ({ call: archived as never, close: async () => undefined }),
      members: ["a1"],
    },
  });
}

const PARTS = [LOWER, UPPER];
const cases: [string, StreamRecord, number, Parameters<typeof planeWith>, boolean][] = [
  ["no route is known yet", OPEN, 0, [[[], [], [WHOLE]], [OPEN], [7]], false],
  ["a child is still routed to its parent", SPLIT, 1, [[[WHOLE], [WHOLE], PARTS], [SPLIT], [12, 13]], false],
  ["the other child is still routed to its parent", SPLIT, 2, [[[LOWER], [LOWER], PARTS], [SPLIT], [12, 13]], false],
  ["its end is not known yet", OPEN, 0, [[PARTS], [OPEN, OPEN, SPLIT], [7, 12, 13]], true],
  [
    "neither its end nor its parts are known",
    OPEN,
    0,
    [
      [[WHOLE], [WHOLE], PARTS],
      [OPEN, SPLIT],
      [12, 13],
    ],
    true,
  ],
  ["it is routed to where it was let go of", SPLIT, 0, [[[WHOLE], [WHOLE], PARTS], [SPLIT], [12, 13]], true],
  ["no route is known to what is left of it", SPLIT, 0, [[[], [], PARTS], [SPLIT], [12, 13]], true],
];

test.each(cases)("a shard is read, and not taken for an empty one, while %s", async (_, stream, at, plane, ended) => {
  const asked = stream.shards[at] as StreamShard;
  const page = await planeWith(...plane).read(stream, asked, { slot: 2, index: 0 }, 10);
  expect(page.changes.map(({ slot }) => slot)).toEqual([9]);
  expect(page.ended).toBe(ended);
});

test.each(cases)("a shard's end is found while %s", async (_, stream, at, plane) => {
  expect((await planeWith(...plane).end(stream, stream.shards[at] as StreamShard)).slot).toBe(9);
});
