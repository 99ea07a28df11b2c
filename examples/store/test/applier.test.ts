import { afterEach, beforeEach, expect, test, vi } from "vitest";
import { Applier } from "../src/storage-node/applier.js";
import { encodeCommand } from "../src/storage-node/command.js";
import { Replica } from "../src/storage-node/replica.js";
import { Tree } from "../src/storage-node/tree.js";
import { eventually, temporaryDir } from "./support/store.js";

let tree: Tree;
let remove: () => Promise<void>;

beforeEach(async () => {
  const temporary = await temporaryDir();
  remove = temporary.remove;
  tree = Tree.open(temporary.dir);
});
afterEach(async () => {
  await tree.close();
  await remove();
});

const put = (key: number, size = 1) =>
  encodeCommand({
    kind: "writes",
    timeMs: 1,
    writes: [{ op: "put", key: Uint8Array.of(key), bytes: new Uint8Array(size), itemSizeBytes: size }],
  });

test("after a failed commit nothing more is committed: no slot may cover writes that are not there", async () => {
  const failures: unknown[] = [];
  const applier = new Applier(tree, (error) => failures.push(error));
  const replica = new Replica(1, tree, applier);
  const full = new Error("no space left");
  vi.spyOn(tree, "commit").mockRejectedValueOnce(full);
  replica.apply({ slot: 1, command: put(1) });
  applier.hurry();
  await eventually("the failure is told", () => failures.length > 0);
  replica.apply({ slot: 2, command: put(2) });
  await applier.close();
  expect(failures).toEqual([full]);
  expect(tree.appliedThrough(1)).toBe(0);
  expect(tree.get(1, Uint8Array.of(2))).toBeUndefined();
});

test("what is thrown after a commit, such as for a snapshot that cannot be had, is told as well", async () => {
  const failures: unknown[] = [];
  const applier = new Applier(tree, (error) => failures.push(error));
  const replica = new Replica(1, tree, applier);
  vi.spyOn(tree, "snapshot").mockImplementationOnce(() => {
    throw new Error("too many readers");
  });
  replica.apply({ slot: 1, command: encodeCommand({ kind: "mark", timeMs: Date.now() }) });
  await eventually("the failure is told", () => failures.length > 0);
  await applier.close();
});

test("a partition can be dropped while others are written without a pause", async () => {
  const applier = new Applier(tree, () => undefined);
  const busy = new Replica(1, tree, applier);
  const dropped = new Replica(2, tree, applier);
  let slot = 0;
  let going = true;
  const write = (): void => {
    if (!going) return;
    busy.apply({ slot: ++slot, command: put(slot % 256) });
    applier.hurry();
    setImmediate(write);
  };
  write();
  dropped.apply({ slot: 1, command: put(1) });
  await eventually("a commit under load", () => tree.appliedThrough(1) > 0);
  dropped.close();
  await applier.settled();
  await tree.removePartition(2);
  expect(tree.partitions()).toEqual([1]);
  going = false;
  await applier.close();
  expect(tree.partitions()).toEqual([1]);
});
