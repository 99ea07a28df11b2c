import { compareBytes } from "./bytes.js";
import { Elements } from "./elements.js";
import { MemdsError } from "./errors.js";
import type { Hash, Node } from "./node.js";
import { everything, type Position, writeSplit } from "./positions.js";
import { encodeSnapshot, type Snapshot } from "./snapshot.js";
import { type Checksum, Reader, Writer } from "./wire.js";

/** Which rules make a tree's shape and hashes. Members of different rules do not compare. */
export const treeFormat = 2;

/** Bits of a bucket's number such that so many entries share one: where comparing begins, and where single entries are named. */
export const entriesInFirstBucket = 64;
export const entriesInLastBucket = 4;
/** Up to here all entries are named at once, by four bytes each. */
export const entriesNamedAtOnceMax = 256;

const chunkBytes = 1 << 20;
/** What may come out of a packed answer, an entry beyond `chunkBytes` included. */
export const unpackedBytesMax = 4 * chunkBytes;

/** What the platform does for both sides. */
export interface SyncEdge {
  readonly hash: Hash;
  readonly checksum: Checksum;
  readonly deflate: (bytes: Uint8Array) => Uint8Array;
  /** Throws where more than `bytesMax` would come out. */
  readonly inflate: (bytes: Uint8Array, bytesMax: number) => Uint8Array;
}

/**
 * The side of anti-entropy that answers. It holds one version for as long as the session goes on, so that the other side compares with one
 * thing, whatever updates come meanwhile; it decides nothing.
 */
export class SyncResponder {
  readonly #held: Snapshot;
  readonly #isReady: boolean;
  readonly #hash: Hash;
  readonly #checksum: Checksum;
  readonly #deflate: SyncEdge["deflate"];
  readonly #answerBytesMax: number;
  readonly #offered: { readonly at: Position; readonly node: Node }[];
  #elements: Elements | undefined;
  #level = 0;
  #lastLevel = 0;
  #frontier: readonly number[] = [];
  /** Of the last level, the buckets that hold something here. */
  #named: readonly number[] = [];
  #isBegun = false;
  #whole: Uint8Array | undefined;

  constructor(held: Snapshot, edge: SyncEdge & { readonly isReady: boolean; readonly answerBytesMax: number }) {
    this.#held = held;
    this.#isReady = edge.isReady;
    this.#hash = edge.hash;
    this.#checksum = edge.checksum;
    this.#deflate = edge.deflate;
    this.#answerBytesMax = edge.answerBytesMax;
    this.#offered = [{ at: everything, node: held.tree.root }];
  }

  root(): Uint8Array {
    const writer = new Writer(64);
    writer.u8(treeFormat);
    writer.u8(this.#isReady ? 1 : 0);
    writer.u64(this.#held.version);
    writer.varint(this.#held.tree.size);
    writer.varint(this.#held.tree.bytes);
    writer.raw(this.#held.tree.rootHash);
    return writer.bytes();
  }

  /** Children of nodes that were offered before; they are offered by this, two for each node that has them, left then right. */
  split(payload: Uint8Array): Uint8Array {
    const writer = new Writer(1024);
    // The root is asked for where an attempt begins; numbers begin with it.
    if (payload.length === 1 && payload[0] === 0) this.#offered.length = 1;
    for (const { at, node } of this.#chosen(new Reader(payload, "ERR_MEMDS_PROTOCOL"))) {
      const split = writeSplit(writer, at, node, this.#hash);
      if (split === undefined || !("left" in node)) continue;
      this.#offered.push({ at: split.left, node: node.left }, { at: split.right, node: node.right });
    }
    return writer.bytes();
  }

  /** Puts the entries below nodes that were offered in buckets, and tells the folds of the first ones. */
  buckets(payload: Uint8Array): Uint8Array {
    const reader = new Reader(payload, "ERR_MEMDS_PROTOCOL");
    const seed = reader.u32();
    const elements = new Elements(
      this.#chosen(reader).map(({ node }) => node),
      seed,
    );
    const level = (entries: number) => Math.max(0, Math.ceil(Math.log2(elements.count / entries)));
    const isSmall = elements.count <= entriesNamedAtOnceMax;
    this.#elements = elements;
    this.#level = isSmall ? 0 : level(entriesInFirstBucket);
    this.#lastLevel = isSmall ? 0 : level(entriesInLastBucket);
    this.#isBegun = false;
    this.#named = [];
    const writer = new Writer(16 + 2 ** this.#level);
    writer.varint(elements.count);
    writer.u8(this.#level);
    writer.u8(this.#lastLevel);
    for (let bucket = 0; bucket < 2 ** this.#level; bucket++) writer.u8(elements.fold(this.#level, bucket));
    return writer.bytes();
  }

  /** Which buckets, then which halves of those, differ; tells the folds of the left halves, or at the last level a byte or four for each entry. */
  descend(payload: Uint8Array): Uint8Array {
    const elements = this.#inBuckets();
    const reader = new Reader(payload, "ERR_MEMDS_PROTOCOL");
    const frontier: number[] = [];
    const bits = bitsOf(reader);
    if (this.#isBegun) {
      if (this.#level === this.#lastLevel) throw reader.fault("there is no further level");
      for (const bucket of this.#frontier) {
        if (bits()) frontier.push(bucket * 2);
        if (bits()) frontier.push(bucket * 2 + 1);
      }
      this.#level++;
    } else {
      for (let bucket = 0; bucket < 2 ** this.#level; bucket++) if (bits()) frontier.push(bucket);
      this.#isBegun = true;
    }
    this.#frontier = frontier;
    const writer = new Writer(16 + frontier.length * 8);
    if (this.#level < this.#lastLevel) {
      for (const bucket of frontier) writer.u8(elements.fold(this.#level + 1, bucket * 2));
      return writer.bytes();
    }
    const isSmall = elements.count <= entriesNamedAtOnceMax;
    const named: number[] = [];
    for (const bucket of frontier) {
      const from = elements.begin(this.#level, bucket);
      const to = elements.begin(this.#level, bucket + 1);
      writer.varint(to - from);
      if (to > from) named.push(bucket);
      for (let i = from; i < to; i++) {
        if (isSmall) writer.u32(elements.marks[i]!);
        else writer.u8(elements.marks[i]! & 255);
      }
    }
    this.#named = named;
    return writer.bytes();
  }

  /**
   * Entries of the last buckets. A key of which the other side says, by one byte of its hash, that it has it under another value is not sent; the
   * other keys ascend, each without what it shares with the one before.
   */
  fetch(payload: Uint8Array): Uint8Array {
    const elements = this.#inBuckets();
    const reader = new Reader(payload, "ERR_MEMDS_PROTOCOL");
    const first = reader.varint();
    const count = reader.varint();
    if (first + count > this.#named.length) throw reader.fault("a bucket that was not named");
    const buckets = this.#named.slice(first, first + count).map((bucket) => {
      const from = elements.begin(this.#level, bucket);
      return { from, to: elements.begin(this.#level, bucket + 1), chosen: [] as number[], theirs: [] as number[] };
    });
    const wanted = bitsOf(reader);
    for (const { from, to, chosen } of buckets) for (let i = from; i < to; i++) if (wanted()) chosen.push(i);
    const asking = buckets.filter(({ chosen }) => chosen.length > 0);
    const hasOne = bitsOf(reader);
    const counts = asking.map(() => hasOne()).map((isOne) => (isOne ? 1 : reader.varint()));
    for (const [i, { theirs }] of asking.entries()) {
      for (let left = counts[i]!; left > 0; left--) theirs.push(reader.u8());
    }
    reader.end();

    const full: number[] = [];
    let fullBytes = 0;
    let handled = 0;
    const body = new Writer(4096);
    for (const { chosen, theirs } of buckets) {
      if (body.length + fullBytes > this.#answerBytesMax) break;
      handled++;
      for (const index of chosen) {
        const slot = theirs.indexOf(elements.keys[index]! & 0xff);
        body.varint(slot + 1);
        const { key, value } = elements.entry(index);
        if (slot < 0) {
          full.push(index);
          fullBytes += key.length + value.length + 8;
          continue;
        }
        theirs[slot] = -1;
        body.varint(value.length);
        body.raw(value);
      }
    }
    const writer = new Writer(body.length + fullBytes + 8);
    writer.varint(handled);
    writer.raw(body.bytes());
    const entries = full.map((index) => elements.entry(index)).sort((a, b) => compareBytes(a.key, b.key));
    let before: Uint8Array = new Uint8Array(0);
    for (const { key, value } of entries) {
      let shared = 0;
      while (shared < before.length && shared < key.length && before[shared] === key[shared]) shared++;
      writer.varint(shared);
      writer.varint(key.length - shared);
      writer.raw(key.subarray(shared));
      writer.varint(value.length);
      writer.raw(value);
      before = key;
    }
    return this.#packed(writer.bytes());
  }

  /** A piece of the snapshot's bytes, for a member that holds little or nothing of it. */
  whole(payload: Uint8Array): Uint8Array {
    const offset = new Reader(payload, "ERR_MEMDS_PROTOCOL").u64();
    this.#whole ??= encodeSnapshot(this.#held, this.#checksum);
    const writer = new Writer(chunkBytes + 16);
    writer.u64(this.#whole.length);
    writer.raw(this.#whole.subarray(offset, offset + Math.min(chunkBytes, this.#answerBytesMax)));
    return this.#packed(writer.bytes());
  }

  /** One byte that says whether the rest was compressed, which it is where that helps. */
  #packed(bytes: Uint8Array): Uint8Array {
    const smaller = this.#deflate(bytes);
    const isSmaller = smaller.length < bytes.length;
    const writer = new Writer(1 + (isSmaller ? smaller : bytes).length);
    writer.u8(isSmaller ? 1 : 0);
    writer.raw(isSmaller ? smaller : bytes);
    return writer.bytes();
  }

  #chosen(reader: Reader): { readonly at: Position; readonly node: Node }[] {
    const chosen: { readonly at: Position; readonly node: Node }[] = [];
    for (let index = -1; reader.remaining > 0; ) {
      index += 1 + reader.varint();
      const node = this.#offered[index];
      if (node === undefined) throw reader.fault(`node ${index} was not offered`);
      chosen.push(node);
    }
    return chosen;
  }

  #inBuckets(): Elements {
    if (this.#elements === undefined) throw new MemdsError("ERR_MEMDS_PROTOCOL", "there are no buckets yet");
    return this.#elements;
  }
}

/** Bits one after the other, lowest of a byte first. */
export function bitsOf(reader: Reader): () => boolean {
  let byte = 0;
  let left = 0;
  return () => {
    if (left === 0) {
      byte = reader.u8();
      left = 8;
    }
    const bit = byte & 1;
    byte >>>= 1;
    left--;
    return bit === 1;
  };
}

export function packBits(bits: readonly boolean[]): Uint8Array {
  const bytes = new Uint8Array((bits.length + 7) >>> 3);
  for (let i = 0; i < bits.length; i++) if (bits[i]) bytes[i >>> 3]! |= 1 << (i & 7);
  return bytes;
}
