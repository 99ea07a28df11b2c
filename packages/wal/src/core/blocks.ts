const unitBytes = 4;
const pageUnits = 16 * 1024;
const pageBytes = pageUnits * unitBytes;
const lengthBytes = 2;
/** Larger ones are not taken: most of a page would stay empty beside them. */
const blockBytesMax = pageBytes / 8;

/**
 * Small blocks of bytes in a few large pages, each found again by a number: as objects of their own they would cost more than what is in them. What is
 * let go of is used again by the next block of the same size, give or take three bytes; the list of those stands in the blocks themselves.
 */
export class Blocks {
  readonly #pages: { readonly bytes: Uint8Array; readonly units: Uint32Array }[] = [];
  /** For each size in units the first block that is free, plus one; in each of these the next. */
  readonly #free = new Uint32Array(blockBytesMax / unitBytes + 2);
  #next = 0;
  /** Where the block that was located last stands. */
  bytes: Uint8Array = new Uint8Array(0);
  from = 0;
  to = 0;

  get reservedBytes(): number {
    return this.#pages.length * pageBytes;
  }

  /** Keeps a copy; undefined for what is too large. */
  put(block: Uint8Array): number | undefined {
    if (block.length > blockBytesMax) return undefined;
    const place = this.#take(unitsOf(block.length));
    const { bytes } = this.#page(place);
    const at = (place % pageUnits) * unitBytes;
    bytes[at] = block.length;
    bytes[at + 1] = block.length >>> 8;
    bytes.set(block, at + lengthBytes);
    return place;
  }

  /** Sets `bytes`, `from` and `to`: they are good until the block is let go of. */
  locate(place: number): void {
    const { bytes } = this.#page(place);
    const at = (place % pageUnits) * unitBytes;
    this.bytes = bytes;
    this.from = at + lengthBytes;
    this.to = this.from + ((bytes[at] as number) | ((bytes[at + 1] as number) << 8));
  }

  free(place: number): void {
    this.locate(place);
    this.#leave(place, unitsOf(this.to - this.from));
  }

  #take(units: number): number {
    const free = this.#free[units] as number;
    if (free > 0) {
      this.#free[units] = this.#page(free - 1).units[(free - 1) % pageUnits] as number;
      return free - 1;
    }
    const left = this.#pages.length * pageUnits - this.#next;
    if (left < units) {
      if (left > 0) this.#leave(this.#next, left);
      this.#next = this.#pages.length * pageUnits;
      const buffer = new ArrayBuffer(pageBytes);
      this.#pages.push({ bytes: new Uint8Array(buffer), units: new Uint32Array(buffer) });
    }
    this.#next += units;
    return this.#next - units;
  }

  #leave(place: number, units: number): void {
    this.#page(place).units[place % pageUnits] = this.#free[units] as number;
    this.#free[units] = place + 1;
  }

  #page(place: number): { readonly bytes: Uint8Array; readonly units: Uint32Array } {
    return this.#pages[Math.floor(place / pageUnits)] as { bytes: Uint8Array; units: Uint32Array };
  }
}

function unitsOf(length: number): number {
  return Math.ceil((lengthBytes + length) / unitBytes);
}
