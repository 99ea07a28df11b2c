import { Random } from "./random.js";

/** A set of operations as three sums of random words: equal sets have equal marks, and others differ but for 1 in 2^96. */
export interface SetMark {
  readonly a: number;
  readonly b: number;
  readonly c: number;
}

export const EMPTY_SET: SetMark = { a: 0, b: 0, c: 0 };

/** One random mark for each operation (Zobrist hashing); the seed is fixed, so that a verdict repeats. */
export function operationMarks(count: number): SetMark[] {
  const random = new Random("linearization");
  const word = (): number => random.int(0x1_0000_0000) | 0;
  return Array.from({ length: count }, () => ({ a: word(), b: word(), c: word() }));
}

/** Adds the operation to the set, or takes it out again. */
export function toggled(set: SetMark, operation: SetMark): SetMark {
  return { a: set.a ^ operation.a, b: set.b ^ operation.b, c: set.c ^ operation.c };
}

interface Seen {
  readonly set: SetMark;
  readonly state: number;
  /** The sets of unknown operations with which this point was reached; none contains another. */
  readonly used: Uint32Array[];
  next: Seen | undefined;
}

const USED_MAX = 64;

/**
 * Where the search has been. A point is the set of completed operations placed so far and the state after them (Lowe's observation:
 * their order does not matter any more). Reached a second time with the same unknown operations spent, or more of them, it cannot lead
 * anywhere new.
 */
export class Memo {
  readonly #seen = new Map<number, Seen>();
  #size = 0;

  /** Visits that were new: what is remembered is at most this. */
  get size(): number {
    return this.#size;
  }

  /** True when the point is new, and remembers it. */
  visit(set: SetMark, state: number, used: Uint32Array): boolean {
    const spread = Math.imul(state + 1, 0x9e3779b1);
    const key = ((set.a ^ spread) >>> 0) * 0x20_0000 + ((set.b ^ spread) >>> 11);
    const first = this.#seen.get(key);
    for (let seen = first; seen !== undefined; seen = seen.next) {
      if (seen.state !== state || seen.set.a !== set.a || seen.set.b !== set.b || seen.set.c !== set.c) continue;
      if (seen.used.some((other) => isSubset(other, used))) return false;
      const kept = seen.used.filter((other) => !isSubset(used, other));
      // Past this many incomparable sets the point is forgotten in part: the search may come again, and loses only time.
      if (kept.length < USED_MAX) kept.push(used);
      seen.used.splice(0, seen.used.length, ...kept);
      this.#size++;
      return true;
    }
    this.#seen.set(key, { set, state, used: [used], next: first });
    this.#size++;
    return true;
  }
}

function isSubset(a: Uint32Array, b: Uint32Array): boolean {
  for (let i = 0; i < a.length; i++) if (((a[i] as number) & ~(b[i] as number)) !== 0) return false;
  return true;
}
