import fc from "fast-check";
import { afterEach, beforeEach, expect, test } from "vitest";
import type { Item } from "../src/api/model.js";
import { itemBytes } from "../src/api/size.js";
import { type StreamPosition, slotEnd } from "../src/api/streams/sequence-numbers.js";
import { CHANGES_BEGIN, type Change, type ChangeLimits } from "../src/storage-node/changes.js";
import type { NodeWriteOp } from "../src/storage-node/node-write-op.js";
import { partitionPage } from "../src/storage-node/page.js";
import { LonePartition } from "./support/lone-partition.js";
import { temporaryDir } from "./support/store.js";

let partition: LonePartition;
let remove: () => Promise<void>;

beforeEach(async () => {
  const temporary = await temporaryDir();
  remove = temporary.remove;
  partition = await LonePartition.open(temporary.dir);
});
afterEach(async () => {
  await partition.close();
  await remove();
});

const keyOf = (name: string): Buffer => Buffer.concat([Buffer.from([0, 0, 0, 1, 0, name.length]), Buffer.from(name)]);
const put = (name: string, rest: Item): NodeWriteOp => {
  const item = { pk: { S: name }, ...rest };
  return { kind: "put", json: Buffer.from(JSON.stringify(item)), itemSizeBytes: itemBytes(item), returnValues: "NONE" };
};
const write = (name: string, rest: Item) => partition.host.writer.write(keyOf(name), put(name, rest));
const erase = (name: string) => partition.host.writer.write(keyOf(name), { kind: "delete", returnValues: "NONE" });
const n = (value: number): Item => ({ n: { N: String(value) } });

const text = (bytes: Uint8Array | undefined): string | undefined =>
  bytes === undefined ? undefined : (JSON.parse(Buffer.from(bytes).toString()) as { n: { N: string } }).n.N;
const told = ({ key, before, after, expired }: Change) => [
  Buffer.from(key).subarray(6).toString(),
  text(before?.bytes),
  text(after?.bytes),
  ...(expired ? ["expired"] : []),
];

/** Everything behind a position, in pages of these limits. */
async function all(limits: ChangeLimits = {}, after: StreamPosition = CHANGES_BEGIN): Promise<Change[]> {
  const found: Change[] = [];
  for (let position = after; ; ) {
    const { changes, through, atEnd } = await partition.host.changes.after(position, limits);
    found.push(...changes);
    if (atEnd) return found;
    expect([through.slot, through.index], "pages go on").not.toEqual([position.slot, position.index]);
    position = through;
  }
}

test("each write from the switch on is a change with what was there before, and none before it or behind the switch back", async () => {
  await write("a", n(1));
  expect(await all()).toEqual([]);
  const { writer } = partition.host;
  // Ordered with the writes around it, though nobody waits for anybody.
  const on = writer.describe({ recordsChanges: true, asOf: 1 });
  const writes = [write("a", n(2)), write("b", n(1)), write("b", n(2)), erase("b"), erase("b"), write("b", n(3))];
  const off = writer.describe({ recordsChanges: false, asOf: 2 });
  await Promise.all([on, ...writes, off, write("a", n(9))]);
  await write("a", n(10));
  expect((await all()).map(told)).toEqual([
    ["a", "1", "2"],
    ["b", undefined, "1"],
    ["b", "1", "2"],
    ["b", "2", undefined],
    ["b", undefined, "3"],
  ]);
});

test("a write that changes nothing is no change, in whatever order attributes and sets are said", async () => {
  await partition.host.writer.describe({ recordsChanges: true, asOf: 1 });
  await write("a", { ...n(1), s: { SS: ["x", "y"] }, m: { M: { p: { BOOL: true }, q: { NULL: true } } } });
  await write("a", { s: { SS: ["y", "x"] }, m: { M: { q: { NULL: true }, p: { BOOL: true } } }, ...n(1) });
  await write("a", { ...n(1), s: { SS: ["x", "y"] }, m: { M: { p: { BOOL: true }, q: { NULL: true } } } });
  await write("a", { ...n(1), s: { SS: ["x", "z"] }, m: { M: { p: { BOOL: true }, q: { NULL: true } } } });
  expect((await all()).map(told)).toEqual([
    ["a", undefined, "1"],
    ["a", "1", "1"],
  ]);
});

test("changes are in the log's order, whoever pages how, and the same after a restart and out of the archive", async () => {
  await partition.host.writer.describe({ recordsChanges: true, asOf: 1 });
  await Promise.all(Array.from({ length: 200 }, (_, i) => write(`k${i % 7}`, n(i))));
  for (let i = 0; i < 20; i++) await write(`k${i % 3}`, n(1_000 + i));
  const whole = await all();
  expect(whole).toHaveLength(220);
  // Each item's changes join on: what one left is what the next one found.
  const last = new Map<string, string | undefined>();
  for (const [key, before, after] of whole.map(told)) {
    expect(before, `before of ${key}`).toBe(last.get(key as string));
    last.set(key as string, after);
  }
  const pages = fc.record({
    changesMax: fc.integer({ min: 5, max: 60 }),
    bytesMax: fc.integer({ min: 1_000, max: 20_000 }),
    entriesMax: fc.integer({ min: 3, max: 20 }),
  });
  const equalWhatever = (runs: number) =>
    fc.assert(
      fc.asyncProperty(pages, async (limits) => {
        expect(await all(limits)).toEqual(whole);
      }),
      { numRuns: runs },
    );
  await equalWhatever(5);
  partition = await partition.restart();
  await equalWhatever(2);
  await partition.trim((whole[150] as Change).slot);
  expect(partition.host.group.status().trimmedThrough).toBe((whole[150] as Change).slot);
  await equalWhatever(1);
  const from = whole[100] as Change;
  expect(await all({}, from)).toEqual(whole.slice(101));
});

test("what a partition says of itself is no item", async () => {
  await partition.host.writer.describe({ recordsChanges: true, asOf: 1 });
  await partition.host.writer.write(Buffer.from([0, 0, 0, 0, 0, 1, 97]), put("a", n(1)));
  for (const reverse of [false, true]) {
    const page = partitionPage(partition.host.replica, { consistent: true, bytesMax: 1_000, reverse });
    expect(page).toMatchObject({ scannedCount: 1, items: [{ pk: { S: "a" } }] });
  }
});

/** Written in 15 bytes, counted as two: as large as an item can be in the log. */
const flags = (value: boolean): Item => ({
  ...n(1),
  l: { L: Array.from({ length: 204_000 }, () => ({ BOOL: value })) },
});

test("the largest items there can be fit into an entry beside what they replace", async () => {
  await partition.host.writer.describe({ recordsChanges: true, asOf: 1 });
  await write("a", flags(true));
  await write("a", flags(false));
  const [, second] = await all();
  expect(second?.before?.bytes.length).toBeGreaterThan(2_500_000);
  await partition.trim(partition.host.replica.appliedThrough);
  expect(await all()).toHaveLength(2);
});

test("a transaction that replaces more than fits into an entry is carried out in several", async () => {
  const { writer, participant, replica } = partition.host;
  await writer.describe({ recordsChanges: true, asOf: 1 });
  const names = ["a", "b", "c", "d"];
  for (const name of names) await write(name, flags(true));
  const from = slotEnd(replica.appliedThrough);
  const actions = names.map((name) => ({ key: keyOf(name), op: { kind: "delete", returnValues: "NONE" } as const }));
  const ledger = { partition: 7, key: keyOf("ledger") };
  await participant.prepare({ transaction: "t", ledger, actions });
  expect(await all({ bytesMax: 1e9 }, from)).toEqual([]);
  await participant.resolve({ transaction: "t", committedAtMs: Date.now() });
  expect((await all({ bytesMax: 1e9 }, from)).map(told)).toEqual(names.map((name) => [name, "1", undefined]));
});

test("a partition whose table is being deleted takes no writes behind the end of what it records, and may be told so twice", async () => {
  const { writer } = partition.host;
  await writer.describe({ recordsChanges: true, asOf: 1 });
  const ending = { recordsChanges: false, asOf: 2, ending: true } as const;
  const before = write("a", n(1));
  const told1 = writer.describe(ending);
  await expect(write("b", n(1))).rejects.toMatchObject({ code: "ERR_STORE_SPLIT" });
  await Promise.all([before, told1]);
  await expect(erase("a")).rejects.toMatchObject({ code: "ERR_STORE_SPLIT" });
  await writer.describe(ending);
  expect((await all()).map(told)).toEqual([["a", undefined, "1"]]);
});

test("what was decided earlier does not come after what was decided later", async () => {
  const { writer, replica } = partition.host;
  await writer.describe({ recordsChanges: true, asOf: 5 });
  const late = writer.describe({ recordsChanges: false, asOf: 4 });
  await expect(late).rejects.toMatchObject({ code: "ERR_STORE_CONFLICT" });
  await writer.describe({ recordsChanges: true, asOf: 5 });
  expect(replica.description).toEqual({ recordsChanges: true, asOf: 5 });
  await writer.describe({ recordsChanges: false, asOf: 6 });
  expect(replica.description).toEqual({ recordsChanges: false, asOf: 6 });
});
