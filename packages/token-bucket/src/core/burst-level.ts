import { BucketLevel } from "./bucket-level.js";

export interface BurstRates {
  /** Tokens a second. */
  readonly ratePerSecond: number;
  /** Provisioned tokens, at most. */
  readonly capacity: number;
  /** Saved tokens, at most. */
  readonly savedMax: number;
}

/**
 * The arithmetic of provisioned and saved tokens: what flows in fills the provisioned ones, and what those cannot hold
 * is saved, up to a bound.
 *
 * Nothing is poured from one bucket into another, which would round at each pouring. There are two buckets with the
 * same rate: the provisioned one, and one for both together. What is saved is their difference, and it grows exactly
 * while the first is full and the second is not.
 */
export class BurstLevel {
  readonly #provisioned: BucketLevel;
  readonly #both: BucketLevel;

  constructor(rates: BurstRates & { readonly tokens: number; readonly saved: number }, nowMs: number) {
    const { ratePerSecond, capacity, savedMax, tokens, saved } = rates;
    this.#provisioned = new BucketLevel({ ratePerSecond, capacity, tokens }, nowMs);
    this.#both = new BucketLevel({ ratePerSecond, capacity: capacity + savedMax, tokens: tokens + saved }, nowMs);
  }

  get ratePerSecond(): number {
    return this.#both.ratePerSecond;
  }

  get capacity(): number {
    return this.#provisioned.capacity;
  }

  get savedMax(): number {
    return this.#both.capacity - this.#provisioned.capacity;
  }

  /** Takes `tokens` if the provisioned ones suffice. */
  tryTakeProvisioned(tokens: number, nowMs: number): boolean {
    if (!this.#provisioned.tryTake(tokens, nowMs)) return false;
    this.#both.debit(tokens, nowMs);
    return true;
  }

  hasProvisioned(tokens: number, nowMs: number): boolean {
    return this.#provisioned.has(tokens, nowMs);
  }

  /** Whether provisioned and saved ones together suffice. */
  hasBoth(tokens: number, nowMs: number): boolean {
    return this.#both.has(tokens, nowMs);
  }

  /** Takes the provisioned ones that there are, and the rest from those saved. Only after `hasBoth`. */
  takeBoth(tokens: number, nowMs: number): void {
    this.#provisioned.drain(nowMs);
    this.#both.debit(tokens, nowMs);
  }

  /** Charges the provisioned ones without asking; they may fall below zero. Saved ones stay. */
  debit(tokens: number, nowMs: number): void {
    this.#provisioned.debit(tokens, nowMs);
    this.#both.debit(tokens, nowMs);
  }

  /** Flows in as time's tokens do: provisioned first, what those cannot hold is saved, what is above both is lost. */
  refund(tokens: number, nowMs: number): void {
    this.#provisioned.refund(tokens, nowMs);
    this.#both.refund(tokens, nowMs);
  }

  /** Provisioned tokens; below zero while a debit is being paid back. */
  provisioned(nowMs: number): number {
    return this.#provisioned.tokens(nowMs);
  }

  saved(nowMs: number): number {
    return Math.max(0, this.#both.tokens(nowMs) - this.#provisioned.tokens(nowMs));
  }

  msUntilProvisioned(tokens: number, nowMs: number): number {
    return this.#provisioned.msUntil(tokens, nowMs);
  }

  msUntilBoth(tokens: number, nowMs: number): number {
    return this.#both.msUntil(tokens, nowMs);
  }

  /** From `nowMs` on. What is there stays, up to the new bounds; a larger bound is not filled for free. */
  reconfigure(rates: BurstRates, nowMs: number): void {
    const { ratePerSecond, capacity, savedMax } = rates;
    const saved = Math.min(this.saved(nowMs), savedMax);
    const cut = capacity < this.capacity || savedMax < this.savedMax;
    this.#provisioned.reconfigure({ ratePerSecond, capacity }, nowMs);
    this.#both.reconfigure({ ratePerSecond, capacity: capacity + savedMax }, nowMs);
    // What a smaller bound cut off the one does not go over to the other.
    if (cut) this.#both.debit(Math.max(0, this.saved(nowMs) - saved), nowMs);
  }
}
