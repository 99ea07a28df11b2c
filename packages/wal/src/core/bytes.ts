/** Little-endian integers in byte arrays. 48 bits hold 281 trillion: every counter here fits a JavaScript number. */

export const u48Max = 2 ** 48 - 1;

export function putU16(target: Uint8Array, at: number, value: number): void {
  target[at] = value;
  target[at + 1] = value >>> 8;
}

export function putU32(target: Uint8Array, at: number, value: number): void {
  target[at] = value;
  target[at + 1] = value >>> 8;
  target[at + 2] = value >>> 16;
  target[at + 3] = value >>> 24;
}

export function putU48(target: Uint8Array, at: number, value: number): void {
  putU32(target, at, value >>> 0);
  putU16(target, at + 4, Math.floor(value / 0x1_0000_0000));
}

export function getU16(source: Uint8Array, at: number): number {
  return byte(source, at) | (byte(source, at + 1) << 8);
}

export function getU32(source: Uint8Array, at: number): number {
  return (getU16(source, at) | (getU16(source, at + 2) << 16)) >>> 0;
}

export function getU48(source: Uint8Array, at: number): number {
  return getU32(source, at) + getU16(source, at + 4) * 0x1_0000_0000;
}

/** The bytes must be there: callers check lengths first, and reading past the end is a mistake in this package. */
function byte(source: Uint8Array, at: number): number {
  return source[at] as number;
}

/** Word by word where words begin: the end of a log is looked over to the end of its segment. */
export function isZero(source: Uint8Array, from: number, to: number): boolean {
  const firstWord = from + (-(source.byteOffset + from) & 3);
  if (to - firstWord < 8) return areZero(source, from, to);
  const words = new Uint32Array(source.buffer, source.byteOffset + firstWord, (to - firstWord) >>> 2);
  return (
    areZero(source, from, firstWord) &&
    areZero(words, 0, words.length) &&
    areZero(source, firstWord + words.byteLength, to)
  );
}

function areZero(values: Uint8Array | Uint32Array, from: number, to: number): boolean {
  for (let at = from; at < to; at++) if (values[at] !== 0) return false;
  return true;
}

/** Continues a CRC-32 (the one of zlib) over `bytes`. Handed in, so that the format needs no I/O library. */
export type Crc = (bytes: Uint8Array, previous?: number) => number;
