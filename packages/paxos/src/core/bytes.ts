import { PaxosError } from "./errors.js";

const encoder = new TextEncoder();
const decoder = new TextDecoder("utf-8", { fatal: true });

/** Views of at most so many bytes are kept. */
const viewsMax = 1024;

/** Appends numbers, strings and bytes to one buffer that grows by doubling. */
export class ByteWriter {
  #bytes: Uint8Array<ArrayBuffer>;
  /** Made when it is first needed: most of what is written holds no such number. */
  #view: DataView | undefined;
  #length = 0;
  /** What was lent before, by length: a view costs as much as what it shows, and most of what is written is as long as what was. */
  readonly #views: (Uint8Array | undefined)[] = [];

  constructor(capacity: number) {
    this.#bytes = new Uint8Array(capacity);
  }

  /** What was written, in a buffer of its own size; the writer starts again from nothing. */
  take(): Uint8Array {
    const out = this.#bytes.slice(0, this.#length);
    this.#length = 0;
    return out;
  }

  get length(): number {
    return this.#length;
  }

  /** Of a byte that was written already. */
  setBit(at: number, bit: number): void {
    this.#bytes[at] = (this.#bytes[at] as number) | (1 << bit);
  }

  /** Starts again from nothing; a buffer that has become larger than `keptBytesMax` is given up. */
  clear(keptBytesMax: number): void {
    this.#length = 0;
    if (this.#bytes.length <= keptBytesMax) return;
    this.#bytes = new Uint8Array(keptBytesMax);
    this.#view = undefined;
  }

  /** A view on what was written, good until something else is; the writer starts again from nothing. */
  lend(): Uint8Array {
    const length = this.#length;
    this.#length = 0;
    if (length > viewsMax) return this.#bytes.subarray(0, length);
    if (this.#views[length]?.buffer !== this.#bytes.buffer) this.#views[length] = this.#bytes.subarray(0, length);
    return this.#views[length] as Uint8Array;
  }

  /** What stands from `from` to `to`, into `target` from `at` on. */
  copyTo(target: Uint8Array, at: number, from: number, to: number): void {
    if (to - from > 64) {
      target.set(this.#bytes.subarray(from, to), at);
      return;
    }
    for (let i = from, put = at; i < to; i++) target[put++] = this.#bytes[i] as number;
  }

  /** Makes room for 32 bits, to be filled in by `fillUint32`. Returns where. */
  skipUint32(): number {
    this.#room(4);
    this.#length += 4;
    return this.#length - 4;
  }

  /** Little-endian. */
  fillUint32(at: number, value: number): void {
    const bytes = this.#bytes;
    bytes[at] = value;
    bytes[at + 1] = value >>> 8;
    bytes[at + 2] = value >>> 16;
    bytes[at + 3] = value >>> 24;
  }

  byte(value: number): void {
    this.#room(1);
    this.#bytes[this.#length++] = value;
  }

  /** Unsigned LEB128, for integers from 0 to 2^53 - 1. */
  varint(value: number): void {
    this.#room(8);
    const bytes = this.#bytes;
    let at = this.#length;
    let rest = value;
    // What is no small number is divided as a fraction; nearly all are small.
    for (; rest > 0x7fff_ffff; rest = Math.floor(rest / 0x80)) bytes[at++] = (rest % 0x80) | 0x80;
    for (; rest >= 0x80; rest >>>= 7) bytes[at++] = (rest & 0x7f) | 0x80;
    bytes[at++] = rest;
    this.#length = at;
  }

  float64(value: number): void {
    this.#room(8);
    this.#view ??= new DataView(this.#bytes.buffer);
    this.#view.setFloat64(this.#length, value, true);
    this.#length += 8;
  }

  /** UTF-8. Node ids are short and mostly ASCII, for which the platform's encoder costs more than it saves. */
  text(value: string): void {
    const { length } = value;
    if (length < 0x80) {
      this.#room(length + 1);
      const start = this.#length;
      this.#bytes[this.#length++] = length;
      let i = 0;
      for (; i < length; i++) {
        const code = value.charCodeAt(i);
        if (code >= 0x80) break;
        this.#bytes[this.#length++] = code;
      }
      if (i === length) return;
      this.#length = start;
    }
    this.blob(encoder.encode(value));
  }

  blob(value: Uint8Array): void {
    this.varint(value.length);
    this.bytes(value);
  }

  /** Without their length. */
  bytes(value: Uint8Array): void {
    this.#room(value.length);
    this.#bytes.set(value, this.#length);
    this.#length += value.length;
  }

  #room(bytes: number): void {
    const needed = this.#length + bytes;
    if (needed <= this.#bytes.length) return;
    const grown = new Uint8Array(Math.max(needed, this.#bytes.length * 2));
    grown.set(this.#bytes.subarray(0, this.#length));
    this.#bytes = grown;
    this.#view = undefined;
  }
}

const slabBytes = 8 << 10;
let slab = new Uint8Array(0);
let slabUsed = 0;

/** As of Node's own pool: small pieces share a buffer of 8 KiB, because a buffer costs far more than the piece, and most pieces live about as long as those beside them. */
function piece(length: number): Uint8Array {
  if (length > slabBytes / 8) return new Uint8Array(length);
  if (slabUsed + length > slab.length) {
    slab = new Uint8Array(slabBytes);
    slabUsed = 0;
  }
  slabUsed += length;
  return slab.subarray(slabUsed - length, slabUsed);
}

const nameBytesMax = 64;
const namesMax = 64;
/** Names that were read last, by their length and last byte. Nearly all that is read are those of the few nodes with which this one shares its groups, each a thousand times a second. */
const names: ({ readonly bytes: Uint8Array; readonly text: string } | undefined)[] = [];

const eight = new Uint8Array(8);
const eightView = new DataView(eight.buffer);

/** Reads what `ByteWriter` wrote; anything that does not fit is ERR_PAXOS_CORRUPT, never a read beyond the end. */
export class ByteReader {
  #bytes: Uint8Array;
  /** Of the bytes, once a view on them was asked for. */
  #buffer: ArrayBufferLike | undefined;
  #bufferAt = 0;
  #offset: number;
  #end: number;

  constructor(bytes: Uint8Array, from = 0, to = bytes.length) {
    this.#bytes = bytes;
    this.#offset = from;
    this.#end = to;
  }

  /** From here on the reader stands on bytes of its own: a copy, unless they were `given` and are most of what they would keep in memory. */
  own(given: boolean): void {
    if (given && this.left * 2 >= this.#bytes.buffer.byteLength) return;
    // Not `slice`: that of a Node Buffer gives a view.
    const copy = new Uint8Array(this.left);
    copy.set(this.#bytes.subarray(this.#offset, this.#end));
    this.#bytes = copy;
    this.#buffer = undefined;
    this.#offset = 0;
    this.#end = copy.length;
  }

  get left(): number {
    return this.#end - this.#offset;
  }

  /** A copy, whatever becomes of the bytes that are read. */
  ownBlob(): Uint8Array {
    const length = this.varint();
    const start = this.#advance(length);
    const copy = piece(length);
    const bytes = this.#bytes;
    if (length > 64) copy.set(bytes.subarray(start, start + length));
    else for (let i = 0; i < length; i++) copy[i] = bytes[start + i] as number;
    return copy;
  }

  byte(): number {
    if (this.#offset >= this.#end) throw corrupt("it ends early");
    return this.#bytes[this.#offset++] as number;
  }

  varint(): number {
    let value = 0;
    let scale = 1;
    for (let i = 0; i < 8; i++) {
      const byte = this.byte();
      value += (byte & 0x7f) * scale;
      if (byte < 0x80) {
        if (value > Number.MAX_SAFE_INTEGER) break;
        return value;
      }
      scale *= 0x80;
    }
    throw corrupt("an integer is too large");
  }

  float64(): number {
    const start = this.#advance(8);
    // Byte by byte: a view on the reader's own buffer costs many times as much, since small arrays get one only when asked.
    for (let i = 0; i < 8; i++) eight[i] = this.#bytes[start + i] as number;
    return eightView.getFloat64(0, true);
  }

  text(): string {
    const length = this.varint();
    const start = this.#advance(length);
    if (length > nameBytesMax || length === 0) return this.#text(start, length);
    const place = (length * 31 + (this.#bytes[start + length - 1] as number)) % namesMax;
    const known = names[place];
    if (known !== undefined && known.bytes.length === length) {
      let i = 0;
      while (i < length && known.bytes[i] === this.#bytes[start + i]) i++;
      if (i === length) return known.text;
    }
    const text = this.#text(start, length);
    // Not `slice`: that of a Node Buffer gives a view.
    names[place] = { bytes: new Uint8Array(this.#bytes.subarray(start, start + length)), text };
    return text;
  }

  #text(start: number, length: number): string {
    if (length <= 32) {
      let text = "";
      let i = 0;
      for (; i < length; i++) {
        const code = this.#bytes[start + i] as number;
        if (code >= 0x80) break;
        text += String.fromCharCode(code);
      }
      if (i === length) return text;
    }
    try {
      return decoder.decode(this.#bytes.subarray(start, start + length));
    } catch (cause) {
      throw new PaxosError("ERR_PAXOS_CORRUPT", "a message cannot be read: a name is not UTF-8", { cause });
    }
  }

  /** A view on the bytes that are read. */
  blob(): Uint8Array {
    const length = this.varint();
    const start = this.#advance(length);
    // Not `subarray`: a Node Buffer's own costs several times as much, and there is a command behind each.
    if (this.#buffer === undefined) {
      this.#buffer = this.#bytes.buffer;
      this.#bufferAt = this.#bytes.byteOffset;
    }
    return new Uint8Array(this.#buffer, this.#bufferAt + start, length);
  }

  /** All that is left: a view on the bytes that are read. */
  rest(): Uint8Array {
    const start = this.#advance(this.left);
    return this.#bytes.subarray(start, this.#end);
  }

  #advance(length: number): number {
    const start = this.#offset;
    if (length > this.left) throw corrupt("it ends early");
    this.#offset += length;
    return start;
  }
}

export function corrupt(why: string): PaxosError {
  return new PaxosError("ERR_PAXOS_CORRUPT", `a message cannot be read: ${why}`);
}
