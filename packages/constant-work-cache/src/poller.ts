import { channel } from "node:diagnostics_channel";
import { CacheError } from "./errors.js";
import { bad, checkOptions, integer } from "./options.js";

export interface PollerOptions<T> {
  /**
   * Fetches everything, whether or not anything changed. Asked once a period and never twice at a time; `signal` aborts at `timeoutMs` and on
   * `close()`. What it returns is handed out as it is: make it immutable.
   */
  readonly fetchAll: (context: { readonly signal: AbortSignal }) => Promise<T> | T;
  /** From the beginning of one call to that of the next, in milliseconds; 1 to 2^31 - 1. */
  readonly periodMs: number;
  /** How long a call may take; 1 to `periodMs`. Default `periodMs`, so that the next one is never late. */
  readonly timeoutMs?: number;
  /**
   * A number that never falls at the source. A state with a lower one than is held (from a source that lags) is not taken. Without it each state
   * that arrives is taken.
   */
  readonly versionOf?: (state: T) => number;
  /** Milliseconds on a clock that does not go back; only the age is told by it. Default `performance.now`. */
  readonly now?: () => number;
}

const names: Record<keyof PollerOptions<unknown>, 0> = { fetchAll: 0, periodMs: 0, timeoutMs: 0, versionOf: 0, now: 0 };

export interface PollerStats {
  readonly polls: number;
  readonly failed: number;
  /** Calls that ended at `timeoutMs`; part of `failed`. */
  readonly timedOut: number;
  /** States older than the one held, not taken. */
  readonly staleStates: number;
  /** Time since the source last confirmed what is held, in milliseconds; undefined before the first state. */
  readonly ageMs: number | undefined;
}

interface Poll {
  readonly controller: AbortController;
  timer: NodeJS.Timeout | undefined;
}

const pollFailed = channel("evenkeel:constant-work-cache:poll-failed");

/**
 * The cache's sibling for configuration: fetches the whole state on a fixed period, whether or not anything changed, so that the day on which
 * everything changes costs what every day costs ("Reliability, constant work, and a good cup of coffee", Amazon Builders' Library). A failure
 * changes nothing but the age: the last good state is kept, and the next call comes when it would have come anyway, without retries and without
 * a backlog.
 */
export class ConstantWorkPoller<T> {
  readonly #fetchAll: PollerOptions<T>["fetchAll"];
  readonly #versionOf: ((state: T) => number) | undefined;
  readonly #timeoutMs: number;
  readonly #now: () => number;
  readonly #interval: NodeJS.Timeout;
  readonly #waiting = new Set<{ resolve(state: T): void; reject(error: unknown): void }>();
  #running: Poll | undefined;
  #held: { readonly state: T; readonly version: number } | undefined;
  #confirmedAtMs = 0;
  #closed = false;
  #polls = 0;
  #failed = 0;
  #timedOut = 0;
  #stale = 0;

  /** Makes its first call at the end of this turn. @throws CacheError `ERR_CACHE_ARGUMENT` for an option out of its range. */
  constructor(options: PollerOptions<T>) {
    options = checkOptions("ConstantWorkPoller", options, names);
    if (typeof options.fetchAll !== "function") throw bad("fetchAll", "a function", options.fetchAll);
    const { versionOf, now } = options;
    if (versionOf !== undefined && typeof versionOf !== "function") throw bad("versionOf", "a function", versionOf);
    if (now !== undefined && typeof now !== "function") throw bad("now", "a function", now);
    const periodMs = integer("periodMs", options.periodMs, 1, 2 ** 31 - 1);
    this.#timeoutMs = integer("timeoutMs", options.timeoutMs ?? periodMs, 1, periodMs);
    this.#fetchAll = options.fetchAll;
    this.#versionOf = versionOf;
    this.#now = now ?? (() => performance.now());
    setImmediate(() => this.#poll()).unref();
    this.#interval = setInterval(() => this.#poll(), periodMs).unref();
  }

  /** The last good state; undefined before the first one. Never waits. */
  get current(): T | undefined {
    return this.#held?.state;
  }

  /** Time since the source last confirmed `current`, in milliseconds; undefined before the first state. How old is too old is the caller's to say. */
  get ageMs(): number | undefined {
    return this.#held === undefined ? undefined : Math.max(0, this.#now() - this.#confirmedAtMs);
  }

  /**
   * The last good state, or the first one as soon as it comes; failed calls do not end the wait.
   * @param options `signal` ends the wait with its reason.
   * @throws CacheError `ERR_CACHE_CLOSED`
   */
  async ready(options: { readonly signal?: AbortSignal | undefined } = {}): Promise<T> {
    const { signal } = checkOptions("ready", options, { signal: 0 });
    signal?.throwIfAborted();
    if (this.#closed) throw new CacheError("ERR_CACHE_CLOSED", "the poller is closed");
    if (this.#held !== undefined) return this.#held.state;
    let aborted: (() => void) | undefined;
    let waiter: { resolve(state: T): void; reject(error: unknown): void } | undefined;
    try {
      return await new Promise<T>((resolve, reject) => {
        waiter = { resolve, reject };
        this.#waiting.add(waiter);
        aborted = () => reject(signal?.reason);
        signal?.addEventListener("abort", aborted, { once: true });
      });
    } finally {
      if (waiter !== undefined) this.#waiting.delete(waiter);
      if (aborted !== undefined) signal?.removeEventListener("abort", aborted);
    }
  }

  stats(): PollerStats {
    return {
      polls: this.#polls,
      failed: this.#failed,
      timedOut: this.#timedOut,
      staleStates: this.#stale,
      ageMs: this.ageMs,
    };
  }

  /** Ends the calls; `current` stays what it was. May be called again. */
  close(): void {
    if (this.#closed) return;
    this.#closed = true;
    clearInterval(this.#interval);
    const error = new CacheError("ERR_CACHE_CLOSED", "the poller is closed");
    const poll = this.#running;
    if (poll !== undefined && this.#finish(poll)) poll.controller.abort(error);
    for (const waiter of this.#waiting) waiter.reject(error);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.close();
  }

  #poll(): void {
    if (this.#closed) return;
    // The one before is due to time out in this very turn: two calls at a time would be twice the work on a bad day.
    if (this.#running !== undefined) this.#timeOut(this.#running);
    const poll: Poll = { controller: new AbortController(), timer: undefined };
    this.#running = poll;
    this.#polls++;
    // After a stall of the event loop the answer may lie in the socket already: give it one turn.
    poll.timer = setTimeout(() => setImmediate(() => this.#timeOut(poll)), this.#timeoutMs).unref();
    new Promise<T>((resolve) => resolve(this.#fetchAll({ signal: poll.controller.signal }))).then(
      (state) => this.#arrived(poll, state),
      (cause: unknown) => this.#fail(poll, cause),
    );
  }

  #arrived(poll: Poll, state: T): void {
    let version = 0;
    try {
      version = this.#versionOf?.(state) ?? 0;
      if (state === undefined || !Number.isFinite(version)) {
        throw new CacheError("ERR_CACHE_SOURCE", `fetchAll must give a state with a finite version, not ${version}`);
      }
    } catch (cause) {
      this.#fail(poll, cause);
      return;
    }
    if (!this.#finish(poll)) return;
    if (this.#held !== undefined && version < this.#held.version) {
      this.#stale++;
      return;
    }
    this.#held = { state, version };
    this.#confirmedAtMs = this.#now();
    for (const waiter of this.#waiting) waiter.resolve(state);
  }

  #timeOut(poll: Poll): void {
    const error = new CacheError("ERR_CACHE_TIMEOUT", `the source did not answer in ${this.#timeoutMs} ms`);
    if (!this.#fail(poll, error)) return;
    this.#timedOut++;
    poll.controller.abort(error);
  }

  #fail(poll: Poll, cause: unknown): boolean {
    if (!this.#finish(poll)) return false;
    this.#failed++;
    if (pollFailed.hasSubscribers) pollFailed.publish({ error: cause, ageMs: this.ageMs });
    return true;
  }

  /** Whether this call still counted. */
  #finish(poll: Poll): boolean {
    if (this.#running !== poll) return false;
    this.#running = undefined;
    clearTimeout(poll.timer);
    return true;
  }
}
