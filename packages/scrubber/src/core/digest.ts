import { checkOrder } from "./bytes.js";
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
   * Node it is by far), most runs are hashed so.
   */
  readonly once?: (bytes: Uint8Array) => string;
}

/** Changes with anything that changes a digest: runs, their bytes, how they are summed. */
export const DIGEST_VERSION = 2;

export const LANES = 8;
const SCRATCH_BYTES = 64 * 1024;
const ENTRY_HEADER_BYTES = 8;
/** Bytes of a run, on average: long enough that a hash costs little beside its bytes, short enough that a write spoils little. */
const RUN_BYTES = 8 * 1024;
const ENDS_PER_BYTE = 2 ** 32 / RUN_BYTES;

/** What `RangeDigester` knows of a stretch of entries. Sums of neighbouring stretches add up where they meet at the end of a run. */
export interface RunSum {
  readonly lanes: Uint32Array;
  readonly keys: number;
  readonly bytes: number;
}

/**
 * Makes the digest of a range out of its entries, which must come in ascending order.
 *
 * The problem: the same digest must come from a replica that streams its range and from one that keeps hashes of parts of it, whatever
 * its tree looks like inside. So entries are grouped into runs whose ends depend on the entries alone (an entry ends its run when the hash of
 * its key falls below its size's share of 8 KiB), each run is hashed, and the digest of a range is the sum of the hashes of its runs, as eight
 * lanes of 32 bits. Sums of neighbouring ranges add up when they meet at the end of a run, in any grouping: that is what lets a tree of
 * sums answer for any range by hashing two partial runs anew. A single hash over the whole range was the alternative; it lost because
 * nothing of it can be kept when one key changes. Runs of so many keys lost too: of small entries they are so short that hashing is slow.
 *
 * A run's bytes are, for each entry: key length and value length (4 bytes each, little-endian), key, value. No two different lists of
 * entries have the same bytes. The sum is proof against accidents, not against a replica that forges its answers.
 */
export class RangeDigester {
  readonly #createHash: CreateHash;
  readonly #onRun: ((end: Uint8Array, sum: RunSum) => void) | undefined;
  readonly #scratch = new Uint8Array(SCRATCH_BYTES);
  readonly #sum = new Uint32Array(LANES);
  #filled = 0;
  #run: IncrementalHash | undefined;
  #runOpen = false;
  #last: Uint8Array | undefined;
  #keys = 0;
  #bytes = 0;

  /** With `onRun`, each run that ends is handed over with the key that ended it instead of being summed up here. */
  constructor(createHash: CreateHash, onRun?: (end: Uint8Array, sum: RunSum) => void) {
    this.#createHash = createHash;
    this.#onRun = onRun;
  }

  /** Copies what it needs. The key must stay as it is until the next call: it is compared with the one that follows. */
  add(key: Uint8Array, value: Uint8Array): void {
    checkOrder(this.#last, key);
    this.#last = key;
    this.#keys++;
    const size = key.length + value.length;
    this.#bytes += size;
    if (this.#filled + ENTRY_HEADER_BYTES + size <= SCRATCH_BYTES) {
      const at = this.#filled;
      this.#header(key.length, value.length);
      this.#scratch.set(key, at + ENTRY_HEADER_BYTES);
      this.#scratch.set(value, at + ENTRY_HEADER_BYTES + key.length);
      this.#filled += size;
    } else {
      if (this.#filled + ENTRY_HEADER_BYTES > SCRATCH_BYTES) this.#flush();
      this.#header(key.length, value.length);
      this.#append(key);
      this.#append(value);
    }
    this.#runOpen = true;
    if (endsRun(key, size + ENTRY_HEADER_BYTES)) {
      this.#endRun();
      this.#onRun?.(key, this.#take());
    }
  }

  /** The sum of what was added (with `onRun`: since the last run that ended); the digester is then empty, for the next range. */
  finishSum(): RunSum {
    if (this.#runOpen) this.#endRun();
    this.#last = undefined;
    return this.#take();
  }

  /** The digest of what was added; the digester is then empty, for the next range. */
  finish(): Digest {
    return digestOf(this.finishSum());
  }

  #take(): RunSum {
    const sum = { lanes: this.#sum.slice(), keys: this.#keys, bytes: this.#bytes };
    this.#sum.fill(0);
    this.#keys = 0;
    this.#bytes = 0;
    return sum;
  }

  #header(keyLength: number, valueLength: number): void {
    const scratch = this.#scratch;
    let at = this.#filled;
    scratch[at++] = keyLength;
    scratch[at++] = keyLength >>> 8;
    scratch[at++] = keyLength >>> 16;
    scratch[at++] = keyLength >>> 24;
    scratch[at++] = valueLength;
    scratch[at++] = valueLength >>> 8;
    scratch[at++] = valueLength >>> 16;
    scratch[at++] = valueLength >>> 24;
    this.#filled = at;
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
    const { once } = this.#createHash;
    if (this.#run === undefined && once !== undefined) {
      addText(this.#sum, once(this.#scratch.subarray(0, this.#filled)));
      this.#filled = 0;
    } else {
      this.#flush();
      addBytes(this.#sum, this.#open().digest());
      this.#run = undefined;
    }
    this.#runOpen = false;
  }
}

export function digestOf({ lanes, keys, bytes }: RunSum): Digest {
  const hash = new Uint8Array(LANES * 4);
  const view = new DataView(hash.buffer);
  for (let lane = 0; lane < LANES; lane++) view.setUint32(lane * 4, lanes[lane] as number, true);
  return { version: DIGEST_VERSION, hash, keys, bytes };
}

function addBytes(sum: Uint32Array, hash: Uint8Array): void {
  const view = new DataView(hash.buffer, hash.byteOffset, hash.byteLength);
  for (let lane = 0; lane < LANES; lane++) sum[lane] = (sum[lane] as number) + view.getUint32(lane * 4, true);
}

function addText(sum: Uint32Array, hash: string): void {
  for (let lane = 0; lane < LANES; lane++) {
    const at = lane * 4;
    const word =
      hash.charCodeAt(at) |
      (hash.charCodeAt(at + 1) << 8) |
      (hash.charCodeAt(at + 2) << 16) |
      (hash.charCodeAt(at + 3) << 24);
    sum[lane] = (sum[lane] as number) + word;
  }
}

/** FNV-1a with a last mix, against the share of a run that the entry makes up. */
function endsRun(key: Uint8Array, entryBytes: number): boolean {
  let hash = 0x811c9dc5;
  for (let i = 0; i < key.length; i++) hash = Math.imul(hash ^ (key[i] as number), 0x01000193);
  hash = Math.imul(hash ^ (hash >>> 15), 0x2c1b3c6d);
  hash = Math.imul(hash ^ (hash >>> 12), 0x297a2d39);
  return (hash ^ (hash >>> 15)) >>> 0 < entryBytes * ENDS_PER_BYTE;
}
