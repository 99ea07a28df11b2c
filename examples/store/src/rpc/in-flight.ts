/** Ids that V8 keeps as small integers. */
const IDS = 0x8000_0000;
const PLACES_MIN = 64;

/**
 * What waits for an answer, by an id that no other question has while it waits, nor for long behind it: who answers too late is not taken for somebody else.
 *
 * An array, and not a `Map`: to add and delete all the time has a map begin a new table for every few entries, and V8 links each table, and all that was in it then, to the one behind it. Once a collection of
 * the whole heap has moved one of them to where the old objects are, all that follow outlive every collection of the young ones: nearly all requests were copied and kept, until the whole heap was marked again.
 */
export class InFlight<T extends { readonly id: number }> {
  /** That of an id in the place of the id modulo the length, a power of two. Never more than half of the places are taken. */
  #places: (T | undefined)[] = new Array<T | undefined>(PLACES_MIN).fill(undefined);
  #size = 0;
  #next = 1;

  get size(): number {
    return this.#size;
  }

  /** The id of what is added next. */
  next(): number {
    if (this.#size * 2 >= this.#places.length) this.#grow();
    while (this.#places[this.#next & (this.#places.length - 1)] !== undefined) this.#next = (this.#next + 1) % IDS;
    return this.#next;
  }

  /** @param item under the id that `next` returned last */
  add(item: T): void {
    this.#places[item.id & (this.#places.length - 1)] = item;
    this.#next = (item.id + 1) % IDS;
    this.#size++;
  }

  get(id: number): T | undefined {
    const item = this.#places[id & (this.#places.length - 1)];
    return item?.id === id ? item : undefined;
  }

  /** Takes it out. */
  take(id: number): T | undefined {
    const item = this.get(id);
    if (item === undefined) return undefined;
    this.#places[id & (this.#places.length - 1)] = undefined;
    this.#size--;
    return item;
  }

  /** All that is there now: they may be taken out meanwhile. */
  all(): T[] {
    return this.#places.filter((item) => item !== undefined);
  }

  #grow(): void {
    const items = this.all();
    const places = new Array<T | undefined>(this.#places.length * 2).fill(undefined);
    for (const item of items) places[item.id & (places.length - 1)] = item;
    this.#places = places;
  }
}
