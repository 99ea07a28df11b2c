/**
 * The bounded table of what is known. Each entry carries the order of its answer, `(version, sequence)`: the version that the source gave,
 * then the number of the look-up that brought it. An answer replaces an entry only if its order is not below the entry's, so that answers
 * may arrive in any order and a reader still never goes back.
 *
 * Eviction is SIEVE (Zhang et al., NSDI 2024): a hit sets one bit and moves nothing, and a flood of keys that are asked once leaves before
 * what is asked again. An LRU would write four links on each hit, which is most of what a hit costs. SIEVE's queue is the order in which entries
 * came, which is the order that a Map keeps anyway, so its hand is nothing but an iterator over the Map, and there are no links at all.
 *
 * Entries lie in packed arrays (36 bytes each beside the Map) that grow by doubling; a slot is reused by the entry that evicts it. Not one object an
 * entry: that takes 24 bytes before it holds anything, and a version above 2^31 would be one more object.
 */
export class Entries<K, V> {
  readonly #entriesMax: number;
  #slots = new Map<K, number>();
  #values: (V | undefined)[] = [];
  /** Whose a slot is. The Map has the keys too, but asking it costs a look into three places in memory; who remembers a slot asks here whether it still is. */
  #keys: K[] = [];
  #versions = new Float64Array(0);
  #sequences = new Float64Array(0);
  /** When it was answered, in milliseconds modulo 2^31, times two; plus one if it was used since the hand last came by. */
  #marks = new Uint32Array(0);
  #hand: Iterator<[K, number]> | undefined;
  #turnMs = 0;
  /** The greatest age that was served in this turn. */
  servedAgeMs = 0;
  negatives = 0;
  evictions = 0;

  constructor(entriesMax: number) {
    this.#entriesMax = entriesMax;
  }

  get size(): number {
    return this.#slots.size;
  }

  /** Ages are told as of this time, so that no hit reads a clock. */
  beginTurn(nowMs: number): void {
    this.#turnMs = nowMs;
    this.servedAgeMs = 0;
  }

  /** The slot of a key, or undefined. A slot is valid until the next `put` or `clear`. */
  slotOf(key: K): number | undefined {
    return this.#slots.get(key);
  }

  valueAt(slot: number): V | undefined {
    return this.#values[slot];
  }

  /** The value, used: it survives the hand's next pass. The bit is written only when it changes, so a hit on a hot key writes nothing here. */
  serve(slot: number): V | undefined {
    const mark = this.#marks[slot]!;
    if ((mark & 1) === 0) this.#marks[slot] = mark | 1;
    const ageMs = (this.#turnMs - (mark >>> 1)) & 0x7fff_ffff;
    // Beyond twelve days it is a clock that was set back; an entry that is refreshed on each read does not get that old.
    if (ageMs > this.servedAgeMs && ageMs <= 0x3fff_ffff) this.servedAgeMs = ageMs;
    return this.#values[slot];
  }

  /**
   * Takes an answer unless a newer one is held; `undefined` as value is a negative entry.
   * @param hint the slot that the key had when it was last seen, or -1.
   * @param version undefined where the source gave none: it then counts as the version of what it would replace.
   * @returns whether it was taken.
   */
  put(key: K, value: V | undefined, version: number | undefined, sequence: number, nowMs: number, hint = -1): boolean {
    // Slots are used from 0 on, without gaps.
    const isHis = hint >= 0 && hint < this.#slots.size && this.#keys[hint] === key;
    let slot = isHis ? hint : this.#slots.get(key);
    if (slot === undefined) {
      slot = this.#claim();
      this.#slots.set(key, slot);
      this.#keys[slot] = key;
      this.#versions[slot] = version ?? Number.NEGATIVE_INFINITY;
      this.#marks[slot] = nowMs << 1;
      if (value === undefined) this.negatives++;
    } else {
      const held = this.#versions[slot]!;
      const given = version ?? held;
      if (given < held || (given === held && sequence < this.#sequences[slot]!)) return false;
      const before = this.#values[slot];
      if ((before === undefined) !== (value === undefined)) this.negatives += value === undefined ? 1 : -1;
      this.#versions[slot] = given;
      this.#marks[slot] = (nowMs << 1) | (this.#marks[slot]! & 1);
    }
    this.#values[slot] = value;
    this.#sequences[slot] = sequence;
    return true;
  }

  clear(): void {
    this.#slots = new Map();
    this.#values = [];
    this.#keys = [];
    this.#versions = new Float64Array(0);
    this.#sequences = new Float64Array(0);
    this.#marks = new Uint32Array(0);
    this.#hand = undefined;
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
    for (;;) {
      this.#hand ??= this.#slots.entries();
      const next = this.#hand.next();
      if (next.done === true) {
        this.#hand = undefined;
        continue;
      }
      const [key, slot] = next.value;
      const mark = this.#marks[slot]!;
      if ((mark & 1) === 1) {
        this.#marks[slot] = mark - 1;
        continue;
      }
      if (this.#values[slot] === undefined) this.negatives--;
      this.#slots.delete(key);
      this.evictions++;
      return slot;
    }
  }

  #grow(length: number): void {
    const copy = <A extends Float64Array | Uint32Array>(to: A, from: A): A => {
      to.set(from);
      return to;
    };
    this.#versions = copy(new Float64Array(length), this.#versions);
    this.#sequences = copy(new Float64Array(length), this.#sequences);
    this.#marks = copy(new Uint32Array(length), this.#marks);
    // Arrays that grow by themselves keep half as much again in reserve.
    const longer = <T>(from: readonly T[]): T[] => {
      const to = new Array<T>(length);
      for (let i = 0; i < from.length; i++) to[i] = from[i] as T;
      return to;
    };
    this.#keys = longer(this.#keys);
    this.#values = longer(this.#values);
  }
}
