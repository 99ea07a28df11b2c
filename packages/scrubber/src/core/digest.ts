import { checkOrder, copyOf } from "./bytes.js";
import { checkAscends, cutOff, putHeader } from "./packed.js";
import type { Digest } from "./source.js";

/** A hash under way, as `node:crypto` makes them; 32 bytes or more come out. */
export interface IncrementalHash {
  update(bytes: Uint8Array): unknown;
  digest(): Uint8Array;
}

export interface CreateHash {
  (): IncrementalHash;
  /**
   * The hash of bytes that are all there already, as a string of one character a byte. Optional; where it is cheaper than making an object (in
   * Node it is by far), the runs of a Merkle tree are hashed so.
   */
  readonly once?: (bytes: Uint8Array) => string;
}

/** Changes with anything that changes a digest: which bytes are hashed, and how. */
export const DIGEST_VERSION = 4;

export const ENTRY_HEADER_BYTES = 8;
const HASH_BYTES = 32;
/** What is gathered before it goes into the hash: a call costs as much as hashing half a kilobyte, and what was gathered should still be near when it is hashed. */
const SCRATCH_BYTES = 32 * 1024;
/** Blocks up to this are gathered. */
const GATHERED_BYTES_MAX = 1024;
/** Of a block that is hashed where it lies: as much as stays near until it has been walked as well. */
const AHEAD_BYTES = 64 * 1024;
/** Longer values go into the hash from where they lie: a call costs less than waiting for them to be copied. */
const COPIED_BYTES_MAX = 256;
/** Between two such values lie a header and a key: a view for each length that is usual, because making one costs as much as the call. */
const VIEWS_MAX = 128;

/**
 * Makes the digest of a range out of its entries, which must come in ascending order: one hash over all of them, each as key length and value length
 * (4 bytes each, little-endian), key, value. No two different lists of entries have the same bytes.
 *
 * Digests that are kept along with writes are made otherwise (`RunDigester`): of them parts can be kept, which costs an end to be looked for in
 * every key, and a call of the hash for each 4 KiB. Who reads everything anyway has nothing from that, and is a fifth to a quarter faster without.
 */
export class RangeDigester {
  readonly #createHash: CreateHash;
  #scratch: Uint8Array | undefined;
  readonly #views: Uint8Array[] = [];
  #filled = 0;
  #hash: IncrementalHash | undefined;
  #last: Uint8Array | undefined;
  #keys = 0;
  #bytes = 0;

  constructor(createHash: CreateHash) {
    this.#createHash = createHash;
  }

  /** Copies what it needs. The key must stay as it is until the next call: it is compared with the one that follows. */
  add(key: Uint8Array, value: Uint8Array): void {
    const keyLength = key.length;
    const valueLength = value.length;
    const head = ENTRY_HEADER_BYTES + keyLength;
    const copied = valueLength <= COPIED_BYTES_MAX ? head + valueLength : head;
    if (this.#filled + copied > SCRATCH_BYTES) this.#flush();
    this.#scratch ??= new Uint8Array(SCRATCH_BYTES);
    if (head > SCRATCH_BYTES) this.#addLongKey(key, valueLength);
    else this.#gatherKey(this.#scratch, key, valueLength);
    if (valueLength > COPIED_BYTES_MAX || this.#filled + valueLength > SCRATCH_BYTES) {
      this.#flush();
      this.#open().update(value);
    } else {
      this.#scratch.set(value, this.#filled);
      this.#filled += valueLength;
    }
    this.#last = key;
    this.#keys++;
    this.#bytes += keyLength + valueLength;
  }

  /** Copied and compared with the one before in one loop: keys are short, and calls that do either cost more than that. */
  #gatherKey(scratch: Uint8Array, key: Uint8Array, valueLength: number): void {
    const { length } = key;
    let at = putHeader(scratch, this.#filled, length, valueLength);
    const last = this.#last;
    let i = 0;
    if (last !== undefined) {
      const shared = Math.min(last.length, length);
      for (; i < shared; i++) {
        const byte = key[i] as number;
        if (byte !== last[i]) break;
        scratch[at++] = byte;
      }
      if (i < shared ? (key[i] as number) < (last[i] as number) : length <= last.length) checkOrder(last, key);
    }
    for (; i < length; i++) scratch[at++] = key[i] as number;
    this.#filled = at;
  }

  #addLongKey(key: Uint8Array, valueLength: number): void {
    checkOrder(this.#last, key);
    const header = new Uint8Array(ENTRY_HEADER_BYTES);
    putHeader(header, 0, key.length, valueLength);
    const hash = this.#open();
    hash.update(header);
    hash.update(key);
  }

  /**
   * Entries one behind the other as they are hashed, each of them whole: for whoever holds them so, in a page or in what was read from a file. They are
   * hashed where they lie, without a copy or an object for each.
   */
  addPacked(block: Uint8Array): void {
    const { length } = block;
    if (length === 0) return;
    const words = new DataView(block.buffer, block.byteOffset, length);
    let lastAt = -1;
    let lastLength = 0;
    let keys = 0;
    let bytes = 0;
    // Of small ones several are gathered.
    let hashed = length <= GATHERED_BYTES_MAX ? this.#gather(block) : 0;
    for (let at = 0; at < length; ) {
      // The hash goes ahead of the walk: it reads bytes in order, which memory is quick at, and the walk then finds near what it looks at here and there.
      if (at >= hashed) hashed = this.#hashOn(block, hashed, at);
      const keyAt = at + ENTRY_HEADER_BYTES;
      if (keyAt > length) throw cutOff(length, at);
      const keyLength = words.getUint32(at, true);
      const size = keyLength + words.getUint32(at + 4, true);
      const end = keyAt + size;
      if (end > length) throw cutOff(length, at);
      if (lastAt >= 0) checkAscends(block, words, lastAt, lastLength, keyAt, keyLength);
      else if (this.#last !== undefined) checkOrder(this.#last, block.subarray(keyAt, keyAt + keyLength));
      lastAt = keyAt;
      lastLength = keyLength;
      at = end;
      keys++;
      bytes += size;
    }
    if (hashed < length) this.#hashOn(block, hashed, length - 1);
    this.#keys += keys;
    this.#bytes += bytes;
    this.#last = copyOf(block.subarray(lastAt, lastAt + lastLength));
  }

  #gather(block: Uint8Array): number {
    if (this.#filled + block.length > SCRATCH_BYTES) this.#flush();
    this.#scratch ??= new Uint8Array(SCRATCH_BYTES);
    this.#scratch.set(block, this.#filled);
    this.#filled += block.length;
    return block.length;
  }

  /** Hashes a block on until what lies at `through` is in it; returns how far that is. */
  #hashOn(block: Uint8Array, from: number, through: number): number {
    this.#flush();
    let hashed = from;
    for (; hashed <= through; hashed += AHEAD_BYTES) this.#open().update(block.subarray(hashed, hashed + AHEAD_BYTES));
    return hashed;
  }

  /** The digest of what was added; the digester is then empty, for the next range. */
  finish(): Digest {
    const keys = this.#keys;
    let hash = new Uint8Array(HASH_BYTES);
    if (keys > 0) {
      this.#flush();
      hash = Uint8Array.from(this.#open().digest().subarray(0, HASH_BYTES));
    }
    const digest = { version: DIGEST_VERSION, hash, keys, bytes: this.#bytes };
    this.#hash = undefined;
    this.#last = undefined;
    this.#keys = 0;
    this.#bytes = 0;
    return digest;
  }

  #open(): IncrementalHash {
    this.#hash ??= this.#createHash();
    return this.#hash;
  }

  #flush(): void {
    const filled = this.#filled;
    if (filled === 0) return;
    this.#filled = 0;
    this.#open().update(this.#gathered(filled));
  }

  #gathered(length: number): Uint8Array {
    const known = this.#views[length];
    if (known !== undefined) return known;
    const view = (this.#scratch as Uint8Array).subarray(0, length);
    if (length < VIEWS_MAX) this.#views[length] = view;
    return view;
  }
}
