import fc from "fast-check";
import { describe, expect, it } from "vitest";
import type { Ballot } from "../src/core/ballot.js";
import { type Configuration, encodeConfiguration, founded } from "../src/core/configuration.js";
import type { Entry, PersistWrite } from "../src/core/types.js";
import { type GroupStorage, walStorage } from "../src/storage/index.js";
import { decodeRecord } from "../src/storage/record.js";
import { Told } from "../src/testing/told.js";
import { FakeWal } from "./support/fake-wal.js";

const ballot = (round: number): Ballot => ({ round, node: "n1" });
const founders = founded(["a", "b", "c"]);
const members = (slot: number): Configuration => ({ slot, storage: ["a", "b"], log: [`l${slot}`], departed: ["c"] });

/** What `load` has to give back. */
function loaded(told: Told) {
  const first = Math.max(told.trimmedThrough + 1, Math.min(told.chosenThrough, told.end + 1));
  const { promised, accepted, trimmedThrough, chosenThrough, base, installing, births } = told;
  const configuration = told.at(first - 1);
  return {
    ...{ promised, accepted, trimmedThrough, chosenThrough, entries: told.entries.slice(first, told.end + 1) },
    ...(base === undefined ? {} : { base }),
    ...(installing === undefined ? {} : { installing }),
    ...(births.size === 0 ? {} : { births }),
    ...(configuration === undefined ? {} : { configuration }),
  };
}

const step = fc.oneof(
  { weight: 6, arbitrary: fc.record({ type: fc.constant("write" as const), promise: fc.boolean(), drop: fc.nat(3) }) },
  { weight: 3, arbitrary: fc.record({ type: fc.constant("trim" as const), by: fc.integer({ min: 1, max: 4 }) }) },
  { weight: 1, arbitrary: fc.record({ type: fc.constant("remember" as const), node: fc.constantFrom("a", "b") }) },
  { weight: 2, arbitrary: fc.record({ type: fc.constant("install" as const), ahead: fc.nat(3) }) },
  { weight: 1, arbitrary: fc.record({ type: fc.constant("reset" as const), promise: fc.boolean() }) },
);
const append = fc.record({
  count: fc.nat(4),
  bytes: fc.constantFrom(10, 30_000, 70_000),
  config: fc.boolean(),
  choose: fc.nat(4),
});

/** Tells the log and the model the same. */
async function tell(group: GroupStorage, told: Told, round: number, s: Step, more: Append): Promise<void> {
  const promised = ballot(round);
  const appended = (from: number) =>
    Array.from({ length: more.count }, (_, i): Entry => {
      const slot = from + i;
      const config = more.config && i === 0;
      const command = config ? encodeConfiguration(members(slot)) : new Uint8Array(more.bytes).fill(slot);
      return { slot, ballot: promised, kind: config ? "config" : "command", command };
    });
  if (s.type === "remember") {
    told.births.set(s.node, `mark ${round}`);
    await group.remember(s.node, `mark ${round}`);
  } else if (s.type === "install") {
    const slot = told.chosenThrough + 1 + s.ahead;
    told.installing = { slot, ballot: promised, configuration: members(1) };
    await group.markInstall(told.installing);
  } else if (s.type === "trim") {
    const through = Math.min(told.chosenThrough, told.end, told.trimmedThrough + s.by);
    if (through <= told.trimmedThrough) return;
    told.trim(through, founders);
    await group.trim(through, founders);
  } else {
    const reset = s.type === "reset" ? (told.installing ?? undefined) : undefined;
    if (s.type === "reset" && reset === undefined) return;
    const from =
      reset === undefined ? Math.max(told.chosenThrough, told.end - (s.type === "write" ? s.drop : 0)) + 1 : 0;
    const first = reset === undefined ? Math.min(from, told.end + 1) : reset.slot + 1;
    const cut = reset === undefined && first <= told.end;
    const entries = appended(first);
    const end = first + entries.length - 1;
    const chosenThrough = Math.max(told.chosenThrough, reset?.slot ?? 0);
    const write: PersistWrite = {
      ...(s.promise ? { promised } : {}),
      ...(cut ? { accepted: promised, truncateFrom: first } : {}),
      ...(entries.length > 0 ? { entries } : {}),
      ...(reset === undefined ? {} : { reset }),
      chosenThrough: Math.max(chosenThrough, Math.min(end, chosenThrough + more.choose)),
    };
    told.write(write);
    await group.write(write);
  }
}

/** A comparison byte by byte takes long. */
const brief = (entries: readonly (Entry | undefined)[]) =>
  entries.map((e) => [e?.slot, e?.ballot.round, e?.kind, e?.command.length, e?.command[0]]);

type Step = typeof step extends fc.Arbitrary<infer T> ? T : never;
type Append = typeof append extends fc.Arbitrary<infer T> ? T : never;

async function readAll(group: GroupStorage, from: number, through: number): Promise<Entry[]> {
  const entries: Entry[] = [];
  while (from + entries.length <= through) entries.push(...(await group.read(from + entries.length, through, 90_000)));
  return entries;
}

describe("a group's log", () => {
  it("has all that it was told after a crash anywhere, however much of it was let go: promises, marks, members, what was about to be taken over", async () => {
    await fc.assert(
      fc.asyncProperty(fc.array(fc.tuple(step, append), { maxLength: 25 }), fc.nat(), async (steps, crashAt) => {
        const wal = new FakeWal();
        const stream = wal.stream("paxos/g");
        const group = walStorage(wal)("g");
        await group.load();
        const told = new Told();
        const durable = new Map([[0, told.copy()]]);
        for (const [index, [s, more]] of steps.entries()) {
          await tell(group, told, index + 1, s, more);
          durable.set(stream.lastSequence, told.copy());
        }
        expect(group.base).toEqual(told.base);
        // What was let go of is gone only when the record that stands for it is there.
        const places = [...durable.keys()].filter((at) => at >= stream.truncatedAt);
        const place = places[crashAt % places.length] as number;
        const crashed = new FakeWal();
        crashed.streams.set("paxos/g", stream.until(place));
        const [again, expected] = [walStorage(crashed)("g"), durable.get(place) as Told];
        const [state, { entries, ...rest }] = [await again.load(), loaded(expected)];
        expect({ ...state, entries: [] }).toEqual({ ...rest, entries: [] });
        expect(brief(state.entries)).toEqual(brief(entries));
        const kept = expected.entries.slice(expected.trimmedThrough + 1, expected.end + 1);
        expect(brief(await readAll(again, expected.trimmedThrough + 1, expected.end))).toEqual(brief(kept));
        // And takes up where it was what another one, which was not closed, knows of it in memory.
        const memory = group.memory?.();
        if (memory === undefined) return;
        const resumed = walStorage(wal)("g");
        resumed.resume?.(memory, new Map(told.births));
        expect([resumed.trimmedThrough, resumed.base]).toEqual([told.trimmedThrough, told.base]);
        const all = told.entries.slice(told.trimmedThrough + 1, told.end + 1);
        expect(brief(await readAll(resumed, told.trimmedThrough + 1, told.end))).toEqual(brief(all));
      }),
      { numRuns: 200 },
    );
  });

  it("keeps the record that stands for what was let go when the next write comes right behind it", async () => {
    const wal = new FakeWal();
    const stream = wal.stream("paxos/g");
    const group = walStorage(wal)("g");
    await group.load();
    const entry = (slot: number): Entry => ({
      slot,
      ballot: ballot(3),
      kind: "command",
      command: new Uint8Array(70_000),
    });
    await group.write({ promised: ballot(3), accepted: ballot(3), entries: [entry(1)], chosenThrough: 1 });
    // Before anybody is told that the trim's record is durable.
    const { append } = stream;
    let next: Promise<void> | undefined;
    stream.append = (records) => {
      const appended = append.call(stream, records);
      if (decodeRecord(records[0] as Uint8Array).trimmedThrough === 1) next ??= group.write({ entries: [entry(2)] });
      return appended;
    };
    await group.trim(1);
    expect(next).toBeDefined();
    await next;
    const state = await walStorage(wal)("g").load();
    expect(state).toMatchObject({ promised: ballot(3), accepted: ballot(3), trimmedThrough: 1, chosenThrough: 1 });
  });
});
