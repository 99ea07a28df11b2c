/** An even moment, so that what counts from `Date.now` is the same in every run. */
const epochMs = Date.UTC(2025, 0, 1);

/**
 * Time that passes only when told to: from `takeOver` on, timers, immediates and `Date.now` of the process are replaced, so a minute of traffic takes
 * seconds and every run with one seed is the same. Promises settle between ticks as they do in a real event loop.
 */
export class VirtualTime {
  nowMs = 0;
  #immediates: (() => void)[] = [];
  readonly #due = new Map<number, Set<() => void>>();

  #settle: () => Promise<void> = async () => {};

  /** @returns what gives the process its own time back. */
  takeOver(): () => void {
    const { setTimeout, clearTimeout, setImmediate, clearImmediate } = globalThis;
    const { now } = Date;
    this.#settle = () => new Promise<void>((resolve) => setImmediate(resolve));
    Date.now = () => epochMs + this.nowMs;
    Object.assign(globalThis, {
      setTimeout: (run: () => void, delayMs = 1) => this.at(this.nowMs + Math.max(1, Math.ceil(delayMs)), run),
      clearTimeout: (timer?: { cancel?(): void }) => timer?.cancel?.(),
      setImmediate: (run: () => void) => {
        this.#immediates.push(run);
        return { cancel: () => this.#immediates.splice(this.#immediates.indexOf(run) >>> 0, 1) };
      },
      clearImmediate: (immediate?: { cancel?(): void }) => immediate?.cancel?.(),
    });
    return () => {
      Date.now = now;
      Object.assign(globalThis, { setTimeout, clearTimeout, setImmediate, clearImmediate });
    };
  }

  /** Calls `tick` once each millisecond until `untilMs`. */
  async run(untilMs: number, tick: (nowMs: number) => void): Promise<void> {
    while (this.nowMs < untilMs) {
      for (const run of this.#due.get(this.nowMs) ?? []) run();
      this.#due.delete(this.nowMs);
      await this.#settle();
      tick(this.nowMs);
      for (let turn = 0; turn < 2; turn++) {
        for (const run of this.#immediates.splice(0)) run();
        await this.#settle();
      }
      this.nowMs++;
    }
  }

  /** Runs something at a whole millisecond after this one. */
  at(dueMs: number, run: () => void): { cancel(): void; ref(): unknown; unref(): unknown } {
    const due = this.#due.get(dueMs) ?? new Set();
    this.#due.set(dueMs, due.add(run));
    const timer = { cancel: () => void due.delete(run), ref: () => timer, unref: () => timer };
    return timer;
  }
}
