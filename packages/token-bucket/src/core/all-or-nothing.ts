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
}

/** Up to so many, comparing each with each is quicker than a set. */
const PAIRWISE_MAX = 16;

/**
 * Takes `tokens` (default 1) from every bucket, or from none: a request that its partition allows and its table refuses
 * costs the partition nothing. Synchronous, so nothing comes between the asking and the charging. Each bucket may stand
 * in the list once.
 */
export function tryTakeAll(buckets: readonly Chargeable[], tokens = 1): boolean {
  const { length } = buckets;
  if (length > PAIRWISE_MAX) checkDistinct(buckets);
  let clock: Clock | undefined;
  let nowMs = 0;
  for (let i = 0; i < length; i += 1) {
    const bucket = buckets[i] as Chargeable;
    if (length <= PAIRWISE_MAX) for (let j = 0; j < i; j += 1) if (buckets[j] === bucket) throw twice(i);
    if (bucket.clock === undefined) {
      if (!bucket.has(tokens)) return false;
      continue;
    }
    if (bucket.clock !== clock) {
      clock = bucket.clock;
      nowMs = clock();
    }
    if (!bucket.has(tokens, nowMs)) return false;
  }
  for (let i = 0; i < length; i += 1) {
    const bucket = buckets[i] as Chargeable;
    if (bucket.clock === undefined) {
      bucket.debit(tokens);
      continue;
    }
    if (bucket.clock !== clock) {
      clock = bucket.clock;
      nowMs = clock();
    }
    bucket.debit(tokens, nowMs);
  }
  return true;
}

function checkDistinct(buckets: readonly Chargeable[]): void {
  const seen = new Set<Chargeable>();
  for (const [i, bucket] of buckets.entries()) {
    if (seen.has(bucket)) throw twice(i);
    seen.add(bucket);
  }
}

function twice(index: number): Error {
  return argumentError("buckets", "a list of different buckets", `one at ${index} again`);
}
