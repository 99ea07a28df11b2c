import { randomFillSync } from "node:crypto";
import { clockFrom } from "./clock.js";
import type { Chargeable } from "./core/all-or-nothing.js";
import { argumentError, checkNumber, checkOptions } from "./core/errors.js";
import { KeyedHash } from "./core/keyed-hash.js";
import { KeyedLevels, type KeyedLevelsOptions } from "./core/keyed-levels.js";
import type { Clock } from "./core/time.js";
import { keysFull } from "./events.js";

const TELL_EVERY_MS = 60_000;

export interface KeyedBucketsOptions extends KeyedLevelsOptions {
  /** Milliseconds of a monotonic clock. Default: `performance.now`. */
  readonly now?: Clock;
  /**
   * Two secret whole numbers from 0 to 2^32 - 1 that the keys are hashed with. Default: the system's entropy. Give them
   * in a simulated world only: who knows them can choose keys that collide.
   */
  readonly seed?: readonly [number, number];
}

const names: Record<keyof KeyedBucketsOptions, 0> = { ratePerSecond: 0, capacity: 0, keysMax: 0, now: 0, seed: 0 };

export interface KeyedBucketsStats {
  readonly ratePerSecond: number;
  readonly capacity: number;
  readonly keysMax: number;
  /** Memory for all keys, fixed when the buckets were made. */
  readonly bytes: number;
  readonly taken: number;
  readonly refused: number;
  /** How often a key had to share a bucket with others since none was free. If this grows, `keysMax` is too small. */
  readonly shared: number;
}

/**
 * A token bucket for each key, all of one rate and capacity, in packed memory of a fixed size. A full bucket takes no
 * room, so only keys that have spent something lately count. When more than `keysMax` of those come, the ones that have
 * spent least share coarser buckets; nobody gains a token by that. See `KeyedLevels` for how.
 *
 * Keys are strings; they are hashed (64 bits, with a secret seed) and not kept. Two keys with the same hash share one
 * bucket: among ten million keys that happens to any two with a chance of one in 180,000. Hashing takes about a
 * nanosecond for a character.
 */
export class KeyedBuckets {
  /** What it reads the time from. */
  readonly clock: Clock;
  readonly #levels: KeyedLevels;
  readonly #hash: KeyedHash;
  #taken = 0;
  #refused = 0;
  #toldOf = 0;
  #toldAtMs = Number.NEGATIVE_INFINITY;

  /** @throws TokenBucketError `ERR_TOKEN_BUCKET_ARGUMENT` */
  constructor(options: KeyedBucketsOptions) {
    options = checkOptions("KeyedBuckets", options, names);
    this.clock = clockFrom(options.now);
    const { seed = randomFillSync(new Uint32Array(2)) } = options;
    if (!Array.isArray(seed) && !(seed instanceof Uint32Array)) throw argumentError("seed", "two 32-bit numbers", seed);
    const [low, high] = seed;
    this.#hash = new KeyedHash([
      checkNumber("seed[0]", low, 0, 2 ** 32 - 1),
      checkNumber("seed[1]", high, 0, 2 ** 32 - 1),
    ]);
    this.#levels = new KeyedLevels(options, this.clock());
  }

  /** Takes `tokens` (default 1; fractions allowed) of `key` if they are there. More than `capacity` is never there. */
  tryTake(key: string, tokens = 1): boolean {
    const hash = this.#hashOf(key);
    const taken = this.#levels.tryTake(hash.low, hash.high, tokens, this.clock());
    if (taken) this.#taken += 1;
    else this.#refused += 1;
    if (this.#levels.shared !== this.#toldOf) this.#tell();
    return taken;
  }

  /** Whether `tryTake(key, tokens)` would succeed now. Changes nothing. */
  has(key: string, tokens = 1): boolean {
    const hash = this.#hashOf(key);
    return this.#levels.has(hash.low, hash.high, tokens, this.clock());
  }

  /** Charges `tokens` (0 to 1e15) after the fact. The balance may fall below zero; what flows in pays that back first. */
  debit(key: string, tokens: number): void {
    const hash = this.#hashOf(key);
    this.#levels.debit(hash.low, hash.high, tokens, this.clock());
  }

  /** Gives `tokens` back; what would stand above the capacity is lost, so as many as the capacity fill the bucket. */
  refund(key: string, tokens: number): void {
    const hash = this.#hashOf(key);
    this.#levels.refund(hash.low, hash.high, tokens, this.clock());
  }

  /** The balance of `key`, with fractions; below zero while a debit is being paid back. */
  tokens(key: string): number {
    const hash = this.#hashOf(key);
    return this.#levels.tokens(hash.low, hash.high, this.clock());
  }

  /** Milliseconds until `tryTake(key, tokens)` can succeed if no others come. Never short; `Infinity` if never. */
  msUntil(key: string, tokens = 1): number {
    const hash = this.#hashOf(key);
    return this.#levels.msUntil(hash.low, hash.high, tokens, this.clock());
  }

  /**
   * One key's bucket, to stand in `tryTakeAll` or as the node of a `BurstBucket`. Keeps the hash of the key and nothing
   * else; make as many as you like, and let them go.
   */
  bucket(key: string): KeyedBucket {
    const { low, high } = this.#hashOf(key);
    return new KeyedBucket(this.#levels, this.clock, low, high);
  }

  /**
   * Changes rate, capacity or both for all keys from now on. Balances stay, up to the new capacity; a larger one is
   * filled for nobody, whether seen before or not.
   */
  reconfigure(change: { readonly ratePerSecond?: number; readonly capacity?: number }): void {
    this.#levels.reconfigure(checkOptions("reconfigure", change, { ratePerSecond: 0, capacity: 0 }), this.clock());
  }

  /** How many buckets are not full now. Looks at all of them: for a page that somebody reads, not for each request. */
  keys(): number {
    return this.#levels.keys(this.clock());
  }

  stats(): KeyedBucketsStats {
    const { ratePerSecond, capacity, keysMax, bytes, shared } = this.#levels;
    return { ratePerSecond, capacity, keysMax, bytes, taken: this.#taken, refused: this.#refused, shared };
  }

  #hashOf(key: string): KeyedHash {
    if (typeof key !== "string") throw argumentError("key", "a string", key);
    this.#hash.hash(key);
    return this.#hash;
  }

  #tell(): void {
    this.#toldOf = this.#levels.shared;
    const nowMs = this.clock();
    if (Math.abs(nowMs - this.#toldAtMs) < TELL_EVERY_MS) return;
    this.#toldAtMs = nowMs;
    keysFull.publish({ keysMax: this.#levels.keysMax, shared: this.#toldOf });
  }
}

/** The bucket of one key; made by `KeyedBuckets.bucket`. */
export class KeyedBucket implements Chargeable {
  readonly clock: Clock;
  readonly #levels: KeyedLevels;
  readonly #low: number;
  readonly #high: number;

  constructor(levels: KeyedLevels, clock: Clock, low: number, high: number) {
    this.#levels = levels;
    this.clock = clock;
    this.#low = low;
    this.#high = high;
  }

  /** As `KeyedBuckets.has`, for this key. */
  has(tokens = 1, nowMs = this.clock()): boolean {
    return this.#levels.has(this.#low, this.#high, tokens, nowMs);
  }

  /** As `KeyedBuckets.debit`, for this key. */
  debit(tokens: number, nowMs = this.clock()): void {
    this.#levels.debit(this.#low, this.#high, tokens, nowMs);
  }

  /** As `KeyedBuckets.refund`, for this key. */
  refund(tokens: number): void {
    this.#levels.refund(this.#low, this.#high, tokens, this.clock());
  }

  /** As `KeyedBuckets.msUntil`, for this key. */
  msUntil(tokens = 1, nowMs = this.clock()): number {
    return this.#levels.msUntil(this.#low, this.#high, tokens, nowMs);
  }
}
