import { commonPrefix } from "./bytes.js";

/** A key and its value. Bytes that a tree hands out are the receiver's own copies; bytes handed to a tree are copied. */
export interface Entry {
  readonly key: Uint8Array;
  readonly value: Uint8Array;
}

/**
 * A leaf's entries in one run of bytes, with their common prefix stored once. Little-endian:
 *
 *   count u8 | prefix length u16 | prefix | count x (offset u16) | entries
 *
 * An entry, at its offset from the end of the offset table: suffix length (1 byte below 128, else 2) | suffix | value up to the next entry's
 * offset or the block's end. The form is canonical, one for each set of entries, because it is what the Merkle hash of a leaf covers.
 */
export type Block = Uint8Array;

/** Entries in a block, and bytes of keys and values in a block of more than one: both are part of the tree's canonical shape. */
export const blockEntriesMax = 32;
export const blockBytesMax = 16_384;

const headerBytes = 3;

export function encodeBlock(entries: readonly Entry[], from: number, to: number): Block {
  const count = to - from;
  if (count === 0) return new Uint8Array(headerBytes);
  const first = entries[from]!.key;
  const prefix = commonPrefix(first, entries[to - 1]!.key);
  let bytes = headerBytes + prefix + 2 * count;
  for (let i = from; i < to; i++) {
    const { key, value } = entries[i]!;
    const suffix = key.length - prefix;
    bytes += (suffix < 128 ? 1 : 2) + suffix + value.length;
  }
  const block = new Uint8Array(bytes);
  block[0] = count;
  block[1] = prefix & 255;
  block[2] = prefix >>> 8;
  copyBytes(first, 0, prefix, block, headerBytes);
  const table = headerBytes + prefix;
  const start = table + 2 * count;
  let at = start;
  for (let i = from; i < to; i++) {
    const offset = at - start;
    block[table + 2 * (i - from)] = offset & 255;
    block[table + 2 * (i - from) + 1] = offset >>> 8;
    at = putEntry(block, at, entries[i]!, prefix);
  }
  return block;
}

export function countOf(block: Block): number {
  return block[0]!;
}

export function keyAt(block: Block, index: number): Uint8Array {
  const prefix = prefixOf(block);
  const at = entryAt(block, prefix, index);
  const suffix = suffixLength(block, at);
  const start = suffixStart(block, at);
  const key = new Uint8Array(prefix + suffix);
  copyBytes(block, headerBytes, headerBytes + prefix, key, 0);
  copyBytes(block, start, start + suffix, key, prefix);
  return key;
}

export function valueAt(block: Block, index: number): Uint8Array {
  return block.slice(valueStart(block, index), valueEnd(block, index));
}

/** Whether the value at `index` is this one. */
export function hasValue(block: Block, index: number, value: Uint8Array): boolean {
  const start = valueStart(block, index);
  if (valueEnd(block, index) - start !== value.length) return false;
  for (let i = 0; i < value.length; i++) if (block[start + i] !== value[i]) return false;
  return true;
}

export function valueBytes(block: Block, index: number): number {
  return valueEnd(block, index) - valueStart(block, index);
}

export function entryOf(block: Block, index: number): Entry {
  const prefix = prefixOf(block);
  const at = entryAt(block, prefix, index);
  const end = index + 1 < block[0]! ? entryAt(block, prefix, index + 1) : block.length;
  const suffix = suffixLength(block, at);
  const start = suffixStart(block, at);
  const key = new Uint8Array(prefix + suffix);
  copyBytes(block, headerBytes, headerBytes + prefix, key, 0);
  copyBytes(block, start, start + suffix, key, prefix);
  const value = new Uint8Array(end - start - suffix);
  copyBytes(block, start + suffix, end, value, 0);
  return { key, value };
}

/** The last entry whose key is not above `key`, as `index * 2 + 1` if it is equal, `index * 2` if below; -1 if there is none. */
export function searchBlock(block: Block, key: Uint8Array): number {
  const count = countOf(block);
  const prefix = prefixOf(block);
  const shared = Math.min(prefix, key.length);
  for (let i = 0; i < shared; i++) {
    const difference = key[i]! - block[headerBytes + i]!;
    if (difference !== 0) return difference < 0 ? -1 : (count - 1) * 2;
  }
  if (key.length < prefix) return -1;
  // Written out: half of a look-up's instructions are spent in this loop.
  const table = headerBytes + prefix;
  const start = table + 2 * count;
  const rest = key.length - prefix;
  let low = 0;
  let high = count;
  while (low < high) {
    const middle = (low + high) >>> 1;
    const slot = table + 2 * middle;
    let at = start + (block[slot]! | (block[slot + 1]! << 8));
    let suffix = block[at++]!;
    if (suffix >= 128) suffix = ((suffix & 127) << 8) | block[at++]!;
    const length = Math.min(suffix, rest);
    let i = 0;
    while (i < length && block[at + i] === key[prefix + i]) i++;
    const order = i < length ? block[at + i]! - key[prefix + i]! : suffix - rest;
    if (order === 0) return middle * 2 + 1;
    if (order < 0) low = middle + 1;
    else high = middle;
  }
  return low === 0 ? -1 : (low - 1) * 2;
}

/**
 * The block with one entry put or removed at `index`, made by moving bytes; the common prefix must stay what it is. That holds where the first
 * and the last key stay, and is what most updates of a large tree are.
 * @param removed how many entries leave at `index`: 0 or 1.
 */
export function spliceBlock(block: Block, index: number, removed: 0 | 1, added: Entry | undefined): Block {
  const count = countOf(block);
  const prefix = prefixOf(block);
  const table = headerBytes + prefix;
  const start = table + 2 * count;
  const cut = index < count ? entryAt(block, prefix, index) : block.length;
  const resume = removed === 0 ? cut : index + 1 < count ? entryAt(block, prefix, index + 1) : block.length;
  const suffix = added === undefined ? 0 : added.key.length - prefix;
  const addedBytes = added === undefined ? 0 : (suffix < 128 ? 1 : 2) + suffix + added.value.length;
  const countAfter = count - removed + (added === undefined ? 0 : 1);
  const startAfter = table + 2 * countAfter;
  const spliced = new Uint8Array(block.length - start + startAfter - (resume - cut) + addedBytes);
  copyBytes(block, 0, table, spliced, 0);
  spliced[0] = countAfter;
  const shift = addedBytes - (resume - cut);
  let slot = table;
  const putOffset = (offset: number) => {
    spliced[slot++] = offset & 255;
    spliced[slot++] = offset >>> 8;
  };
  for (let i = 0; i < index; i++) putOffset(entryAt(block, prefix, i) - start);
  if (added !== undefined) putOffset(cut - start);
  for (let i = index + removed; i < count; i++) putOffset(entryAt(block, prefix, i) - start + shift);
  copyBytes(block, start, cut, spliced, startAfter);
  let at = startAfter + cut - start;
  if (added !== undefined) at = putEntry(spliced, at, added, prefix);
  copyBytes(block, resume, block.length, spliced, at);
  return spliced;
}

/**
 * Whether bytes that came from outside are a block: its lengths and offsets stay inside it. The order of its keys is the reader's to check.
 */
export function isBlock(block: Block): boolean {
  if (block.length < headerBytes) return false;
  const count = countOf(block);
  const prefix = prefixOf(block);
  if (count === 0) return block.length === headerBytes && prefix === 0;
  const start = headerBytes + prefix + 2 * count;
  if (start > block.length) return false;
  let end = start;
  for (let i = 0; i < count; i++) {
    const at = entryAt(block, prefix, i);
    if (i === 0 ? at !== start : at < end) return false;
    if (at >= block.length || (block[at]! >= 128 && at + 1 >= block.length)) return false;
    end = suffixStart(block, at) + suffixLength(block, at);
    if (end > block.length) return false;
  }
  return true;
}

function putEntry(block: Block, start: number, { key, value }: Entry, prefix: number): number {
  const suffix = key.length - prefix;
  let at = start;
  if (suffix < 128) block[at++] = suffix;
  else {
    block[at++] = 128 | (suffix >>> 8);
    block[at++] = suffix & 255;
  }
  copyBytes(key, prefix, key.length, block, at);
  copyBytes(value, 0, value.length, block, at + suffix);
  return at + suffix + value.length;
}

function valueStart(block: Block, index: number): number {
  const at = entryAt(block, prefixOf(block), index);
  return suffixStart(block, at) + suffixLength(block, at);
}

function valueEnd(block: Block, index: number): number {
  return index + 1 < countOf(block) ? entryAt(block, prefixOf(block), index + 1) : block.length;
}

function prefixOf(block: Block): number {
  return block[1]! | (block[2]! << 8);
}

function entryAt(block: Block, prefix: number, index: number): number {
  const table = headerBytes + prefix;
  const slot = table + 2 * index;
  return table + 2 * block[0]! + (block[slot]! | (block[slot + 1]! << 8));
}

function suffixLength(block: Block, at: number): number {
  const first = block[at]!;
  return first < 128 ? first : ((first & 127) << 8) | block[at + 1]!;
}

function suffixStart(block: Block, at: number): number {
  return at + (block[at]! < 128 ? 1 : 2);
}

/** Short runs are copied faster by hand than by `set(subarray())`, which makes an object. */
function copyBytes(from: Uint8Array, start: number, end: number, to: Uint8Array, at: number): void {
  if (end - start > 64) to.set(from.subarray(start, end), at);
  else for (let i = start, j = at; i < end; i++, j++) to[j] = from[i]!;
}
