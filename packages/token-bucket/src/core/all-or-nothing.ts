import { argumentError } from "./errors.js";
import type { Clock } from "./time.js";

/**
 * What can be asked first and charged afterwards: a `TokenBucket`, a `BurstBucket`, one key of a `KeyedBuckets`, or
 * anything that keeps the same two promises.
 */
export interface Chargeable {
  /**
   * Where it reads the time when nobody tells it. Who has one is told the time as `nowMs`, read from it; those who
   * have the same one share a reading, which is most of what a decision costs.
   */
  readonly clock?: Clock;
  /** Whether `tokens` could be taken now. Changes nothing. */
  has(tokens: number, nowMs?: number): boolean;
  /** Charges `tokens` without asking. */
  debit(tokens: number, nowMs?: number): void;
  /**
   * Asks and charges in one step, for who can take it back: half the work where, as nearly always, everybody agrees.
   * Together with `untake`, or not at all.
   */
  takeAt?(tokens: number, nowMs: number): boolean;
  /** Undoes a `takeAt` of this very moment, as if it had not been. */
  untake?(tokens: number, nowMs: number): void;
}

/** Up to so many, comparing each with each is quicker than a set. */
const PAIRWISE_MAX = 16;

/**
 * Takes `tokens` (default 1) from every bucket, or from none: a request that its partition allows and its table refuses
 * costs the partition nothing. Synchronous, so nothing comes between the asking and the charging. Each bucket may stand
 * in the list once.
 */
export function tryTakeAll(buckets: readonly Chargeable[], tokens = 1): boolean {
  if (!Array.isArray(buckets)) throw argumentError("buckets", "a list of buckets", buckets);
  const { length } = buckets;
  if (length > 3) checkDistinct(buckets);
  const clock = buckets[0]?.clock;
  if (clock === undefined) return takeEach(buckets, tokens);
  const nowMs = clock();
  let first: Chargeable | undefined;
  let before: Chargeable | undefined;
  for (let i = 0; i < length; i += 1) {
    const bucket = buckets[i] as Chargeable;
    if (bucket?.clock !== clock || bucket.takeAt === undefined) {
      untakeFirst(i, buckets, tokens, nowMs);
      return takeEach(buckets, tokens);
    }
    // Among three, everybody else is the first or the one before.
    if (bucket === first || bucket === before) {
      untakeFirst(i, buckets, tokens, nowMs);
      throw twice();
    }
    if (!bucket.takeAt(tokens, nowMs)) {
      untakeFirst(i, buckets, tokens, nowMs);
      return false;
    }
    if (i === 0) first = bucket;
    before = bucket;
  }
  return true;
}

function untakeFirst(count: number, buckets: readonly Chargeable[], tokens: number, nowMs: number): void {
  for (let i = 0; i < count; i += 1) buckets[i]?.untake?.(tokens, nowMs);
}

/** In two steps, for buckets that live by different clocks, or cannot take anything back. */
function takeEach(buckets: readonly Chargeable[], tokens: number): boolean {
  for (const bucket of buckets) {
    if (typeof bucket?.has !== "function" || typeof bucket.debit !== "function")
      throw argumentError("buckets", "a list of buckets, with has and debit", bucket);
  }
  checkDistinct(buckets);
  let clock: Clock | undefined;
  let nowMs: number | undefined;
  const timeOf = (bucket: Chargeable) => {
    if (bucket.clock !== clock) {
      clock = bucket.clock;
      nowMs = clock?.();
    }
    return nowMs;
  };
  for (const bucket of buckets) if (!bucket.has(tokens, timeOf(bucket))) return false;
  for (const bucket of buckets) bucket.debit(tokens, timeOf(bucket));
  return true;
}

function checkDistinct(buckets: readonly Chargeable[]): void {
  if (buckets.length > PAIRWISE_MAX) {
    if (new Set(buckets).size !== buckets.length) throw twice();
    return;
  }
  for (let i = 1; i < buckets.length; i += 1) {
    for (let j = 0; j < i; j += 1) if (buckets[i] === buckets[j]) throw twice();
  }
}

function twice(): Error {
  return argumentError("buckets", "a list of different buckets", "one with a bucket that stands in it twice");
}
