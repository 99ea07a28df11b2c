import { readFileSync } from "node:fs";
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { BALLOT_ZERO } from "../src/core/ballot.js";
import type { Entry, PersistedState, PersistWrite } from "../src/core/types.js";
import { walStorage } from "../src/storage/index.js";
import { decodeRecord, encodeRecord } from "../src/storage/record.js";
import { FakeWal } from "./support/fake-wal.js";

const ballot = (round: number, node = "n1") => ({ round, node });
const entry = (slot: number, round: number, text = `${slot}/${round}`, kind: Entry["kind"] = "command"): Entry => ({
  slot,
  ballot: ballot(round),
  kind,
  command: kind === "noop" ? new Uint8Array(0) : Uint8Array.from(Buffer.from(text)),
});
const range = (from: number, through: number, round: number, text?: string) =>
  Array.from({ length: through - from + 1 }, (_, i) => entry(from + i, round, text));
const plain = (entries: readonly Entry[]) =>
  entries.map((e) => ({ ...e, command: Buffer.from(e.command).toString("utf8") }));

const brief = (entries: readonly Entry[]) => entries.map((e) => [e.slot, e.ballot.round, e.kind, e.command.length]);

/** What the writes mean, applied one after the other to plain memory. */
function model(writes: readonly PersistWrite[]): PersistedState {
  let state: PersistedState = {
    promised: BALLOT_ZERO,
    accepted: BALLOT_ZERO,
    trimmedThrough: 0,
    chosenThrough: 0,
    entries: [],
  };
  for (const write of writes) {
    const kept = state.entries.filter((e) => write.truncateFrom === undefined || e.slot < write.truncateFrom);
    state = {
      ...state,
      promised: write.promised ?? state.promised,
      accepted: write.accepted ?? state.accepted,
      chosenThrough: Math.max(state.chosenThrough, write.chosenThrough ?? 0),
      entries: [...kept, ...(write.entries ?? [])],
    };
  }
  return state;
}

describe("a group's storage in the log", () => {
  const step = fc.record({
    promise: fc.boolean(),
    drop: fc.integer({ min: 0, max: 6 }),
    append: fc.integer({ min: 0, max: 5 }),
    bytes: fc.constantFrom(0, 10, 40_000, 700_000),
    choose: fc.integer({ min: 0, max: 4 }),
    trim: fc.integer({ min: 0, max: 3 }),
    overlap: fc.boolean(),
  });

  it("equals the model after a crash at any write, with any trims between", async () => {
    await fc.assert(
      fc.asyncProperty(fc.array(step, { maxLength: 25 }), fc.nat(), async (steps, crashAt) => {
        const wal = new FakeWal();
        const group = walStorage(wal)("g");
        await group.load();
        const stream = wal.stream("paxos/g");
        const writes: PersistWrite[] = [];
        const under: Promise<void>[] = [];
        /** Position in the stream -> number of writes that are durable there. */
        const durable = new Map([[0, 0]]);
        let [end, chosen, trimmed, lastTrimAt] = [0, 0, 0, 0];
        for (const [round, s] of steps.entries()) {
          const truncateFrom = Math.max(chosen + 1, end - s.drop + 1);
          const dropped = truncateFrom <= end;
          end = Math.min(end, truncateFrom - 1);
          const entries = range(end + 1, end + s.append, round + 1, "e".repeat(s.bytes));
          end += s.append;
          chosen = Math.min(end, chosen + s.choose);
          const write: PersistWrite = {
            ...(s.promise ? { promised: ballot(round + 1) } : {}),
            ...(dropped ? { accepted: ballot(round + 1), truncateFrom } : {}),
            ...(entries.length > 0 ? { entries } : {}),
            chosenThrough: chosen,
          };
          writes.push(write);
          await group.write(write);
          durable.set(stream.lastSequence, writes.length);
          if (s.trim > 0 && trimmed < chosen) {
            trimmed = Math.min(chosen, trimmed + s.trim);
            const trim = group.trim(trimmed).then(() => {
              lastTrimAt = stream.lastSequence;
            });
            if (s.overlap) under.push(trim);
            else await trim;
            durable.set(stream.lastSequence, writes.length);
          }
        }
        await Promise.all(under);
        durable.set(stream.lastSequence, writes.length);
        // Records are let go only after the trim's own record is durable: no crash leaves less than that.
        const places = [...durable.keys()].filter((at) => at >= Math.max(lastTrimAt, stream.truncatedAt));
        const place = places[crashAt % places.length] as number;
        const crashed = new FakeWal();
        crashed.streams.set("paxos/g", stream.until(place));
        const again = walStorage(crashed)("g");
        const state = await again.load();
        const expected = model(writes.slice(0, durable.get(place)));
        expect(state.promised).toEqual(expected.promised);
        expect(state.accepted).toEqual(expected.accepted);
        expect(state.chosenThrough).toBe(expected.chosenThrough);
        expect(state.trimmedThrough).toBe(trimmed);
        expect(brief(state.entries)).toEqual(
          brief(expected.entries.filter((e) => e.slot >= expected.chosenThrough && e.slot > trimmed)),
        );
        const from = state.trimmedThrough + 1;
        const wanted = expected.entries.filter((e) => e.slot >= from);
        const read: Entry[] = [];
        while (read.length < wanted.length) {
          read.push(...(await again.read(from + read.length, (wanted.at(-1) as Entry).slot, 50_000)));
        }
        expect(brief(read)).toEqual(brief(wanted));
      }),
      { numRuns: 100 },
    );
  });

  it("finds an old slot without reading the log from its start, with a small index", async () => {
    const wal = new FakeWal();
    const group = walStorage(wal)("g");
    await group.load();
    for (let slot = 1; slot <= 2000; slot++) await group.write({ entries: [entry(slot, 1, "v".repeat(1000))] });
    const stream = wal.stream("paxos/g");
    stream.recordsRead = 0;
    expect((await group.read(1900, 1900, 1)).map((e) => e.slot)).toEqual([1900]);
    expect(stream.recordsRead).toBeLessThan(100);
    await group.write({ chosenThrough: 2000 });
    await group.trim(1900);
    expect(stream.firstSequence).toBeGreaterThan(1800);
  });

  it("passes a failing write on as a typed error, with its cause", async () => {
    const wal = new FakeWal();
    const group = walStorage(wal)("g");
    await group.load();
    wal.failing = new Error("EIO");
    await expect(group.write({ promised: ballot(1) })).rejects.toMatchObject({
      code: "ERR_PAXOS_STORAGE",
      cause: wal.failing,
    });
  });

  it("refuses a log with a hole, and a record of a later version", async () => {
    const wal = new FakeWal();
    await wal
      .stream("paxos/hole")
      .append([encodeRecord({ entries: [entry(1, 1)] }), encodeRecord({ entries: [entry(3, 1)] })]);
    await expect(walStorage(wal)("hole").load()).rejects.toMatchObject({ code: "ERR_PAXOS_CORRUPT" });
    await wal.stream("paxos/new").append([Uint8Array.of(2, 0)]);
    await expect(walStorage(wal)("new").load()).rejects.toMatchObject({ code: "ERR_PAXOS_UNSUPPORTED" });
  });
});

describe("the record format", () => {
  it("still reads what the first release wrote", () => {
    const record = decodeRecord(readFileSync(new URL("./fixtures/log-record-v1.bin", import.meta.url)));
    expect({ ...record, entries: plain(record.entries ?? []) }).toEqual({
      promised: { round: 300, node: "zoë" },
      accepted: { round: 299, node: "b1" },
      truncateFrom: 70_000,
      chosenThrough: 2 ** 40,
      trimmedThrough: 5,
      entries: [
        { slot: 70_000, ballot: { round: 299, node: "b1" }, kind: "command", command: "put" },
        { slot: 70_001, ballot: { round: 299, node: "b1" }, kind: "noop", command: "" },
        { slot: 70_002, ballot: { round: 300, node: "zoë" }, kind: "command", command: "größe" },
      ],
    });
  });

  it("never throws anything but its own error on damaged bytes, and never reads past them", () => {
    const good = encodeRecord({ promised: ballot(3), entries: [entry(1, 3), entry(2, 3)], chosenThrough: 1 });
    fc.assert(
      fc.property(
        fc.array(fc.tuple(fc.nat(good.length - 1), fc.nat(255)), { minLength: 1, maxLength: 4 }),
        fc.nat(good.length),
        (edits, cut) => {
          const bad = Buffer.from(good);
          for (const [at, value] of edits) bad[at] = value;
          try {
            const record = decodeRecord(bad.subarray(0, cut));
            expect((record.entries ?? []).length).toBeLessThanOrEqual(good.length);
          } catch (error) {
            expect(error).toMatchObject({ name: "PaxosError" });
          }
        },
      ),
    );
  });
});
