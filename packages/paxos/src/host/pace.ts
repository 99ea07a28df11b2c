/** How many bytes of snapshots a node sends a second, over all its groups: they must not take the log's share of link and disk. */
export class Pace {
  readonly #bytesPerSecondMax: number;
  readonly #now: () => number;
  #freeAtMs = 0;
  readonly #timers = new Set<NodeJS.Timeout>();

  constructor(bytesPerSecondMax: number, now: () => number) {
    this.#bytesPerSecondMax = bytesPerSecondMax;
    this.#now = now;
  }

  /** Calls `send` when these bytes may go: at once when nothing went for a while. */
  pass(bytes: number, send: () => void): void {
    const nowMs = this.#now();
    const waitMs = this.#freeAtMs - nowMs;
    this.#freeAtMs = Math.max(this.#freeAtMs, nowMs) + (bytes / this.#bytesPerSecondMax) * 1000;
    if (waitMs <= 1) {
      send();
      return;
    }
    const timer = setTimeout(() => {
      this.#timers.delete(timer);
      send();
    }, waitMs);
    timer.unref();
    this.#timers.add(timer);
  }

  close(): void {
    for (const timer of this.#timers) clearTimeout(timer);
    this.#timers.clear();
  }
}
