import { argumentError } from "./errors.js";

/** What can be asked first and charged afterwards: a `TokenBucket`, or anything that keeps the same two promises. */
export interface Chargeable {
  /** Whether `tokens` could be taken now. Changes nothing. */
  has(tokens: number): boolean;
  /** Charges `tokens` without asking. */
  debit(tokens: number): void;
}

/**
 * Takes `tokens` from every bucket, or from none: a request that its partition allows and its table refuses costs the
 * partition nothing. Synchronous, so nothing comes between the asking and the charging. Each bucket may stand in the
 * list once.
 */
export function tryTakeAll(buckets: readonly Chargeable[], tokens: number): boolean {
  for (let i = 0; i < buckets.length; i += 1) {
    const bucket = buckets[i] as Chargeable;
    if (buckets.indexOf(bucket) !== i)
      throw argumentError("buckets", "a list of different buckets", `one at ${i} again`);
    if (!bucket.has(tokens)) return false;
  }
  for (const bucket of buckets) bucket.debit(tokens);
  return true;
}
