import { clockFrom, timerFrom } from "./clock.js";
import type { Chargeable } from "./core/all-or-nothing.js";
import { BucketLevel } from "./core/bucket-level.js";
import { checkNumber, checkOptions } from "./core/errors.js";
import type { Clock, Timer } from "./core/time.js";
import type { Waiter } from "./core/waiting-line.js";
import { WaitingRoom } from "./waiting-room.js";

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

const names: Record<keyof TokenBucketOptions, 0> = {
  ratePerSecond: 0,
  capacity: 0,
  tokens: 0,
  waitersMax: 0,
  keepAlive: 0,
  now: 0,
  timer: 0,
};

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
  /** What it reads the time from; `tryTakeAll` reads it once for all buckets that share it. */
  readonly clock: Clock;
  readonly #level: BucketLevel;
  readonly #room: WaitingRoom<Waiter>;
  /** Nobody waits, and it is open. */
  #idle = true;
  #taken = 0;
  #refused = 0;

  /** @throws TokenBucketError `ERR_TOKEN_BUCKET_ARGUMENT` */
  constructor(options: TokenBucketOptions) {
    options = checkOptions("TokenBucket", options, names);
    this.clock = clockFrom(options.now);
    const waitersMax = checkNumber("waitersMax", options.waitersMax ?? 1024, 0, 2 ** 31);
    this.#level = new BucketLevel(options, this.clock());
    this.#room = new WaitingRoom(
      {
        serve: (waiter) => this.#serve(waiter),
        idle: (idle) => {
          this.#idle = idle;
        },
        whyNever: ({ tokens }) => this.#whyNever(tokens),
      },
      timerFrom(options.timer, options.keepAlive),
      waitersMax,
    );
  }

  /**
   * Takes `tokens` (default 1; fractions allowed) if they are there and nobody waits for them already. Never waits.
   * More than `capacity` is never there.
   */
  tryTake(tokens = 1): boolean {
    if (this.#idle && this.#level.tryTake(tokens, this.clock())) {
      this.#taken += 1;
      return true;
    }
    checkNumber("tokens", tokens, 0, Number.MAX_VALUE);
    this.#refused += 1;
    return false;
  }

  /** Whether `tryTake(tokens)` would succeed now. Changes nothing. `nowMs`: for who has read `clock` already. */
  has(tokens = 1, nowMs = this.clock()): boolean {
    return this.#idle && this.#level.has(tokens, nowMs);
  }

  /**
   * Takes `tokens`, waiting for them if need be, in the order of the calls. Rejects at once with
   * `ERR_TOKEN_BUCKET_NEVER` when they can never be there (above the capacity, or nothing flows in), with
   * `ERR_TOKEN_BUCKET_QUEUE_FULL` when `waitersMax` wait already; later with the signal's reason, or with
   * `ERR_TOKEN_BUCKET_CLOSED`. What was not taken is not charged. A wait does not keep the process alive unless
   * `keepAlive` is set.
   */
  async take(tokens = 1, options: { readonly signal?: AbortSignal | undefined } = {}): Promise<void> {
    checkNumber("tokens", tokens, 0, Number.MAX_VALUE);
    const { signal } = checkOptions("take", options, { signal: 0 });
    signal?.throwIfAborted();
    if (this.#idle && this.#level.tryTake(tokens, this.clock())) {
      this.#taken += 1;
      return;
    }
    await this.#room.wait({ tokens }, signal);
  }

  /**
   * Charges `tokens` (0 to 1e15) after the fact, whether or not they are there, also past those who wait. The balance
   * may fall below zero; what flows in pays that back first.
   */
  debit(tokens: number, nowMs = this.clock()): void {
    this.#level.debit(tokens, nowMs);
  }

  /** What `tryTake` does, for who has read `clock` already. */
  takeAt(tokens: number, nowMs: number): boolean {
    if (!this.#idle || !this.#level.tryTake(tokens, nowMs)) return false;
    this.#taken += 1;
    return true;
  }

  /** Undoes a `takeAt` of this very moment. For what was paid for and never done there is `refund`. */
  untake(tokens: number, nowMs: number): void {
    this.#level.refund(tokens, nowMs);
    this.#taken -= 1;
  }

  /** Gives `tokens` back; what would stand above the capacity is lost. */
  refund(tokens: number): void {
    this.#level.refund(tokens, this.clock());
    this.#room.serve();
  }

  /**
   * Milliseconds until `tryTake(tokens)` can succeed if no others come: counts those that wait now. Rounded so that it
   * is never short. `Infinity` when it never can.
   */
  msUntil(tokens = 1, nowMs = this.clock()): number {
    checkNumber("tokens", tokens, 0, Number.MAX_VALUE);
    if (this.#room.closed || tokens > this.#level.capacity) return Number.POSITIVE_INFINITY;
    if (this.#room.length === 0) return this.#level.msUntil(tokens, nowMs);
    // Their sum may be above the capacity; it is earned and spent bit by bit.
    const missing = this.#room.tokens() + tokens - this.#level.tokens(nowMs);
    return missing <= 0 ? 0 : (missing / this.#level.ratePerSecond) * 1000;
  }

  /**
   * Changes rate, capacity or both from now on. The balance stays, up to the new capacity; those who wait are served at
   * the new rate, and refused with `ERR_TOKEN_BUCKET_NEVER` if they wait for what can no longer come.
   */
  reconfigure(change: { readonly ratePerSecond?: number; readonly capacity?: number }): void {
    this.#level.reconfigure(checkOptions("reconfigure", change, { ratePerSecond: 0, capacity: 0 }), this.clock());
    this.#room.reconsider();
  }

  stats(): TokenBucketStats {
    return {
      tokens: this.#level.tokens(this.clock()),
      capacity: this.#level.capacity,
      ratePerSecond: this.#level.ratePerSecond,
      waiting: this.#room.length,
      taken: this.#taken + this.#room.admitted,
      refused: this.#refused + this.#room.refused,
    };
  }

  /** Refuses those who wait with `ERR_TOKEN_BUCKET_CLOSED`, and every take from now on. May be called twice. */
  close(): void {
    this.#room.close();
  }

  [Symbol.asyncDispose](): Promise<void> {
    this.close();
    return Promise.resolve();
  }

  #serve(waiter: Waiter): number {
    const nowMs = this.clock();
    return this.#level.tryTake(waiter.tokens, nowMs) ? 0 : this.#level.msUntil(waiter.tokens, nowMs);
  }

  /** Asked only of those who could not be served at once. */
  #whyNever(tokens: number): string | undefined {
    const { capacity, ratePerSecond } = this.#level;
    if (tokens > capacity) return `${tokens} tokens were asked for, and the bucket never holds more than ${capacity}`;
    if (ratePerSecond === 0 && !this.#level.has(tokens, this.clock()))
      return `${tokens} tokens were asked for, and ratePerSecond is 0`;
    return undefined;
  }
}
