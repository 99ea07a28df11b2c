import { checkOrder, copyOf } from "./bytes.js";
import { type CreateHash, ENTRY_HEADER_BYTES, type IncrementalHash } from "./digest.js";
import { checkAscends, cutOff, putHeader } from "./packed.js";
import type { Digest } from "./source.js";

/** Changes with anything that changes a digest that is kept: runs, their bytes, how they are summed. */
export const KEPT_DIGEST_VERSION = 3;

export const LANES = 8;
const SCRATCH_BYTES = 64 * 1024;
/**
 * Bytes of a run, on average: long enough that a hash costs little beside its bytes, short enough that a write spoils little. (A write spoils twice as
 * much on average, because long runs are hit more often. 8 KiB, as in version 2, are 3 % faster to read, and 1.7 times slower to bring up to date.)
 */
const RUN_BYTES = 4 * 1024;
/** As a signed integer: in a loop that begins with a number beyond 31 bits every step goes through floating point, twice as slow. */
const FNV_OFFSET = 0x811c9dc5 | 0;
const FNV_PRIME = 0x01000193;
const ENDS_PER_BYTE = 2 ** 32 / RUN_BYTES;

/** Eight words of 32 bits, as signed integers: a plain array takes a third of the memory of a typed one so short, and there is one for each run. */
export type Lanes = number[];

export const noLanes = (): Lanes => [0, 0, 0, 0, 0, 0, 0, 0];

/** What `RunDigester` knows of a stretch of entries. Sums of neighbouring stretches add up where they meet at the end of a run. */
export interface RunSum {
  readonly lanes: Lanes;
  readonly keys: number;
  readonly bytes: number;
}

/** Of no entries. Sums that were handed out never change. */
const NO_SUM: RunSum = { lanes: noLanes(), keys: 0, bytes: 0 };

/**
 * Makes the digest of a range out of its entries, which must come in ascending order, in a form of which parts can be kept (`MerkleIndex`).
 *
 * The problem: the same digest must come from a replica that streams its range and from one that keeps hashes of parts of it, whatever
 * its tree looks like inside. So entries are grouped into runs whose ends depend on the entries alone (an entry ends its run when the hash of
 * its key falls below its size's share of 4 KiB), each run is hashed, and the digest of a range is the sum of the hashes of its runs, as eight
 * lanes of 32 bits. Sums of neighbouring ranges add up when they meet at the end of a run, in any grouping: that is what lets a tree of
 * sums answer for any range by hashing two partial runs anew. A single hash over the whole range was the alternative; it lost because
 * nothing of it can be kept when one key changes. Runs of so many keys lost too: of small entries they are so short that hashing is slow.
 *
 * A run's bytes are, for each entry: key length and value length (4 bytes each, little-endian), key, value. No two different lists of
 * entries have the same bytes. The sum is proof against accidents, not against a replica that forges its answers.
 */
export class RunDigester {
  readonly #createHash: CreateHash;
  #onRun: ((end: Uint8Array, sum: RunSum) => void) | undefined;
  readonly #scratch = new Uint8Array(SCRATCH_BYTES);
  #sum = noLanes();
  #filled = 0;
  #run: IncrementalHash | undefined;
  #runOpen = false;
  #last: Uint8Array | undefined;
  #keys = 0;
  #bytes = 0;

  constructor(createHash: CreateHash) {
    this.#createHash = createHash;
  }

  /** From the next entry on, until `finishSum`, each run that ends is handed over with the key that ended it instead of being summed up here. */
  eachRun(onRun: (end: Uint8Array, sum: RunSum) => void): void {
    this.#onRun = onRun;
  }

  /** Copies what it needs. The key must stay as it is until the next call: it is compared with the one that follows. */
  add(key: Uint8Array, value: Uint8Array): void {
    const size = key.length + value.length;
    const end =
      this.#filled + ENTRY_HEADER_BYTES + size <= SCRATCH_BYTES ? this.#gather(key, value) : this.#stream(key, value);
    this.#last = key;
    this.#keys++;
    this.#bytes += size;
    this.#runOpen = true;
    if (end >>> 0 < (size + ENTRY_HEADER_BYTES) * ENDS_PER_BYTE) {
      this.#endRun();
      this.#onRun?.(key, this.#take());
    }
  }

  /**
   * The common case in one loop over the key: it is copied, hashed (FNV-1a with a last mix) and compared with the one before. Of entries of 900 bytes
   * the loops apart from one another would take a tenth of the whole time.
   */
  #gather(key: Uint8Array, value: Uint8Array): number {
    const scratch = this.#scratch;
    const last = this.#last;
    const { length } = key;
    let at = putHeader(this.#scratch, this.#filled, length, value.length);
    let hash = FNV_OFFSET;
    let ascends = last === undefined;
    const shared = last === undefined ? 0 : Math.min(last.length, length);
    let i = 0;
    for (; i < shared; i++) {
      const byte = key[i] as number;
      const before = (last as Uint8Array)[i] as number;
      if (byte !== before) {
        if (byte < before) checkOrder(last, key);
        ascends = true;
        break;
      }
      scratch[at++] = byte;
      hash = Math.imul(hash ^ byte, FNV_PRIME);
    }
    if (!ascends) checkOrder(last, key);
    for (; i < length; i++) {
      const byte = key[i] as number;
      scratch[at++] = byte;
      hash = Math.imul(hash ^ byte, FNV_PRIME);
    }
    scratch.set(value, at);
    this.#filled = at + value.length;
    return mix(hash);
  }

  /**
   * Entries one behind the other as a run's bytes have them, each of them whole: for whoever holds them so, in a page or in what was read from a file. A run
   * that lies in one block is hashed where it lies, without a copy or an object for each entry: that is most of what `add` costs beside the hash.
   */
  addPacked(block: Uint8Array): void {
    const { length } = block;
    const words = new DataView(block.buffer, block.byteOffset, length);
    /** Where what is not hashed yet begins; where the key before lies. */
    let start = 0;
    let lastAt = -1;
    let lastLength = 0;
    // Since the last run that ended: fields of this object, looked at for each entry, would cost as much as the walk itself.
    let keys = 0;
    let bytes = 0;
    for (let at = 0; at < length; ) {
      const keyAt = at + ENTRY_HEADER_BYTES;
      if (keyAt > length) throw cutOff(length, at);
      const keyLength = words.getUint32(at, true);
      const size = keyLength + words.getUint32(at + 4, true);
      const end = keyAt + size;
      if (end > length) throw cutOff(length, at);
      const keyEnd = keyAt + keyLength;
      if (lastAt >= 0) checkAscends(block, words, lastAt, lastLength, keyAt, keyLength);
      else if (this.#last !== undefined) checkOrder(this.#last, block.subarray(keyAt, keyEnd));
      let hash = FNV_OFFSET;
      for (let i = keyAt; i < keyEnd; i++) hash = Math.imul(hash ^ (block[i] as number), FNV_PRIME);
      lastAt = keyAt;
      lastLength = keyLength;
      at = end;
      keys++;
      bytes += size;
      if (mix(hash) >>> 0 >= (size + ENTRY_HEADER_BYTES) * ENDS_PER_BYTE) continue;
      this.#keys += keys;
      this.#bytes += bytes;
      keys = 0;
      bytes = 0;
      if (this.#runOpen) {
        this.#append(block.subarray(start, end));
        this.#endRun();
      } else this.#hashOf(block.subarray(start, end));
      start = end;
      if (this.#onRun !== undefined) this.#onRun(block.subarray(keyAt, keyEnd), this.#take());
    }
    this.#keys += keys;
    this.#bytes += bytes;
    if (start < length) {
      this.#append(block.subarray(start));
      this.#runOpen = true;
    }
    if (lastAt >= 0) this.#last = copyOf(block.subarray(lastAt, lastAt + lastLength));
  }

  /** For an entry that does not fit: what was gathered goes into the hash first. */
  #stream(key: Uint8Array, value: Uint8Array): number {
    checkOrder(this.#last, key);
    if (this.#filled + ENTRY_HEADER_BYTES > SCRATCH_BYTES) this.#flush();
    this.#filled = putHeader(this.#scratch, this.#filled, key.length, value.length);
    this.#append(key);
    this.#append(value);
    let hash = FNV_OFFSET;
    for (let i = 0; i < key.length; i++) hash = Math.imul(hash ^ (key[i] as number), FNV_PRIME);
    return mix(hash);
  }

  /** The sum of what was added (with `eachRun`: since the last run that ended); the digester is then empty, for the next range. */
  finishSum(): RunSum {
    if (this.#runOpen) this.#endRun();
    this.#last = undefined;
    this.#onRun = undefined;
    return this.#keys === 0 ? NO_SUM : this.#take();
  }

  /** The digest of what was added; the digester is then empty, for the next range. */
  finish(): Digest {
    return digestOf(this.finishSum());
  }

  #take(): RunSum {
    const sum = { lanes: this.#sum, keys: this.#keys, bytes: this.#bytes };
    this.#sum = noLanes();
    this.#keys = 0;
    this.#bytes = 0;
    return sum;
  }

  #append(bytes: Uint8Array): void {
    if (this.#filled + bytes.length > SCRATCH_BYTES) this.#flush();
    if (bytes.length > SCRATCH_BYTES) {
      this.#open().update(bytes);
      return;
    }
    this.#scratch.set(bytes, this.#filled);
    this.#filled += bytes.length;
  }

  #open(): IncrementalHash {
    this.#run ??= this.#createHash();
    return this.#run;
  }

  #flush(): void {
    if (this.#filled > 0) this.#open().update(this.#scratch.subarray(0, this.#filled));
    this.#filled = 0;
  }

  #endRun(): void {
    if (this.#run === undefined) {
      this.#hashOf(this.#scratch.subarray(0, this.#filled));
      this.#filled = 0;
    } else {
      this.#flush();
      addBytes(this.#sum, this.#open().digest());
      this.#run = undefined;
    }
    this.#runOpen = false;
  }

  /** A whole run that lies in one piece. */
  #hashOf(run: Uint8Array): void {
    const { once } = this.#createHash;
    if (once !== undefined) {
      addText(this.#sum, once(run));
      return;
    }
    const hash = this.#createHash();
    hash.update(run);
    addBytes(this.#sum, hash.digest());
  }
}

export function digestOf({ lanes, keys, bytes }: RunSum): Digest {
  const hash = new Uint8Array(LANES * 4);
  const view = new DataView(hash.buffer);
  for (let lane = 0; lane < LANES; lane++) view.setInt32(lane * 4, lanes[lane] as number, true);
  return { version: KEPT_DIGEST_VERSION, hash, keys, bytes };
}

function addBytes(sum: Lanes, hash: Uint8Array): void {
  const view = new DataView(hash.buffer, hash.byteOffset, hash.byteLength);
  for (let lane = 0; lane < LANES; lane++) sum[lane] = ((sum[lane] as number) + view.getInt32(lane * 4, true)) | 0;
}

function addText(sum: Lanes, hash: string): void {
  for (let lane = 0; lane < LANES; lane++) {
    const at = lane * 4;
    const word =
      hash.charCodeAt(at) |
      (hash.charCodeAt(at + 1) << 8) |
      (hash.charCodeAt(at + 2) << 16) |
      (hash.charCodeAt(at + 3) << 24);
    sum[lane] = ((sum[lane] as number) + word) | 0;
  }
}

/** The low bits of FNV alone follow the last byte too closely. */
function mix(hash: number): number {
  let mixed = Math.imul(hash ^ (hash >>> 15), 0x2c1b3c6d);
  mixed = Math.imul(mixed ^ (mixed >>> 12), 0x297a2d39);
  return mixed ^ (mixed >>> 15);
}
