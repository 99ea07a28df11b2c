import { mkdir, rm, writeFile } from "node:fs/promises";
import { DeleteTableCommand } from "@aws-sdk/client-dynamodb";
import { Wal } from "@evenkeel/wal";
import { expect, test, vi } from "vitest";
import { nodeDir } from "../src/control/fleet.js";
import type { Applier } from "../src/storage-node/applier.js";
import { Leftovers } from "../src/storage-node/leftovers.js";
import type { Replica } from "../src/storage-node/replica.js";
import { Tree } from "../src/storage-node/tree.js";
import { client, createKeyTable, doneBy, eventually, openStore, temporaryDir } from "./support/store.js";

test("a partition's log is not removed before this node remembers for good that the partition is gone", async () => {
  const { dir, remove } = await temporaryDir();
  const store = await openStore({ dir, mode: "single" });
  try {
    const dynamo = client(store.endpoint);
    await createKeyTable(dynamo, "short");
    let open: () => void = () => undefined;
    const gate = new Promise<void>((resolve) => {
      open = resolve;
    });
    // The disk takes its time: what is committed is not on it yet.
    const { flushed } = Tree.prototype;
    vi.spyOn(Tree.prototype, "flushed").mockImplementation(async function (this: Tree) {
      await gate;
      await flushed.call(this);
    });
    const removed = vi.spyOn(Tree.prototype, "removePartition");
    await doneBy(dynamo.send(new DeleteTableCommand({ TableName: "short" })), "ResourceNotFoundException");
    await eventually("the nodes have left", async () => {
      const all = await Promise.all(["a1", "b1", "c1"].map((node) => store.fleet.callerTo(node).call("status", {})));
      return all.every((status) => status.partitions.length <= 4);
    });
    expect(removed).not.toHaveBeenCalled();
    open();
    await eventually("all are removed", () => removed.mock.calls.length === 12);
  } finally {
    vi.restoreAllMocks();
    await store.close();
    await remove();
  }
});

test("partitions that are gone are erased one at a time even where others are always in more of a hurry", async () => {
  const { dir, remove } = await temporaryDir();
  const wal = await Wal.open({ dir });
  try {
    for (const partition of [1, 2, 3, 4]) await wal.stream(`group/p${partition}`).append(Buffer.from("left behind"));
    const removed: number[] = [];
    const leftovers = new Leftovers({
      wal,
      tree: {
        partitions: () => [],
        removePartition: async (partition) => void removed.push(partition),
      } as Partial<Tree> as Tree,
      applier: { settled: async () => {} } as Partial<Applier> as Applier,
      streamPrefix: "group/p",
      replica: () => ({ appliedThrough: 1, durableThrough: 1 }) as Partial<Replica> as Replica,
      isGone: (partition) => partition !== 2,
      goesOn: () => false,
      isOver: () => false,
    });
    for (const left of [3, 2, 1]) {
      await leftovers.erase();
      expect(wal.streams().length).toBe(left);
    }
    expect(removed.sort()).toEqual([1, 3, 4]);
    expect(wal.streams()).toEqual(["group/p2"]);
    // What is left later is known: with thousands of partitions nobody goes through all of them each time that one goes.
    await wal.stream("group/p5").append(Buffer.from("left behind"));
    leftovers.left(5);
    const listed = vi.spyOn(wal, "streams");
    await leftovers.erase();
    expect(listed).not.toHaveBeenCalled();
    expect(removed.at(-1)).toBe(5);
    listed.mockRestore();
    expect(wal.streams()).toEqual(["group/p2"]);
  } finally {
    await wal.close();
    await remove();
  }
});

test("a log that was left behind without a trace in the tree is removed at the next start", async () => {
  const { dir, remove } = await temporaryDir();
  const first = await openStore({ dir, mode: "single" });
  const dynamo = client(first.endpoint);
  await createKeyTable(dynamo, "short");
  const removed = vi.spyOn(Tree.prototype, "removePartition");
  await doneBy(dynamo.send(new DeleteTableCommand({ TableName: "short" })), "ResourceNotFoundException");
  await eventually("all nodes have erased it", () => removed.mock.settledResults.length === 12);
  vi.restoreAllMocks();
  const log = `${nodeDir(dir, "b1")}/log`;
  await first.close();
  const logged = async (append?: string): Promise<string[]> => {
    const wal = await Wal.open({ dir: log });
    if (append !== undefined) await wal.stream(append).append(Buffer.from("left behind"));
    const names = wal.streams();
    await wal.close();
    return names;
  };
  expect(await logged("group/p2")).toEqual(["group/p0", "group/p2"]);
  await (await openStore({ dir, mode: "single" })).close();
  expect(await logged()).toEqual(["group/p0"]);
  await remove();
});

test("a store that could not be opened has let go of everything: the next attempt, in the same process, succeeds", async () => {
  const { dir, remove } = await temporaryDir();
  // The third node's B-tree cannot be, after its log was opened and the other two nodes were.
  const tree = `${nodeDir(dir, "c1")}/tree`;
  await mkdir(nodeDir(dir, "c1"), { recursive: true });
  await writeFile(tree, "a regular file");
  await expect(openStore({ dir, mode: "single" })).rejects.toMatchObject({ code: "EEXIST" });
  await rm(tree);
  await (await openStore({ dir, mode: "single" })).close();
  await remove();
});
