import { RATE_MAX, TOKENS_MAX } from "./bucket-level.js";
import { checkNumber } from "./errors.js";
import { Flow } from "./flow.js";

// What the meter shows, and the mark of a bucket that nobody has seen.

const WHOLE = 0;
const FRACTION = 1;
const GROUND_WHOLE = 2;
const GROUND_FRACTION = 3;

/** Most keys that a table can be made for. */
export const KEYS_MAX = 1e8;

/** Slots in a set. */
const WAYS = 8;
/** A set in 32-bit words: the low and the high words of its keys' hashes (one line of the cache), then its levels. */
const SET_WORDS = 6 * WAYS;
const SET_DOUBLES = SET_WORDS / 2;
const LEVELS_AT = WAYS;
/** Slots for each key: two choices of eight fill to three quarters before anybody finds both full. */
const SLOTS_PER_KEY = 3 / 2;
/** Free slots of the first set from which on nobody looks at the second. */
const ROOM_TO_SPARE = 4;
const KEYS_PER_CELL = 4;
/** Where the count of whole tokens comes near the end of what a double counts, everything is counted from there. */
const REBASE_AT = 2 ** 52;

export interface KeyedLevelsOptions {
  /** Tokens a second for each key, 0 to 1e12. */
  readonly ratePerSecond: number;
  /** The most that a key's bucket holds, 0 to 1e15 tokens. */
  readonly capacity: number;
  /** How many keys can have a bucket of their own at once, 1 to 1e8. */
  readonly keysMax: number;
}

/**
 * A bucket for each key in one block of memory that never grows. Keys come as hashes of 64 bits (two words of 32, with or without a sign), time as an argument.
 *
 * All keys have one rate, so one meter (`Flow`) counts what has flowed for any of them, and a bucket is a single mark on
 * it: the reading at which it will be full again. Its level is the capacity less what is still to flow until then.
 * Taking moves the mark; time moves none. A mark below the meter is a full bucket, which is what everybody has who was
 * never seen, so its slot is free, without anybody having to sweep.
 *
 * A key's slot is in one of two sets of eight. When both are full of buckets that are not, one of the seventeen keys has
 * to share: the one that has spent least. The mark of who goes is kept in a coarse cell (the highest mark of all who had
 * to go there), and whoever has no slot has the cell's mark. So nobody ever gains a token by being forgotten; those who
 * share a cell may find tokens gone that others took. A cell that is no longer above the meter is as good as new.
 */
export class KeyedLevels {
  readonly keysMax: number;
  readonly #words: Int32Array;
  readonly #levels: Float64Array;
  readonly #cells: Float64Array;
  readonly #sets: number;
  readonly #flow: Flow;
  /** What `#flow` read last; and the mark of a bucket that nobody has seen: the same, or more after the capacity grew. */
  readonly #meter = new Float64Array(4);
  /** The mark of the key looked for. */
  readonly #mark = new Float64Array(2);
  readonly #reading = new Float64Array(2);
  #capacity: number;
  #floorWhole = 0;
  #floorFraction = 0;
  #shared = 0;

  constructor(options: KeyedLevelsOptions, nowMs: number) {
    const { ratePerSecond, capacity, keysMax } = options ?? ({} as KeyedLevelsOptions);
    checkNumber("ratePerSecond", ratePerSecond, 0, RATE_MAX);
    this.#capacity = checkNumber("capacity", capacity, 0, TOKENS_MAX);
    this.keysMax = checkNumber("keysMax", keysMax, 1, KEYS_MAX);
    checkNumber("nowMs", nowMs, -Number.MAX_VALUE, Number.MAX_VALUE);
    this.#sets = Math.max(2, Math.ceil((keysMax * SLOTS_PER_KEY) / WAYS));
    const memory = new ArrayBuffer(this.#sets * SET_WORDS * 4);
    this.#words = new Int32Array(memory);
    this.#levels = new Float64Array(memory);
    this.#cells = new Float64Array(2 * Math.max(16, Math.ceil(keysMax / KEYS_PER_CELL)));
    this.#flow = new Flow(ratePerSecond, nowMs);
  }

  get ratePerSecond(): number {
    return this.#flow.ratePerSecond;
  }

  get capacity(): number {
    return this.#capacity;
  }

  /** How often a key had to share because there was no slot. */
  get shared(): number {
    return this.#shared;
  }

  get bytes(): number {
    return this.#words.byteLength + this.#cells.byteLength;
  }

  tryTake(low: number, high: number, tokens: number, nowMs: number): boolean {
    if (typeof tokens !== "number" || !(tokens >= 0 && tokens <= Number.MAX_VALUE))
      checkTokens(tokens, Number.MAX_VALUE);
    this.#advance(nowMs);
    const slot = this.#find(low, high);
    if (slot < 0 || tokens !== Math.floor(tokens)) {
      if (this.#spentAt(slot, low, high) + tokens > this.#capacity) return false;
      this.#charge(slot, low, high, tokens);
      return true;
    }
    // The same for what nearly always comes: whole tokens of a key that has a slot.
    const levels = this.#levels;
    const meter = this.#meter;
    let whole = levels[slot] as number;
    let fraction = levels[slot + 1] as number;
    let spent = whole - (meter[WHOLE] as number) + (fraction - (meter[FRACTION] as number));
    if (!(spent > 0)) {
      whole = meter[WHOLE] as number;
      fraction = meter[FRACTION] as number;
      spent = 0;
    }
    if (spent + tokens > this.#capacity) return false;
    levels[slot] = whole + tokens;
    levels[slot + 1] = fraction;
    return true;
  }

  has(low: number, high: number, tokens: number, nowMs: number): boolean {
    checkTokens(tokens, Number.MAX_VALUE);
    this.#advance(nowMs);
    return this.#spentAt(this.#find(low, high), low, high) + tokens <= this.#capacity;
  }

  /** Charges without asking; the balance may fall below zero. */
  debit(low: number, high: number, tokens: number, nowMs: number): void {
    checkTokens(tokens, TOKENS_MAX);
    this.#advance(nowMs);
    const slot = this.#find(low, high);
    this.#spentAt(slot, low, high);
    this.#charge(slot, low, high, tokens);
  }

  /** Gives tokens back; what would stand above the capacity is lost. */
  refund(low: number, high: number, tokens: number, nowMs: number): void {
    checkTokens(tokens, Number.MAX_VALUE);
    this.#advance(nowMs);
    const slot = this.#find(low, high);
    const spent = this.#spentAt(slot, low, high);
    if (spent === 0) return;
    const whole = Math.floor(tokens);
    let fraction = (this.#mark[1] as number) - (tokens - whole);
    const borrow = fraction < 0 ? 1 : 0;
    fraction += borrow;
    this.#keep(slot, low, high, (this.#mark[0] as number) - whole - borrow, fraction);
  }

  tokens(low: number, high: number, nowMs: number): number {
    this.#advance(nowMs);
    return this.#capacity - this.#spentAt(this.#find(low, high), low, high);
  }

  /** As `BucketLevel.msUntil`: never short. */
  msUntil(low: number, high: number, tokens: number, nowMs: number): number {
    checkTokens(tokens, Number.MAX_VALUE);
    this.#advance(nowMs);
    const spent = this.#spentAt(this.#find(low, high), low, high);
    const missing = spent + tokens - this.#capacity;
    if (missing <= 0) return 0;
    const { ratePerSecond, lastMs } = this.#flow;
    if (tokens > this.#capacity || ratePerSecond === 0) return Number.POSITIVE_INFINITY;
    let waitMs = (missing / ratePerSecond) * 1000;
    // The sum of two doubles may round down by a digit of the clock, which at high rates is many tokens.
    let stepMs = Math.max(waitMs, Math.abs(lastMs)) * 2 ** -52;
    while (Number.isFinite(waitMs) && this.#willHaveSpent(lastMs + waitMs) + tokens > this.#capacity) {
      waitMs += stepMs;
      stepMs *= 2;
    }
    return waitMs;
  }

  /** Buckets that are not full now. Looks at every slot. */
  keys(nowMs: number): number {
    this.#advance(nowMs);
    let count = 0;
    for (let set = 0; set < this.#sets; set += 1) {
      const from = set * SET_DOUBLES + LEVELS_AT;
      for (let slot = from; slot < from + 2 * WAYS; slot += 2) {
        if (!this.#isFree(this.#spent(this.#levels, slot))) count += 1;
      }
    }
    return count;
  }

  /** As `BucketLevel.reconfigure`, for all keys at once, whether they have a slot or not. */
  reconfigure(change: { readonly ratePerSecond?: number; readonly capacity?: number }, nowMs: number): void {
    const { ratePerSecond = this.ratePerSecond, capacity = this.#capacity } = change;
    checkNumber("ratePerSecond", ratePerSecond, 0, RATE_MAX);
    checkNumber("capacity", capacity, 0, TOKENS_MAX);
    this.#advance(nowMs);
    this.#flow.setRate(ratePerSecond);
    // Everybody's balance stays as it is: the same marks, and the meter put back by what the capacity grew. Who was full
    // is that much short of it now, and so is everybody who was never seen; old marks must not say that they have more.
    if (capacity > this.#capacity) {
      this.#raiseAll();
      this.#floorWhole = this.#meter[GROUND_WHOLE] as number;
      this.#floorFraction = this.#meter[GROUND_FRACTION] as number;
    }
    this.#flow.add(this.#capacity - capacity);
    this.#capacity = capacity;
    this.#advance(nowMs);
  }

  #advance(nowMs: number): void {
    const meter = this.#meter;
    this.#flow.read(nowMs, meter);
    const whole = meter[WHOLE] as number;
    const fraction = meter[FRACTION] as number;
    if (whole > REBASE_AT) {
      this.#rebase();
      this.#advance(nowMs);
    } else if (this.#floorWhole - whole + (this.#floorFraction - fraction) > 0) {
      meter[GROUND_WHOLE] = this.#floorWhole;
      meter[GROUND_FRACTION] = this.#floorFraction;
    } else {
      meter[GROUND_WHOLE] = whole;
      meter[GROUND_FRACTION] = fraction;
    }
  }

  /** The slot of this key, as an index of its level; -1 when it has none. */
  #find(low: number, high: number): number {
    // As they are kept: a word above 2^31 is never equal to itself in there.
    low |= 0;
    high |= 0;
    const words = this.#words;
    const first = this.#setOf(low);
    const at = first * SET_WORDS;
    // Where `#place` likes to put it: most are found without a search.
    const likely = at + (low & (WAYS - 1));
    if (words[likely] === low && words[likely + WAYS] === high) return levelOf(at, likely);
    return this.#search(low, high, at, this.#otherSetOf(high, first) * SET_WORDS);
  }

  #search(low: number, high: number, at: number, otherAt: number): number {
    const words = this.#words;
    for (let i = at; i < at + WAYS; i += 1) {
      if (words[i] === low && words[i + WAYS] === high) return levelOf(at, i);
    }
    for (let i = otherAt; i < otherAt + WAYS; i += 1) {
      if (words[i] === low && words[i + WAYS] === high) return levelOf(otherAt, i);
    }
    return -1;
  }

  #setOf(word: number): number {
    return Math.floor((word >>> 0) * this.#sets * 2 ** -32);
  }

  #otherSetOf(high: number, first: number): number {
    const set = this.#setOf(high);
    if (set !== first) return set;
    return set + 1 < this.#sets ? set + 1 : 0;
  }

  #cellOf(low: number, high: number): number {
    const mixed = Math.imul(low ^ ((high << 15) | (high >>> 17)), 0x9e3779b1);
    return 2 * Math.floor((mixed >>> 0) * (this.#cells.length / 2) * 2 ** -32);
  }

  /** How far a mark stands above the meter: what has been spent and not earned back; not above zero when full. */
  #spent(marks: Float64Array, at: number): number {
    const meter = this.#meter;
    return (marks[at] as number) - (meter[WHOLE] as number) + ((marks[at + 1] as number) - (meter[FRACTION] as number));
  }

  /** Whether the bucket that has spent so much is as good as one that nobody has seen. */
  #isFree(spent: number): boolean {
    return !(spent > 0) || spent === this.#spent(this.#meter, GROUND_WHOLE);
  }

  /** What the key has spent and not earned back; leaves its mark in `#mark`. */
  #spentAt(slot: number, low: number, high: number): number {
    let marks = this.#levels;
    let at = slot;
    if (slot < 0) {
      marks = this.#cells;
      at = this.#cellOf(low, high);
      if (!(this.#spent(marks, at) > this.#spent(this.#meter, GROUND_WHOLE))) {
        marks = this.#meter;
        at = GROUND_WHOLE;
      }
    } else if (!(this.#spent(marks, at) > 0)) {
      marks = this.#meter;
      at = WHOLE;
    }
    this.#mark[0] = marks[at] as number;
    this.#mark[1] = marks[at + 1] as number;
    return this.#spent(marks, at);
  }

  /** What the key whose mark `#spentAt` found will have spent at a later moment if nobody takes any more. */
  #willHaveSpent(laterMs: number): number {
    const reading = this.#reading;
    this.#flow.peek(laterMs, reading);
    return (this.#mark[0] as number) - (reading[0] as number) + ((this.#mark[1] as number) - (reading[1] as number));
  }

  /** Moves the mark that `#spentAt` found by `tokens`. */
  #charge(slot: number, low: number, high: number, tokens: number): void {
    if (tokens === 0) return;
    const wholeTokens = Math.floor(tokens);
    let whole = (this.#mark[0] as number) + wholeTokens;
    let fraction = (this.#mark[1] as number) + (tokens - wholeTokens);
    if (fraction >= 1) {
      fraction -= 1;
      whole += 1;
    }
    this.#keep(slot, low, high, whole, fraction);
  }

  #keep(slot: number, low: number, high: number, whole: number, fraction: number): void {
    if (slot < 0) {
      this.#place(low, high, whole, fraction);
    } else {
      this.#levels[slot] = whole;
      this.#levels[slot + 1] = fraction;
    }
  }

  /** Finds a slot for a key that has none; or lets the one share that has spent least. */
  #place(low: number, high: number, whole: number, fraction: number): void {
    const first = this.#setOf(low);
    const second = this.#otherSetOf(high, first);
    let roomiest = -1;
    let roomMost = 0;
    let least = -1;
    let leastSpent = whole - (this.#meter[WHOLE] as number) + (fraction - (this.#meter[FRACTION] as number));
    // In the first set while it has room to spare, at the likely place if that is free; else where there is more room.
    for (let choice = 0; choice < 2 && roomMost < ROOM_TO_SPARE; choice += 1) {
      const from = (choice === 0 ? first : second) * SET_DOUBLES + LEVELS_AT;
      const likely = from + 2 * (low & (WAYS - 1));
      let free = -1;
      let room = 0;
      for (let slot = from; slot < from + 2 * WAYS; slot += 2) {
        const spent = this.#spent(this.#levels, slot);
        if (this.#isFree(spent)) {
          if (free !== likely) free = slot;
          room += 1;
        } else if (spent < leastSpent) {
          least = slot;
          leastSpent = spent;
        }
      }
      if (room > roomMost) {
        roomiest = free;
        roomMost = room;
      }
    }
    if (roomiest >= 0) {
      this.#write(roomiest, low, high, whole, fraction);
      return;
    }
    this.#shared += 1;
    if (least < 0) {
      this.#raise(this.#cellOf(low, high), whole, fraction);
      return;
    }
    const word = wordOf(least);
    const cell = this.#cellOf(this.#words[word] as number, this.#words[word + WAYS] as number);
    this.#raise(cell, this.#levels[least] as number, this.#levels[least + 1] as number);
    this.#write(least, low, high, whole, fraction);
  }

  #write(slot: number, low: number, high: number, whole: number, fraction: number): void {
    const word = wordOf(slot);
    this.#words[word] = low;
    this.#words[word + WAYS] = high;
    this.#levels[slot] = whole;
    this.#levels[slot + 1] = fraction;
  }

  /** Marks below the meter, which mean no more than that the bucket is full, are put at the meter. */
  #raiseAll(): void {
    const { 0: whole = 0, 1: fraction = 0 } = this.#meter;
    for (let set = 0; set < this.#sets; set += 1) {
      const from = set * SET_DOUBLES + LEVELS_AT;
      for (let slot = from; slot < from + 2 * WAYS; slot += 2) {
        if (this.#spent(this.#levels, slot) > 0) continue;
        this.#levels[slot] = whole;
        this.#levels[slot + 1] = fraction;
      }
    }
  }

  #raise(cell: number, whole: number, fraction: number): void {
    const cells = this.#cells;
    if (whole - (cells[cell] as number) + (fraction - (cells[cell + 1] as number)) > 0) {
      cells[cell] = whole;
      cells[cell + 1] = fraction;
    }
  }

  /** Counts everything from the present ground. Once in 142 years at a million tokens a second, hourly at 1e12. */
  #rebase(): void {
    const by = this.#meter[WHOLE] as number;
    this.#flow.add(-by);
    // A floor was the meter's reading once, so it is below it now.
    this.#floorWhole = 0;
    this.#floorFraction = 0;
    for (let cell = 0; cell < this.#cells.length; cell += 2) lower(this.#cells, cell, by);
    for (let set = 0; set < this.#sets; set += 1) {
      const from = set * SET_DOUBLES + LEVELS_AT;
      for (let slot = from; slot < from + 2 * WAYS; slot += 2) lower(this.#levels, slot, by);
    }
  }
}

function lower(marks: Float64Array, at: number, by: number): void {
  const whole = (marks[at] as number) - by;
  marks[at] = Math.max(0, whole);
  if (whole < 0) marks[at + 1] = 0;
}

/** The level that belongs to the word at `word` of the set at `at`. */
function levelOf(at: number, word: number): number {
  return (at >> 1) + LEVELS_AT + ((word - at) << 1);
}

/** Where the low word of the slot's key is. */
function wordOf(slot: number): number {
  const set = Math.floor(slot / SET_DOUBLES);
  return set * SET_WORDS + (slot - set * SET_DOUBLES - LEVELS_AT) / 2;
}

function checkTokens(tokens: unknown, max: number): void {
  if (typeof tokens !== "number" || !(tokens >= 0 && tokens <= max)) checkNumber("tokens", tokens, 0, max);
}
