import { exact, toNumber } from "./oracle.js";

const FRACTION_BITS = 240n;

/**
 * Provisioned and saved tokens as one says them: what flows in is poured into the first until it is full, and what is
 * left into the second. In exact arithmetic, thousandths of a token counted in 2^-240.
 */
export class BurstOracle {
  #rate: bigint;
  #capacity: bigint;
  #savedMax: bigint;
  provisioned: bigint;
  saved = 0n;
  #last: bigint;

  constructor(ratePerSecond: number, capacity: number, savedMax: number, nowMs: number) {
    this.#rate = exact(ratePerSecond);
    this.#capacity = exact(capacity) * 1000n;
    this.#savedMax = exact(savedMax) * 1000n;
    this.provisioned = this.#capacity;
    this.#last = exact(nowMs);
  }

  at(nowMs: number): void {
    const now = exact(nowMs);
    if (now > this.#last) this.pour(((now - this.#last) * this.#rate) >> FRACTION_BITS);
    this.#last = now;
  }

  pour(amount: bigint): void {
    this.provisioned += amount;
    const over = this.provisioned - this.#capacity;
    if (over <= 0n) return;
    this.provisioned = this.#capacity;
    this.saved += over;
    if (this.saved > this.#savedMax) this.saved = this.#savedMax;
  }

  /** How many tokens short of `tokens` it is, provisioned ones alone and with those saved; negative when there are more. */
  missing(tokens: number): { provisioned: number; both: number } {
    const cost = exact(tokens) * 1000n;
    return {
      provisioned: toNumber(cost - this.provisioned) / 1000,
      both: toNumber(cost - this.provisioned - this.saved) / 1000,
    };
  }

  takeProvisioned(tokens: number): void {
    this.provisioned -= exact(tokens) * 1000n;
  }

  takeBoth(tokens: number): void {
    let rest = exact(tokens) * 1000n;
    if (this.provisioned > 0n) {
      rest -= this.provisioned;
      this.provisioned = 0n;
    }
    this.saved -= rest;
  }
}
