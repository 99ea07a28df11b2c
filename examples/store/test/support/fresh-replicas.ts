import { afterAll, beforeAll, expect } from "vitest";
import { Applier } from "../../src/storage-node/applier.js";
import { Replica } from "../../src/storage-node/replica.js";
import { Tree } from "../../src/storage-node/tree.js";
import { temporaryDir } from "./store.js";

/** Replicas of partitions that have nothing yet, over one real B-tree for all tests of a file. That nothing failed in applying to it is asserted at the end. */
export function freshReplicas(): () => Replica {
  const failures: unknown[] = [];
  let tree: Tree;
  let applier: Applier;
  let remove: () => Promise<void>;
  let partitions = 0;
  beforeAll(async () => {
    const temporary = await temporaryDir();
    remove = temporary.remove;
    tree = Tree.open(temporary.dir);
    applier = new Applier(tree, (error) => failures.push(error));
  });
  afterAll(async () => {
    await applier.close();
    await tree.close();
    await remove();
    expect(failures).toEqual([]);
  });
  return () => new Replica(++partitions, tree, applier);
}
