import type { ScheduleClock } from "@evenkeel/scrubber";

const ASLEEP_MS_MAX = 10_000;

interface Sleeper {
  readonly dueMs: number;
  readonly wake: () => void;
}

/** A schedule's time, which stands still while it is paused: what runs by it goes on afterwards as if nothing had been, at the same pace. */
export class PausableClock implements ScheduleClock {
  readonly #sleepers = new Set<Sleeper>();
  #offsetMs = 0;
  #pausedAtMs: number | undefined;
  #timer: NodeJS.Timeout | undefined;
  #asleep: (() => void) | undefined;

  nowMs(): number {
    return (this.#pausedAtMs ?? performance.now()) + this.#offsetMs;
  }

  wallMs(): number {
    return Date.now();
  }

  async sleep(ms: number, signal: AbortSignal): Promise<void> {
    signal.throwIfAborted();
    let wake = (): void => {};
    const woken = new Promise<void>((resolve) => {
      wake = resolve;
    });
    const sleeper: Sleeper = { dueMs: this.nowMs() + ms, wake };
    this.#sleepers.add(sleeper);
    signal.addEventListener("abort", wake, { once: true });
    this.#asleep?.();
    this.#arm();
    await woken;
    signal.removeEventListener("abort", wake);
    this.#sleepers.delete(sleeper);
    signal.throwIfAborted();
  }

  /** Resolves when whoever goes by this clock has come to the end of what it was at, and sleeps; time stands still from then on. Rejects where that takes too long. */
  async pause(): Promise<void> {
    if (this.#pausedAtMs !== undefined) return;
    if (this.#sleepers.size === 0) {
      await new Promise<void>((resolve, reject) => {
        const late = () => reject(new Error(`who goes by this clock did not sleep within ${ASLEEP_MS_MAX / 1000} s`));
        const timer = setTimeout(late, ASLEEP_MS_MAX);
        this.#asleep = () => {
          clearTimeout(timer);
          resolve();
        };
      });
    }
    this.#asleep = undefined;
    this.#pausedAtMs = performance.now();
    clearTimeout(this.#timer);
  }

  resume(): void {
    if (this.#pausedAtMs === undefined) return;
    this.#offsetMs += this.#pausedAtMs - performance.now();
    this.#pausedAtMs = undefined;
    this.#arm();
  }

  /** So much of its time is over at once. */
  skip(ms: number): void {
    this.#offsetMs += ms;
    this.#arm();
  }

  #arm(): void {
    clearTimeout(this.#timer);
    if (this.#pausedAtMs !== undefined) return;
    const now = this.nowMs();
    let next = Number.POSITIVE_INFINITY;
    for (const sleeper of this.#sleepers) {
      if (sleeper.dueMs > now) next = Math.min(next, sleeper.dueMs);
      else sleeper.wake();
    }
    if (next !== Number.POSITIVE_INFINITY) this.#timer = setTimeout(() => this.#arm(), next - now);
  }
}
