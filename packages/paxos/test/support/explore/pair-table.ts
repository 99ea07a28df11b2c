/** A number for a pair of numbers, in flat memory: what is looked up once for every step of an exploration. */
export class PairTable {
  #slots = new Int32Array(3 << 16);
  #mask = (1 << 16) - 1;
  #size = 0;

  /** -1 where there is none. */
  get(a: number, b: number): number {
    const slots = this.#slots;
    let at = hash(a, b) & this.#mask;
    for (;;) {
      const value = slots[3 * at + 2] as number;
      if (value === 0) return -1;
      if (slots[3 * at] === a && slots[3 * at + 1] === b) return value - 1;
      at = (at + 1) & this.#mask;
    }
  }

  /** Only where there is none; `value` from 0 on. */
  set(a: number, b: number, value: number): void {
    if (2 * ++this.#size > this.#mask) this.#grow();
    this.#put(a, b, value + 1);
  }

  #put(a: number, b: number, value: number): void {
    let at = hash(a, b) & this.#mask;
    while (this.#slots[3 * at + 2] !== 0) at = (at + 1) & this.#mask;
    this.#slots.set([a, b, value], 3 * at);
  }

  #grow(): void {
    const old = this.#slots;
    this.#mask = 2 * this.#mask + 1;
    this.#slots = new Int32Array(3 * (this.#mask + 1));
    for (let i = 0; i < old.length; i += 3) {
      if (old[i + 2] !== 0) this.#put(old[i] as number, old[i + 1] as number, old[i + 2] as number);
    }
  }
}

/** Numbers for pairs of numbers, from 0. */
export class PairNumbers {
  readonly #table = new PairTable();
  #count = 0;

  number(a: number, b: number): number {
    const known = this.#table.get(a, b);
    if (known >= 0) return known;
    this.#table.set(a, b, this.#count);
    return this.#count++;
  }
}

function hash(a: number, b: number): number {
  const h = Math.imul(a, 0x9e3779b1) ^ Math.imul(b, 0x85ebca6b);
  return h ^ (h >>> 15);
}
