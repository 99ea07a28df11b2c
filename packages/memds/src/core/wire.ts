import { MemdsError, type MemdsErrorCode } from "./errors.js";

/** CRC-32 (the one of zlib) of some bytes, as an unsigned integer; handed in, since the platform has it in native code. */
export type Checksum = (bytes: Uint8Array) => number;

/** Bytes up to here are copied faster by hand than by a call into the platform. */
const shortMax = 64;

/** Little-endian bytes, growing as needed. */
export class Writer {
  #bytes: Uint8Array;
  #view: DataView;
  #length = 0;

  constructor(sizeHint = 256) {
    this.#bytes = new Uint8Array(sizeHint);
    this.#view = new DataView(this.#bytes.buffer);
  }

  get length(): number {
    return this.#length;
  }

  u8(value: number): void {
    const at = this.#claim(1);
    this.#view.setUint8(at, value);
  }

  u16(value: number): void {
    const at = this.#claim(2);
    this.#view.setUint16(at, value, true);
  }

  u32(value: number): void {
    const at = this.#claim(4);
    this.#view.setUint32(at, value, true);
  }

  /** A whole number up to 2^53 - 1. */
  u64(value: number): void {
    const at = this.#claim(8);
    this.#view.setUint32(at, value % 2 ** 32, true);
    this.#view.setUint32(at + 4, Math.floor(value / 2 ** 32), true);
  }

  /** 7 bits a byte, lowest first; a whole number up to 2^53 - 1. */
  varint(value: number): void {
    let rest = value;
    while (rest >= 128) {
      this.u8((rest % 128) | 128);
      rest = Math.floor(rest / 128);
    }
    this.u8(rest);
  }

  raw(bytes: Uint8Array): void {
    const at = this.#claim(bytes.length);
    if (bytes.length > shortMax) this.#bytes.set(bytes, at);
    else for (let i = 0; i < bytes.length; i++) this.#bytes[at + i] = bytes[i]!;
  }

  /** Overwrites a u32 written before. */
  patchU32(at: number, value: number): void {
    this.#view.setUint32(at, value, true);
  }

  /** What was written, without a copy; valid until the next write. */
  bytes(): Uint8Array {
    return this.#bytes.subarray(0, this.#length);
  }

  #claim(count: number): number {
    const at = this.#length;
    this.#length = at + count;
    if (this.#length > this.#bytes.length) {
      const larger = new Uint8Array(Math.max(this.#length, this.#bytes.length * 2));
      larger.set(this.#bytes.subarray(0, at));
      this.#bytes = larger;
      this.#view = new DataView(larger.buffer);
    }
    return at;
  }
}

/** Reads what a Writer wrote, and never past its end. */
export class Reader {
  readonly #bytes: Uint8Array;
  readonly #view: DataView;
  readonly #code: MemdsErrorCode;
  #at = 0;

  /** @param code of the error when the bytes end too early or hold what they may not. */
  constructor(bytes: Uint8Array, code: MemdsErrorCode) {
    // A plain Uint8Array, whose slice() copies; that of a Buffer does not.
    this.#bytes = new Uint8Array(bytes.buffer, bytes.byteOffset, bytes.byteLength);
    this.#view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
    this.#code = code;
  }

  get remaining(): number {
    return this.#bytes.length - this.#at;
  }

  u8(): number {
    return this.#view.getUint8(this.#take(1));
  }

  u16(): number {
    return this.#view.getUint16(this.#take(2), true);
  }

  u32(): number {
    return this.#view.getUint32(this.#take(4), true);
  }

  u64(): number {
    const at = this.#take(8);
    const value = this.#view.getUint32(at, true) + this.#view.getUint32(at + 4, true) * 2 ** 32;
    if (!Number.isSafeInteger(value)) throw this.fault(`${value} is above 2^53 - 1`);
    return value;
  }

  varint(): number {
    let value = 0;
    for (let factor = 1; ; factor *= 128) {
      const byte = this.u8();
      value += (byte & 127) * factor;
      if (!Number.isSafeInteger(value)) throw this.fault("a number above 2^53 - 1");
      if (byte < 128) return value;
    }
  }

  /** A view; copy it to keep it. */
  raw(length: number): Uint8Array {
    const at = this.#take(length);
    return this.#bytes.subarray(at, at + length);
  }

  /** The receiver's own. */
  copy(length: number): Uint8Array {
    const at = this.#take(length);
    if (length > shortMax) return this.#bytes.slice(at, at + length);
    const copy = new Uint8Array(length);
    for (let i = 0; i < length; i++) copy[i] = this.#bytes[at + i]!;
    return copy;
  }

  end(): void {
    if (this.remaining > 0) throw this.fault(`${this.remaining} bytes too many`);
  }

  fault(what: string): MemdsError {
    return new MemdsError(this.#code, `at byte ${this.#at}: ${what}`);
  }

  #take(count: number): number {
    if (count > this.remaining) throw this.fault(`${count} bytes expected, ${this.remaining} left`);
    const at = this.#at;
    this.#at += count;
    return at;
  }
}
