/**
 * Error-free transformations (Dekker 1971, Knuth TAOCP 4.2.2): a sum or a product of two doubles as an unevaluated pair
 * `high + low` that is exactly equal to it. `high` is what the processor returns; the functions here return the `low`
 * that it threw away.
 */

/** What `a + b` lost, given `sum = a + b`. */
export function sumError(a: number, b: number, sum: number): number {
  const bRounded = sum - a;
  return a - (sum - bRounded) + (b - bRounded);
}

const SPLITTER = 2 ** 27 + 1;

/** What `a * b` lost, given `product = a * b`; both factors below 2^990. */
export function productError(a: number, b: number, product: number): number {
  const aScaled = SPLITTER * a;
  const aHigh = aScaled - (aScaled - a);
  const aLow = a - aHigh;
  const bScaled = SPLITTER * b;
  const bHigh = bScaled - (bScaled - b);
  const bLow = b - bHigh;
  return aLow * bLow - (product - aHigh * bHigh - aLow * bHigh - aHigh * bLow);
}
