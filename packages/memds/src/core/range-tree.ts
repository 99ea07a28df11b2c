import { type Block, type Entry, entryOf, keyAt, Slabs, valueAt } from "./block.js";
import { bitAt, compareBytes, firstDifference, prefixEnd } from "./bytes.js";
import { type Change, diff } from "./diff.js";
import { bad, checkBytes, MemdsError, shown } from "./errors.js";
import {
  build,
  digestOf,
  emptyLeaf,
  type Hash,
  Inner,
  join,
  type Leaf,
  lastLeaf,
  leavesOf,
  type Node,
  update,
} from "./node.js";
import { type Page, pageOf, Walk } from "./page.js";
import { Place } from "./place.js";
import { checkRangeUpdates, type OwnedRange, type RangeUpdate, rangeChanges, rangeOf } from "./ranges.js";
import { searchBlock, searchBytes } from "./search.js";
import { Shortcuts } from "./shortcuts.js";

const nothing = new Uint8Array(0);
/** For look-ups that copy what they find at once. */
const here = new Place();
const walk = new Walk();
/** Longest key and value, in bytes. */
export const keyBytesMax = 4096;
export const valueBytesMax = 65_536;

/**
 * A sorted map from bytes to bytes that never changes: `apply` makes the next version, which shares all but the changed paths, so a version is
 * held for as long as somebody reads it and costs nothing beside its changes. Each node carries the Merkle hash of what is below it.
 */
export class RangeTree {
  readonly #root: Node;
  readonly #hash: Hash;
  #top: Page | undefined;
  #shortcuts: Shortcuts | undefined;
  /** Look-ups to go until shortcuts pay: a version that is soon replaced by the next one is not worth them. */
  #walksLeft: number;

  private constructor(root: Node, hash: Hash) {
    this.#root = root;
    this.#hash = hash;
    this.#walksLeft = root.count >>> 6;
  }

  /** @param hash a collision-resistant digest such as SHA-256; members compare trees by it, so all must use the same. */
  static empty(hash: Hash): RangeTree {
    return new RangeTree(emptyLeaf(), checkedHash(hash));
  }

  /**
   * The tree of some entries, in any order; ascending ones are taken in one pass.
   * @throws MemdsError `ERR_MEMDS_ARGUMENT` for a key that appears twice, or bytes over `keyBytesMax` or `valueBytesMax`.
   */
  static from(entries: Iterable<Entry>, hash: Hash): RangeTree {
    checkedHash(hash);
    checkIterable(entries);
    const sorted = [...entries];
    let ascending = true;
    for (let i = 0; i < sorted.length; i++) {
      checkEntry(sorted[i]!);
      if (i > 0 && ascending) ascending = compareBytes(sorted[i - 1]!.key, sorted[i]!.key) < 0;
    }
    if (!ascending) {
      sorted.sort((a, b) => compareBytes(a.key, b.key));
      for (let i = 1; i < sorted.length; i++) {
        if (compareBytes(sorted[i - 1]!.key, sorted[i]!.key) === 0) throw twice(sorted[i]!.key);
      }
    }
    return new RangeTree(build(sorted, new Slabs()), hash);
  }

  get size(): number {
    return this.#root.count;
  }

  /** Bytes of all keys and values, before compression. */
  get bytes(): number {
    return this.#root.weight;
  }

  /** The Merkle hash of the whole: equal for equal entries, whatever their history. */
  get rootHash(): Uint8Array {
    return Uint8Array.from(digestOf(this.#root, this.#hash), (character) => character.charCodeAt(0));
  }

  /** The value under exactly this key, a copy; undefined where there is none. */
  get(key: Uint8Array): Uint8Array | undefined {
    checkBytes("key", key);
    const leaf = this.#walk(key);
    const found = searchBlock(leaf, key);
    return found >= 0 && (found & 1) === 1 ? valueAt(leaf, found >> 1) : undefined;
  }

  /** The entry with the highest key that is not above `key`. */
  floor(key: Uint8Array): Entry | undefined {
    checkBytes("key", key);
    return this.seekFloor(key, here) ? here.entry() : undefined;
  }

  /**
   * Like `floor`, without making anything: `place` then stands at the entry, in this tree's own bytes.
   * @returns false where there is none; `place` stays where it was.
   */
  seekFloor(key: Uint8Array, place: Place): boolean {
    if (this.#shortcuts?.seekFloor(key, place) === true) return true;
    if (--this.#walksLeft === 0) this.#shortcuts = Shortcuts.of(this.#root);
    this.#top ??= pageOf(this.#root);
    walk.to(this.#top, key);
    const { bytes, at } = walk;
    const found = searchBytes(bytes, at, key);
    if (found >= 0 && ((found & 1) === 1 || found >> 1 < (bytes[at]! & 127) - 1)) {
      place.moveTo(bytes, at, found >> 1, walk);
      walk.end();
      return true;
    }
    const leaf = this.#outside(walk.leaf, found, key);
    walk.end();
    if (leaf === undefined) return false;
    place.moveTo(leaf.bytes, leaf.at, leaf.count - 1, { leaf });
    return true;
  }

  /** The entry with the highest key below `key`. */
  lower(key: Uint8Array): Entry | undefined {
    checkBytes("key", key);
    const leaf = this.#walk(key);
    const found = searchBlock(leaf, key);
    if (found < 0 || (found & 1) === 0) {
      if (found >= 0 && found >> 1 < leaf.count - 1) return entryOf(leaf, found >> 1);
      return lastEntry(this.#outside(leaf, found, key));
    }
    if (found > 1) return entryOf(leaf, (found >> 1) - 1);
    // The first of its leaf: what is before it stands at the end of what the walk last left on its right.
    let before: Node | undefined;
    for (let node = this.#root; node instanceof Inner; ) {
      const isRight = bitAt(key, node.bit) === 1;
      if (isRight) before = node.left;
      node = isRight ? node.right : node.left;
    }
    return lastEntry(before);
  }

  /** The leaf that ends with the floor of a key that does not lie between entries of the leaf to which its bits lead; `found` is where that one has it. */
  #outside(leaf: Leaf, found: number, key: Uint8Array): Leaf | undefined {
    if (leaf.count === 0) return undefined;
    // The key leaves the way at a bit that the walk skipped. All below that point is on one side of it.
    const apart = firstDifference(key, keyAt(leaf, found < 0 ? 0 : leaf.count - 1));
    let before: Node | undefined;
    let node = this.#root;
    while (node instanceof Inner && node.bit < apart) {
      if (bitAt(key, node.bit) === 0) node = node.left;
      else {
        before = node.left;
        node = node.right;
      }
    }
    if (bitAt(key, apart) === 1) before = node;
    return before && lastLeaf(before);
  }

  /** The entry with the lowest key that is not below `key`. */
  ceiling(key: Uint8Array): Entry | undefined {
    checkBytes("key", key);
    for (const entry of this.range(key)) return entry;
    return undefined;
  }

  /** Entries with `from <= key < to`, ascending; both ends may be left out. */
  *range(from: Uint8Array = nothing, to?: Uint8Array): Generator<Entry, void, undefined> {
    checkBytes("from", from);
    if (to !== undefined) checkBytes("to", to);
    const leaf = this.#walk(from);
    if (leaf.count === 0) return;
    const found = searchBlock(leaf, from);
    const inside = found >= 0 && ((found & 1) === 1 || found >> 1 < leaf.count - 1);
    const apart = inside
      ? Number.POSITIVE_INFINITY
      : firstDifference(from, keyAt(leaf, found < 0 ? 0 : leaf.count - 1));
    const pending: Node[] = [];
    let node = this.#root;
    while (node instanceof Inner && node.bit < apart) {
      if (bitAt(from, node.bit) === 0) {
        pending.push(node.right);
        node = node.left;
      } else node = node.right;
    }
    let index = inside ? (found >> 1) + 1 - (found & 1) : 0;
    if (inside || bitAt(from, apart) === 0) pending.push(node);
    for (let next = pending.pop(); next !== undefined; next = pending.pop()) {
      if (next instanceof Inner) {
        pending.push(next.right, next.left);
        continue;
      }
      for (; index < next.count; index++) {
        const entry = entryOf(next, index);
        if (to !== undefined && compareBytes(entry.key, to) >= 0) return;
        yield entry;
      }
      index = 0;
    }
  }

  /** Entries whose key begins with `prefix`, ascending. */
  prefix(prefix: Uint8Array): Generator<Entry, void, undefined> {
    checkBytes("prefix", prefix);
    return this.range(prefix, prefixEnd(prefix));
  }

  /**
   * The next version: all of the changes, or an error and none. A removed key need not exist.
   * @throws MemdsError `ERR_MEMDS_ARGUMENT` for a key that appears twice, or bytes over `keyBytesMax` or `valueBytesMax`.
   */
  apply(changes: readonly Change[]): RangeTree {
    if (!Array.isArray(changes)) throw bad("changes", "a list of changes", changes);
    for (const change of changes as readonly Change[])
      checkEntry(change?.value === null ? { key: change.key, value: nothing } : (change as Entry));
    const sorted = [...changes].sort((a, b) => compareBytes(a.key, b.key));
    for (let i = 1; i < sorted.length; i++) {
      if (compareBytes(sorted[i - 1]!.key, sorted[i]!.key) === 0) throw twice(sorted[i]!.key);
    }
    let root = this.#root;
    for (const { key, value } of sorted) root = update(root, key, value ?? undefined);
    return root === this.#root ? this : new RangeTree(root, this.#hash);
  }

  /** The range that a key belongs to: from the entry at or before it to the next one; undefined where nobody owns it (an empty value). */
  rangeOf(key: Uint8Array): OwnedRange | undefined {
    return rangeOf(this, key);
  }

  /**
   * The next version after splits, merges, moves, creations and drops of ranges, in turn: all of them or, with an error, none.
   * @throws MemdsError `ERR_MEMDS_ARGUMENT`; `ERR_MEMDS_RANGE` where one would leave a gap or an overlap, or was thought for ranges that are not there.
   */
  replaceRanges(updates: readonly RangeUpdate[]): RangeTree {
    checkRangeUpdates(updates);
    return updates.reduce<RangeTree>((tree, update) => tree.apply(rangeChanges(tree, update)), this);
  }

  /** The tree's nodes, for what compares members. For this package only. @internal */
  get root(): Node {
    return this.#root;
  }

  /** What a snapshot is written from: packed blocks, ascending. For this package only. @internal */
  *blocks(): Generator<Block, void, undefined> {
    for (const leaf of leavesOf(this.#root)) if (leaf.count > 0) yield leaf;
  }

  /** The tree over leaves as `blocks` gave them; undefined where they are not leaves of one tree. For this package only. @internal */
  static ofLeaves(leaves: readonly Leaf[], hash: Hash): RangeTree | undefined {
    const root = leaves.length === 0 ? emptyLeaf() : join(leaves);
    return root && new RangeTree(root, hash);
  }

  /** The changes that turn this version into `after`, ascending, in work that follows their number. Both must use one hash function. */
  diff(after: RangeTree): Change[] {
    return diff(this.#root, after.#root, this.#hash);
  }

  /** The leaf where the key's bits lead; whether the key belongs there is for the caller to see. */
  #walk(key: Uint8Array): Leaf {
    this.#top ??= pageOf(this.#root);
    walk.to(this.#top, key);
    const { leaf } = walk;
    walk.end();
    return leaf;
  }
}

function lastEntry(node: Node | undefined): Entry | undefined {
  if (node === undefined) return undefined;
  const last = lastLeaf(node);
  return last.count === 0 ? undefined : entryOf(last, last.count - 1);
}

/** @throws MemdsError `ERR_MEMDS_ARGUMENT` */
export function checkIterable(entries: unknown): void {
  if (typeof Object(entries)[Symbol.iterator] !== "function") throw bad("entries", "an iterable of entries", entries);
}

/** A key that can be held, or asked for by a request. @throws MemdsError `ERR_MEMDS_ARGUMENT` */
export function checkKey(name: string, key: unknown): void {
  if (!(key instanceof Uint8Array) || key.length > keyBytesMax)
    throw bad(name, `a Uint8Array of at most ${keyBytesMax} bytes`, key);
}

function checkEntry(entry: Entry | null | undefined): void {
  const { key, value } = entry ?? {};
  checkKey("key", key);
  if (!(value instanceof Uint8Array) || value.length > valueBytesMax)
    throw bad("value", `a Uint8Array of at most ${valueBytesMax} bytes`, value);
}

function twice(key: Uint8Array): MemdsError {
  return new MemdsError("ERR_MEMDS_ARGUMENT", `key ${shown(key)} appears twice`);
}

function checkedHash(hash: Hash): Hash {
  if (typeof hash === "function") return hash;
  throw bad("hash", "a function such as this package's sha256", hash);
}
