import {
  type Block,
  blockBytesMax,
  blockEntriesMax,
  countOf,
  type Entry,
  emptyBlock,
  encodeBlock,
  entryOf,
  hasValue,
  keyAt,
  type Slabs,
  spliceBlock,
  valueBytes,
} from "./block.js";
import { bitAt, firstDifference } from "./bytes.js";
import type { Page } from "./page.js";
import { searchBlock } from "./search.js";

/**
 * Digest of some bytes, always of one length, as a string of one character a byte (Node's "latin1"), which is how nodes keep it: a third of the size of
 * a Uint8Array, and compared by ===. Handed in because the core computes nothing that the platform does better.
 */
export type Hash = (bytes: Uint8Array) => string;

/**
 * A binary Patricia tree (Morrison, 1968) whose leaves are packed blocks. A set of entries is a leaf if it fits a block, else it is split at the
 * first bit in which its keys differ. The shape depends on the set alone, not on its history, so two members that hold the same entries have
 * the same hash at every node. Nodes never change; only `digest` is filled in when it is first asked for.
 *
 * Nothing here recurses: crafted keys can make the tree as deep as a key has bits, and that must not overflow the stack.
 */
export type Node = Leaf | Inner;

export class Leaf implements Block {
  readonly bit = -1;
  digest = "";
  readonly bytes: Uint8Array;
  readonly at: number;
  readonly end: number;
  /** Bytes of keys and values. */
  readonly weight: number;

  constructor({ bytes, at, end }: Block, weight: number) {
    this.bytes = bytes;
    this.at = at;
    this.end = end;
    this.weight = weight;
  }

  get count(): number {
    return countOf(this);
  }
}

export class Inner {
  digest = "";
  /** How to get through this node's upper levels quickly; made when it is first walked through. */
  page: Page | undefined = undefined;
  readonly count: number;
  readonly weight: number;
  constructor(
    /** The first bit in which keys below differ; `left` has it 0. */
    readonly bit: number,
    readonly left: Node,
    readonly right: Node,
  ) {
    this.count = left.count + right.count;
    this.weight = left.weight + right.weight;
  }
}

export const emptyLeaf = (): Leaf => new Leaf(emptyBlock, 0);

export function fitsBlock(count: number, weight: number): boolean {
  return count <= 1 || (count <= blockEntriesMax && weight <= blockBytesMax);
}

/** The tree of strictly ascending entries. */
export function build(entries: readonly Entry[], slabs?: Slabs): Node {
  const done: Node[] = [];
  const tasks: (readonly [from: number, to: number] | number)[] = [[0, entries.length]];
  for (let task = tasks.pop(); task !== undefined; task = tasks.pop()) {
    if (typeof task === "number") {
      const right = done.pop()!;
      const left = done.pop()!;
      done.push(new Inner(task, left, right));
      continue;
    }
    const [from, to] = task;
    if (to - from <= blockEntriesMax) {
      let weight = 0;
      for (let i = from; i < to; i++) weight += entries[i]!.key.length + entries[i]!.value.length;
      if (fitsBlock(to - from, weight)) {
        done.push(new Leaf(encodeBlock(entries, from, to, slabs), weight));
        continue;
      }
    }
    const bit = firstDifference(entries[from]!.key, entries[to - 1]!.key);
    let low = from;
    let high = to;
    while (low < high) {
      const middle = (low + high) >>> 1;
      if (bitAt(entries[middle]!.key, bit) === 0) low = middle + 1;
      else high = middle;
    }
    tasks.push(bit, [low, to], [from, low]);
  }
  return done[0]!;
}

/** The tree with one entry put or, where `value` is undefined, removed; the same node if that changes nothing. */
export function update(root: Node, key: Uint8Array, value: Uint8Array | undefined): Node {
  const path: Inner[] = [];
  let node = root;
  while (node instanceof Inner) {
    path.push(node);
    node = bitAt(key, node.bit) === 0 ? node.left : node.right;
  }
  const difference = node.count === 0 ? Number.POSITIVE_INFINITY : firstDifference(key, keyAt(node, 0));
  // The walk skipped bits; where the key leaves the way above some node of the path, it is a new neighbour of that whole node.
  let depth = path.length;
  while (depth > 0 && path[depth - 1]!.bit > difference) depth--;
  let changed: Node;
  if (depth < path.length) {
    if (value === undefined) return root;
    const neighbour = path[depth]!;
    const added = build([{ key, value }]);
    changed =
      bitAt(key, difference) === 0 ? new Inner(difference, added, neighbour) : new Inner(difference, neighbour, added);
  } else {
    changed = updateLeaf(node, key, value);
    if (changed === node) return root;
  }
  for (let i = depth - 1; i >= 0; i--) {
    const parent = path[i]!;
    const isLeft = bitAt(key, parent.bit) === 0;
    const other = isLeft ? parent.right : parent.left;
    if (changed.count === 0) changed = other;
    else {
      const joined: Inner = new Inner(parent.bit, isLeft ? changed : other, isLeft ? other : changed);
      changed = fitsBlock(joined.count, joined.weight) ? build(entriesOf(joined)) : joined;
    }
  }
  return changed;
}

function updateLeaf(leaf: Leaf, key: Uint8Array, value: Uint8Array | undefined): Node {
  const { count } = leaf;
  const search = searchBlock(leaf, key);
  const found = search >= 0 && (search & 1) === 1;
  const index = search < 0 ? 0 : found ? search >> 1 : (search >> 1) + 1;
  if (!found && value === undefined) return leaf;
  if (found && value !== undefined && hasValue(leaf, index, value)) return leaf;
  const keepsEnds = (found && value !== undefined) || (index > 0 && index < (found ? count - 1 : count));
  const removedWeight = found ? key.length + valueBytes(leaf, index) : 0;
  const weight = leaf.weight - removedWeight + (value === undefined ? 0 : key.length + value.length);
  const removed = found ? 1 : 0;
  const added = value === undefined ? undefined : { key, value };
  if (keepsEnds && fitsBlock(count - removed + (added === undefined ? 0 : 1), weight)) {
    const spliced = spliceBlock(leaf, index, removed, added);
    if (spliced !== undefined) return new Leaf(spliced, weight);
  }
  const entries = entriesOf(leaf);
  entries.splice(index, removed, ...(added === undefined ? [] : [added]));
  return build(entries);
}

/**
 * The tree over leaves that are known to follow one another, each a whole leaf of it; undefined where they are not the leaves that their entries make.
 * Two neighbours part at the bit in which the last key of the one and the first key of the other differ; the lowest of these bits is the root's.
 */
export function join(leaves: readonly Leaf[]): Node | undefined {
  const nodes: Node[] = [];
  const bits: number[] = [];
  const close = (): boolean => {
    const right = nodes.pop()!;
    const joined = new Inner(bits.pop()!, nodes.pop()!, right);
    nodes.push(joined);
    return !fitsBlock(joined.count, joined.weight);
  };
  let last: Uint8Array | undefined;
  let ownBit = Number.POSITIVE_INFINITY;
  for (const leaf of leaves) {
    if (!fitsBlock(leaf.count, leaf.weight)) return undefined;
    const first = keyAt(leaf, 0);
    const end = leaf.count === 1 ? first : keyAt(leaf, leaf.count - 1);
    const bit = last === undefined ? -1 : firstDifference(last, first);
    // A leaf is all that its keys' common beginning leads to.
    const own = firstDifference(first, end);
    if (own <= bit || (last !== undefined && (ownBit <= bit || bitAt(first, bit) === 0))) return undefined;
    if (last !== undefined) {
      while (bits.length > 0 && bits[bits.length - 1]! > bit) if (!close()) return undefined;
      bits.push(bit);
    }
    nodes.push(leaf);
    last = end;
    ownBit = own;
  }
  while (bits.length > 0) if (!close()) return undefined;
  return nodes[0];
}

/** All entries below a node, ascending. */
export function entriesOf(node: Node): Entry[] {
  const entries: Entry[] = [];
  for (const leaf of leavesOf(node)) for (let i = 0; i < leaf.count; i++) entries.push(entryOf(leaf, i));
  return entries;
}

export function* leavesOf(node: Node): Generator<Leaf> {
  const pending: Node[] = [node];
  for (let next = pending.pop(); next !== undefined; next = pending.pop()) {
    if (next instanceof Inner) pending.push(next.right, next.left);
    else yield next;
  }
}

export function firstLeaf(node: Node): Leaf {
  let next = node;
  while (next instanceof Inner) next = next.left;
  return next;
}

export function lastLeaf(node: Node): Leaf {
  let next = node;
  while (next instanceof Inner) next = next.right;
  return next;
}

/**
 * The Merkle hash of a node: of a leaf `H(0, block)`, of an inner node `H(1, bit as u32 little-endian, left, right)`. Computed for new nodes only; shared ones know theirs.
 */
export function digestOf(node: Node, hash: Hash): string {
  const pending: Node[] = [node];
  while (pending.length > 0) {
    const next = pending[pending.length - 1]!;
    if (next.digest === "") {
      if (next instanceof Inner) {
        const { left, right, bit } = next;
        if (left.digest === "" || right.digest === "") {
          if (right.digest === "") pending.push(right);
          if (left.digest === "") pending.push(left);
          continue;
        }
        const bytes = new Uint8Array(5 + left.digest.length + right.digest.length);
        bytes.set([1, bit & 255, (bit >>> 8) & 255, (bit >>> 16) & 255, bit >>> 24]);
        for (let i = 0; i < left.digest.length; i++) bytes[5 + i] = left.digest.charCodeAt(i);
        for (let i = 0; i < right.digest.length; i++) bytes[5 + left.digest.length + i] = right.digest.charCodeAt(i);
        next.digest = hash(bytes);
      } else {
        const bytes = new Uint8Array(1 + next.end - next.at);
        bytes.set(next.bytes.subarray(next.at, next.end), 1);
        next.digest = hash(bytes);
      }
    }
    pending.pop();
  }
  return node.digest;
}
