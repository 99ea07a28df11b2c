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

// What a level remembers; eight doubles are as many as V8 keeps within the object itself.

const BASE = 0;
/** What `BASE` and `SPENT` could not hold; below their last digits. */
const LOW = 1;
const SPENT = 2;
const ANCHOR_MS = 3;
const LAST_MS = 4;
const RATE = 5;
const CAPACITY_MILLI = 6;
const CAPACITY = 7;

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
  /** See the indices above. An array of doubles is read and written several times as fast as fields are. */
  readonly #state = new Float64Array(8);

  constructor(options: BucketLevelOptions, nowMs: number) {
    const { ratePerSecond, capacity, tokens = capacity } = options;
    const state = this.#state;
    state[RATE] = checkNumber("ratePerSecond", ratePerSecond, 0, RATE_MAX);
    state[CAPACITY] = checkNumber("capacity", capacity, 0, TOKENS_MAX);
    state[CAPACITY_MILLI] = capacity * 1000;
    state[BASE] = checkNumber("tokens", tokens, 0, capacity) * 1000;
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
    if (typeof tokens !== "number" || !(tokens >= 0 && tokens <= TOKENS_MAX))
      checkNumber("tokens", tokens, 0, TOKENS_MAX);
    // Whoever asked at this very moment has brought everything up to date already.
    if (nowMs !== this.#state[LAST_MS]) this.#levelAt(nowMs);
    this.#spend(tokens * 1000);
    this.#foldIfLarge();
  }

  /** Takes all that is there, to exactly nothing; a debt stays. */
  drain(nowMs: number): void {
    if (this.#levelAt(nowMs) > 0) this.#restart(0, this.#lastMs);
  }

  /** Gives tokens back; what would stand above the capacity is lost. */
  refund(tokens: number, nowMs: number): void {
    checkCost(tokens);
    const { capacity } = this;
    if (this.#levelAt(nowMs) + tokens * 1000 >= capacity * 1000) this.#restart(capacity * 1000, this.#lastMs);
    else {
      this.#spend(-tokens * 1000);
      this.#foldIfLarge();
    }
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
    const { capacity, ratePerSecond } = this;
    if (tokens > capacity || ratePerSecond === 0) return Number.POSITIVE_INFINITY;
    const fromMs = this.#lastMs;
    let waitMs = missing / ratePerSecond;
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
    state[CAPACITY] = capacity;
    state[CAPACITY_MILLI] = capacity * 1000;
    if ((state[BASE] as number) > capacity * 1000) this.#restart(capacity * 1000, this.#lastMs);
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
    const level = earned - (state[SPENT] as number) + (state[BASE] as number) + (state[LOW] as number);
    const capacity = state[CAPACITY_MILLI] as number;
    if (level < capacity) return level;
    state[BASE] = capacity;
    state[LOW] = 0;
    state[SPENT] = 0;
    state[ANCHOR_MS] = nowMs;
    return capacity;
  }

  /** The same, when the clock stepped back, is broken (NaN, infinite), or enough was earned to fold it away. */
  #levelAfterFold(nowMs: number): number {
    const lastMs = this.#lastMs;
    if (nowMs >= lastMs && nowMs <= Number.MAX_VALUE) {
      this.#fold(nowMs);
    } else {
      this.#fold(lastMs);
      if (nowMs < lastMs && nowMs >= -Number.MAX_VALUE) this.#state[ANCHOR_MS] = this.#state[LAST_MS] = nowMs;
    }
    return this.#state[BASE] as number;
  }

  /** What `#levelAt` will find at a later time, or a trifle less where it would fold. */
  #peekAt(nowMs: number): number {
    const [base = 0, low = 0, spent = 0, anchorMs = 0] = this.#state;
    const earned = (nowMs - anchorMs) * this.ratePerSecond;
    const level = earned - spent + base + low;
    return Math.min(earned < FOLD_AT ? level : level - earned * 2 ** -50, this.capacity * 1000);
  }

  #spend(cost: number): void {
    const state = this.#state;
    const before = state[SPENT] as number;
    const spent = before + cost;
    const lost = sumError(before, cost, spent);
    if (lost !== 0) (state[LOW] as number) -= lost;
    state[SPENT] = spent;
  }

  #foldIfLarge(): void {
    if (Math.abs(this.#state[SPENT] as number) > FOLD_AT) this.#fold(this.#lastMs);
  }

  /** The balance is `level` now, to the last digit, and counting starts anew from there. */
  #restart(level: number, nowMs: number): void {
    const state = this.#state;
    state[BASE] = level;
    state[LOW] = 0;
    state[SPENT] = 0;
    state[ANCHOR_MS] = nowMs;
    state[LAST_MS] = nowMs;
  }

  /** `base + low` becomes the exact balance at `nowMs`, and counting starts anew from there. */
  #fold(nowMs: number): void {
    const state = this.#state;
    const [base = 0, low = 0, spent = 0, anchorMs = 0] = state;
    const { ratePerSecond } = this;
    const capacity = this.capacity * 1000;
    const elapsedMs = nowMs - anchorMs;
    const earned = elapsedMs * ratePerSecond;
    if (!(earned < PRODUCT_MAX)) {
      this.#restart(capacity, nowMs);
      return;
    }
    const elapsedLow = sumError(nowMs, -anchorMs, elapsedMs);
    const earnedLow = productError(elapsedMs, ratePerSecond, earned) + elapsedLow * ratePerSecond;
    const partial = base + earned;
    const total = partial - spent;
    const lost = sumError(base, earned, partial) + sumError(partial, -spent, total) + (low + earnedLow);
    const level = total + lost;
    this.#restart(level, nowMs);
    state[LOW] = sumError(total, lost, level);
    if (level >= capacity) this.#restart(capacity, nowMs);
  }
}

function checkCost(tokens: number): void {
  if (typeof tokens !== "number" || !(tokens >= 0 && tokens <= Number.MAX_VALUE)) {
    checkNumber("tokens", tokens, 0, Number.MAX_VALUE);
  }
}
