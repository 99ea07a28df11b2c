/** Items in one chunk: a single list would be copied as a whole, and a quarter of it stay empty, whenever it grows. */
const chunkItems = 1024;

/**
 * The groups of a node by their ids: eight bytes each in lists of a fixed length, and four a slot in a table that tells by the hash of an id where to look, of which at most three quarters are used. A `Map` takes
 * 29 to 56 bytes for each, and in a process with a million groups that sleep that is a sixth of all.
 */
export class GroupTable<T extends { readonly groupId: string }> {
  /** Without a gap: who leaves makes room for the last. */
  readonly #chunks: (T | undefined)[][] = [];
  #size = 0;
  /** Place of an item plus one; 0 is empty. As many as a power of two, with linear probing. */
  #slots = new Uint32Array(16);

  get size(): number {
    return this.#size;
  }

  get(groupId: string): T | undefined {
    // Asked by users, who may ask anything.
    return typeof groupId === "string" ? this.#at((this.#slots[this.#slotOf(groupId)] as number) - 1) : undefined;
  }

  has(groupId: string): boolean {
    return this.get(groupId) !== undefined;
  }

  /** One whose id is not there yet. */
  add(item: T): void {
    if ((this.#size + 1) * 4 > this.#slots.length * 3) this.#grow();
    const place = this.#size++;
    if (place % chunkItems === 0) this.#chunks.push(new Array<T | undefined>(chunkItems).fill(undefined));
    this.#put(place, item);
    this.#slots[this.#slotOf(item.groupId)] = place + 1;
  }

  delete(groupId: string): void {
    const slots = this.#slots;
    const slot = this.#slotOf(groupId);
    const place = (slots[slot] as number) - 1;
    if (place < 0) return;
    this.#close(slot);
    const last = --this.#size;
    if (place !== last) {
      const moved = this.#at(last) as T;
      slots[this.#slotOf(moved.groupId)] = place + 1;
      this.#put(place, moved);
    }
    this.#put(last, undefined);
    if (last % chunkItems === 0) this.#chunks.pop();
  }

  /** All of them, in any order. None may come or go meanwhile. */
  *values(): Generator<T, void, undefined> {
    for (let place = 0; place < this.#size; place++) yield this.#at(place) as T;
  }

  /** Where it is told where the group of this id is, or would be. */
  #slotOf(groupId: string): number {
    const slots = this.#slots;
    const mask = slots.length - 1;
    let slot = hashOf(groupId) & mask;
    for (let place = slots[slot] as number; place !== 0; place = slots[slot] as number) {
      if (this.#at(place - 1)?.groupId === groupId) break;
      slot = (slot + 1) & mask;
    }
    return slot;
  }

  /** Empties a slot; those behind that would no longer be found move up. */
  #close(slot: number): void {
    const slots = this.#slots;
    const mask = slots.length - 1;
    let hole = slot;
    for (let at = (hole + 1) & mask; slots[at] !== 0; at = (at + 1) & mask) {
      const home = hashOf((this.#at((slots[at] as number) - 1) as T).groupId) & mask;
      if (((at - home) & mask) < ((at - hole) & mask)) continue;
      slots[hole] = slots[at] as number;
      hole = at;
    }
    slots[hole] = 0;
  }

  #grow(): void {
    this.#slots = new Uint32Array(2 * this.#slots.length);
    for (let place = 0; place < this.#size; place++) {
      this.#slots[this.#slotOf((this.#at(place) as T).groupId)] = place + 1;
    }
  }

  #at(place: number): T | undefined {
    return place < 0 ? undefined : this.#chunks[Math.floor(place / chunkItems)]?.[place % chunkItems];
  }

  #put(place: number, item: T | undefined): void {
    (this.#chunks[Math.floor(place / chunkItems)] as (T | undefined)[])[place % chunkItems] = item;
  }
}

/** FNV-1a of its letters, mixed: the low bits, by which a slot is found, depend on all of them. */
function hashOf(groupId: string): number {
  let hash = 0x81_1c_9d_c5;
  for (let i = 0; i < groupId.length; i++) hash = Math.imul(hash ^ groupId.charCodeAt(i), 0x01_00_01_93);
  hash = Math.imul(hash ^ (hash >>> 16), 0x7f_eb_35_2d);
  return (hash ^ (hash >>> 15)) >>> 0;
}
