import type { StreamTable } from "./core/stream-table.js";

/** Looked at in one go: about a millisecond. */
const atOnceMax = 1000;
const betweenMs = 10;

/**
 * Puts to rest who has not been used for a while. Nobody is looked at while nobody is in use; a log of a million quiet streams has no timer. What a
 * busy log's thousands of streams take is a few looks a second.
 */
export class Packing {
  readonly #table: StreamTable;
  readonly #afterMs: number;
  #timer: NodeJS.Timeout | undefined;
  /** Left of this round. */
  #left = 0;
  #stopped = false;

  constructor(table: StreamTable, afterMs: number) {
    this.#table = table;
    this.#afterMs = afterMs;
  }

  /** A stream may have come into use, or have become quiet. */
  consider(): void {
    if (this.#afterMs === 0) this.#table.rest(this.#table.awake, false);
    else if (this.#timer === undefined && this.#table.awake > 0 && !this.#stopped) this.#in(this.#afterMs);
  }

  stop(): void {
    this.#stopped = true;
    clearTimeout(this.#timer);
  }

  #in(ms: number): void {
    this.#timer = setTimeout(() => this.#some(), ms);
    this.#timer.unref();
  }

  #some(): void {
    this.#timer = undefined;
    if (this.#left === 0) this.#left = this.#table.awake;
    const count = Math.min(atOnceMax, this.#left);
    this.#table.rest(count);
    this.#left -= count;
    if (this.#left > 0) this.#in(betweenMs);
    else this.consider();
  }
}
