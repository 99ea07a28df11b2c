import { describe, expect, it } from "vitest";
import type { Entry } from "../src/core/types.js";
import { walStorage } from "../src/storage/index.js";
import { decodeRecord, encodeRecord } from "../src/storage/record.js";
import { SlotIndex } from "../src/storage/slot-index.js";
import { FakeWal } from "./support/fake-wal.js";

const ballot = { round: 1, node: "n1" };
const entry = (slot: number, length = 100): Entry => ({
  slot,
  ballot,
  kind: "command",
  command: new Uint8Array(length).fill(slot),
});
const entries = (from: number, through: number, length?: number) =>
  Array.from({ length: through - from + 1 }, (_, i) => entry(from + i, length));
const slots = (found: readonly Entry[]) => found.map(({ slot }) => slot);

async function opened(wal = new FakeWal()) {
  const group = walStorage(wal)("g");
  await group.load();
  return { wal, group, stream: wal.stream("paxos/g") };
}

describe("a group's log, read", () => {
  it("gives what was written in the very turn, and no more bytes than were asked for", async () => {
    const { group, stream } = await opened();
    const { append } = stream;
    stream.append = async (records) => {
      await new Promise((resolve) => setImmediate(resolve));
      return append.call(stream, records);
    };
    const written = group.write({ entries: entries(1, 9) });
    expect(slots(await group.read(1, 9, 10_000))).toEqual([1, 2, 3, 4, 5, 6, 7, 8, 9]);
    await written;
    expect(slots(await group.read(2, 9, 399))).toEqual([2, 3, 4]);
    expect(slots(await group.read(2, 9, 400))).toEqual([2, 3, 4, 5]);
  });

  it.each(["throws", "ends"])(
    "says that slots were let go of when the log %s under the reader for that",
    async (how) => {
      const { group, stream } = await opened();
      await group.write({ entries: entries(1, 3), chosenThrough: 3 });
      const { read } = stream;
      let go = () => {};
      const gone = new Promise<void>((resolve) => {
        go = resolve;
      });
      stream.read = async function* () {
        await gone;
        if (how === "throws") throw new Error("gone");
        yield* [];
      };
      const reading = group.read(1, 3, 10_000);
      stream.read = read;
      await group.trim(2);
      go();
      await expect(reading).rejects.toMatchObject({ code: "ERR_PAXOS_TRIMMED" });
      expect(slots(await group.read(3, 3, 1))).toEqual([3]);
    },
  );

  it("is not said in a few numbers while a write is under way", async () => {
    const { group } = await opened();
    const written = group.write({ entries: entries(1, 2) });
    expect(group.memory?.()).toBeUndefined();
    await written;
    expect(group.memory?.()).toMatchObject({ lastSlot: 2 });
  });
});

describe("a group's log, written", () => {
  it("does not let one write that failed stand in the way of the others", async () => {
    const wal = new FakeWal();
    const storage = walStorage(wal, { bytesInFlightMax: 200 });
    const [one, other] = [storage("one"), storage("other")];
    await Promise.all([one.load(), other.load()]);
    wal.failing = new Error("ENOSPC");
    await expect(one.write({ entries: [entry(1)] })).rejects.toMatchObject({ code: "ERR_PAXOS_STORAGE" });
    wal.failing = undefined;
    let done = false;
    void other.write({ entries: [entry(1)] }).then(() => {
      done = true;
    });
    await new Promise((resolve) => setImmediate(resolve));
    expect(done).toBe(true);
  });

  it("begins anew in one step, however much follows, and what was before is gone", async () => {
    const { wal, group, stream } = await opened();
    await group.write({ promised: ballot, entries: entries(1, 5), chosenThrough: 3 });
    const reset = { slot: 50, ballot, configuration: { slot: 0, storage: ["a", "b", "c"], log: [], departed: [] } };
    const before = stream.lastSequence;
    await group.write({ reset, entries: entries(51, 53, 900_000), chosenThrough: 50 });
    expect([stream.firstSequence, stream.lastSequence]).toEqual([before + 1, before + 3]);
    const again = walStorage(wal)("g");
    expect(await again.load()).toMatchObject({ promised: ballot, trimmedThrough: 50, chosenThrough: 50, base: reset });
    expect(slots(await again.read(51, 53, 1e7))).toEqual([51, 52, 53]);
  });

  it("is refused where it takes back what was let go of", async () => {
    const { wal, group, stream } = await opened();
    await group.write({ entries: entries(1, 5), chosenThrough: 5 });
    await group.trim(3);
    await expect(group.write({ truncateFrom: 3 })).rejects.toMatchObject({ code: "ERR_PAXOS_CORRUPT" });
    await stream.append([encodeRecord({ truncateFrom: 3 })]);
    await expect(walStorage(wal)("g").load()).rejects.toMatchObject({ code: "ERR_PAXOS_CORRUPT" });
  });
});

describe("a record", () => {
  it("of a later release is refused, not half understood", () => {
    const good = encodeRecord({ promised: ballot, entries: [entry(1, 1)] });
    expect(decodeRecord(good).entries).toHaveLength(1);
    const changed = (at: number, value: number) => good.map((byte, i) => (i === at ? value : byte));
    // A flag; the kind of the entry: behind version, flags, ballot, first slot and count.
    for (const [at, value] of [
      [1, (good[1] as number) | 64],
      [8, 9],
    ] as const) {
      expect(() => decodeRecord(changed(at, value))).toThrow(
        expect.objectContaining({ code: "ERR_PAXOS_UNSUPPORTED" }),
      );
    }
  });

  it("with bytes behind its end, and entries with a hole between them, are nobody's", () => {
    const good = encodeRecord({ promised: ballot });
    expect(() => decodeRecord(Buffer.concat([good, Buffer.of(0)]))).toThrow(
      expect.objectContaining({ code: "ERR_PAXOS_CORRUPT" }),
    );
    expect(() => encodeRecord({ entries: [entry(1), entry(3)] })).toThrow(
      expect.objectContaining({ code: "ERR_PAXOS_INVARIANT" }),
    );
  });
});

describe("the index of a log", () => {
  const filled = () => {
    const index = new SlotIndex({ bytesPerPoint: 10 });
    for (let i = 0; i < 8; i++) index.add(1 + 10 * i, 100 + i, 10);
    return index;
  };

  it("has a reader begin at the record of his slot, and not before", () => {
    const index = filled();
    expect([1, 10, 11, 12, 71, 999].map((slot) => index.seek(slot))).toEqual([100, 100, 101, 101, 107, 107]);
    expect(index.seek(0)).toBeUndefined();
  });

  it("keeps no point of what was cut off, and no cut of what was let go", () => {
    const index = filled();
    index.cut(31, 108);
    expect(index.points).toBe(3);
    index.add(31, 108, 10);
    expect([index.seek(30), index.seek(31)]).toEqual([102, 108]);
    expect([index.live(31, 107), index.live(31, 108), index.live(30, 102)]).toEqual([false, true, true]);
    expect(index.memory(64)[1]).toBe(1);
    index.dropBefore(108);
    expect(index.memory(64)[1]).toBe(0);
    expect(index.seek(30)).toBeUndefined();
  });

  it("thinned is as good, but for where a reader begins", () => {
    const index = new SlotIndex({ bytesPerPoint: 10 });
    index.load(filled().memory(4));
    expect(index.points).toBe(4);
    expect([1, 11, 21, 71].map((slot) => index.seek(slot))).toEqual([100, 100, 102, 106]);
  });
});
