import { emptyLeaf, Inner, type Leaf, type Node } from "./node.js";

/**
 * The upper levels of a node, packed, so that a look-up gets through eight of them in a few cache lines instead of eight objects. Nodes never change, so a
 * page is made once, when it is first walked through; an update makes new ones only along its path.
 *
 * Ways out are numbered from the left. A page with n of them has n - 1 inner nodes, in preorder, a number each: `bit * 512 + ways out below its left child`. That
 * is all a walk needs: the left child is the next number, the right one as many further as there are ways out on the left; where one way is left,
 * it is the way out. Behind the nodes stand two numbers for each way out that is a leaf: which of `slabs` its block is in, and where; -1 for others.
 */
export interface Page {
  readonly table: Int32Array;
  readonly ways: number;
  readonly slabs: readonly Uint8Array[];
  /** Leaves, and inner nodes that begin the next page. */
  readonly exits: readonly Node[];
}

const levels = 8;

export function pageOf(root: Node): Page {
  const nodes: number[] = [];
  const exits: Node[] = [];
  const add = (node: Node, depth: number): void => {
    if (depth === levels || !(node instanceof Inner)) {
      exits.push(node);
      return;
    }
    const at = nodes.push(0) - 1;
    const before = exits.length;
    add(node.left, depth + 1);
    nodes[at] = node.bit * 512 + (exits.length - before);
    add(node.right, depth + 1);
  };
  add(root, 0);
  const slabs: Uint8Array[] = [];
  const table = new Int32Array(nodes.length + 2 * exits.length);
  table.set(nodes);
  exits.forEach((node, i) => {
    const isLeaf = !(node instanceof Inner);
    if (isLeaf && slabs[slabs.length - 1] !== node.bytes) slabs.push(node.bytes);
    table[nodes.length + 2 * i] = isLeaf ? slabs.length - 1 : -1;
    table[nodes.length + 2 * i + 1] = isLeaf ? node.at : 0;
  });
  return { table, ways: exits.length, slabs, exits };
}

const nowhere = pageOf(emptyLeaf());

/** The page through which a key's bits lead to a leaf, and which way out that is. One for all trees: what it says holds until the next walk. */
export class Walk {
  page: Page = nowhere;
  way = 0;
  bytes: Uint8Array = nowhere.slabs[0]!;
  at = 0;

  get leaf(): Leaf {
    return this.page.exits[this.way] as Leaf;
  }

  /** Keeps no tree alive that nobody else holds. */
  end(): void {
    this.page = nowhere;
    this.bytes = nowhere.slabs[0]!;
  }

  to(top: Page, key: Uint8Array): void {
    for (let page = top; ; ) {
      const { table } = page;
      let ways = page.ways;
      let node = 0;
      let way = 0;
      while (ways > 1) {
        const packed = table[node]!;
        const byte = packed >>> 13;
        const within = (packed >>> 9) & 15;
        const onLeft = packed & 511;
        // As `bitAt` has it, written out: this loop is most of what a look-up does outside its leaf.
        if (byte < key.length && (within === 0 || ((key[byte]! >>> (8 - within)) & 1) === 1)) {
          node += onLeft;
          way += onLeft;
          ways -= onLeft;
        } else {
          node++;
          ways = onLeft;
        }
      }
      const out = page.ways - 1 + 2 * way;
      const slab = table[out]!;
      if (slab >= 0) {
        this.page = page;
        this.way = way;
        this.bytes = page.slabs[slab]!;
        this.at = table[out + 1]!;
        return;
      }
      const inner = page.exits[way] as Inner;
      inner.page ??= pageOf(inner);
      page = inner.page;
    }
  }
}
