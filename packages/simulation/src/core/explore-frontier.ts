import { badArgument } from "./errors.js";

/** States that wait to be gone on from, first in, first out. */
export interface Frontier<S> {
  readonly length: number;
  readonly bytes: number;
  push(state: S): void;
  /** Only where `length` is not 0. */
  shift(): S;
}

/** Keeps them as they are. */
export class PlainFrontier<S> implements Frontier<S> {
  readonly bytes = 0;
  #items: (S | undefined)[] = [];
  #head = 0;

  get length(): number {
    return this.#items.length - this.#head;
  }

  push(state: S): void {
    this.#items.push(state);
  }

  shift(): S {
    const state = this.#items[this.#head] as S;
    this.#items[this.#head++] = undefined;
    if (this.#head >= 4096 && 2 * this.#head >= this.#items.length) {
      this.#items = this.#items.slice(this.#head);
      this.#head = 0;
    }
    return state;
  }
}

const CHUNK_BYTES = 1 << 20;

/** Keeps them as bytes: the count, then each number, 7 bits a byte. A state stands whole in one chunk; a read chunk is let go of. */
export class PackedFrontier<S> implements Frontier<S> {
  length = 0;
  #chunks: { bytes: Uint8Array; used: number }[] = [];
  #firstChunk = 0;
  #readAt = 0;
  readonly #encode: (state: S) => readonly number[];
  readonly #decode: (numbers: readonly number[]) => S;

  constructor(encode: (state: S) => readonly number[], decode: (numbers: readonly number[]) => S) {
    this.#encode = encode;
    this.#decode = decode;
  }

  get bytes(): number {
    let sum = 0;
    for (let i = this.#firstChunk; i < this.#chunks.length; i++) sum += this.#chunks[i]?.bytes.length ?? 0;
    return sum;
  }

  push(state: S): void {
    const numbers = this.#encode(state);
    const most = 5 * (numbers.length + 1);
    let chunk = this.#chunks.at(-1);
    if (chunk === undefined || chunk.used + most > chunk.bytes.length) {
      chunk = { bytes: new Uint8Array(Math.max(CHUNK_BYTES, most)), used: 0 };
      this.#chunks.push(chunk);
    }
    const { bytes } = chunk;
    let at = written(bytes, chunk.used, numbers.length);
    for (const number of numbers) {
      if (number >>> 0 !== number) throw badArgument("encode", "a function to integers from 0 to 2^32 - 1", number);
      at = written(bytes, at, number);
    }
    chunk.used = at;
    this.length++;
  }

  shift(): S {
    let chunk = this.#chunks[this.#firstChunk] as { bytes: Uint8Array; used: number };
    if (this.#readAt === chunk.used) {
      this.#chunks[this.#firstChunk++] = { bytes: new Uint8Array(0), used: 0 };
      if (this.#firstChunk > 64 && 2 * this.#firstChunk > this.#chunks.length) {
        this.#chunks = this.#chunks.slice(this.#firstChunk);
        this.#firstChunk = 0;
      }
      chunk = this.#chunks[this.#firstChunk] as { bytes: Uint8Array; used: number };
      this.#readAt = 0;
    }
    const { bytes } = chunk;
    let at = this.#readAt;
    const numbers: number[] = [];
    let count = -1;
    while (count !== numbers.length) {
      let number = 0;
      let shift = 0;
      for (;;) {
        const byte = bytes[at++] as number;
        number |= (byte & 127) << shift;
        if (byte < 128) break;
        shift += 7;
      }
      if (count < 0) count = number >>> 0;
      else numbers.push(number >>> 0);
    }
    this.#readAt = at;
    this.length--;
    return this.#decode(numbers);
  }
}

function written(bytes: Uint8Array, from: number, value: number): number {
  let at = from;
  let rest = value;
  while (rest > 127) {
    bytes[at++] = (rest & 127) | 128;
    rest >>>= 7;
  }
  bytes[at++] = rest;
  return at;
}
