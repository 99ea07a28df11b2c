/** Time that passes only when everybody waits for it: a clock and timers for code that takes them as arguments. */
export class Timeline {
  #nowMs = 1000;
  #timers = new Set<{ readonly atMs: number; readonly fire: () => void }>();
  /** Every delay that was asked for, in order. */
  readonly delays: number[] = [];

  readonly now = (): number => this.#nowMs;

  readonly timer = (delayMs: number, fire: () => void): (() => void) => {
    this.delays.push(delayMs);
    const timer = { atMs: this.#nowMs + delayMs, fire };
    this.#timers.add(timer);
    return () => this.#timers.delete(timer);
  };

  get pending(): number {
    return this.#timers.size;
  }

  /** Runs until `work` has settled, leaping to the next timer whenever nothing else is left to do. */
  async run<T>(work: Promise<T>): Promise<T> {
    let settled = false;
    const done = () => {
      settled = true;
    };
    void work.then(done, done);
    while (!settled) {
      await quiet();
      if (!settled) this.leap();
    }
    return work;
  }

  /** To the next timer, which fires. */
  leap(): void {
    const [next] = [...this.#timers].sort((a, b) => a.atMs - b.atMs);
    if (next === undefined) throw new Error("everybody waits, and nobody for a timer");
    this.#timers.delete(next);
    this.#nowMs = Math.max(this.#nowMs, next.atMs);
    next.fire();
  }
}

/** Whatever can go on without time has gone on. */
export function quiet(): Promise<void> {
  return new Promise((resolve) => setImmediate(resolve));
}
