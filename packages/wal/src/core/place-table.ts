/**
 * Finds places (of blocks, which hold the keys themselves) by the hash of their keys: four bytes for each slot, of which at most three quarters are used. Linear
 * probing; whoever leaves has those behind move up, so nothing is left of him.
 */
export class PlaceTable {
  readonly #hashOf: (place: number) => number;
  /** Place plus one; 0 is empty. As many as a power of two. */
  #slots = new Uint32Array(16);
  #size = 0;

  constructor(hashOf: (place: number) => number) {
    this.#hashOf = hashOf;
  }

  get size(): number {
    return this.#size;
  }

  find(hash: number, is: (place: number) => boolean): number | undefined {
    const slots = this.#slots;
    const mask = slots.length - 1;
    for (let at = hash & mask; slots[at] !== 0; at = (at + 1) & mask) {
      const place = (slots[at] as number) - 1;
      if (is(place)) return place;
    }
    return undefined;
  }

  /** One whose key is in no place yet. */
  add(place: number): void {
    if ((this.#size + 1) * 4 > this.#slots.length * 3) this.#grow();
    this.#size++;
    this.#insert(place);
  }

  remove(place: number): void {
    const slots = this.#slots;
    const mask = slots.length - 1;
    let hole = this.#hashOf(place) & mask;
    while (slots[hole] !== place + 1) hole = (hole + 1) & mask;
    this.#size--;
    for (let at = (hole + 1) & mask; slots[at] !== 0; at = (at + 1) & mask) {
      const home = this.#hashOf((slots[at] as number) - 1) & mask;
      // It may move up unless that would be in front of where looking for it begins.
      if (((at - home) & mask) < ((at - hole) & mask)) continue;
      slots[hole] = slots[at] as number;
      hole = at;
    }
    slots[hole] = 0;
  }

  *places(): Generator<number, void, undefined> {
    for (const slot of this.#slots) if (slot !== 0) yield slot - 1;
  }

  #insert(place: number): void {
    const slots = this.#slots;
    const mask = slots.length - 1;
    let at = this.#hashOf(place) & mask;
    while (slots[at] !== 0) at = (at + 1) & mask;
    slots[at] = place + 1;
  }

  #grow(): void {
    const old = this.#slots;
    this.#slots = new Uint32Array(2 * old.length);
    for (const slot of old) if (slot !== 0) this.#insert(slot - 1);
  }
}
