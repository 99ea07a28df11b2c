const LOAD_MAX = 0.75;

/**
 * The states that were seen, as 64-bit fingerprints in one open-addressed table, numbered in the order in which they came; and for each the one it was first
 * reached from. Half, half and number + 1 of a slot stand side by side, since nearly every look-up is a miss of all caches, and so is only one. 4 bytes a state, and 12 more for each slot.
 */
export class KnownStates {
  size = 0;
  #parents = new Uint32Array(1 << 12);
  #table = new Uint32Array(3 << 13);
  #mask = (1 << 13) - 1;
  /** Where the state that was asked for last stands, or would. */
  #at = 0;

  get bytes(): number {
    return this.#parents.byteLength + this.#table.byteLength;
  }

  /** The number of a state, or -1. */
  find(low: number, high: number): number {
    return this.#seek(low, high) - 1;
  }

  /** Whether the state was not known; its number is then `size - 1`. A beginning is its own parent. */
  add(low: number, high: number, parent: number): boolean {
    if (this.#seek(low, high) !== 0) return false;
    if (this.size === this.#parents.length) this.#parents = doubled(this.#parents);
    this.#parents[this.size] = parent;
    this.size++;
    const at = this.#at;
    this.#table[at] = low;
    this.#table[at + 1] = high;
    this.#table[at + 2] = this.size;
    if (this.size > LOAD_MAX * (this.#mask + 1)) this.#grow();
    return true;
  }

  parent(number: number): number {
    return this.#parents[number] as number;
  }

  /** Number + 1, 0 where it is not known; leaves the place in `#at`. */
  #seek(low: number, high: number): number {
    const table = this.#table;
    const mask = this.#mask;
    for (let slot = low & mask; ; slot = (slot + 1) & mask) {
      const at = 3 * slot;
      const number = table[at + 2] as number;
      if (number === 0 || (table[at] === low && table[at + 1] === high)) {
        this.#at = at;
        return number;
      }
    }
  }

  #grow(): void {
    const old = this.#table;
    const mask = 2 * this.#mask + 1;
    const table = new Uint32Array(3 * (mask + 1));
    for (let i = 0; i < old.length; i += 3) {
      if (old[i + 2] === 0) continue;
      let slot = (old[i] as number) & mask;
      while (table[3 * slot + 2] !== 0) slot = (slot + 1) & mask;
      table[3 * slot] = old[i] as number;
      table[3 * slot + 1] = old[i + 1] as number;
      table[3 * slot + 2] = old[i + 2] as number;
    }
    this.#mask = mask;
    this.#table = table;
  }
}

function doubled(array: Uint32Array<ArrayBuffer>): Uint32Array<ArrayBuffer> {
  const larger = new Uint32Array(2 * array.length);
  larger.set(array);
  return larger;
}
