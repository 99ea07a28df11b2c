import fc from "fast-check";
import { afterAll, beforeAll, expect, test, vi } from "vitest";
import { Applier } from "../src/storage-node/applier.js";
import { encodeCommand, type Write } from "../src/storage-node/command.js";
import { GroupMachine } from "../src/storage-node/group-machine.js";
import { Replica } from "../src/storage-node/replica.js";
import { Tree } from "../src/storage-node/tree.js";
import { temporaryDir } from "./support/store.js";

let dir: string;
let tree: Tree;
let applier: Applier;
let remove: () => Promise<void>;
let failure: unknown;
let partitions = 0;

const openTree = () => {
  tree = Tree.open(dir);
  applier = new Applier(tree, (error) => {
    failure = error;
  });
};
const closeTree = async () => {
  await applier.close();
  await tree.close();
};
beforeAll(async () => {
  ({ dir, remove } = await temporaryDir());
  openTree();
});
afterAll(async () => {
  await closeTree();
  await remove();
  expect(failure).toBeUndefined();
});

const hex = (bytes: Uint8Array): string => Buffer.from(bytes).toString("hex");
const contents = (replica: Replica): [string, string, number][] =>
  [...replica.range({})].map(({ key, value }) => [hex(key), hex(value.json), value.slot]);

interface Side {
  readonly replica: Replica;
  readonly machine: GroupMachine;
}

function side(partition = ++partitions): Side {
  const replica = new Replica(partition, tree, applier);
  return { replica, machine: new GroupMachine(replica, tree, applier) };
}

const apply = ({ replica }: Side, slot: number, writes: readonly Write[]): void => {
  replica.apply({ slot, command: encodeCommand({ kind: "writes", timeMs: 1_000 + slot, writes }) });
};

const putOf = (key: string, text: string): Write => ({
  op: "put",
  key: Buffer.from(key),
  bytes: Buffer.from(text),
  itemSizeBytes: text.length,
});

/** Asks for pieces as a receiver does; `meanwhile` happens between any two of them. */
async function* chunksOf(from: Side, pieceBytes: number, meanwhile: () => Promise<void> | void = () => undefined) {
  const snapshot = await (from.machine.snapshot as () => ReturnType<GroupMachine["snapshot"]>)();
  try {
    for (let offset = 0; offset < snapshot.sizeBytes; offset += pieceBytes) {
      await meanwhile();
      yield await snapshot.read(offset, Math.min(pieceBytes, snapshot.sizeBytes - offset));
    }
  } finally {
    await snapshot.close?.();
  }
}

const install = (to: Side, slot: number, chunks: AsyncIterable<Uint8Array>) =>
  to.machine.install({ slot, sizeBytes: 0, chunks });

// Few keys, so that what is there before and what comes meet.
const key = fc.uint8Array({ minLength: 1, maxLength: 2, max: 3 });
const write: fc.Arbitrary<Write> = fc.oneof(
  fc.record({ op: fc.constant("delete" as const), key }),
  fc.record({
    op: fc.constant("put" as const),
    key,
    bytes: fc.uint8Array({ maxLength: 40 }),
    itemSizeBytes: fc.nat(9),
  }),
);
const entries = fc.array(fc.array(write, { maxLength: 4 }), { maxLength: 15 });

test("a state that is handed over, in pieces of any size and while writes go on, is what it was at its slot; what was there is gone", async () => {
  await fc.assert(
    fc.asyncProperty(
      entries,
      fc.array(write, { minLength: 1, maxLength: 6 }),
      entries,
      fc.integer({ min: 1, max: 300 }),
      async (there, late, before, pieceBytes) => {
        const [from, to] = [side(), side()];
        for (const [i, writes] of there.entries()) apply(from, i + 1, writes);
        apply(from, there.length + 1, []);
        await applier.drain();
        const slot = there.length + 1;
        const wanted = contents(from.replica);
        for (const [i, writes] of before.slice(0, slot - 1).entries()) apply(to, i + 1, writes);

        let next = slot;
        const chunks = chunksOf(from, pieceBytes, async () => {
          apply(from, ++next, late);
          await new Promise((resolve) => setImmediate(resolve));
        });
        await install(to, slot, chunks);
        expect(contents(to.replica)).toEqual(wanted);
        const { appliedThrough, durableThrough, backlog, lastTimeMs } = to.replica;
        expect({ appliedThrough, durableThrough, backlog: backlog.writes, lastTimeMs }).toEqual({
          appliedThrough: slot,
          durableThrough: slot,
          backlog: 0,
          lastTimeMs: 1_000 + slot,
        });
        // It goes on from there, and whoever opens the tree again finds it so.
        apply(to, slot + 1, late);
        apply(from, ++next, []);
        await applier.drain();
        const again = new Replica(to.replica.partition, tree, applier);
        expect(contents(again)).toEqual(contents(to.replica));
        expect([again.appliedThrough, again.lastTimeMs]).toEqual([slot + 1, 1_001 + slot]);
        for (const { machine, replica } of [from, to]) {
          await machine.close();
          replica.close();
        }
      },
    ),
    { numRuns: 40 },
  );
});

test("a transfer that breaks off anywhere leaves the state that was there; the next one succeeds, and nothing is left beside it", async () => {
  const [from, to] = [side(), side()];
  const writes = Array.from({ length: 200 }, (_, i) => putOf(`new-${i}`, "x".repeat(50)));
  apply(from, 1, writes);
  apply(from, 2, []);
  apply(to, 1, [putOf("old", "stays")]);
  await applier.drain();
  const old = contents(to.replica);
  async function* broken(after: number) {
    let pieces = 0;
    for await (const piece of chunksOf(from, 1_000)) {
      if (pieces++ === after) throw new Error("the sender died");
      yield piece;
    }
  }
  for (const after of [0, 1, 5, 12]) {
    await expect(install(to, 2, broken(after))).rejects.toThrow("the sender died");
    expect(contents(to.replica)).toEqual(old);
  }
  // A flipped bit that a checksum beyond this one would have let through.
  async function* rotten() {
    let pieces = 0;
    for await (const piece of chunksOf(from, 1_000))
      yield pieces++ === 5 ? piece.map((byte, i) => (i === 500 ? byte ^ 1 : byte)) : piece;
  }
  await expect(install(to, 2, rotten())).rejects.toMatchObject({
    code: expect.stringMatching(/^ERR_STORE_(CORRUPT|FORMAT)$/),
  });
  await expect(install(to, 2, chunksOf(side(), 1_000)), "another slot").rejects.toThrow();
  expect(contents(to.replica)).toEqual(old);
  apply(to, 2, [putOf("old", "goes on")]);
  await applier.drain();
  // As a kill would leave it: half of a state staged, the rest never came.
  await tree.stage(to.replica.partition, [...tree.rawRange(from.replica.partition, {})]);
  await closeTree();
  openTree();
  const [sender, receiver] = [side(from.replica.partition), side(to.replica.partition)];
  expect(contents(receiver.replica).map(([found]) => found)).toEqual([hex(Buffer.from("old"))]);
  apply(sender, 3, []);
  await applier.drain();
  for (const slot of [3, 4]) {
    if (slot === 4) apply(sender, 4, [{ op: "delete", key: Buffer.from("new-0") }, putOf("new-7", "written over")]);
    await applier.drain();
    await install(receiver, slot, chunksOf(sender, 1_000));
    expect(contents(receiver.replica)).toEqual(contents(sender.replica));
  }
  await receiver.machine.close();
  const partition = receiver.replica.partition;
  await tree.removePartition(partition);
  expect([...tree.rawRange(partition, {})]).toEqual([]);
});

test("what waits for a snapshot of a slot that was passed over is told; reads see the old state or the new one", async () => {
  const [from, to] = [side(), side()];
  apply(from, 1, [putOf("a", "1")]);
  apply(from, 2, [putOf("a", "2"), putOf("b", "2")]);
  await applier.drain();
  apply(to, 1, [putOf("a", "1"), putOf("gone", "1")]);
  const waiting = to.replica.marked(2, 60_000);
  const told = expect(waiting).rejects.toMatchObject({ code: "ERR_STORE_BEHIND" });
  let replaced = 0;
  to.replica.observeTakeOver(() => replaced++);
  const seen = new Set<string>();
  const installing = install(
    to,
    2,
    chunksOf(from, 10, () => void seen.add(JSON.stringify(contents(to.replica)))),
  );
  await installing;
  await told;
  seen.add(JSON.stringify(contents(to.replica)));
  expect([...seen].map((text) => (JSON.parse(text) as string[][]).length)).toEqual([2, 2]);
  expect(replaced).toBe(1);
  expect(to.replica.get(Buffer.from("gone"))).toBeUndefined();
});

test("a value that has rotted is not handed to anybody", async () => {
  const [from, to] = [side(), side()];
  apply(from, 1, [putOf("good", "g"), putOf("rotten", "r")]);
  await applier.drain();
  const [, second] = [...tree.rawRange(from.replica.partition, {})];
  await tree.stage(from.replica.partition, [
    {
      key: Buffer.from("rotten"),
      bytes: (second?.bytes ?? Buffer.alloc(0)).map((byte, i) => (i === 20 ? byte ^ 1 : byte)),
    },
  ]);
  await tree.switchOver(from.replica.partition, { slot: 1, timeMs: 1 }, () => undefined);
  await expect(install(to, 1, chunksOf(from, 1_000))).rejects.toMatchObject({ code: "ERR_STORE_CORRUPT" });
  expect(contents(to.replica)).toEqual([]);
});

test("an archive that fails, or takes for ever, keeps nobody from a copy", async () => {
  const [from, to] = [side(), side()];
  apply(from, 1, [putOf("a", "1")]);
  await applier.drain();
  from.machine.beforeSnapshot = () => Promise.reject(new Error("the archive is away"));
  await install(to, 1, chunksOf(from, 1_000));
  expect(contents(to.replica)).toEqual(contents(from.replica));
  vi.useFakeTimers({ toFake: ["setTimeout", "clearTimeout"] });
  try {
    from.machine.beforeSnapshot = () => new Promise(() => undefined);
    const other = side();
    const installing = install(other, 1, chunksOf(from, 1_000));
    await vi.advanceTimersByTimeAsync(10_000);
    await installing;
    expect(contents(other.replica)).toEqual(contents(from.replica));
  } finally {
    vi.useRealTimers();
  }
});
