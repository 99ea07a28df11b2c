import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { streamDescription } from "../../src/api/streams/description.js";
import type { StreamRecord, StreamShard } from "../../src/api/streams/model.js";
import { parseStreamArn, shardId, streamArn } from "../../src/api/streams/names.js";
import {
  before,
  INDEX_END,
  parseSequenceNumber,
  type StreamPosition,
  sequenceNumber,
} from "../../src/api/streams/sequence-numbers.js";
import { streamLabel } from "../../src/metadata/stream-label.js";
import {
  enabledStream,
  endedStream,
  isForgotten,
  isMarkDue,
  MARK_EVERY_MS,
  markedStream,
  RECORDS_KEPT_MS,
  splitStream,
  trimHorizon,
} from "../../src/metadata/stream-lifetime.js";

const BEGAN_MS = Date.UTC(2026, 0, 1);
const begun: StreamRecord = {
  tableName: "table",
  tableId: "id",
  keySchema: { partition: { name: "pk", type: "S" } },
  label: "2026-01-01T00:00:00.000",
  viewType: "KEYS_ONLY",
  status: "ENABLING",
  createdAtMs: BEGAN_MS,
  shards: [],
};
const slots = [{ partition: 3, hashFrom: 0, slot: 100 }];
const shardOf = ({ shards }: StreamRecord): StreamShard => shards[0] as StreamShard;

describe("sequence numbers", () => {
  const positions: fc.Arbitrary<StreamPosition> = fc.record({
    slot: fc.oneof(fc.nat(), fc.nat({ max: Number.MAX_SAFE_INTEGER - 1 })),
    index: fc.nat({ max: INDEX_END }),
  });

  test("sort as the places that they name, as texts and as numbers, and name them", () => {
    fc.assert(
      fc.property(positions, positions, (a, b) => {
        const [first, second] = [sequenceNumber(a), sequenceNumber(b)];
        expect(parseSequenceNumber(first)).toEqual(a);
        const order = a.slot === b.slot ? Math.sign(a.index - b.index) : Math.sign(a.slot - b.slot);
        expect(first === second ? 0 : first < second ? -1 : 1).toBe(order);
        expect(Math.sign(Number(BigInt(first) - BigInt(second)))).toBe(order);
        expect(first).toMatch(/^\d{21,40}$/);
      }),
    );
  });

  test("what comes behind the place before one begins with it", () => {
    expect(before({ slot: 7, index: 3 })).toEqual({ slot: 7, index: 2 });
    expect(before({ slot: 7, index: 0 })).toEqual({ slot: 6, index: INDEX_END });
    for (const wrong of ["", "0".repeat(24), "1".repeat(23), `1${"9".repeat(16)}0000000`, `1${"x".repeat(23)}`])
      expect(parseSequenceNumber(wrong), wrong).toBeUndefined();
  });
});

describe("names", () => {
  test("of streams say table and moment, and nothing else is taken for one", () => {
    const arn = streamArn("my.table-1", "2026-01-01T00:00:00.001");
    expect(arn).toBe("arn:aws:dynamodb:local:000000000000:table/my.table-1/stream/2026-01-01T00:00:00.001");
    expect(parseStreamArn(arn)).toEqual({ tableName: "my.table-1", label: "2026-01-01T00:00:00.001" });
    for (const wrong of [arn.replace("local", "mars"), `${arn}Z`, `${arn}/x`, arn.replace("my.table-1", "x/y"), ""])
      expect(parseStreamArn(wrong), wrong).toBeUndefined();
  });

  test("of two streams of one table the later one has the greater label, whatever the clock says", () => {
    expect(streamLabel(BEGAN_MS, undefined)).toBe("2026-01-01T00:00:00.000");
    expect(streamLabel(BEGAN_MS, "2026-01-01T00:00:00.000")).toBe("2026-01-01T00:00:00.001");
    expect(streamLabel(BEGAN_MS - 5_000, "2026-01-01T00:00:00.999")).toBe("2026-01-01T00:00:01.000");
  });
});

describe("a stream's life", () => {
  test("what is younger than a day is never past the horizon, what is an hour older always is", () => {
    // The log goes on by some slots a minute; the stream is looked at when it is due.
    fc.assert(
      fc.property(fc.array(fc.nat({ max: 50 }), { minLength: 1, maxLength: 60 }), (slotsAnHour) => {
        let stream = enabledStream(begun, slots, BEGAN_MS);
        const writtenAt = new Map<number, number>();
        let slot = 100;
        let nowMs = BEGAN_MS;
        for (const count of slotsAnHour) {
          for (let i = 0; i < count; i++) writtenAt.set(++slot, nowMs + i);
          nowMs += MARK_EVERY_MS;
          expect(isMarkDue(stream, nowMs)).toBe(true);
          stream = markedStream(stream, new Map([[3, slot]]), nowMs);
          expect(isMarkDue(stream, nowMs)).toBe(false);
          const horizon = trimHorizon(shardOf(stream), nowMs);
          for (const [written, atMs] of writtenAt) {
            if (nowMs - atMs < RECORDS_KEPT_MS) expect(written).toBeGreaterThan(horizon);
            if (nowMs - atMs > RECORDS_KEPT_MS + MARK_EVERY_MS) expect(written).toBeLessThanOrEqual(horizon);
          }
          expect(shardOf(stream).marks.length).toBeLessThanOrEqual(27);
        }
      }),
      { numRuns: 30 },
    );
  });

  test("a partition that cannot be asked keeps what it had", () => {
    const stream = enabledStream(begun, slots, BEGAN_MS);
    expect(markedStream(stream, new Map(), BEGAN_MS + MARK_EVERY_MS)).toEqual(stream);
  });

  test("it ends with its shards closed, stays for a day, and is forgotten", () => {
    const on = enabledStream(begun, slots, BEGAN_MS);
    expect(isForgotten(on, BEGAN_MS + 10 * RECORDS_KEPT_MS)).toBe(false);
    const off = endedStream(on, [{ partition: 3, hashFrom: 0, slot: 150 }], BEGAN_MS + 1, false);
    expect(off).toMatchObject({
      status: "DISABLED",
      endedAtMs: BEGAN_MS + 1,
      shards: [{ fromSlot: 100, throughSlot: 150 }],
    });
    expect(isForgotten(off, BEGAN_MS + RECORDS_KEPT_MS)).toBe(false);
    expect(isForgotten(off, BEGAN_MS + 1 + RECORDS_KEPT_MS)).toBe(true);
    // A closed shard does not move any more.
    const later = [{ partition: 3, hashFrom: 0, slot: 990 }];
    expect(shardOf(endedStream(off, later, BEGAN_MS + 2, true)).throughSlot).toBe(150);
    expect(markedStream(off, new Map([[3, 990]]), BEGAN_MS + MARK_EVERY_MS)).toEqual(off);
  });

  test("shards are shown in pages, and the children of one by themselves", () => {
    const shards = Array.from({ length: 5 }, (_, i): StreamShard => {
      const parent = i < 3 ? {} : { parent: shardId(BEGAN_MS, 1) };
      return { id: shardId(BEGAN_MS, i), ...parent, partition: i, hashFrom: i, fromSlot: 1, marks: [] };
    });
    const stream: StreamRecord = { ...begun, status: "ENABLED", shards };
    const ids = (choice: Parameters<typeof streamDescription>[1]) => {
      const { Shards, LastEvaluatedShardId } = streamDescription(stream, choice);
      return [...(Shards as { ShardId: string }[]).map(({ ShardId }) => ShardId), LastEvaluatedShardId];
    };
    const all = shards.map(({ id }) => id);
    expect(ids({ limitMax: 100 })).toEqual([...all, undefined]);
    expect(ids({ limitMax: 2 })).toEqual([all[0], all[1], all[1]]);
    expect(ids({ limitMax: 2, afterShardId: all[3] })).toEqual([all[4], undefined]);
    expect(ids({ limitMax: 100, childrenOf: all[1] })).toEqual([all[3], all[4], undefined]);
    expect((streamDescription(stream, { limitMax: 4 }).Shards as object[])[3]).toMatchObject({ ParentShardId: all[1] });
  });
});

describe("a partition that is split", () => {
  const DAY = 24 * 3_600_000;
  const stream = enabledStream(
    {
      tableName: "t",
      tableId: "id",
      keySchema: { partition: { name: "pk", type: "S" } },
      label: "2026-01-01T00:00:00.000",
      viewType: "KEYS_ONLY",
      status: "ENABLING",
      createdAtMs: 1_000,
      shards: [],
    },
    [{ partition: 1, hashFrom: 0, slot: 5 }],
    1_000,
  );
  const parts = [
    { partition: 2, hashFrom: 0, slot: 9 },
    { partition: 3, hashFrom: 7, slot: 4 },
  ];
  const split = splitStream(stream, { partition: 1, throughSlot: 50, atMs: 2_000 }, parts);

  test("has a shard that is closed, and two that go on from it", () => {
    const [parent, ...children] = split.shards;
    expect(parent).toMatchObject({ partition: 1, fromSlot: 5, throughSlot: 50 });
    expect(children).toMatchObject([
      { partition: 2, hashFrom: 0, fromSlot: 9, parent: parent?.id },
      { partition: 3, hashFrom: 7, fromSlot: 4, parent: parent?.id },
    ]);
    expect(children.every(({ throughSlot }) => throughSlot === undefined)).toBe(true);
    // Done once, however often it is asked for; and of no concern where there was no shard.
    expect(splitStream(split, { partition: 1, throughSlot: 50, atMs: 2_000 }, parts)).toBe(split);
    expect(splitStream(stream, { partition: 8, throughSlot: 50, atMs: 2_000 }, parts)).toBe(stream);
  });

  test("is gone from the stream a day later", () => {
    const [parent] = split.shards as [StreamShard];
    expect(trimHorizon(parent, 2_000 + DAY - 1)).toBeLessThan(50);
    expect(trimHorizon(parent, 2_000 + DAY)).toBe(50);
    expect(isMarkDue(split, 2_000 + DAY)).toBe(true);
    const later = markedStream(split, new Map([[2, 20]]), 2_000 + DAY);
    expect(later.shards.map(({ partition }) => partition)).toEqual([2, 3]);
  });
});
