import { columns, columnsHeaderBytes } from "./block.js";
import { Inner, type Leaf, type Node } from "./node.js";
import type { Place } from "./place.js";
import { searchColumn } from "./search.js";

/** A slot: two words of the key's bits, where the column of suffixes begins, in which slab (from 1; 0 is an empty slot), the block's form, and its ends. */
const slotWords = 6;
/** Bytes of a key that a slot holds, behind what all keys of the tree share. */
const windowBytes = 8;
/** Slots that are looked at; what crafted keys fall together beyond it is left to the walk. */
const probesMax = 8;

/**
 * From the beginning of a key straight to its leaf. A look-up in a large tree waits for memory: each level of the walk, the block's head, its keys and its
 * value are apart. Here one slot tells all that the walk and the head would, so that two places are left to be read: the keys and the value.
 *
 * A leaf is all that begins with some number of bits, and many leaves agree on that number: those of one depth, as tables with names of one length or
 * ranges cut evenly make them. The number on which most entries' leaves agree is taken, and these leaves are hashed by their bits. What is not found
 * here, because its leaf has another depth or another form, is walked to as ever. It costs 24 bytes in a table at most three quarters full: for blocks of
 * a hundred entries half a byte an entry.
 */
export class Shortcuts {
  readonly #table: Int32Array;
  readonly #last: number;
  readonly #slabs: readonly Uint8Array[];
  /** What all keys of the tree begin with. */
  readonly #common: Uint8Array;
  /** Whole bytes before the suffixes. */
  readonly #prefix: number;
  readonly #lengthMin: number;
  readonly #highMask: number;
  readonly #lowMask: number;

  /** @returns undefined where few entries could be found by it. Nothing is read but what was there when a tree was made, so it holds for as long as the tree. */
  static of(root: Node): Shortcuts | undefined {
    if (!(root instanceof Inner)) return undefined;
    const leaves = evenLeaves(root);
    const skip = root.bit >> 4;
    const depth = commonDepth(leaves, skip);
    if (depth === undefined) return undefined;
    const chosen = leaves.filter(({ from, to }) => from <= depth && depth <= to);
    const covered = chosen.reduce((sum, { leaf }) => sum + leaf.count, 0);
    const slots = 2 ** Math.ceil(Math.log2((chosen.length * 4) / 3));
    if (covered * 2 < root.count || slots * slotWords * 4 > root.count * 4) return undefined;
    return new Shortcuts(chosen, depth, skip, slots);
  }

  private constructor(chosen: readonly EvenLeaf[], depth: number, skip: number, slots: number) {
    const first = chosen[0]!.leaf;
    this.#prefix = depth >> 4;
    this.#common = first.bytes.slice(first.at + columnsHeaderBytes, first.at + columnsHeaderBytes + skip);
    const within = depth & 15;
    this.#lengthMin = this.#prefix + (within > 0 ? 1 : 0);
    const bits = (this.#prefix - skip) * 8 + Math.max(0, within - 1);
    this.#highMask = highBits(bits);
    this.#lowMask = highBits(bits - 32);
    this.#table = new Int32Array(slots * slotWords);
    this.#last = slots - 1;
    const slabs: Uint8Array[] = [];
    for (const { leaf } of chosen) {
      if (slabs[slabs.length - 1] !== leaf.bytes) slabs.push(leaf.bytes);
      this.#put(leaf, slabs.length, skip);
    }
    this.#slabs = slabs;
  }

  #put({ bytes, at, count }: Leaf, slab: number, skip: number): void {
    const table = this.#table;
    const suffix = bytes[at + 3]!;
    const value = bytes[at + 4]!;
    const start = at + columnsHeaderBytes + this.#prefix;
    // The prefix and the first suffix stand one behind the other: together they are the first key.
    const key = at + columnsHeaderBytes;
    const high = wordAt(bytes, key + skip, start + suffix) & this.#highMask;
    const low = wordAt(bytes, key + skip + 4, start + suffix) & this.#lowMask;
    let slot = hashOf(high, low) & this.#last;
    for (let probes = 1; table[slot * slotWords + 3] !== 0; probes++) {
      if (probes === probesMax) return;
      slot = (slot + 1) & this.#last;
    }
    const end = start + (count - 1) * suffix;
    const ends =
      suffix < 2 ? 0 : (bytes[start]! << 24) | (bytes[start + 1]! << 16) | (bytes[end]! << 8) | bytes[end + 1]!;
    table.set([high, low, start, slab, count | (suffix << 7) | (value << 15), ends], slot * slotWords);
  }

  /** Puts `place` where the floor of a key is; false where that has to be looked for by a walk. */
  seekFloor(key: Uint8Array, place: Place): boolean {
    const common = this.#common;
    const skip = common.length;
    if (key.length < this.#lengthMin) return false;
    for (let i = 0; i < skip; i++) if (key[i] !== common[i]) return false;
    let high: number;
    let low: number;
    if (key.length >= skip + windowBytes) {
      high = (key[skip]! << 24) | (key[skip + 1]! << 16) | (key[skip + 2]! << 8) | key[skip + 3]!;
      low = (key[skip + 4]! << 24) | (key[skip + 5]! << 16) | (key[skip + 6]! << 8) | key[skip + 7]!;
    } else {
      high = wordAt(key, skip, key.length);
      low = wordAt(key, skip + 4, key.length);
    }
    high &= this.#highMask;
    low &= this.#lowMask;
    const table = this.#table;
    let slot = (hashOf(high, low) & this.#last) * slotWords;
    for (let probes = 0; table[slot] !== high || table[slot + 1] !== low || table[slot + 3] === 0; ) {
      if (table[slot + 3] === 0 || ++probes === probesMax) return false;
      slot = slot + slotWords === table.length ? 0 : slot + slotWords;
    }
    const shape = table[slot + 4]!;
    const count = shape & 127;
    const suffix = (shape >>> 7) & 255;
    const value = shape >>> 15;
    const start = table[slot + 2]!;
    const bytes = this.#slabs[table[slot + 3]! - 1]!;
    const prefix = this.#prefix;
    const found = searchColumn(bytes, start, count, suffix, key, prefix, table[slot + 5]!);
    if (found < 0) return false;
    // The leaf holds all that begins with these bits: behind its last key comes nothing that is not above this one.
    const index = found >> 1;
    const suffixStart = start + index * suffix;
    const valueStart = start + count * suffix + index * value;
    place.moveToSpan(bytes, start - prefix, start, suffixStart, suffixStart + suffix, valueStart, valueStart + value);
    return true;
  }
}

/** A leaf in columns, and by how many bits one can tell it from all others: from `from` to `to`, counted as `bitAt` does. */
interface EvenLeaf {
  readonly leaf: Leaf;
  readonly from: number;
  readonly to: number;
}

function evenLeaves(root: Node): EvenLeaf[] {
  const leaves: EvenLeaf[] = [];
  const pending: { readonly node: Node; readonly above: number }[] = [{ node: root, above: -1 }];
  for (let next = pending.pop(); next !== undefined; next = pending.pop()) {
    const { node, above } = next;
    if (node instanceof Inner) {
      pending.push({ node: node.right, above: node.bit }, { node: node.left, above: node.bit });
      continue;
    }
    const { bytes, at, count } = node;
    if (bytes[at]! < columns) continue;
    const prefix = bytes[at + 1]! | (bytes[at + 2]! << 8);
    const start = at + columnsHeaderBytes + prefix;
    const own = bytes[start]! ^ bytes[start + (count - 1) * bytes[at + 3]!]!;
    leaves.push({ leaf: node, from: Math.max(above + 1, prefix << 4), to: (prefix << 4) + 1 + Math.clz32(own) - 24 });
  }
  return leaves;
}

/** The number of bits by which leaves of the most entries are told apart; undefined where no leaf is, within a slot's bytes. */
function commonDepth(leaves: readonly EvenLeaf[], skip: number): number | undefined {
  const votes = new Map<number, number>();
  const depthMax = (skip + windowBytes) << 4;
  for (const { leaf, from, to } of leaves) {
    for (let depth = from; depth <= Math.min(to, depthMax); depth++) {
      votes.set(depth, (votes.get(depth) ?? 0) + leaf.count);
    }
  }
  let best: number | undefined;
  for (const [depth, entries] of votes) if (best === undefined || entries > votes.get(best)!) best = depth;
  return best;
}

function highBits(count: number): number {
  return count <= 0 ? 0 : count >= 32 ? -1 : -1 << (32 - count);
}

function wordAt(bytes: Uint8Array, at: number, end: number): number {
  let word = 0;
  for (let i = at; i < at + 4; i++) word = (word << 8) | (i < end ? bytes[i]! : 0);
  return word;
}

/** Spreads a key's bits. Not a secret: keys can be crafted to fall together, which makes them no slower than a walk and a few slots. */
export function hashOf(high: number, low: number): number {
  const folded = high ^ Math.imul(low, 0x9e3779b1);
  const once = Math.imul(folded ^ (folded >>> 16), 0x85ebca6b);
  const twice = Math.imul(once ^ (once >>> 13), 0xc2b2ae35);
  return twice ^ (twice >>> 16);
}
