import fc from "fast-check";
import { afterAll, beforeAll, expect, test } from "vitest";
import { Applier } from "../src/storage-node/applier.js";
import { encodeCommand, type Write } from "../src/storage-node/command.js";
import { DESCRIPTION_KEY, encodeDescription } from "../src/storage-node/description.js";
import { Replica } from "../src/storage-node/replica.js";
import { decodeStored } from "../src/storage-node/stored-value.js";
import { Tree, type TreeRange } from "../src/storage-node/tree.js";
import { temporaryDir } from "./support/store.js";

let tree: Tree;
let applier: Applier;
let remove: () => Promise<void>;
let failure: unknown;
let partitions = 0;

beforeAll(async () => {
  const temporary = await temporaryDir();
  remove = temporary.remove;
  tree = Tree.open(temporary.dir);
  applier = new Applier(tree, (error) => {
    failure = error;
  });
});
afterAll(async () => {
  await applier.close();
  await tree.close();
  await remove();
  expect(failure).toBeUndefined();
});

type Model = ReadonlyMap<string, string>;

/** The same through a sorted list: keys and values as hexadecimal digits, which sort as their bytes do. */
function modelRange(model: Model, { from, to, reverse }: TreeRange): [string, string][] {
  const low = from === undefined ? "" : hex(from);
  const high = to === undefined ? undefined : hex(to);
  const found = [...model]
    .filter(([key]) => key >= low && (high === undefined || key < high))
    .sort(([a], [b]) => (a < b ? -1 : 1));
  return reverse ? found.reverse() : found;
}

const hex = (bytes: Uint8Array): string => Buffer.from(bytes).toString("hex");

const rangeOf = (replica: Replica, range: TreeRange): [string, string][] =>
  [...replica.range(range)].map(({ key, value }) => [hex(key), hex(value.json)]);

// Few keys, of few different bytes, so that writes meet; among them prefixes of one another.
const key = fc.uint8Array({ minLength: 1, maxLength: 3, max: 2 });
const write: fc.Arbitrary<Write> = fc.oneof(
  fc.record({ op: fc.constant("delete" as const), key }),
  fc.record({ op: fc.constant("put" as const), key, bytes: fc.uint8Array({ maxLength: 3 }), itemSizeBytes: fc.nat(9) }),
);
const bound = fc.option(key, { nil: undefined });
const range: fc.Arbitrary<TreeRange> = fc.record({ from: bound, to: bound, reverse: fc.boolean() });

const action = fc.oneof(
  {
    weight: 6,
    arbitrary: fc.record({ kind: fc.constant("write" as const), writes: fc.array(write, { maxLength: 4 }) }),
  },
  { weight: 6, arbitrary: fc.record({ kind: fc.constant("range" as const), range }) },
  { weight: 2, arbitrary: fc.record({ kind: fc.constant("get" as const), key }) },
  { weight: 1, arbitrary: fc.record({ kind: fc.constant("noop" as const) }) },
  { weight: 2, arbitrary: fc.record({ kind: fc.constant("turn" as const) }) },
  { weight: 1, arbitrary: fc.record({ kind: fc.constant("drain" as const) }) },
);

test("reads through overlay and tree, in both directions, are what a sorted map says at every moment", async () => {
  await fc.assert(
    fc.asyncProperty(fc.array(action, { maxLength: 60 }), async (actions) => {
      const partition = ++partitions;
      // A neighbour on either side, which must never be seen.
      for (const neighbour of [partition + 1_000_000, partition + 1_000_001]) {
        const other = new Replica(neighbour, tree, applier);
        other.apply({
          slot: 1,
          command: encodeCommand({
            kind: "writes",
            timeMs: 1,
            writes: [{ op: "put", key: Buffer.from([1]), bytes: Buffer.from("no"), itemSizeBytes: 1 }],
          }),
        });
      }
      const replica = new Replica(partition, tree, applier);
      const model = new Map<string, string>();
      let slot = 0;
      for (const step of actions) {
        if (step.kind === "write") {
          slot++;
          replica.apply({ slot, command: encodeCommand({ kind: "writes", timeMs: slot, writes: step.writes }) });
          for (const one of step.writes) {
            if (one.op === "put") model.set(hex(one.key), hex(one.bytes));
            else model.delete(hex(one.key));
          }
        } else if (step.kind === "range") expect(rangeOf(replica, step.range)).toEqual(modelRange(model, step.range));
        else if (step.kind === "get") {
          const found = replica.get(step.key);
          expect(found === undefined ? undefined : hex(found.json)).toBe(model.get(hex(step.key)));
        } else if (step.kind === "noop") replica.advance(++slot);
        else if (step.kind === "turn") {
          // A commit begins, or goes on, while what follows is applied.
          applier.hurry();
          await new Promise((resolve) => setImmediate(resolve));
        } else await applier.drain();
        expect(replica.appliedThrough).toBe(slot);
      }
      await applier.drain();
      expect(rangeOf(replica, {})).toEqual(modelRange(model, {}));
      expect(replica.backlog.writes).toBe(0);
      // What a restart finds in the tree alone is the same, as of the same slot.
      const reopened = new Replica(partition, tree, applier);
      expect(reopened.appliedThrough).toBe(slot);
      expect(rangeOf(reopened, {})).toEqual(modelRange(model, {}));
      expect(rangeOf(reopened, { reverse: true })).toEqual(modelRange(model, { reverse: true }));
    }),
    { numRuns: 150 },
  );
});

test("a snapshot at a mark shows exactly the mark's slot, while writes go on before and after it", async () => {
  const steps = fc.array(
    fc.oneof(
      { weight: 5, arbitrary: fc.array(write, { minLength: 1, maxLength: 5 }) },
      { weight: 1, arbitrary: fc.constant("turn" as const) },
    ),
    { minLength: 1, maxLength: 20 },
  );
  await fc.assert(
    fc.asyncProperty(fc.array(steps, { minLength: 1, maxLength: 6 }), async (betweenMarks) => {
      const replica = new Replica(++partitions, tree, applier);
      const model = new Map<string, string>();
      const marks: { slot: number; model: Model }[] = [];
      let slot = 0;
      for (const section of betweenMarks) {
        for (const step of section) {
          if (step === "turn") await new Promise((resolve) => setImmediate(resolve));
          else {
            replica.apply({ slot: ++slot, command: encodeCommand({ kind: "writes", timeMs: slot, writes: step }) });
            for (const one of step) {
              if (one.op === "put") model.set(hex(one.key), `${slot}:${hex(one.bytes)}`);
              else model.delete(hex(one.key));
            }
          }
        }
        replica.apply({ slot: ++slot, command: encodeCommand({ kind: "mark", timeMs: Date.now() }) });
        marks.push({ slot, model: new Map(model) });
      }
      const seen = await Promise.all(marks.map((mark) => replica.marked(mark.slot, 10_000)));
      // The tree has gone on meanwhile, and goes on.
      replica.apply({
        slot: ++slot,
        command: encodeCommand({
          kind: "writes",
          timeMs: slot,
          writes: [{ op: "put", key: Buffer.from([9]), bytes: Buffer.from("later"), itemSizeBytes: 1 }],
        }),
      });
      await applier.drain();
      for (const [i, marked] of seen.entries()) {
        for (const reverse of [false, true]) {
          const entries = [...replica.rawRange({ reverse }, marked)].map(({ key, bytes }): [string, string] => {
            const value = decodeStored(key, bytes);
            return [hex(key), `${value.slot}:${hex(value.json)}`];
          });
          expect(entries).toEqual(modelRange((marks[i] as { model: Model }).model, { reverse }));
        }
        replica.releaseMark(marked.slot);
      }
      for (const mark of marks)
        await expect(replica.marked(mark.slot, 10)).rejects.toMatchObject({ code: "ERR_STORE_BEHIND" });
      replica.close();
    }),
    { numRuns: 60 },
  );
});

test("a mark that is not reached in time, and one that was met while an old log is replayed, are behind", async () => {
  const replica = new Replica(++partitions, tree, applier);
  await expect(replica.marked(5, 20)).rejects.toMatchObject({ code: "ERR_STORE_BEHIND" });
  replica.apply({ slot: 1, command: encodeCommand({ kind: "mark", timeMs: Date.now() - 3_600_000 }) });
  await applier.drain();
  await expect(replica.marked(1, 20)).rejects.toMatchObject({ code: "ERR_STORE_BEHIND" });
  // Whoever waited before it was reached gets it.
  const waiting = replica.marked(2, 10_000);
  replica.apply({ slot: 2, command: encodeCommand({ kind: "mark", timeMs: Date.now() }) });
  expect((await waiting).slot).toBe(2);
  replica.close();
});

test("only the last eight snapshots are kept", async () => {
  const replica = new Replica(++partitions, tree, applier);
  for (let slot = 1; slot <= 10; slot++)
    replica.apply({ slot, command: encodeCommand({ kind: "mark", timeMs: Date.now() }) });
  await applier.drain();
  for (let slot = 1; slot <= 10; slot++) {
    if (slot <= 2) await expect(replica.marked(slot, 10)).rejects.toMatchObject({ code: "ERR_STORE_BEHIND" });
    else expect((await replica.marked(slot, 10)).slot).toBe(slot);
  }
  replica.close();
});

test("of what was applied before a state is taken over nothing is seen behind it, and nothing comes into the tree", async () => {
  const partition = ++partitions;
  const replica = new Replica(partition, tree, applier);
  const put = (key: Uint8Array, bytes: Uint8Array): Write => ({ op: "put", key, bytes, itemSizeBytes: 1 });
  const apply = (slot: number, ...writes: Write[]) =>
    replica.apply({ slot, command: encodeCommand({ kind: "writes", timeMs: slot, writes }) });
  const item = Uint8Array.of(1, 1, 1, 1, 1, 1, 1);
  apply(1, put(DESCRIPTION_KEY, encodeDescription({ recordsChanges: true, asOf: 1 })), put(item, Buffer.from("old")));
  expect(replica.description.recordsChanges).toBe(true);
  expect(rangeOf(replica, {})).toHaveLength(2);
  const timeMs = Date.now() + 1_000;
  const switching = replica.takeOver({ slot: 100, timeMs });
  expect(replica.takeMove(10)).toBeUndefined();
  await switching;
  expect(rangeOf(replica, {})).toEqual([]);
  expect(replica.description).toEqual({ recordsChanges: false, asOf: 0 });
  expect(replica.backlog.writes).toBe(0);
  expect([replica.appliedThrough, replica.durableThrough, replica.lastDeleteSlot]).toEqual([100, 100, 100]);
  expect(replica.lastTimeMs).toBe(timeMs);
  await expect(replica.takeOver({ slot: 100, timeMs })).rejects.toMatchObject({ code: "ERR_STORE_CLOSED" });
  apply(101, { op: "delete", key: item });
  await applier.drain();
  const reopened = new Replica(partition, tree, applier);
  expect(rangeOf(reopened, {})).toEqual([]);
  // When the last deletion was nobody knows any more.
  expect([reopened.appliedThrough, reopened.lastDeleteSlot]).toEqual([101, 101]);
});

test("what was written again while it was on its way into the tree is read as it is now", async () => {
  const replica = new Replica(++partitions, tree, applier);
  const key = Buffer.from("again");
  const write = (slot: number) =>
    replica.apply({
      slot,
      command: encodeCommand({
        kind: "writes",
        timeMs: slot,
        writes: [{ op: "put", key, bytes: Buffer.from(`${slot}`), itemSizeBytes: 1 }],
      }),
    });
  const turn = () => new Promise((resolve) => setImmediate(resolve));
  write(1);
  applier.hurry();
  while (replica.takenBytes === 0) await turn();
  write(2);
  while (replica.movedBytes === 0) await turn();
  expect(Buffer.from(replica.get(key)?.json as Uint8Array).toString()).toBe("2");
  expect(rangeOf(replica, {})).toEqual([[hex(key), hex(Buffer.from("2"))]]);
});

test("an entry goes into the tree whole, however many writes it has", () => {
  const replica = new Replica(++partitions, tree, applier);
  const entry = (slot: number) => {
    const writes = [1, 2, 3].map(
      (n): Write => ({ op: "put", key: Uint8Array.of(slot, n), bytes: new Uint8Array(), itemSizeBytes: 0 }),
    );
    replica.apply({ slot, command: encodeCommand({ kind: "writes", timeMs: slot, writes }) });
  };
  entry(1);
  entry(2);
  expect(replica.takeMove(2)).toMatchObject({ through: 1, timeMs: 1, entries: { length: 3 } });
  expect(replica.takeMove(4)).toMatchObject({ through: 2, entries: { length: 3 } });
});

test("what waits for the tree is counted by write and by byte, also where all writes are to one key", async () => {
  const replica = new Replica(++partitions, tree, applier);
  const bytes = Buffer.alloc(100);
  const write: Write = { op: "put", key: Buffer.from("hot"), bytes, itemSizeBytes: 100 };
  for (let slot = 1; slot <= 50; slot++)
    replica.apply({ slot, command: encodeCommand({ kind: "writes", timeMs: 1, writes: [write] }) });
  expect([replica.backlog.writes, replica.backlog.bytes]).toEqual([50, 50 * 103]);
  await applier.drain();
  expect([replica.backlog.writes, replica.backlog.bytes]).toEqual([0, 0]);
});

test("whoever waits for a snapshot is told when the replica is closed", async () => {
  const replica = new Replica(++partitions, tree, applier);
  const waiting = replica.marked(5, 60_000);
  replica.close();
  await expect(waiting).rejects.toMatchObject({ code: "ERR_STORE_BEHIND" });
  await expect(replica.marked(5, 60_000)).rejects.toMatchObject({ code: "ERR_STORE_BEHIND" });
});

test("whoever waits for a snapshot is told when nothing more is applied, and one that is held can be read on", async () => {
  const replica = new Replica(++partitions, tree, applier);
  replica.apply({ slot: 1, command: encodeCommand({ kind: "mark", timeMs: Date.now() }) });
  await applier.drain();
  const waiting = replica.marked(5, 60_000);
  replica.endMarks();
  await expect(waiting).rejects.toMatchObject({ code: "ERR_STORE_BEHIND" });
  await expect(replica.marked(6, 60_000)).rejects.toMatchObject({ code: "ERR_STORE_BEHIND" });
  expect((await replica.marked(1, 10)).slot).toBe(1);
  replica.close();
});
