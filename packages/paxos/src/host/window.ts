export interface WindowBounds {
  readonly first: number;
  readonly min: number;
  readonly max: number;
  /** What fails within as much time fails for one reason. */
  readonly patienceMs: number;
}

/** How many may be under way at once, found out as TCP finds its window: one more for each that succeeds, half as many when one failed. */
export class Window {
  readonly #bounds: WindowBounds;
  #size: number;
  #narrowedMs = Number.NEGATIVE_INFINITY;

  constructor(bounds: WindowBounds) {
    this.#bounds = bounds;
    this.#size = bounds.first;
  }

  get size(): number {
    return this.#size;
  }

  succeeded(): void {
    this.#size = Math.min(this.#bounds.max, this.#size + 1);
  }

  failed(nowMs: number): void {
    const { min, patienceMs } = this.#bounds;
    if (nowMs - this.#narrowedMs < patienceMs) return;
    this.#narrowedMs = nowMs;
    this.#size = Math.max(min, this.#size >> 1);
  }
}
