const PERIOD_MS = 1_000;
/** While something is on its way. */
const BUSY_PERIOD_MS = 50;

/** For tests, which have background work begin early, late, or all at once: when some is due, where it is planned after so many milliseconds. */
export const untimely: { due: (plannedMs: number) => number } = { due: (plannedMs) => plannedMs };

/** Does the same work again and again, never twice at once. A round that fails is followed by the next one. */
export class Rounds {
  readonly #work: () => Promise<boolean>;
  #timer: NodeJS.Timeout | undefined;
  #running: Promise<void> | undefined;
  #closed = false;
  #lastFailure: unknown;

  /** @param work resolves true when there is more to do soon */
  constructor(work: () => Promise<boolean>) {
    this.#work = work;
    this.#sleep(PERIOD_MS);
  }

  /** Why the last round failed, if it did. */
  get lastFailure(): unknown {
    return this.#lastFailure;
  }

  /** Something changed: look now instead of at the next turn. */
  wake(): void {
    this.#sleep(0);
  }

  #sleep(delayMs: number): void {
    clearTimeout(this.#timer);
    if (!this.#closed) this.#timer = setTimeout(() => this.#round(), untimely.due(delayMs)).unref();
  }

  #round(): void {
    this.#running ??= this.#work()
      .then(
        (busy) => {
          this.#lastFailure = undefined;
          return busy;
        },
        (error: unknown) => {
          this.#lastFailure = error;
          return false;
        },
      )
      .then((busy) => {
        this.#running = undefined;
        this.#sleep(busy ? BUSY_PERIOD_MS : PERIOD_MS);
      });
  }

  async close(): Promise<void> {
    this.#closed = true;
    clearTimeout(this.#timer);
    await this.#running;
  }
}
