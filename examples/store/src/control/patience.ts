const SHORTEST_MS = 100;
const LONGEST_MS = 5_000;
/** Who went on for this long before it failed is begun again without patience. */
const STEADY_AFTER_MS = 10_000;

/** How long a node that has failed waits before it is begun again: twice as long each time, 5 s at most. */
export class Patience {
  #begunAtMs = 0;
  #delayMs = SHORTEST_MS;

  /** It begins now. */
  begins(): void {
    this.#begunAtMs = performance.now();
  }

  /** It has failed: the milliseconds to wait. */
  failed(): number {
    const wasSteady = performance.now() - this.#begunAtMs > STEADY_AFTER_MS;
    this.#delayMs = wasSteady ? SHORTEST_MS : Math.min(this.#delayMs * 2, LONGEST_MS);
    return this.#delayMs;
  }
}
