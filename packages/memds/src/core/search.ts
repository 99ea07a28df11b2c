import { type Block, columns, columnsHeaderBytes, headerBytes } from "./block.js";

/** The last entry whose key is not above `key`, as `index * 2 + 1` if it is equal, `index * 2` if below; -1 if there is none. */
export function searchBlock({ bytes, at }: Block, key: Uint8Array): number {
  return searchBytes(bytes, at, key);
}

export function searchBytes(bytes: Uint8Array, at: number, key: Uint8Array): number {
  const head = bytes[at]!;
  const count = head & 127;
  const prefix = bytes[at + 1]! | (bytes[at + 2]! << 8);
  const isEven = head >= columns;
  const prefixStart = at + (isEven ? columnsHeaderBytes : headerBytes);
  const shared = Math.min(prefix, key.length);
  for (let i = 0; i < shared; i++) {
    const difference = key[i]! - bytes[prefixStart + i]!;
    if (difference !== 0) return difference < 0 ? -1 : (count - 1) * 2;
  }
  if (key.length < prefix) return -1;
  const table = prefixStart + prefix;
  if (!isEven) return searchEntries(bytes, table, count, key, prefix);
  const suffix = bytes[at + 3]!;
  const end = table + (count - 1) * suffix;
  const ends =
    suffix < 2 ? 0 : (bytes[table]! << 24) | (bytes[table + 1]! << 16) | (bytes[end]! << 8) | bytes[end + 1]!;
  return searchColumn(bytes, table, count, suffix, key, prefix, ends);
}

// The two searches are written out: most of a look-up's instructions are spent in these loops.

/**
 * Ranges are often cut where hashes are, evenly: so the search begins where the key would stand if they were, and looks around from there in growing steps before
 * it halves what is left. That stays within a cache line or two; where the guess is wrong it costs four comparisons.
 * @param ends the first two bytes of the first and of the last suffix.
 */
export function searchColumn(
  bytes: Uint8Array,
  start: number,
  count: number,
  suffix: number,
  key: Uint8Array,
  prefix: number,
  ends: number,
): number {
  let low = 0;
  let high = count;
  let middle = count >>> 1;
  let step = 0;
  if (suffix > 1 && key.length > prefix + 1) {
    const first = ends >>> 16;
    const last = ends & 0xffff;
    const wanted = ((key[prefix]! << 8) | key[prefix + 1]!) - first;
    if (wanted >= 0 && first + wanted <= last) {
      middle = ((wanted * (count - 1)) / (last - first)) | 0;
      step = 1;
    }
  }
  const rest = key.length - prefix;
  const length = Math.min(suffix, rest);
  while (low < high) {
    const at = start + middle * suffix;
    let i = 0;
    let order = 0;
    while (i < length) {
      order = bytes[at + i]! - key[prefix + i]!;
      if (order !== 0) break;
      i++;
    }
    if (i === length) {
      order = suffix - rest;
      if (order === 0) return middle * 2 + 1;
    }
    if (order < 0) low = middle + 1;
    else high = middle;
    if (step === 0) middle = (low + high) >>> 1;
    else {
      middle = order < 0 ? middle + step : middle - step;
      step <<= 2;
      if (middle < low || middle >= high) {
        middle = (low + high) >>> 1;
        step = 0;
      }
    }
  }
  return low === 0 ? -1 : (low - 1) * 2;
}

function searchEntries(bytes: Uint8Array, table: number, count: number, key: Uint8Array, prefix: number): number {
  const start = table + 2 * count;
  const rest = key.length - prefix;
  let low = 0;
  let high = count;
  while (low < high) {
    const middle = (low + high) >>> 1;
    const slot = table + 2 * middle;
    let at = start + (bytes[slot]! | (bytes[slot + 1]! << 8));
    let suffix = bytes[at++]!;
    if (suffix >= 128) suffix = ((suffix & 127) << 8) | bytes[at++]!;
    const length = Math.min(suffix, rest);
    let i = 0;
    while (i < length && bytes[at + i] === key[prefix + i]) i++;
    const order = i < length ? bytes[at + i]! - key[prefix + i]! : suffix - rest;
    if (order === 0) return middle * 2 + 1;
    if (order < 0) low = middle + 1;
    else high = middle;
  }
  return low === 0 ? -1 : (low - 1) * 2;
}
