import { commonPrefix, compareRuns } from "./bytes.js";

/** A key and its value. Bytes that a tree hands out are the receiver's own copies; bytes handed to a tree are copied. */
export interface Entry {
  readonly key: Uint8Array;
  readonly value: Uint8Array;
}

/**
 * A leaf's entries in one run of bytes, from `at` to `end` of a larger one, with their common prefix stored once. Little-endian, in one of two forms.
 * Where all keys are of one length and all values are (at most 255 bytes each), two columns, so that an entry costs nothing beside its own bytes:
 *
 *   count u8, top bit set | prefix length u16 | suffix length u8 | value length u8 | prefix | suffixes | values
 *
 * else
 *
 *   count u8 | prefix length u16 | prefix | count x (offset u16) | entries
 *
 * an entry, at its offset from the end of the offset table: suffix length (1 byte below 128, else 2) | suffix | value up to the next entry's
 * offset or the block's end. The form is canonical, one for each set of entries, because it is what the Merkle hash of a leaf covers.
 */
export interface Block {
  readonly bytes: Uint8Array;
  readonly at: number;
  readonly end: number;
}

/** Entries in a block, and bytes of keys and values in a block of more than one: both are part of the tree's canonical shape. */
export const blockEntriesMax = 127;
export const blockBytesMax = 16_384;

export const headerBytes = 3;
export const columnsHeaderBytes = 5;
/** In the first byte: the form with columns. */
export const columns = 128;

/** Where blocks of a new tree are put, many in one buffer: a buffer of its own costs more than a small block. */
export class Slabs {
  #bytes: Uint8Array = new Uint8Array(0);
  #used = 0;

  take(size: number): { readonly bytes: Uint8Array; readonly at: number } {
    if (this.#used + size > this.#bytes.length) {
      this.#bytes = new Uint8Array(Math.max(size, slabBytes));
      this.#used = 0;
    }
    const at = this.#used;
    this.#used += size;
    return { bytes: this.#bytes, at };
  }
}

/** A slab is freed when the last of its blocks was replaced, so it must not be large: at worst a tree holds its former blocks beside the present ones. */
const slabBytes = 65_536;

export const emptyBlock: Block = { bytes: new Uint8Array(headerBytes), at: 0, end: headerBytes };

export function encodeBlock(entries: readonly Entry[], from: number, to: number, slabs?: Slabs): Block {
  const count = to - from;
  if (count === 0) return emptyBlock;
  const first = entries[from]!;
  const prefix = commonPrefix(first.key, entries[to - 1]!.key);
  const suffix = first.key.length - prefix;
  const valueLength = first.value.length;
  let isEven = count > 1 && suffix < 256 && valueLength < 256;
  let size = headerBytes + prefix + 2 * count;
  for (let i = from; i < to; i++) {
    const { key, value } = entries[i]!;
    if (key.length - prefix !== suffix || value.length !== valueLength) isEven = false;
    size += (key.length - prefix < 128 ? 1 : 2) + key.length - prefix + value.length;
  }
  if (isEven) size = columnsHeaderBytes + prefix + count * (suffix + valueLength);
  const { bytes, at } = slabs?.take(size) ?? { bytes: new Uint8Array(size), at: 0 };
  const block = { bytes, at, end: at + size };
  bytes[at] = isEven ? count | columns : count;
  bytes[at + 1] = prefix & 255;
  bytes[at + 2] = prefix >>> 8;
  if (isEven) {
    bytes[at + 3] = suffix;
    bytes[at + 4] = valueLength;
    const start = at + columnsHeaderBytes + prefix;
    copyBytes(first.key, 0, prefix, bytes, at + columnsHeaderBytes);
    for (let i = 0; i < count; i++) {
      const { key, value } = entries[from + i]!;
      copyBytes(key, prefix, key.length, bytes, start + i * suffix);
      copyBytes(value, 0, valueLength, bytes, start + count * suffix + i * valueLength);
    }
    return block;
  }
  copyBytes(first.key, 0, prefix, bytes, at + headerBytes);
  const table = at + headerBytes + prefix;
  const start = table + 2 * count;
  let next = start;
  for (let i = from; i < to; i++) {
    const offset = next - start;
    bytes[table + 2 * (i - from)] = offset & 255;
    bytes[table + 2 * (i - from) + 1] = offset >>> 8;
    next = putEntry(bytes, next, entries[i]!, prefix);
  }
  return block;
}

export function countOf({ bytes, at }: Block): number {
  return bytes[at]! & 127;
}

/** Where the parts of an entry stand in a block's bytes. */
export interface Span {
  prefixStart: number;
  prefixEnd: number;
  suffixStart: number;
  suffixEnd: number;
  valueStart: number;
  valueEnd: number;
}

export function newSpan(): Span {
  return { prefixStart: 0, prefixEnd: 0, suffixStart: 0, suffixEnd: 0, valueStart: 0, valueEnd: 0 };
}

export function locate(block: Block, index: number, span: Span): void {
  const { bytes, at } = block;
  if (locateInColumns(bytes, at, index, span)) return;
  const head = bytes[at]!;
  const prefix = bytes[at + 1]! | (bytes[at + 2]! << 8);
  span.prefixStart = at + headerBytes;
  const table = span.prefixStart + prefix;
  span.prefixEnd = table;
  const start = table + 2 * head;
  let next = start + offsetAt(bytes, table + 2 * index);
  let suffix = bytes[next++]!;
  if (suffix >= 128) suffix = ((suffix & 127) << 8) | bytes[next++]!;
  span.suffixStart = next;
  span.suffixEnd = next + suffix;
  span.valueStart = span.suffixEnd;
  span.valueEnd = index + 1 < head ? start + offsetAt(bytes, table + 2 * index + 2) : block.end;
}

/** @returns false for a block of the other form. */
export function locateInColumns(bytes: Uint8Array, at: number, index: number, span: Span): boolean {
  const head = bytes[at]!;
  if (head < columns) return false;
  const prefix = bytes[at + 1]! | (bytes[at + 2]! << 8);
  const suffix = bytes[at + 3]!;
  const value = bytes[at + 4]!;
  const start = at + columnsHeaderBytes + prefix;
  span.prefixStart = at + columnsHeaderBytes;
  span.prefixEnd = start;
  span.suffixStart = start + index * suffix;
  span.suffixEnd = span.suffixStart + suffix;
  span.valueStart = start + (head & 127) * suffix + index * value;
  span.valueEnd = span.valueStart + value;
  return true;
}

const here = newSpan();

export function keyAt(block: Block, index: number): Uint8Array {
  locate(block, index, here);
  return keyIn(block.bytes, here);
}

export function keyIn(bytes: Uint8Array, span: Span): Uint8Array {
  const prefix = span.prefixEnd - span.prefixStart;
  const key = new Uint8Array(prefix + span.suffixEnd - span.suffixStart);
  copyBytes(bytes, span.prefixStart, span.prefixEnd, key, 0);
  copyBytes(bytes, span.suffixStart, span.suffixEnd, key, prefix);
  return key;
}

export function valueIn(bytes: Uint8Array, span: Span): Uint8Array {
  const value = new Uint8Array(span.valueEnd - span.valueStart);
  copyBytes(bytes, span.valueStart, span.valueEnd, value, 0);
  return value;
}

export function valueAt(block: Block, index: number): Uint8Array {
  locate(block, index, here);
  return valueIn(block.bytes, here);
}

/** Whether the value at `index` is this one. */
export function hasValue(block: Block, index: number, value: Uint8Array): boolean {
  locate(block, index, here);
  if (here.valueEnd - here.valueStart !== value.length) return false;
  for (let i = 0; i < value.length; i++) if (block.bytes[here.valueStart + i] !== value[i]) return false;
  return true;
}

export function valueBytes(block: Block, index: number): number {
  locate(block, index, here);
  return here.valueEnd - here.valueStart;
}

export function entryOf(block: Block, index: number): Entry {
  locate(block, index, here);
  return { key: keyIn(block.bytes, here), value: valueIn(block.bytes, here) };
}

/**
 * The block with one entry put or removed at `index`, made by moving bytes; undefined where that needs another form or prefix. The first and the
 * last key must stay, so that the common prefix does. That is what most updates of a large tree are.
 * @param removed how many entries leave at `index`: 0 or 1.
 */
export function spliceBlock(block: Block, index: number, removed: 0 | 1, added: Entry | undefined): Block | undefined {
  const { bytes, at, end } = block;
  const head = bytes[at]!;
  const count = head & 127;
  const countAfter = count - removed + (added === undefined ? 0 : 1);
  const prefix = bytes[at + 1]! | (bytes[at + 2]! << 8);
  if (head < columns || countAfter < 2) return undefined;
  const suffix = bytes[at + 3]!;
  const value = bytes[at + 4]!;
  if (added !== undefined && (added.key.length - prefix !== suffix || added.value.length !== value)) return undefined;
  const spliced = new Uint8Array(end - at + (countAfter - count) * (suffix + value));
  const start = columnsHeaderBytes + prefix;
  copyBytes(bytes, at, at + start, spliced, 0);
  spliced[0] = countAfter | columns;
  let from = at + start;
  let to = start;
  for (const [width, data, skip] of [
    [suffix, added?.key, prefix],
    [value, added?.value, 0],
  ] as const) {
    copyBytes(bytes, from, from + index * width, spliced, to);
    to += index * width;
    if (data !== undefined) {
      copyBytes(data, skip, data.length, spliced, to);
      to += width;
    }
    copyBytes(bytes, from + (index + removed) * width, from + count * width, spliced, to);
    to += (count - index - removed) * width;
    from += count * width;
  }
  return { bytes: spliced, at: 0, end: spliced.length };
}

/**
 * Whether bytes that came from outside are a block, with its lengths and offsets inside it and its keys ascending, in the one form that its entries have.
 */
export function isBlock(block: Block): boolean {
  const { bytes, at, end } = block;
  if (end - at < headerBytes) return false;
  const head = bytes[at]!;
  const count = head & 127;
  const prefix = bytes[at + 1]! | (bytes[at + 2]! << 8);
  if (count === 0) return false;
  if (head >= columns) {
    if (count < 2 || end - at < columnsHeaderBytes) return false;
    const suffix = bytes[at + 3]!;
    if (end - at !== columnsHeaderBytes + prefix + count * (suffix + bytes[at + 4]!)) return false;
    const start = at + columnsHeaderBytes + prefix;
    for (let i = 1; i < count; i++) {
      if (
        compareRuns(
          bytes,
          start + (i - 1) * suffix,
          start + i * suffix,
          bytes,
          start + i * suffix,
          start + (i + 1) * suffix,
        ) >= 0
      )
        return false;
    }
    return bytes[start] !== bytes[start + (count - 1) * suffix];
  }
  const table = at + headerBytes + prefix;
  const start = table + 2 * count;
  if (start > end) return false;
  let before = 0;
  let beforeLength = -1;
  let next = start;
  let isEven = count > 1;
  let firstLength = 0;
  let firstValue = 0;
  let firstAt = 0;
  for (let i = 0; i < count; i++) {
    const entry = start + offsetAt(bytes, table + 2 * i);
    const stop = i + 1 < count ? start + offsetAt(bytes, table + 2 * i + 2) : end;
    if (entry !== next || stop > end || entry >= stop) return false;
    const isLong = bytes[entry]! >= 128;
    if (isLong && entry + 1 >= stop) return false;
    const length = isLong ? ((bytes[entry]! & 127) << 8) | bytes[entry + 1]! : bytes[entry]!;
    const suffix = entry + (isLong ? 2 : 1);
    if (suffix + length > stop || (isLong && length < 128)) return false;
    if (beforeLength >= 0 && compareRuns(bytes, before, before + beforeLength, bytes, suffix, suffix + length) >= 0)
      return false;
    if (i === 0) {
      firstLength = length;
      firstValue = stop - suffix - length;
      firstAt = suffix;
    }
    if (length !== firstLength || stop - suffix - length !== firstValue) isEven = false;
    before = suffix;
    beforeLength = length;
    next = stop;
  }
  if (isEven && firstLength < 256 && firstValue < 256) return false;
  // The prefix is all that the first and the last key share.
  return count === 1 ? firstLength === 0 : firstLength === 0 || bytes[firstAt] !== bytes[before];
}

function putEntry(bytes: Uint8Array, start: number, { key, value }: Entry, prefix: number): number {
  const suffix = key.length - prefix;
  let at = start;
  if (suffix < 128) bytes[at++] = suffix;
  else {
    bytes[at++] = 128 | (suffix >>> 8);
    bytes[at++] = suffix & 255;
  }
  copyBytes(key, prefix, key.length, bytes, at);
  copyBytes(value, 0, value.length, bytes, at + suffix);
  return at + suffix + value.length;
}

function offsetAt(bytes: Uint8Array, slot: number): number {
  return bytes[slot]! | (bytes[slot + 1]! << 8);
}

/** Short runs are copied faster by hand than by `set(subarray())`, which makes an object. */
export function copyBytes(from: Uint8Array, start: number, end: number, to: Uint8Array, at: number): void {
  if (end - start > 64) to.set(from.subarray(start, end), at);
  else for (let i = start, j = at; i < end; i++, j++) to[j] = from[i]!;
}
