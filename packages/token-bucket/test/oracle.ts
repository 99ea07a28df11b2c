/** A double as an exact integer count of 2^-FRACTION_BITS; every factor and product in these tests fits. */
const FRACTION_BITS = 240n;

export function exact(value: number): bigint {
  if (!Number.isFinite(value)) throw new RangeError(`${value}`);
  // Multiplying by a power of two loses nothing, and what is an integer then is converted as it is.
  const scaled = value * 2 ** Number(FRACTION_BITS);
  if (Number.isInteger(scaled)) return BigInt(scaled);
  return BigInt(Math.floor(value * 2 ** 1000)) >> (1000n - FRACTION_BITS);
}

export function toNumber(value: bigint): number {
  return Number(value >> (FRACTION_BITS - 60n)) / 2 ** 60;
}

/**
 * The same bucket in exact arithmetic: thousandths of a token, counted in 2^-240. The slow truth that the fast one is
 * held against.
 */
export class Oracle {
  #rate: bigint;
  #capacity: bigint;
  level: bigint;
  #last: bigint;

  constructor(ratePerSecond: number, capacity: number, nowMs: number) {
    this.#rate = exact(ratePerSecond);
    this.#capacity = exact(capacity) * 1000n;
    this.level = this.#capacity;
    this.#last = exact(nowMs);
  }

  at(nowMs: number): bigint {
    const now = exact(nowMs);
    if (now > this.#last) this.#add(((now - this.#last) * this.#rate) >> FRACTION_BITS);
    this.#last = now;
    return this.level;
  }

  spend(tokens: number): void {
    this.level -= exact(tokens) * 1000n;
  }

  refund(tokens: number): void {
    this.#add(exact(tokens) * 1000n);
  }

  reconfigure(ratePerSecond: number, capacity: number): void {
    this.#rate = exact(ratePerSecond);
    this.#capacity = exact(capacity) * 1000n;
    this.#add(0n);
  }

  #add(amount: bigint): void {
    this.level += amount;
    if (this.level > this.#capacity) this.level = this.#capacity;
  }
}
