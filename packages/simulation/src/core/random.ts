import { badArgument } from "./errors.js";

/**
 * The only source of chance in a simulated world: xoshiro128** (Blackman and Vigna), seeded through splitmix32.
 *
 * Not for secrets. The stream is part of the contract: a seed printed by a failing test must replay on the next version of Node.
 */
export class Random {
  readonly seed: string;
  #a: number;
  #b: number;
  #c: number;
  #d: number;

  constructor(seed: number | string) {
    if (typeof seed !== "string" && !Number.isFinite(seed))
      throw badArgument("seed", "a finite number or a string", seed);
    this.seed = String(seed);
    let state = hashText(this.seed);
    const splitmix = (): number => {
      state = (state + 0x9e3779b9) | 0;
      let z = Math.imul(state ^ (state >>> 16), 0x21f0aaad);
      z = Math.imul(z ^ (z >>> 15), 0x735a2d97);
      return z ^ (z >>> 15);
    };
    this.#a = splitmix();
    this.#b = splitmix();
    this.#c = splitmix();
    this.#d = splitmix() | 1; // never the all-zero state, from which the generator cannot leave
  }

  /** A whole number of 32 bits, uniform. */
  #bits(): number {
    const product = Math.imul(this.#b, 5);
    const result = Math.imul((product << 7) | (product >>> 25), 9);
    const shifted = this.#b << 9;
    this.#c ^= this.#a;
    this.#d ^= this.#b;
    this.#b ^= this.#c;
    this.#a ^= this.#d;
    this.#c ^= shifted;
    this.#d = (this.#d << 11) | (this.#d >>> 21);
    return result >>> 0;
  }

  /** Uniform in [0, 1), in steps of 2^-32. */
  next(): number {
    return this.#bits() / 0x1_0000_0000;
  }

  /** A whole number in [0, n), for n from 1 to 2^32. */
  int(n: number): number {
    if (!Number.isInteger(n) || n < 1 || n > 0x1_0000_0000) throw badArgument("n", "an integer from 1 to 2^32", n);
    return Math.floor(this.next() * n);
  }

  /** Uniform in [min, max); `min` itself when both are equal. */
  between(min: number, max: number): number {
    return min + this.next() * (max - min);
  }

  /** True with probability `p`. Draws even for 0 and 1, so that changing a chance does not shift what comes after it. */
  chance(p: number): boolean {
    return this.next() < p;
  }

  pick<T>(from: readonly T[]): T {
    if (from.length === 0) throw badArgument("from", "a non-empty array", "[]");
    return from[this.int(from.length)] as T;
  }

  /** A shuffled copy (Fisher-Yates). */
  shuffle<T>(from: readonly T[]): T[] {
    const copy = [...from];
    for (let i = copy.length - 1; i > 0; i--) {
      const j = this.int(i + 1);
      const held = copy[i] as T;
      copy[i] = copy[j] as T;
      copy[j] = held;
    }
    return copy;
  }

  /**
   * A stream of its own that depends on this one's seed and on `label` alone, not on how much was drawn: one more message on the
   * network leaves the workload's choices as they were.
   */
  fork(label: string): Random {
    return new Random(`${this.seed}/${label}`);
  }
}

/** FNV-1a over the text's UTF-16 units. */
function hashText(text: string): number {
  let hash = 0x811c9dc5;
  for (let i = 0; i < text.length; i++) hash = Math.imul(hash ^ text.charCodeAt(i), 0x01000193);
  return hash;
}
