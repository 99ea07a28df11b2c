/**
 * The bounded table of what is known. Each entry carries the order of its answer, `(version, sequence)`: the version that the source gave,
 * then the number of the look-up that brought it. An answer replaces an entry only if its order is not below the entry's, so that answers
 * may arrive in any order and a reader still never goes back.
 *
 * Eviction is SIEVE (Zhang et al., NSDI 2024): a hit sets one bit and moves nothing, and a flood of keys that are asked once leaves before
 * what is asked again. An LRU would write four links on each hit, which is most of what a hit costs.
 *
 * Entries live in parallel arrays (45 bytes each beside the Map) that grow by doubling; a slot is reused by the entry that evicts it.
 */
const NONE = 0xffff_ffff;

export class Entries<K, V> {
  readonly #entriesMax: number;
  #slots = new Map<K, number>();
  #keys: K[] = [];
  #values: (V | undefined)[] = [];
  #versions = new Float64Array(0);
  #sequences = new Float64Array(0);
  /** Milliseconds modulo 2^32: ages below 49 days are right, which is more than an entry that is refreshed on each read will see. */
  #answeredAt = new Uint32Array(0);
  #visited = new Uint8Array(0);
  #newer = new Uint32Array(0);
  #older = new Uint32Array(0);
  #head = NONE;
  #tail = NONE;
  #hand = NONE;
  negatives = 0;
  evictions = 0;

  constructor(entriesMax: number) {
    this.#entriesMax = entriesMax;
  }

  get size(): number {
    return this.#slots.size;
  }

  /** The slot of a key, or undefined. A slot is valid until the next `put` or `clear`. */
  slotOf(key: K): number | undefined {
    return this.#slots.get(key);
  }

  /** Marks an entry as used, so that it survives the hand's next pass. Written only when it changes: a hit on a hot key writes nothing. */
  touch(slot: number): void {
    if (this.#visited[slot] === 0) this.#visited[slot] = 1;
  }

  valueAt(slot: number): V | undefined {
    return this.#values[slot];
  }

  ageAt(slot: number, nowMs: number): number {
    const age = (nowMs - this.#answeredAt[slot]!) >>> 0;
    // A clock that was set back shows as an age of nearly 49 days: say zero instead.
    return age > 0x7fff_ffff ? 0 : age;
  }

  /**
   * Takes an answer unless a newer one is held; `undefined` as value is a negative entry.
   * @param version undefined where the source gave none: it then counts as the version of what it would replace.
   * @returns whether it was taken.
   */
  put(key: K, value: V | undefined, version: number | undefined, sequence: number, nowMs: number): boolean {
    const known = this.#slots.get(key);
    if (known === undefined) {
      const slot = this.#claim();
      this.#slots.set(key, slot);
      this.#keys[slot] = key;
      this.#values[slot] = value;
      this.#versions[slot] = version ?? Number.NEGATIVE_INFINITY;
      this.#sequences[slot] = sequence;
      this.#answeredAt[slot] = nowMs;
      if (value === undefined) this.negatives++;
      this.#pushHead(slot);
      return true;
    }
    const held = this.#versions[known]!;
    const given = version ?? held;
    if (given < held || (given === held && sequence < this.#sequences[known]!)) return false;
    const before = this.#values[known];
    if ((before === undefined) !== (value === undefined)) this.negatives += value === undefined ? 1 : -1;
    this.#values[known] = value;
    this.#versions[known] = given;
    this.#sequences[known] = sequence;
    this.#answeredAt[known] = nowMs;
    return true;
  }

  clear(): void {
    this.#slots = new Map();
    this.#keys = [];
    this.#values = [];
    this.#visited.fill(0);
    this.#head = NONE;
    this.#tail = NONE;
    this.#hand = NONE;
    this.negatives = 0;
  }

  #claim(): number {
    const used = this.#slots.size;
    if (used >= this.#entriesMax) return this.#evict();
    if (used >= this.#versions.length) this.#grow(Math.min(this.#entriesMax, Math.max(64, used * 2)));
    return used;
  }

  /** The hand walks from the oldest towards the newest, clearing bits, and stops at the first entry that nobody used since it last came by. */
  #evict(): number {
    let slot = this.#hand === NONE ? this.#tail : this.#hand;
    while (this.#visited[slot] === 1) {
      this.#visited[slot] = 0;
      slot = this.#newer[slot]!;
      if (slot === NONE) slot = this.#tail;
    }
    const newer = this.#newer[slot]!;
    const older = this.#older[slot]!;
    this.#hand = newer;
    if (newer === NONE) this.#head = older;
    else this.#older[newer] = older;
    if (older === NONE) this.#tail = newer;
    else this.#newer[older] = newer;
    if (this.#values[slot] === undefined) this.negatives--;
    this.#slots.delete(this.#keys[slot] as K);
    this.evictions++;
    return slot;
  }

  #pushHead(slot: number): void {
    this.#visited[slot] = 0;
    this.#newer[slot] = NONE;
    this.#older[slot] = this.#head;
    if (this.#head === NONE) this.#tail = slot;
    else this.#newer[this.#head] = slot;
    this.#head = slot;
  }

  #grow(length: number): void {
    const copy = <A extends Float64Array | Uint32Array | Uint8Array>(to: A, from: A): A => {
      to.set(from);
      return to;
    };
    this.#versions = copy(new Float64Array(length), this.#versions);
    this.#sequences = copy(new Float64Array(length), this.#sequences);
    this.#answeredAt = copy(new Uint32Array(length), this.#answeredAt);
    this.#visited = copy(new Uint8Array(length), this.#visited);
    this.#newer = copy(new Uint32Array(length), this.#newer);
    this.#older = copy(new Uint32Array(length), this.#older);
  }
}
