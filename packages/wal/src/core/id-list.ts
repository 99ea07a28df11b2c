/** Ids of streams (u32) in the order in which they came, four bytes each: some may come again. */
export class IdList {
  #ids = new Uint32Array(0);
  #length = 0;

  add(id: number): void {
    if (this.#length > 0 && this.#ids[this.#length - 1] === id) return;
    if (this.#length === this.#ids.length) {
      const larger = new Uint32Array(2 * this.#length + 8);
      larger.set(this.#ids);
      this.#ids = larger;
    }
    this.#ids[this.#length++] = id;
  }

  /** Each once, ascending. */
  sorted(): number[] {
    const ids = this.#ids.slice(0, this.#length).sort();
    return Array.from(ids.filter((id, at) => at === 0 || id !== ids[at - 1]));
  }
}
