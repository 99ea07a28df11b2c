/** A block's place is counted in these. */
const unitBytes = 4;
const pageBytes = 64 * 1024;
const unitsPerPage = pageBytes / unitBytes;
const lengthBytes = 2;

/**
 * Many small blocks of bytes in a few large ones: an object of its own costs a block more than what is in it. A block that is let go of is used again by the next one of the same
 * size, give or take three bytes. What was needed at the worst moment stays reserved.
 */
export class Arena {
  readonly #pages: Uint8Array[] = [];
  /** By their size in units. */
  readonly #free: number[][] = [];
  /** The first unit that was never used. */
  #next = 0;
  #used = 0;

  /** Bytes in blocks. */
  get used(): number {
    return this.#used * unitBytes;
  }

  get reserved(): number {
    return this.#pages.length * pageBytes;
  }

  /** Where it is kept; undefined for more than 64 KiB. */
  put(bytes: Uint8Array): number | undefined {
    const units = Math.ceil((lengthBytes + bytes.length) / unitBytes);
    if (units >= unitsPerPage) return undefined;
    const place = this.#free[units]?.pop() ?? this.#fresh(units);
    const page = this.#pages[Math.floor(place / unitsPerPage)] as Uint8Array;
    const at = (place % unitsPerPage) * unitBytes;
    page[at] = bytes.length & 0xff;
    page[at + 1] = bytes.length >> 8;
    page.set(bytes, at + lengthBytes);
    this.#used += units;
    return place;
  }

  /** A view: good until the block is let go of. */
  at(place: number): Uint8Array {
    const page = this.#pages[Math.floor(place / unitsPerPage)] as Uint8Array;
    const from = (place % unitsPerPage) * unitBytes + lengthBytes;
    return page.subarray(from, from + lengthAt(page, from - lengthBytes));
  }

  free(place: number): void {
    const page = this.#pages[Math.floor(place / unitsPerPage)] as Uint8Array;
    const length = lengthAt(page, (place % unitsPerPage) * unitBytes);
    const units = Math.ceil((lengthBytes + length) / unitBytes);
    this.#used -= units;
    this.#list(units).push(place);
  }

  #fresh(units: number): number {
    const left = this.#pages.length * unitsPerPage - this.#next;
    if (left < units) {
      if (left > 0) this.#list(left).push(this.#next);
      this.#next = this.#pages.push(new Uint8Array(pageBytes)) * unitsPerPage - unitsPerPage;
    }
    this.#next += units;
    return this.#next - units;
  }

  #list(units: number): number[] {
    this.#free[units] ??= [];
    return this.#free[units];
  }
}

function lengthAt(page: Uint8Array, at: number): number {
  return (page[at] as number) | ((page[at + 1] as number) << 8);
}
