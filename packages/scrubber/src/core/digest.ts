import { checkOrder } from "./bytes.js";
import type { Digest } from "./source.js";

/** A hash under way, as `node:crypto` makes them; 32 bytes or more come out. */
export interface IncrementalHash {
  update(bytes: Uint8Array): unknown;
  digest(): Uint8Array;
}

export type CreateHash = () => IncrementalHash;

/** Changes with anything that changes a digest: runs, their bytes, how they are summed. */
export const DIGEST_VERSION = 1;

const LANES = 8;
const SCRATCH_BYTES = 64 * 1024;
const ENTRY_HEADER_BYTES = 8;
/** A key ends its run with this chance of 1 in 64. */
const RUN_MASK = 63;

/**
 * Makes the digest of a range out of its entries, which must come in ascending order.
 *
 * The problem: the same digest must come from a replica that streams its range and from one that keeps hashes of parts of it, whatever
 * its tree looks like inside. So entries are grouped into runs whose ends depend on the keys alone (a key whose own hash has its low
 * six bits zero is the last of its run), each run is hashed, and the digest of a range is the sum of the hashes of its runs, as eight
 * lanes of 32 bits. Sums of neighbouring ranges add up when they meet at the end of a run, in any grouping: that is what lets a tree of
 * sums answer for any range by hashing two partial runs anew. A single hash over the whole range was the alternative; it lost because
 * nothing of it can be kept when one key changes.
 *
 * A run's bytes are, for each entry: key length and value length (4 bytes each, little-endian), key, value. No two different lists of
 * entries have the same bytes. The sum is proof against accidents, not against a replica that forges its answers.
 */
export class RangeDigester {
  readonly #createHash: CreateHash;
  readonly #scratch = new Uint8Array(SCRATCH_BYTES);
  readonly #view = new DataView(this.#scratch.buffer);
  readonly #sum = new Uint32Array(LANES);
  #filled = 0;
  #run: IncrementalHash | undefined;
  #runOpen = false;
  #last: Uint8Array | undefined;
  #keys = 0;
  #bytes = 0;

  constructor(createHash: CreateHash) {
    this.#createHash = createHash;
  }

  /** Copies what it needs. The key must stay as it is until the next call: it is compared with the one that follows. */
  add(key: Uint8Array, value: Uint8Array): void {
    checkOrder(this.#last, key);
    this.#last = key;
    this.#keys++;
    this.#bytes += key.length + value.length;
    if (this.#filled + ENTRY_HEADER_BYTES > SCRATCH_BYTES) this.#flush();
    this.#view.setUint32(this.#filled, key.length, true);
    this.#view.setUint32(this.#filled + 4, value.length, true);
    this.#filled += ENTRY_HEADER_BYTES;
    this.#append(key);
    this.#append(value);
    this.#runOpen = true;
    if (endsRun(key)) this.#endRun();
  }

  /** The digest of what was added; the digester is then empty, for the next range. */
  finish(): Digest {
    if (this.#runOpen) this.#endRun();
    const hash = new Uint8Array(LANES * 4);
    const view = new DataView(hash.buffer);
    for (let lane = 0; lane < LANES; lane++) view.setUint32(lane * 4, this.#sum[lane] as number, true);
    const digest = { version: DIGEST_VERSION, hash, keys: this.#keys, bytes: this.#bytes };
    this.#sum.fill(0);
    this.#last = undefined;
    this.#keys = 0;
    this.#bytes = 0;
    return digest;
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
    this.#flush();
    const hash = this.#open().digest();
    const view = new DataView(hash.buffer, hash.byteOffset, hash.byteLength);
    for (let lane = 0; lane < LANES; lane++) {
      this.#sum[lane] = (this.#sum[lane] as number) + view.getUint32(lane * 4, true);
    }
    this.#run = undefined;
    this.#runOpen = false;
  }
}

/** FNV-1a with a last mix, because its low bits alone follow the last byte too closely. */
function endsRun(key: Uint8Array): boolean {
  let hash = 0x811c9dc5;
  for (let i = 0; i < key.length; i++) hash = Math.imul(hash ^ (key[i] as number), 0x01000193);
  hash = Math.imul(hash ^ (hash >>> 15), 0x2c1b3c6d);
  return ((hash ^ (hash >>> 13)) & RUN_MASK) === 0;
}
