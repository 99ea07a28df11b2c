import { type Clock, clockFrom, DELAY_MAX_MS, systemTimer, type Timer } from "./clock.js";
import type { Chargeable } from "./core/all-or-nothing.js";
import { BucketLevel } from "./core/bucket-level.js";
import { checkNumber, TokenBucketError } from "./core/errors.js";
import { type Waiter, WaitingLine } from "./core/waiting-line.js";

export interface TokenBucketOptions {
  /** Tokens that flow in each second: 0 to 1e12, fractions allowed. */
  readonly ratePerSecond: number;
  /** The most that the bucket holds: 0 to 1e15 tokens. */
  readonly capacity: number;
  /** What it holds at first: 0 to `capacity`. Default: `capacity`. */
  readonly tokens?: number;
  /** How many `take` calls may wait at once; one more is refused. Default 1,024. */
  readonly waitersMax?: number;
  /**
   * Whether a waiting `take` keeps the process alive. Default false, as for everything in Evenkeel that is not a
   * request itself.
   */
  readonly keepAlive?: boolean;
  /** Milliseconds of a monotonic clock. Default: `performance.now`. */
  readonly now?: Clock;
  /** What wakes `take`. Default: `setTimeout`. Give both or neither of `now` and `timer` in a simulated world. */
  readonly timer?: Timer;
}

export interface TokenBucketStats {
  /** The balance, with fractions; negative while a debit is being paid back. */
  readonly tokens: number;
  readonly capacity: number;
  readonly ratePerSecond: number;
  /** `take` calls that wait now. */
  readonly waiting: number;
  /** Takes that succeeded, at once or after waiting. */
  readonly taken: number;
  /** `tryTake` calls that returned false, and `take` calls that were refused or gave up. */
  readonly refused: number;
}

/**
 * A token bucket: `ratePerSecond` tokens flow in until `capacity` is reached, and each piece of work takes some out.
 * Decisions are synchronous and allocate nothing. Exact over any number of calls; see `BucketLevel` for how. A waiting
 * `take` is served before any later taker.
 */
export class TokenBucket implements Chargeable {
  readonly #now: Clock;
  readonly #timer: Timer;
  readonly #level: BucketLevel;
  readonly #line = new WaitingLine();
  readonly #waitersMax: number;
  #cancelTimer: (() => void) | undefined;
  #taken = 0;
  #refused = 0;
  #closed = false;

  constructor(options: TokenBucketOptions) {
    this.#now = clockFrom(options.now);
    this.#timer = options.timer ?? systemTimer(options.keepAlive ?? false);
    this.#waitersMax = checkNumber("waitersMax", options.waitersMax ?? 1024, 0, 2 ** 31);
    this.#level = new BucketLevel(options, this.#now());
  }

  /**
   * Takes `tokens` (default 1; fractions allowed) if they are there and nobody waits for them already. Never waits.
   * More than `capacity` is never there.
   */
  tryTake(tokens = 1): boolean {
    if (this.#line.length === 0 && !this.#closed && this.#level.tryTake(tokens, this.#now())) {
      this.#taken += 1;
      return true;
    }
    checkNumber("tokens", tokens, 0, Number.MAX_VALUE);
    this.#refused += 1;
    return false;
  }

  /** Whether `tryTake(tokens)` would succeed now. Changes nothing. */
  has(tokens = 1): boolean {
    return this.#line.length === 0 && !this.#closed && this.#level.has(tokens, this.#now());
  }

  /**
   * Takes `tokens`, waiting for them if need be, in the order of the calls. Rejects at once with
   * `ERR_TOKEN_BUCKET_NEVER` when they can never be there (above the capacity, or nothing flows in), with
   * `ERR_TOKEN_BUCKET_QUEUE_FULL` when `waitersMax` wait already; later with the signal's reason, or with
   * `ERR_TOKEN_BUCKET_CLOSED`. What was not taken is not charged. A wait does not keep the process alive unless
   * `keepAlive` is set.
   */
  async take(tokens = 1, options: { readonly signal?: AbortSignal } = {}): Promise<void> {
    checkNumber("tokens", tokens, 0, Number.MAX_VALUE);
    const { signal } = options;
    signal?.throwIfAborted();
    if (this.#closed) throw this.#refuse("ERR_TOKEN_BUCKET_CLOSED", "the bucket is closed");
    if (this.#line.length === 0 && this.#level.tryTake(tokens, this.#now())) {
      this.#taken += 1;
      return;
    }
    const never = this.#whyNever(tokens);
    if (never !== undefined) throw never;
    if (this.#line.length >= this.#waitersMax) {
      throw this.#refuse(
        "ERR_TOKEN_BUCKET_QUEUE_FULL",
        `${this.#line.length} callers wait already; waitersMax is ${this.#waitersMax}`,
      );
    }
    await new Promise<void>((resolve, reject) => {
      const onAbort = () => {
        this.#line.remove(waiter);
        waiter.fail(signal?.reason);
        // It may have stood in the way of a smaller request behind it.
        this.#serve();
      };
      const waiter: Waiter = {
        tokens,
        admit: () => {
          signal?.removeEventListener("abort", onAbort);
          this.#taken += 1;
          resolve();
        },
        fail: (reason) => {
          signal?.removeEventListener("abort", onAbort);
          this.#refused += 1;
          reject(reason as Error);
        },
      };
      signal?.addEventListener("abort", onAbort, { once: true });
      this.#line.push(waiter);
      if (this.#line.length === 1) this.#serve();
    });
  }

  /**
   * Charges `tokens` (0 to 1e15) after the fact, whether or not they are there, also past those who wait. The balance
   * may fall below zero; what flows in pays that back first.
   */
  debit(tokens: number): void {
    this.#level.debit(tokens, this.#now());
  }

  /** Gives `tokens` back; what would stand above the capacity is lost. */
  refund(tokens: number): void {
    this.#level.refund(tokens, this.#now());
    this.#serve();
  }

  /**
   * Milliseconds until `tryTake(tokens)` can succeed if no others come: counts those that wait now. Rounded so that it
   * is never short. `Infinity` when it never can.
   */
  msUntil(tokens = 1): number {
    checkNumber("tokens", tokens, 0, Number.MAX_VALUE);
    const nowMs = this.#now();
    if (this.#closed || tokens > this.#level.capacity) return Number.POSITIVE_INFINITY;
    if (this.#line.length === 0) return this.#level.msUntil(tokens, nowMs);
    // Their sum may be above the capacity; it is earned and spent bit by bit.
    const missing = this.#line.tokens() + tokens - this.#level.tokens(nowMs);
    return missing <= 0 ? 0 : (missing / this.#level.ratePerSecond) * 1000;
  }

  /**
   * Changes rate, capacity or both from now on. The balance stays, up to the new capacity; those who wait are served at
   * the new rate, and refused with `ERR_TOKEN_BUCKET_NEVER` if they wait for what can no longer come.
   */
  reconfigure(change: { readonly ratePerSecond?: number; readonly capacity?: number }): void {
    this.#level.reconfigure(change, this.#now());
    for (const waiter of this.#line.toArray()) {
      if (waiter.tokens <= this.#level.tokens(this.#now())) continue;
      const never = this.#whyNever(waiter.tokens, false);
      if (never === undefined) continue;
      this.#line.remove(waiter);
      waiter.fail(never);
    }
    this.#serve();
  }

  stats(): TokenBucketStats {
    return {
      tokens: this.#level.tokens(this.#now()),
      capacity: this.#level.capacity,
      ratePerSecond: this.#level.ratePerSecond,
      waiting: this.#line.length,
      taken: this.#taken,
      refused: this.#refused,
    };
  }

  /** Refuses those who wait with `ERR_TOKEN_BUCKET_CLOSED`, and every take from now on. May be called twice. */
  close(): void {
    this.#closed = true;
    this.#cancelTimer?.();
    this.#cancelTimer = undefined;
    for (const waiter of this.#line.toArray()) {
      this.#line.remove(waiter);
      waiter.fail(new TokenBucketError("ERR_TOKEN_BUCKET_CLOSED", "the bucket was closed while this caller waited"));
    }
  }

  [Symbol.asyncDispose](): Promise<void> {
    this.close();
    return Promise.resolve();
  }

  /** Admits from the front whoever can be, and sees to it that this is called again when the next one can. */
  #serve(): void {
    this.#cancelTimer?.();
    this.#cancelTimer = undefined;
    for (let waiter = this.#line.first; waiter !== undefined; waiter = this.#line.first) {
      const nowMs = this.#now();
      if (!this.#level.tryTake(waiter.tokens, nowMs)) {
        const waitMs = this.#level.msUntil(waiter.tokens, nowMs);
        // Longer waits than a timer can hold are slept in pieces; a timer that fires early finds nothing and sleeps
        // again.
        const delayMs = Math.max(1, Math.min(waitMs, DELAY_MAX_MS));
        this.#cancelTimer = this.#timer(delayMs, () => this.#serve());
        return;
      }
      this.#line.remove(waiter);
      waiter.admit();
    }
  }

  #whyNever(tokens: number, count = true): TokenBucketError | undefined {
    const { capacity, ratePerSecond } = this.#level;
    let message: string;
    if (tokens > capacity)
      message = `${tokens} tokens were asked for, and the bucket never holds more than ${capacity}`;
    else if (ratePerSecond === 0) message = `${tokens} tokens were asked for, and ratePerSecond is 0`;
    else return undefined;
    return count
      ? this.#refuse("ERR_TOKEN_BUCKET_NEVER", message)
      : new TokenBucketError("ERR_TOKEN_BUCKET_NEVER", message);
  }

  #refuse(code: TokenBucketError["code"], message: string): TokenBucketError {
    this.#refused += 1;
    return new TokenBucketError(code, message);
  }
}
