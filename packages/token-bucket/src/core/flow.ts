import { productError, sumError } from "./exact.js";

const BASE_WHOLE = 0;
const BASE_FRACTION = 1;
const ANCHOR_MS = 2;
const LAST_MS = 3;
const PER_MS = 4;
const RATE = 5;

/** Until so many tokens have flowed since the anchor, one multiplication is right to a few thousandths of one. */
const FOLD_AT = 2 ** 40;
const PRODUCT_MAX = 2 ** 900;

/**
 * How many tokens have flowed since the beginning at so many a second: the meter by which all keys of a `KeyedLevels`
 * live. A count in two parts, whole tokens and a fraction, because a double alone would lose the fractions of a large
 * count. As in `BucketLevel`, a reading is one multiplication away from an anchor that stands still, so errors do not
 * add up; the anchor is moved without loss. A clock that steps back stops the flow for that moment, and it goes on from
 * there.
 */
export class Flow {
  readonly #state = new Float64Array(6);

  constructor(ratePerSecond: number, nowMs: number) {
    this.#state[RATE] = ratePerSecond;
    this.#state[PER_MS] = ratePerSecond / 1000;
    this.#state[ANCHOR_MS] = nowMs;
    this.#state[LAST_MS] = nowMs;
  }

  get ratePerSecond(): number {
    return this.#state[RATE] as number;
  }

  get lastMs(): number {
    return this.#state[LAST_MS] as number;
  }

  /** Reads the meter at `nowMs`: whole tokens and a fraction, 0 to 1, into `reading`. */
  read(nowMs: number, reading: Float64Array): void {
    const state = this.#state;
    const earned = (nowMs - (state[ANCHOR_MS] as number)) * (state[PER_MS] as number);
    if (!(nowMs >= (state[LAST_MS] as number) && earned < FOLD_AT)) this.#moveAnchor(nowMs);
    else state[LAST_MS] = nowMs;
    this.peek(state[LAST_MS] as number, reading);
  }

  /**
   * What the meter will read at a later moment, whole and fraction, into `reading`; where the anchor will have moved by
   * then, a trifle less.
   */
  peek(laterMs: number, reading: Float64Array): void {
    const state = this.#state;
    const earned = (laterMs - (state[ANCHOR_MS] as number)) * (state[PER_MS] as number);
    const sum = (state[BASE_FRACTION] as number) + (earned < FOLD_AT ? earned : earned - earned * 2 ** -50);
    const whole = Math.floor(sum);
    reading[0] = (state[BASE_WHOLE] as number) + whole;
    reading[1] = sum - whole;
  }

  #moveAnchor(nowMs: number): void {
    if (nowMs >= this.lastMs && nowMs <= Number.MAX_VALUE) {
      this.#fold(nowMs);
    } else {
      this.#fold(this.lastMs);
      if (nowMs < this.lastMs && nowMs >= -Number.MAX_VALUE) {
        this.#state[ANCHOR_MS] = nowMs;
        this.#state[LAST_MS] = nowMs;
      }
    }
  }

  setRate(ratePerSecond: number): void {
    this.#fold(this.lastMs);
    this.#state[RATE] = ratePerSecond;
    this.#state[PER_MS] = ratePerSecond / 1000;
  }

  /** Puts the meter forward by `tokens`, or back. */
  add(tokens: number): void {
    this.#fold(this.lastMs);
    this.#addToBase(Math.floor(tokens), tokens - Math.floor(tokens));
  }

  /** `base` becomes the exact count at `nowMs`, and the anchor moves there. */
  #fold(nowMs: number): void {
    const state = this.#state;
    const anchorMs = state[ANCHOR_MS] as number;
    const rate = state[RATE] as number;
    const elapsedMs = nowMs - anchorMs;
    const milli = Math.min(elapsedMs * rate, PRODUCT_MAX);
    const tokens = milli / 1000;
    let low = 0;
    if (milli < PRODUCT_MAX) {
      const milliLow = productError(elapsedMs, rate, milli) + sumError(nowMs, -anchorMs, elapsedMs) * rate;
      const back = tokens * 1000;
      low = (milli - back - productError(tokens, 1000, back) + milliLow) / 1000;
    }
    const whole = Math.floor(tokens);
    state[ANCHOR_MS] = nowMs;
    state[LAST_MS] = nowMs;
    this.#addToBase(whole, tokens - whole + low);
  }

  #addToBase(whole: number, fraction: number): void {
    const state = this.#state;
    const sum = (state[BASE_FRACTION] as number) + fraction;
    const carry = Math.floor(sum);
    state[BASE_WHOLE] = (state[BASE_WHOLE] as number) + whole + carry;
    state[BASE_FRACTION] = sum - carry;
  }
}
