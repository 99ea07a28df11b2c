import { checkNumber } from "./errors.js";
import { productError, sumError } from "./exact.js";

/** Largest refill rate, in tokens a second. */
export const RATE_MAX = 1e12;
/** Largest capacity, and largest single debit, in tokens. */
export const TOKENS_MAX = 1e15;

/** Once so many thousandths have been earned since the anchor, it is moved: the last digit of such a number is a 512th. */
const FOLD_AT = 2 ** 44;

export interface BucketLevelOptions {
  /** Tokens a second, 0 to 1e12. */
  readonly ratePerSecond: number;
  /** The most that the bucket holds, 0 to 1e15 tokens. */
  readonly capacity: number;
  /** What it holds at first; `capacity` when left out. */
  readonly tokens?: number;
}

// What a level remembers; doubles in an array are read and written several times as fast as in fields, and eight are as
// many as V8 keeps within the array object itself.

/** Thousandths that were missing from a full bucket at the anchor, and those taken since. */
const OWED = 0;
/** What `OWED` could not hold; below its last digits. */
const LOW = 1;
const ANCHOR_MS = 2;
const LAST_MS = 3;
const RATE = 4;
const CAPACITY_MILLI = 5;
const CAPACITY = 6;

/**
 * The arithmetic of one token bucket, without a clock: the caller says what time it is, in milliseconds of any origin.
 *
 * The usual bucket adds `elapsed * rate` to its balance at every call and rounds every time; over millions of calls the
 * roundings add up, and at rates that move a balance by less than its last binary digit nothing arrives at all. Here
 * nothing is added for time that passes. What is missing from a full bucket is
 *
 *     owed - (now - anchor) * rate
 *
 * with `anchor` standing still while the bucket is in use: each decision is one multiplication away from the truth,
 * however many went before, and most precise where it decides whether the past may be forgotten, near full. The unit is
 * the thousandth of a token, because rate (a second) times time (in ms) then needs no division: whole milliseconds,
 * whole rates and whole costs are computed without any rounding. What `owed` cannot hold is kept beside it in `low`, by
 * error-free transformations (see `exact.ts`), and so is what was earned when the anchor has to move. A bucket that is
 * full forgets its past and costs nothing.
 *
 * A clock that steps back gives nothing and takes nothing: what had been earned stays earned, and the new time goes on
 * from there. A clock that jumps forward (or a process that was suspended) fills the bucket at most to its capacity.
 */
export class BucketLevel {
  readonly #state = new Float64Array(7);

  constructor(options: BucketLevelOptions, nowMs: number) {
    const { ratePerSecond, capacity, tokens = capacity } = options ?? ({} as BucketLevelOptions);
    const state = this.#state;
    state[RATE] = checkNumber("ratePerSecond", ratePerSecond, 0, RATE_MAX);
    state[CAPACITY] = checkNumber("capacity", capacity, 0, TOKENS_MAX);
    state[CAPACITY_MILLI] = capacity * 1000;
    checkNumber("tokens", tokens, 0, capacity);
    this.#owe(capacity * 1000, -tokens * 1000);
    state[ANCHOR_MS] = checkNumber("nowMs", nowMs, -Number.MAX_VALUE, Number.MAX_VALUE);
    state[LAST_MS] = nowMs;
  }

  get ratePerSecond(): number {
    return this.#state[RATE] as number;
  }

  get capacity(): number {
    return this.#state[CAPACITY] as number;
  }

  /**
   * Takes `tokens` if they are there, and says so. `tokens`: finite, not negative; more than the capacity is never
   * there.
   */
  tryTake(tokens: number, nowMs: number): boolean {
    checkCost(tokens);
    const cost = tokens * 1000;
    if (this.#levelAt(nowMs) < cost) return false;
    this.#spend(tokens, cost);
    return true;
  }

  /** Whether `tryTake(tokens, nowMs)` would succeed. */
  has(tokens: number, nowMs: number): boolean {
    checkCost(tokens);
    return this.#levelAt(nowMs) >= tokens * 1000;
  }

  /** Charges without asking. The balance may fall below zero; it is paid back before anything can be taken again. */
  debit(tokens: number, nowMs: number): void {
    if (typeof tokens !== "number" || !(tokens >= 0 && tokens <= TOKENS_MAX)) {
      checkNumber("tokens", tokens, 0, TOKENS_MAX);
    }
    // Whoever asked at this very moment has brought everything up to date already.
    if (nowMs !== this.#state[LAST_MS]) this.#levelAt(nowMs);
    this.#spend(tokens, tokens * 1000);
  }

  /** Takes all that is there, to exactly nothing; a debt stays. */
  drain(nowMs: number): void {
    if (this.#levelAt(nowMs) > 0) this.#restart(this.#state[CAPACITY_MILLI] as number, 0, this.#lastMs);
  }

  /** Gives tokens back; what would stand above the capacity is lost. */
  refund(tokens: number, nowMs: number): void {
    checkCost(tokens);
    this.#levelAt(nowMs);
    if (this.#missingAt(this.#lastMs) <= tokens * 1000) this.#restart(0, 0, this.#lastMs);
    else this.#spend(-tokens, -tokens * 1000);
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
    const short = cost - this.#levelAt(nowMs);
    if (short <= 0) return 0;
    const { ratePerSecond } = this;
    if (tokens > this.capacity || ratePerSecond === 0) return Number.POSITIVE_INFINITY;
    const fromMs = this.#lastMs;
    let waitMs = short / ratePerSecond;
    // The sum of two doubles may round down by a digit of the clock, which at high rates is many tokens.
    let stepMs = Math.max(waitMs * 2 ** -52, Math.abs(fromMs) * 2 ** -52, Number.MIN_VALUE);
    while (Number.isFinite(waitMs) && this.#peekAt(fromMs + waitMs) < cost) {
      waitMs += stepMs;
      stepMs *= 2;
    }
    return waitMs;
  }

  /**
   * Changes rate or capacity from `nowMs` on. What was earned until then stays, up to the new capacity; a larger one is
   * not filled for free.
   */
  reconfigure(change: { readonly ratePerSecond?: number; readonly capacity?: number }, nowMs: number): void {
    const { ratePerSecond = this.ratePerSecond, capacity = this.capacity } = change;
    checkNumber("ratePerSecond", ratePerSecond, 0, RATE_MAX);
    checkNumber("capacity", capacity, 0, TOKENS_MAX);
    this.#levelAt(nowMs);
    this.#fold(this.#lastMs);
    const state = this.#state;
    state[RATE] = ratePerSecond;
    // As much is there as before, so that much more or less is missing.
    this.#owe(capacity * 1000, -(state[CAPACITY_MILLI] as number));
    state[CAPACITY] = capacity;
    state[CAPACITY_MILLI] = capacity * 1000;
    this.#fold(this.#lastMs);
  }

  get #lastMs(): number {
    return this.#state[LAST_MS] as number;
  }

  /** The balance in thousandths at `nowMs`, which becomes the last time seen. */
  #levelAt(nowMs: number): number {
    const state = this.#state;
    const earned = (nowMs - (state[ANCHOR_MS] as number)) * (state[RATE] as number);
    if (!(nowMs >= (state[LAST_MS] as number) && earned < FOLD_AT)) return this.#levelAfterFold(nowMs);
    state[LAST_MS] = nowMs;
    const owed = state[OWED] as number;
    const low = state[LOW] as number;
    const capacity = state[CAPACITY_MILLI] as number;
    // Two sums of the same numbers: this one is exact near full, the other near empty.
    if (owed - earned + low > 0) return capacity - owed + earned - low;
    // Full. What was earned is owed from here on, so that nothing is missing; the anchor stays, and with it the error.
    state[OWED] = earned;
    state[LOW] = 0;
    return capacity;
  }

  /** The same, when the clock stepped back, is broken (NaN, infinite), or enough was earned to move the anchor. */
  #levelAfterFold(nowMs: number): number {
    const state = this.#state;
    const lastMs = this.#lastMs;
    if (nowMs >= lastMs && nowMs <= Number.MAX_VALUE) {
      this.#fold(nowMs);
    } else {
      this.#fold(lastMs);
      if (nowMs < lastMs && nowMs >= -Number.MAX_VALUE) state[ANCHOR_MS] = state[LAST_MS] = nowMs;
    }
    return this.#peekAt(this.#lastMs);
  }

  /** What is missing from a full bucket, at a moment that has been brought up to date. */
  #missingAt(nowMs: number): number {
    const state = this.#state;
    const earned = (nowMs - (state[ANCHOR_MS] as number)) * (state[RATE] as number);
    return (state[OWED] as number) - earned + (state[LOW] as number);
  }

  /** What `#levelAt` will find at a later time, or a trifle less where it would move the anchor; not cut to the capacity. */
  #peekAt(nowMs: number): number {
    const state = this.#state;
    const capacity = state[CAPACITY_MILLI] as number;
    const earned = (nowMs - (state[ANCHOR_MS] as number)) * (state[RATE] as number);
    const level = capacity - (state[OWED] as number) + earned - (state[LOW] as number);
    return earned < FOLD_AT ? level : level - earned * 2 ** -50;
  }

  /** `cost`: `tokens` in thousandths, as a double can say it. */
  #spend(tokens: number, cost: number): void {
    const state = this.#state;
    const before = state[OWED] as number;
    const owed = before + cost;
    const lost = sumError(before, cost, owed);
    if (lost !== 0) (state[LOW] as number) += lost;
    state[OWED] = owed;
    // What the same odd cost loses is always the same, so a hundred million of them would show. Small whole ones, which
    // are nearly all, are told by the quickest test that there is.
    if ((tokens | 0) !== tokens) (state[LOW] as number) += productError(tokens, 1000, cost);
  }

  /** Adds `a + b` to what is owed, without loss. */
  #owe(a: number, b: number): void {
    const state = this.#state;
    const sum = a + b;
    const before = state[OWED] as number;
    const owed = before + sum;
    state[OWED] = owed;
    (state[LOW] as number) += sumError(a, b, sum) + sumError(before, sum, owed);
  }

  #restart(owed: number, low: number, nowMs: number): void {
    const state = this.#state;
    state[OWED] = owed;
    state[LOW] = low;
    state[ANCHOR_MS] = nowMs;
    state[LAST_MS] = nowMs;
  }

  /** `owed + low` becomes exactly what is missing at `nowMs`, and counting starts anew from there. */
  #fold(nowMs: number): void {
    const { [OWED]: before = 0, [LOW]: low = 0, [ANCHOR_MS]: anchorMs = 0, [RATE]: rate = 0 } = this.#state;
    const elapsedMs = nowMs - anchorMs;
    const earned = elapsedMs * rate;
    const elapsedLow = sumError(nowMs, -anchorMs, elapsedMs);
    const earnedLow = productError(elapsedMs, rate, earned) + elapsedLow * rate;
    const total = before - earned;
    const lost = sumError(before, -earned, total) + (low - earnedLow);
    const owed = total + lost;
    if (owed > 0) this.#restart(owed, sumError(total, lost, owed), nowMs);
    // Full; or so much was earned that no number can say it.
    else this.#restart(0, 0, nowMs);
  }
}

function checkCost(tokens: number): void {
  if (typeof tokens !== "number" || !(tokens >= 0 && tokens <= Number.MAX_VALUE)) {
    checkNumber("tokens", tokens, 0, Number.MAX_VALUE);
  }
}
