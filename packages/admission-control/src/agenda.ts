import type { Clock, Timer } from "@evenkeel/token-bucket";

/**
 * When the next settlement starts: of all limits, or before that of those which have news. One timer, for whichever comes
 * first; while `hold` is in force none, so that settlements come one after the other.
 */
export class Agenda {
  readonly #now: Clock;
  readonly #timer: Timer;
  readonly #due: (all: boolean) => void;
  #allMs = Number.POSITIVE_INFINITY;
  #newsMs = Number.POSITIVE_INFINITY;
  #held = false;
  #stopped = false;
  #cancel: (() => void) | undefined;
  #timerMs = Number.POSITIVE_INFINITY;

  constructor(now: Clock, timer: Timer, due: (all: boolean) => void) {
    this.#now = now;
    this.#timer = timer;
    this.#due = due;
  }

  /** All limits settle within `delayMs`. */
  all(delayMs: number): void {
    this.#allMs = Math.min(this.#allMs, this.#now() + delayMs);
    this.#arm();
  }

  /** Limits with news settle within `delayMs`. */
  news(delayMs: number): void {
    this.#newsMs = Math.min(this.#newsMs, this.#now() + delayMs);
    this.#arm();
  }

  /** A settlement starts, of all limits or of those with news: what was due for them is being done. */
  hold(all: boolean): void {
    this.#unschedule();
    this.#held = true;
    this.#newsMs = Number.POSITIVE_INFINITY;
    if (all) this.#allMs = Number.POSITIVE_INFINITY;
  }

  /** It is over. */
  release(): void {
    this.#held = false;
    this.#arm();
  }

  stop(): void {
    this.#stopped = true;
    this.#unschedule();
  }

  #arm(): void {
    if (this.#held || this.#stopped) return;
    const dueMs = Math.min(this.#allMs, this.#newsMs);
    if (dueMs === Number.POSITIVE_INFINITY || (this.#cancel !== undefined && this.#timerMs <= dueMs)) return;
    this.#unschedule();
    this.#timerMs = dueMs;
    this.#cancel = this.#timer(Math.max(0, dueMs - this.#now()), () => {
      this.#cancel = undefined;
      this.#due(dueMs >= this.#allMs);
    });
  }

  #unschedule(): void {
    this.#cancel?.();
    this.#cancel = undefined;
  }
}
