import { type Entry, entryOf, locate, newSpan } from "./block.js";
import { type Leaf, leavesOf, type Node } from "./node.js";

/**
 * Entries in the order of a hash of their keys, so that two members that hold nearly the same can name them to each other without keys: all whose
 * hash begins with some bits are a bucket, and a bucket's fold tells whether both hold the same in it. The hash is seeded anew for each attempt:
 * what collides once does not collide twice.
 */
export class Elements {
  readonly count: number;
  /** Ascending hashes of keys. */
  readonly keys: Uint32Array;
  /** Of the same entries, hashes of key and value. */
  readonly marks: Uint32Array;
  readonly #leaves: readonly Leaf[];
  /** `number of the leaf * 128 + index in it`. */
  readonly #where: Uint32Array;

  constructor(nodes: Iterable<Node>, seed: number) {
    const leaves: Leaf[] = [];
    let count = 0;
    for (const node of nodes) {
      for (const leaf of leavesOf(node)) leaves.push(leaf);
      count += node.count;
    }
    const keys = new Uint32Array(count);
    const marks = new Uint32Array(count);
    const where = new Uint32Array(count);
    const span = newSpan();
    let at = 0;
    for (let l = 0; l < leaves.length; l++) {
      const leaf = leaves[l]!;
      const { bytes, count: inLeaf } = leaf;
      locate(leaf, 0, span);
      const prefix = mix(bytes, span.prefixStart, span.prefixEnd, seed);
      for (let i = 0; i < inLeaf; i++, at++) {
        locate(leaf, i, span);
        const hash = finish(mix(bytes, span.suffixStart, span.suffixEnd, prefix));
        keys[at] = hash;
        marks[at] = finish(mix(bytes, span.valueStart, span.valueEnd, hash ^ 0x9e37_79b9));
        where[at] = l * 128 + i;
      }
    }
    const order = sortedOrder(keys);
    this.count = count;
    this.keys = new Uint32Array(count);
    this.marks = new Uint32Array(count);
    this.#where = new Uint32Array(count);
    for (let i = 0; i < count; i++) {
      const from = order[i]!;
      this.keys[i] = keys[from]!;
      this.marks[i] = marks[from]!;
      this.#where[i] = where[from]!;
    }
    this.#leaves = leaves;
  }

  entry(index: number): Entry {
    const where = this.#where[index]!;
    return entryOf(this.#leaves[Math.floor(where / 128)]!, where % 128);
  }

  /** Where a bucket begins, the first of those at `level` bits of hash being number 0; also one past the last. */
  begin(level: number, bucket: number): number {
    const bound = bucket * 2 ** (32 - level);
    let low = 0;
    let high = this.count;
    while (low < high) {
      const middle = (low + high) >>> 1;
      if (this.keys[middle]! < bound) low = middle + 1;
      else high = middle;
    }
    return low;
  }

  /** One byte for all entries of a bucket, which is that of its halves xored. */
  fold(level: number, bucket: number): number {
    const end = this.begin(level, bucket + 1);
    let folded = 0;
    for (let i = this.begin(level, bucket); i < end; i++) folded ^= this.marks[i]!;
    return folded & 255;
  }
}

/** MurmurHash3's mixing, a byte at a time; not for security: the tree's own hash has the last word. Goes on where a former part of the key ended. */
function mix(bytes: Uint8Array, from: number, to: number, seed: number): number {
  let hash = seed;
  for (let i = from; i < to; i++) {
    hash = Math.imul(hash ^ bytes[i]!, 0xcc9e_2d51);
    hash ^= hash >>> 15;
  }
  return hash;
}

function finish(mixed: number): number {
  let hash = Math.imul(mixed ^ (mixed >>> 16), 0x85eb_ca6b);
  hash = Math.imul(hash ^ (hash >>> 13), 0xc2b2_ae35);
  return (hash ^ (hash >>> 16)) >>> 0;
}

/** Radix sort, 16 bits at a time. */
function sortedOrder(keys: Uint32Array): Uint32Array {
  let order = new Uint32Array(keys.length);
  for (let i = 0; i < order.length; i++) order[i] = i;
  let next = new Uint32Array(keys.length);
  for (const shift of [0, 16]) {
    const starts = new Uint32Array(65_537);
    for (let i = 0; i < keys.length; i++) starts[((keys[i]! >>> shift) & 0xffff) + 1]!++;
    for (let i = 0; i < 65_536; i++) starts[i + 1]! += starts[i]!;
    for (let i = 0; i < order.length; i++) next[starts[(keys[order[i]!]! >>> shift) & 0xffff]!++] = order[i]!;
    [order, next] = [next, order];
  }
  return order;
}
