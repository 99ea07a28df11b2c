import { expect, test } from "vitest";
import type { StreamRecord, StreamShard, StreamViewType } from "../src/api/streams/model.js";
import { shardId, streamArn } from "../src/api/streams/names.js";
import type { ItemChange } from "../src/api/streams/records.js";
import { type StreamPosition, sequenceNumber, slotEnd } from "../src/api/streams/sequence-numbers.js";
import { RECORDS_KEPT_MS } from "../src/metadata/stream-lifetime.js";
import type { OperationContext } from "../src/router/operations/operation.js";
import { streamOperations } from "../src/router/streams/operations.js";

const LABEL = "2026-01-01T00:00:00.000";
const BEGAN_MS = Date.UTC(2026, 0, 1);
const DAY_MS = RECORDS_KEPT_MS;
const ShardId = shardId(BEGAN_MS, 7);

/** What a shard holds: in slots 10, 11 and 12, the second with two. Written at these hours. */
const place = (slot: number, index: number, hours: number): ItemChange => {
  const item = { pk: { S: "a" }, n: { N: String(slot) } };
  const images = slot === 12 ? { before: item } : index === 0 ? { before: item, after: item } : { after: item };
  return { partition: 7, slot, index, timeMs: BEGAN_MS + hours * 3_600_000, expired: false, ...images };
};
const CHANGES = [place(10, 0, 0), place(11, 0, 1), place(11, 1, 1), place(12, 0, 2)];
const isBehind = (one: StreamPosition, other: StreamPosition) =>
  one.slot > other.slot || (one.slot === other.slot && one.index > other.index);

function shardOf(more: Partial<StreamShard> = {}, viewType: StreamViewType = "KEYS_ONLY") {
  const marks = [
    { slot: 9, atMs: BEGAN_MS },
    { slot: 10, atMs: BEGAN_MS + 3_600_000 },
  ];
  const shard: StreamShard = { id: ShardId, partition: 7, hashFrom: 0, fromSlot: 10, marks, ...more };
  const keySchema = { partition: { name: "pk", type: "S" } };
  const stream = {
    tableName: "orders",
    tableId: "t",
    keySchema,
    label: LABEL,
    viewType,
    shards: [shard],
  } as unknown as StreamRecord;
  const streams = {
    shard: async () => ({ stream, shard }),
    begin: async (_: unknown, __: unknown, slot: number) => slotEnd(slot),
    end: async () => slotEnd(12),
    read: async (_: unknown, { throughSlot }: StreamShard, after: StreamPosition, recordsMax: number) => {
      const found = CHANGES.filter((one) => isBehind(one, after) && one.slot <= (throughSlot ?? 12));
      const changes = found.slice(0, recordsMax);
      const last = changes.at(-1);
      const isAll = changes.length === found.length;
      const through = isAll || last === undefined ? slotEnd(throughSlot ?? 12) : { slot: last.slot, index: last.index };
      return { changes, through, ended: isAll && throughSlot !== undefined };
    },
  };
  const run = async (name: string, request: object, nowMs: number) =>
    (await streamOperations.get(name)?.run(
      request as never,
      {
        backend: { streams },
        nowMs: () => nowMs,
      } as unknown as OperationContext,
    )) as Record<string, unknown>;
  return {
    async iterator(ShardIteratorType: string, at?: string, nowMs = BEGAN_MS) {
      const request = {
        StreamArn: streamArn("orders", LABEL),
        ShardId,
        ShardIteratorType,
        ...(at && { SequenceNumber: at }),
      };
      return (await run("GetShardIterator", request, nowMs)).ShardIterator as string;
    },
    async read(ShardIterator: string, { Limit = 100, nowMs = BEGAN_MS } = {}) {
      const { Records, NextShardIterator } = await run("GetRecords", { ShardIterator, Limit }, nowMs);
      const records = Records as { eventName: string; dynamodb: Record<string, unknown> }[];
      return {
        records,
        numbers: records.map(({ dynamodb }) => dynamodb.SequenceNumber),
        next: NextShardIterator as string | undefined,
      };
    },
  };
}
const numbers = CHANGES.map(sequenceNumber);
const trimmed = { type: "TrimmedDataAccessException" };

test("an iterator stands where it was asked for, and pages follow one another to the end", async () => {
  const { iterator, read } = shardOf();
  const from = async (type: string, at?: string) => (await read(await iterator(type, at))).numbers;
  expect(await from("TRIM_HORIZON")).toEqual(numbers);
  expect(await from("LATEST")).toEqual([]);
  for (const [i, number] of numbers.entries()) {
    expect(await from("AT_SEQUENCE_NUMBER", number)).toEqual(numbers.slice(i));
    expect(await from("AFTER_SEQUENCE_NUMBER", number)).toEqual(numbers.slice(i + 1));
  }
  const seen: unknown[] = [];
  let next: string | undefined = await iterator("TRIM_HORIZON");
  for (let pages = 0; pages < 4; pages++) {
    const page = await read(next as string, { Limit: 1 });
    seen.push(...page.numbers);
    next = page.next;
  }
  expect(seen).toEqual(numbers);
  expect(next).toBeDefined();
});

test("a closed shard ends with its last record, and nobody stands behind that", async () => {
  const open = shardOf();
  const { iterator, read } = shardOf({ throughSlot: 11 });
  expect(await read(await iterator("TRIM_HORIZON"))).toMatchObject({ numbers: numbers.slice(0, 3), next: undefined });
  expect(await read(await iterator("AFTER_SEQUENCE_NUMBER", numbers[2]))).toMatchObject({
    numbers: [],
    next: undefined,
  });
  await expect(iterator("AT_SEQUENCE_NUMBER", sequenceNumber({ slot: 12, index: 1 }))).rejects.toMatchObject({
    type: "ValidationException",
  });
  // Handed out before it was closed, by a partition whose log went on for a moment.
  expect(await read(await open.iterator("LATEST"))).toMatchObject({ numbers: [] });
  expect(await read(await open.iterator("AFTER_SEQUENCE_NUMBER", numbers[3]))).toMatchObject({
    numbers: [],
    next: undefined,
  });
});

test("what is a day old is not told any more, and who stood before it when it was younger goes on", async () => {
  const { iterator, read } = shardOf();
  const young = await iterator("AT_SEQUENCE_NUMBER", numbers[0], BEGAN_MS + DAY_MS + 3_599_000);
  const nowMs = BEGAN_MS + DAY_MS + 3_600_000;
  expect(await read(young, { nowMs })).toMatchObject({ numbers: numbers.slice(3) });
  await expect(iterator("AT_SEQUENCE_NUMBER", numbers[0], nowMs)).rejects.toMatchObject(trimmed);
  await expect(
    iterator("AFTER_SEQUENCE_NUMBER", sequenceNumber({ slot: 8, index: 0 }), BEGAN_MS),
  ).rejects.toMatchObject(trimmed);
  const horizon = await iterator("TRIM_HORIZON", undefined, nowMs);
  expect(await read(horizon, { nowMs: nowMs - 1 })).toMatchObject({ numbers: numbers.slice(1) });
});

test("an iterator is good for a quarter of an hour, and so is the next one from when it was handed out", async () => {
  const { iterator, read } = shardOf();
  const first = await iterator("TRIM_HORIZON");
  const { next } = await read(first, { Limit: 1, nowMs: BEGAN_MS + 900_000 });
  await expect(read(first, { nowMs: BEGAN_MS + 900_001 })).rejects.toMatchObject({ type: "ExpiredIteratorException" });
  expect((await read(next as string, { nowMs: BEGAN_MS + 1_800_000 })).numbers).toEqual(numbers.slice(1));
});

test.each([
  ["KEYS_ONLY", []],
  ["NEW_IMAGE", ["NewImage"]],
  ["OLD_IMAGE", ["OldImage"]],
  ["NEW_AND_OLD_IMAGES", ["NewImage", "OldImage"]],
] as const)("a record of a stream of %s has the images %j", async (viewType, images) => {
  const { iterator, read } = shardOf({}, viewType);
  const { records } = await read(await iterator("TRIM_HORIZON"));
  const [changed, , inserted, removed] = records;
  const imagesOf = (record: typeof changed) =>
    Object.keys(record?.dynamodb ?? {})
      .filter((name) => name.endsWith("Image"))
      .sort();
  expect([changed?.eventName, imagesOf(changed)]).toEqual(["MODIFY", [...images]]);
  expect([inserted?.eventName, imagesOf(inserted)]).toEqual(["INSERT", images.filter((name) => name === "NewImage")]);
  expect([removed?.eventName, imagesOf(removed)]).toEqual(["REMOVE", images.filter((name) => name === "OldImage")]);
  expect(changed?.dynamodb.Keys).toEqual({ pk: { S: "a" } });
});
