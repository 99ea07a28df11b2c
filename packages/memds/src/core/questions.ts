import type { Entry } from "./block.js";
import { bad, MemdsError } from "./errors.js";
import {
  type Answer,
  decodeAnswers,
  encodeAnswers,
  encodeQueries,
  floorKind,
  type Query,
  queriesMax,
} from "./messages.js";
import { keyBytesMax } from "./range-tree.js";
import { Reader } from "./wire.js";

/** What one request asks, whichever server answers it: how that is written, and how its answers are read. */
export interface Questions<A> {
  readonly count: number;
  /** The payload of a look-up's frame. */
  encode(): Uint8Array;
  /** @throws MemdsError `ERR_MEMDS_PROTOCOL` for what does not answer just these. */
  decode(payload: Uint8Array): Answers<A>;
  /** Some of them, where all are too much for one frame. */
  slice(from: number, to: number): Questions<A>;
  /** The same for a server of this process. */
  queries(): readonly Query[];
  answers(answers: readonly Answer[]): A[];
}

export interface Answers<A> {
  /** Undefined where nothing was asked. */
  readonly version: number | undefined;
  readonly all: A[];
}

/** Questions of every kind, as `lookup` takes them. */
export class Queries implements Questions<Answer> {
  readonly #queries: readonly Query[];

  constructor(queries: readonly Query[]) {
    this.#queries = queries;
  }

  get count(): number {
    return this.#queries.length;
  }

  encode(): Uint8Array {
    return encodeQueries(this.#queries);
  }

  decode(payload: Uint8Array): Answers<Answer> {
    const all = decodeAnswers(payload);
    if (all.length !== this.count) throw notOne(all.length, this.count);
    return { version: all[0]?.version, all };
  }

  slice(from: number, to: number): Queries {
    return new Queries(this.#queries.slice(from, to));
  }

  queries(): readonly Query[] {
    return this.#queries;
  }

  answers(answers: readonly Answer[]): Answer[] {
    return [...answers];
  }
}

/**
 * What was found for a key, where it lies in the frame: the same object for each answer, and the bytes are used again. What is kept of it has to be
 * copied out before the next one.
 */
export class FoundPlace {
  /** The version of the tree that this was read from. */
  version = 0;
  bytes: Uint8Array = nothing;
  /** False where no key is at or below the one that was asked for; both lengths are then 0. */
  isFound = false;
  keyStart = 0;
  keyEnd = 0;
  valueStart = 0;
  valueEnd = 0;
}

const nothing = new Uint8Array(0);

/** What a member found for a key. Holds its own bytes, and nothing of the frame that they came in. */
export class Found {
  /** The version of the tree that this was read from. */
  readonly version: number;
  /** Key and value, one behind the other. A short array of words is a quarter of the work that an array of bytes is, for who makes it and for the garbage collector. */
  readonly #data: readonly number[] | Uint8Array | undefined;
  readonly #keyLength: number;
  readonly #length: number;

  constructor({ version, bytes, isFound, keyStart, keyEnd, valueStart, valueEnd }: FoundPlace) {
    this.version = version;
    const keyLength = keyEnd - keyStart;
    const length = keyLength + valueEnd - valueStart;
    this.#keyLength = keyLength;
    this.#length = length;
    if (!isFound) this.#data = undefined;
    else if (length > wordsMax * 4) {
      const data = new Uint8Array(length);
      data.set(bytes.subarray(keyStart, keyEnd));
      data.set(bytes.subarray(valueStart, valueEnd), keyLength);
      this.#data = data;
    } else {
      const count = (length + 3) >> 2;
      const data = new Array<number>(count);
      const gap = valueStart - keyEnd;
      let at = keyStart;
      for (let i = 0, read = 0; i < count; i++) {
        let word = 0;
        for (let shift = 0; shift < 32 && read < length; shift += 8, read++) {
          if (read === keyLength) at += gap;
          word |= bytes[at++]! << shift;
        }
        data[i] = word;
      }
      this.#data = data;
    }
  }

  /** The entry with the highest key that is not above the one that was asked for; undefined where there is none. A copy. */
  get entry(): Entry | undefined {
    return this.#data && { key: this.#copy(0, this.#keyLength), value: this.#copy(this.#keyLength, this.#length) };
  }

  /** Its value. A copy. */
  get value(): Uint8Array | undefined {
    return this.#data && this.#copy(this.#keyLength, this.#length);
  }

  #copy(from: number, to: number): Uint8Array {
    const data = this.#data!;
    if (data instanceof Uint8Array) return data.slice(from, to);
    const copy = new Uint8Array(to - from);
    for (let i = from; i < to; i++) copy[i - from] = data[i >> 2]! >>> ((i & 3) << 3);
    return copy;
  }
}

const wordsMax = 16;
const encoder = new TextEncoder();

/**
 * The ranges that keys fall into, the keys being text: what a cache asks for all day, and by the hundred. So this goes from strings to the frame and
 * from the frame to what is kept, without a query, a list and two arrays of bytes for each.
 */
export class Floors<A> implements Questions<A> {
  readonly #keys: readonly string[];
  readonly #make: (found: FoundPlace, key: string) => A;

  /** @throws MemdsError `ERR_MEMDS_ARGUMENT` */
  constructor(keys: readonly string[], make: (found: FoundPlace, key: string) => A) {
    if (!Array.isArray(keys) || keys.length > queriesMax) {
      throw bad("keys", `an array of at most ${queriesMax}`, Array.isArray(keys) ? keys.length : keys);
    }
    for (const key of keys as readonly unknown[]) {
      if (typeof key !== "string") throw bad("a key", "a string", key);
    }
    this.#keys = keys;
    this.#make = make;
  }

  get count(): number {
    return this.#keys.length;
  }

  encode(): Uint8Array {
    const keys = this.#keys;
    let size = 2;
    for (let i = 0; i < keys.length; i++) size += 3 + Math.min(keys[i]!.length * 3, keyBytesMax);
    const bytes = new Uint8Array(size);
    bytes[0] = keys.length & 255;
    bytes[1] = keys.length >>> 8;
    let at = 2;
    for (let i = 0; i < keys.length; i++) {
      const key = keys[i]!;
      const start = at + 3;
      const length = putKey(bytes, start, key);
      bytes[at] = floorKind;
      bytes[at + 1] = length & 255;
      bytes[at + 2] = length >>> 8;
      at = start + length;
    }
    return bytes.subarray(0, at);
  }

  decode(payload: Uint8Array): Answers<A> {
    const reader = new Reader(payload, "ERR_MEMDS_PROTOCOL");
    const version = reader.u64();
    const count = reader.u16();
    if (count !== this.#keys.length) throw notOne(count, this.#keys.length);
    const make = this.#make;
    const found = new FoundPlace();
    found.version = version;
    found.bytes = payload;
    const all = new Array<A>(count);
    let at = 10;
    for (let i = 0; i < count; i++) {
      // more u8 | entries u32 | key length u16 | key | value length u32 | value
      const entries = at + 5 <= payload.length ? u32At(payload, at + 1) : 2;
      const keyStart = at + 7;
      const keyEnd = keyStart + (keyStart <= payload.length ? payload[at + 5]! | (payload[at + 6]! << 8) : 0);
      const valueStart = keyEnd + 4;
      const valueEnd = valueStart + (valueStart <= payload.length ? u32At(payload, keyEnd) : 0);
      at = entries === 0 ? at + 5 : valueEnd;
      if (entries > 1 || at > payload.length) {
        throw new MemdsError("ERR_MEMDS_PROTOCOL", `answer ${i} of ${count} is not one entry`);
      }
      found.isFound = entries === 1;
      found.keyStart = keyStart;
      found.keyEnd = entries === 1 ? keyEnd : keyStart;
      found.valueStart = valueStart;
      found.valueEnd = entries === 1 ? valueEnd : valueStart;
      all[i] = make(found, this.#keys[i]!);
    }
    if (at !== payload.length) throw reader.fault(`${payload.length - at} bytes too many`);
    return { version, all };
  }

  slice(from: number, to: number): Floors<A> {
    return new Floors(this.#keys.slice(from, to), this.#make);
  }

  queries(): readonly Query[] {
    return this.#keys.map((key) => ({ kind: "floor", key: encoder.encode(key).slice(0, keyBytesMax) }));
  }

  /** By way of the wire, so that both ways are one. */
  answers(answers: readonly Answer[]): A[] {
    return answers.length === 0 ? [] : this.decode(encodeAnswers(answers[0]!.version, answers)).all;
  }
}

/** A key as UTF-8. What no key of the tree is long enough for changes nothing about which one is the floor, so it is cut off. */
function putKey(bytes: Uint8Array, at: number, key: string): number {
  if (key.length <= keyBytesMax) {
    let i = 0;
    for (; i < key.length; i++) {
      const code = key.charCodeAt(i);
      if (code >= 0x80) break;
      bytes[at + i] = code;
    }
    if (i === key.length) return i;
  }
  const whole = encoder.encode(key).subarray(0, keyBytesMax);
  bytes.set(whole, at);
  return whole.length;
}

function u32At(bytes: Uint8Array, at: number): number {
  return (bytes[at]! | (bytes[at + 1]! << 8) | (bytes[at + 2]! << 16) | (bytes[at + 3]! << 24)) >>> 0;
}

function notOne(answers: number, asked: number): MemdsError {
  return new MemdsError("ERR_MEMDS_PROTOCOL", `${answers} answers to ${asked} queries`);
}
