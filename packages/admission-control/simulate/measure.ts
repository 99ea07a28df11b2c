import type { LimitOptions } from "../src/index.js";

export interface Measures {
  /** The most that any second, and any ten, let through above what one bucket of the whole size would have: part of the limit. */
  readonly overshoot1s: number;
  readonly overshoot10s: number;
  /** Admitted, of what the demand and the limit allowed. */
  readonly use: number;
  /** Jain's index of what each member got in proportion to its max-min fair part; 1 is fair. */
  readonly jain: number;
  readonly messagesPerSecond: number;
  /** Admitted in each second, as a part of the limit. */
  readonly perSecond: readonly number[];
}

/**
 * Overshoot is held against one bucket of the limit's size that is charged with what the fleet admitted: a span of time may let
 * through its flow and what that bucket held when the span began. What goes beyond is overshoot.
 */
export class Meter {
  readonly #limit: LimitOptions;
  readonly #tickMs: number;
  readonly #admitted: number[] = [];
  readonly #saved: number[] = [];
  #level: number;
  #possible = 0;
  #counted = 0;

  constructor(limit: LimitOptions, tickMs: number) {
    this.#limit = limit;
    this.#tickMs = tickMs;
    this.#level = limit.ratePerSecond * limit.burstSeconds;
  }

  tick(admitted: number, demandPerSecond: number, counts: boolean): void {
    const perTick = (this.#limit.ratePerSecond * this.#tickMs) / 1000;
    this.#saved.push(Math.max(0, this.#level));
    this.#admitted.push(admitted);
    const capacity = this.#limit.ratePerSecond * this.#limit.burstSeconds;
    this.#level = Math.min(capacity, this.#level + perTick - admitted);
    if (!counts) return;
    this.#possible += Math.min(perTick, (demandPerSecond * this.#tickMs) / 1000);
    this.#counted += admitted;
  }

  use(): number {
    return this.#possible > 0 ? this.#counted / this.#possible : 1;
  }

  overshoot(spanMs: number): number {
    const ticks = Math.round(spanMs / this.#tickMs);
    const flow = (this.#limit.ratePerSecond * spanMs) / 1000;
    let sum = 0;
    let worst = 0;
    for (let end = 0; end < this.#admitted.length; end += 1) {
      sum += this.#admitted[end] as number;
      const start = end - ticks + 1;
      if (start < 0) continue;
      worst = Math.max(worst, sum - flow - (this.#saved[start] as number));
      sum -= this.#admitted[start] as number;
    }
    return worst / flow;
  }

  perSecond(): number[] {
    const ticks = Math.round(1000 / this.#tickMs);
    const seconds: number[] = [];
    for (let start = 0; start < this.#admitted.length; start += ticks) {
      const sum = this.#admitted.slice(start, start + ticks).reduce((total, count) => total + count, 0);
      seconds.push(sum / this.#limit.ratePerSecond);
    }
    return seconds;
  }
}

/** Jain, Chiu, Hawe 1984. */
export function jainIndex(values: readonly number[]): number {
  const sum = values.reduce((total, value) => total + value, 0);
  const squares = values.reduce((total, value) => total + value * value, 0);
  return squares > 0 ? (sum * sum) / (values.length * squares) : 1;
}
