/**
 * Time that passes only when told to: timers and immediates of the process are replaced while `run` is under way, so a minute of traffic takes
 * seconds and every run with one seed is the same. Promises settle between ticks as they do in a real event loop.
 */
export class VirtualTime {
  nowMs = 0;
  #immediates: (() => void)[] = [];
  readonly #due = new Map<number, Set<() => void>>();

  /** Calls `tick` once each millisecond until `untilMs`. */
  async run(untilMs: number, tick: (nowMs: number) => void): Promise<void> {
    const { setTimeout, clearTimeout, setImmediate, clearImmediate } = globalThis;
    const settle = () => new Promise<void>((resolve) => setImmediate(resolve));
    Object.assign(globalThis, {
      setTimeout: (run: () => void, delayMs = 1) => this.at(this.nowMs + Math.max(1, Math.ceil(delayMs)), run),
      clearTimeout: (timer?: { cancel?(): void }) => timer?.cancel?.(),
      setImmediate: (run: () => void) => {
        this.#immediates.push(run);
        return { cancel: () => this.#immediates.splice(this.#immediates.indexOf(run) >>> 0, 1) };
      },
      clearImmediate: (immediate?: { cancel?(): void }) => immediate?.cancel?.(),
    });
    try {
      while (this.nowMs < untilMs) {
        for (const run of this.#due.get(this.nowMs) ?? []) run();
        this.#due.delete(this.nowMs);
        await settle();
        tick(this.nowMs);
        for (let turn = 0; turn < 2; turn++) {
          for (const run of this.#immediates.splice(0)) run();
          await settle();
        }
        this.nowMs++;
      }
    } finally {
      Object.assign(globalThis, { setTimeout, clearTimeout, setImmediate, clearImmediate });
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
