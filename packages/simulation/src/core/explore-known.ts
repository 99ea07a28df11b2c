const LOAD_MAX = 0.75;

/**
 * The states that were seen, as 64-bit fingerprints in typed arrays, numbered in the order in which they came; and for each the one it was first
 * reached from. 8 bytes a state, and 8 more for each slot of the open-addressed table (low half, number + 1).
 */
export class KnownStates {
  size = 0;
  #highs = new Uint32Array(1 << 12);
  #parents = new Uint32Array(1 << 12);
  #table = new Uint32Array(2 << 13);
  #mask = (1 << 13) - 1;

  get bytes(): number {
    return this.#highs.byteLength + this.#parents.byteLength + this.#table.byteLength;
  }

  /** The number of a state, or -1. */
  find(low: number, high: number): number {
    const at = this.#slot(low, high);
    return (this.#table[2 * at + 1] as number) - 1;
  }

  /** Whether the state was not known; its number is then `size - 1`. A beginning is its own parent. */
  add(low: number, high: number, parent: number): boolean {
    const at = this.#slot(low, high);
    if (this.#table[2 * at + 1] !== 0) return false;
    if (this.size === this.#highs.length) {
      this.#highs = doubled(this.#highs);
      this.#parents = doubled(this.#parents);
    }
    this.#highs[this.size] = high;
    this.#parents[this.size] = parent;
    this.size++;
    this.#table[2 * at] = low;
    this.#table[2 * at + 1] = this.size;
    if (this.size > LOAD_MAX * (this.#mask + 1)) this.#grow();
    return true;
  }

  parent(number: number): number {
    return this.#parents[number] as number;
  }

  #slot(low: number, high: number): number {
    const table = this.#table;
    let at = low & this.#mask;
    for (;;) {
      const number = table[2 * at + 1] as number;
      if (number === 0 || (table[2 * at] === low && this.#highs[number - 1] === high)) return at;
      at = (at + 1) & this.#mask;
    }
  }

  #grow(): void {
    const old = this.#table;
    this.#mask = 2 * this.#mask + 1;
    this.#table = new Uint32Array(2 * (this.#mask + 1));
    for (let i = 0; i < old.length; i += 2) {
      if (old[i + 1] === 0) continue;
      let at = (old[i] as number) & this.#mask;
      while (this.#table[2 * at + 1] !== 0) at = (at + 1) & this.#mask;
      this.#table[2 * at] = old[i] as number;
      this.#table[2 * at + 1] = old[i + 1] as number;
    }
  }
}

function doubled(array: Uint32Array<ArrayBuffer>): Uint32Array<ArrayBuffer> {
  const larger = new Uint32Array(2 * array.length);
  larger.set(array);
  return larger;
}
