import { checkNumber } from "./errors.js";
import { productError, sumError } from "./exact.js";

/** Largest refill rate, in tokens a second. */
export const RATE_MAX = 1e12;
/** Largest capacity, and largest single debit, in tokens. */
export const TOKENS_MAX = 1e15;

/**
 * The running sums are folded into one exact pair before either grows past this many thousandths, so that what a double
 * cannot hold beside them stays below a thousandth of a token.
 */
const FOLD_AT = 2 ** 50;
const PRODUCT_MAX = 2 ** 900;

export interface BucketLevelOptions {
  /** Tokens a second, 0 to 1e12. */
  readonly ratePerSecond: number;
  /** The most that the bucket holds, 0 to 1e15 tokens. */
  readonly capacity: number;
  /** What it holds at first; `capacity` when left out. */
  readonly tokens?: number;
}

/**
 * The arithmetic of one token bucket, without a clock: the caller says what time it is, in milliseconds of any origin.
 *
 * The usual bucket adds `elapsed * rate` to its balance at every call and rounds every time; over millions of calls the
 * roundings add up, and at rates that move a balance by less than its last binary digit nothing arrives at all. Here
 * the balance is never added to. It is
 *
 *     base + (now - anchor) * rate - spent
 *
 * with `anchor` standing still while the bucket is in use: each decision is one multiplication away from the truth,
 * however many went before. The unit is the thousandth of a token, because rate (a second) times time (in ms) then
 * needs no division: whole milliseconds, whole rates and whole costs are computed without any rounding. When a sum
 * grows past 2^50, it is folded into `base + low` by error-free transformations, which lose nothing (see `exact.ts`). A
 * bucket that is full forgets its past and costs nothing.
 *
 * A clock that steps back gives nothing and takes nothing: what had been earned stays earned, and the new time goes on
 * from there. A clock that jumps forward (or a process that was suspended) fills the bucket at most to its capacity.
 */
export class BucketLevel {
  #ratePerSecond: number;
  #capacity: number;
  #capacityMilli: number;
  #base: number;
  /** What `base` and `spent` could not hold; below their last digits. */
  #low = 0;
  #spent = 0;
  #anchorMs: number;
  #lastMs: number;

  constructor(options: BucketLevelOptions, nowMs: number) {
    const { ratePerSecond, capacity, tokens = capacity } = options;
    this.#ratePerSecond = checkNumber("ratePerSecond", ratePerSecond, 0, RATE_MAX);
    this.#capacity = checkNumber("capacity", capacity, 0, TOKENS_MAX);
    this.#capacityMilli = capacity * 1000;
    this.#base = checkNumber("tokens", tokens, 0, capacity) * 1000;
    this.#anchorMs = checkNumber("nowMs", nowMs, -Number.MAX_VALUE, Number.MAX_VALUE);
    this.#lastMs = nowMs;
  }

  get ratePerSecond(): number {
    return this.#ratePerSecond;
  }

  get capacity(): number {
    return this.#capacity;
  }

  /**
   * Takes `tokens` if they are there, and says so. `tokens`: finite, not negative; more than the capacity is never
   * there.
   */
  tryTake(tokens: number, nowMs: number): boolean {
    checkCost(tokens);
    const cost = tokens * 1000;
    if (this.#levelAt(nowMs) < cost) return false;
    this.#spend(cost);
    return true;
  }

  /** Whether `tryTake(tokens, nowMs)` would succeed. */
  has(tokens: number, nowMs: number): boolean {
    checkCost(tokens);
    return this.#levelAt(nowMs) >= tokens * 1000;
  }

  /** Charges without asking. The balance may fall below zero; it is paid back before anything can be taken again. */
  debit(tokens: number, nowMs: number): void {
    checkNumber("tokens", tokens, 0, TOKENS_MAX);
    // Whoever asked at this very moment has brought everything up to date already.
    if (nowMs !== this.#lastMs) this.#levelAt(nowMs);
    this.#spend(tokens * 1000);
    if (this.#spent > FOLD_AT) this.#fold(this.#lastMs);
  }

  /** Takes all that is there, to exactly nothing; a debt stays. */
  drain(nowMs: number): void {
    if (this.#levelAt(nowMs) <= 0) return;
    this.#base = 0;
    this.#low = 0;
    this.#spent = 0;
    this.#anchorMs = this.#lastMs;
  }

  /** Gives tokens back; what would stand above the capacity is lost. */
  refund(tokens: number, nowMs: number): void {
    checkCost(tokens);
    if (this.#levelAt(nowMs) + tokens * 1000 >= this.#capacityMilli) {
      this.#fill(this.#lastMs);
      return;
    }
    this.#spend(-tokens * 1000);
    if (this.#spent < -FOLD_AT) this.#fold(this.#lastMs);
  }

  /** The balance in tokens, with fractions; below zero while a debit is being paid back. */
  tokens(nowMs: number): number {
    return this.#levelAt(nowMs) / 1000;
  }

  /**
   * Milliseconds, with fractions, until `tokens` will be there if nobody else takes any; 0 when they are, `Infinity`
   * when they never will be. Never short: at `nowMs + msUntil(tokens, nowMs)` they are there.
   */
  msUntil(tokens: number, nowMs: number): number {
    checkCost(tokens);
    const cost = tokens * 1000;
    const missing = cost - this.#levelAt(nowMs);
    if (missing <= 0) return 0;
    if (cost > this.#capacityMilli || this.#ratePerSecond === 0) return Number.POSITIVE_INFINITY;
    const fromMs = this.#lastMs;
    let waitMs = missing / this.#ratePerSecond;
    // The sum of two doubles may round down by a digit of the clock, which at high rates is many tokens.
    while (Number.isFinite(waitMs) && this.#peekAt(fromMs + waitMs) < cost) {
      waitMs += Math.max(waitMs * 2 ** -52, Math.abs(fromMs) * 2 ** -52, Number.MIN_VALUE);
    }
    return waitMs;
  }

  /**
   * Changes rate or capacity from `nowMs` on. What was earned until then stays, up to the new capacity; a larger one is
   * not filled for free.
   */
  reconfigure(change: { readonly ratePerSecond?: number; readonly capacity?: number }, nowMs: number): void {
    const { ratePerSecond = this.#ratePerSecond, capacity = this.#capacity } = change;
    checkNumber("ratePerSecond", ratePerSecond, 0, RATE_MAX);
    checkNumber("capacity", capacity, 0, TOKENS_MAX);
    this.#levelAt(nowMs);
    this.#fold(this.#lastMs);
    this.#ratePerSecond = ratePerSecond;
    this.#capacity = capacity;
    this.#capacityMilli = capacity * 1000;
    if (this.#base > this.#capacityMilli) this.#fill(this.#lastMs);
  }

  /** The balance in thousandths at `nowMs`, which becomes the last time seen. */
  #levelAt(nowMs: number): number {
    const earned = (nowMs - this.#anchorMs) * this.#ratePerSecond;
    if (!(nowMs >= this.#lastMs && earned < FOLD_AT)) return this.#levelAfterFold(nowMs);
    this.#lastMs = nowMs;
    const level = earned - this.#spent + this.#base + this.#low;
    if (level < this.#capacityMilli) return level;
    this.#fill(nowMs);
    return this.#capacityMilli;
  }

  /** The same, when the clock stepped back, is broken (NaN, infinite), or enough was earned to fold it away. */
  #levelAfterFold(nowMs: number): number {
    if (nowMs >= this.#lastMs && nowMs <= Number.MAX_VALUE) {
      this.#fold(nowMs);
    } else {
      this.#fold(this.#lastMs);
      if (nowMs < this.#lastMs && nowMs >= -Number.MAX_VALUE) this.#anchorMs = this.#lastMs = nowMs;
    }
    return this.#base;
  }

  /** What `#levelAt` will find at a later time, or a trifle less where it would fold. */
  #peekAt(nowMs: number): number {
    const earned = (nowMs - this.#anchorMs) * this.#ratePerSecond;
    const level = earned - this.#spent + this.#base + this.#low;
    return Math.min(earned < FOLD_AT ? level : level - earned * 2 ** -50, this.#capacityMilli);
  }

  #spend(cost: number): void {
    const before = this.#spent;
    const spent = before + cost;
    const lost = sumError(before, cost, spent);
    if (lost !== 0) this.#low -= lost;
    this.#spent = spent;
  }

  #fill(nowMs: number): void {
    this.#base = this.#capacityMilli;
    this.#low = 0;
    this.#spent = 0;
    this.#anchorMs = nowMs;
    this.#lastMs = nowMs;
  }

  /** `base + low` becomes the exact balance at `nowMs`, and counting starts anew from there. */
  #fold(nowMs: number): void {
    const elapsedMs = nowMs - this.#anchorMs;
    const earned = elapsedMs * this.#ratePerSecond;
    if (!(earned < PRODUCT_MAX)) {
      this.#fill(nowMs);
      return;
    }
    const elapsedLow = sumError(nowMs, -this.#anchorMs, elapsedMs);
    const earnedLow = productError(elapsedMs, this.#ratePerSecond, earned) + elapsedLow * this.#ratePerSecond;
    const partial = this.#base + earned;
    const total = partial - this.#spent;
    const low =
      sumError(this.#base, earned, partial) + sumError(partial, -this.#spent, total) + (this.#low + earnedLow);
    this.#base = total + low;
    this.#low = sumError(total, low, this.#base);
    this.#spent = 0;
    this.#anchorMs = nowMs;
    this.#lastMs = nowMs;
    if (this.#base >= this.#capacityMilli) this.#fill(nowMs);
  }
}

function checkCost(tokens: number): void {
  if (typeof tokens !== "number" || !(tokens >= 0 && tokens <= Number.MAX_VALUE)) {
    checkNumber("tokens", tokens, 0, Number.MAX_VALUE);
  }
}
