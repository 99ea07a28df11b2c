import { DELAY_MAX_MS } from "./clock.js";
import { TokenBucketError, type TokenBucketErrorCode } from "./core/errors.js";
import type { Timer } from "./core/time.js";
import { type Waiter, WaitingLine } from "./core/waiting-line.js";

/** What the bucket does for those who wait in front of it. */
export interface WaitingRoomHost<W extends Waiter> {
  /**
   * Charges what the first in line asks for, and answers 0; or answers in how many milliseconds it is worth asking
   * again, `Infinity` for never.
   */
  serve(waiter: W): number;
  /** Told whenever it changes: nobody waits and it is not closed, so who comes now may be served at once. */
  idle(idle: boolean): void;
  /** Why it can never be served, for people; undefined when it can. */
  whyNever(waiter: W): string | undefined;
}

/** Those who wait for a bucket's tokens, first come, first served, each with its signal; and the one timer for them. */
export class WaitingRoom<W extends Waiter> {
  readonly #host: WaitingRoomHost<W>;
  readonly #timer: Timer;
  readonly #waitersMax: number;
  readonly #line = new WaitingLine<W>();
  #cancelTimer: (() => void) | undefined;
  #admitted = 0;
  #refused = 0;
  #closed = false;

  constructor(host: WaitingRoomHost<W>, timer: Timer, waitersMax: number) {
    this.#host = host;
    this.#timer = timer;
    this.#waitersMax = waitersMax;
  }

  get length(): number {
    return this.#line.length;
  }

  get closed(): boolean {
    return this.#closed;
  }

  get admitted(): number {
    return this.#admitted;
  }

  /** Those turned away at the door, and those who left or were sent away later. */
  get refused(): number {
    return this.#refused;
  }

  /** The tokens that all of them wait for. */
  tokens(): number {
    return this.#line.tokens();
  }

  /** Joins the line; resolves when served. The room adds `admit` and `fail` to what the waiter asks for. */
  async wait(asked: Omit<W, "admit" | "fail">, signal: AbortSignal | undefined): Promise<void> {
    if (this.#closed) throw this.refuse("ERR_TOKEN_BUCKET_CLOSED", "the bucket is closed");
    const why = this.#host.whyNever(asked as W);
    if (why !== undefined) throw this.refuse("ERR_TOKEN_BUCKET_NEVER", why);
    if (this.#line.length >= this.#waitersMax) {
      const message = `${this.#line.length} callers wait already; waitersMax is ${this.#waitersMax}`;
      throw this.refuse("ERR_TOKEN_BUCKET_QUEUE_FULL", message);
    }
    await new Promise<void>((resolve, reject) => {
      const onAbort = () => {
        this.#remove(waiter);
        waiter.fail(signal?.reason);
        // It may have stood in the way of a smaller request behind it.
        this.serve();
      };
      const waiter = {
        ...asked,
        admit: () => {
          signal?.removeEventListener("abort", onAbort);
          this.#admitted += 1;
          resolve();
        },
        fail: (reason: unknown) => {
          signal?.removeEventListener("abort", onAbort);
          this.#refused += 1;
          reject(reason as Error);
        },
      } as W;
      signal?.addEventListener("abort", onAbort, { once: true });
      this.#line.push(waiter);
      this.#host.idle(false);
      if (this.#line.length === 1) this.serve();
    });
  }

  /** Admits from the front whoever can be, and sees to it that this is called again when the next one can. */
  serve(): void {
    this.#cancelTimer?.();
    this.#cancelTimer = undefined;
    for (let waiter = this.#line.first; waiter !== undefined; waiter = this.#line.first) {
      const waitMs = this.#host.serve(waiter);
      // Whatever is not 0 has charged nothing, also what a node of somebody's own makes of it.
      if (waitMs !== 0) {
        const why = waitMs < Number.POSITIVE_INFINITY ? undefined : this.#host.whyNever(waiter);
        if (why === undefined) {
          // Longer waits than a timer can hold are slept in pieces; a timer that fires early finds nothing and sleeps
          // again.
          this.#cancelTimer = this.#timer(Math.max(1, Math.min(waitMs, DELAY_MAX_MS)), () => this.serve());
          return;
        }
        this.#remove(waiter);
        waiter.fail(new TokenBucketError("ERR_TOKEN_BUCKET_NEVER", why));
        continue;
      }
      this.#remove(waiter);
      waiter.admit();
    }
  }

  /** After a change: sends away, wherever they stand, those who wait for what can no longer come; serves the others. */
  reconsider(): void {
    for (const waiter of this.#line.toArray()) {
      const why = this.#host.whyNever(waiter);
      if (why === undefined) continue;
      this.#remove(waiter);
      waiter.fail(new TokenBucketError("ERR_TOKEN_BUCKET_NEVER", why));
    }
    this.serve();
  }

  /** Counts a refusal, and makes the error for it. */
  refuse(code: TokenBucketErrorCode, message: string): TokenBucketError {
    this.#refused += 1;
    return new TokenBucketError(code, message);
  }

  /** Sends everybody away with `ERR_TOKEN_BUCKET_CLOSED`. */
  close(): void {
    this.#closed = true;
    this.#host.idle(false);
    this.#cancelTimer?.();
    this.#cancelTimer = undefined;
    for (const waiter of this.#line.toArray()) {
      this.#remove(waiter);
      waiter.fail(new TokenBucketError("ERR_TOKEN_BUCKET_CLOSED", "the bucket was closed while this caller waited"));
    }
  }

  #remove(waiter: W): void {
    this.#line.remove(waiter);
    this.#host.idle(this.#line.length === 0 && !this.#closed);
  }
}
