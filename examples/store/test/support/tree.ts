import { afterEach, beforeEach } from "vitest";
import { Tree } from "../../src/storage-node/tree.js";
import { temporaryDir } from "./store.js";

/** A B-tree of its own for each test of a file. */
export function ownTree(): { readonly tree: Tree } {
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
  return {
    get tree() {
      return tree;
    },
  };
}
