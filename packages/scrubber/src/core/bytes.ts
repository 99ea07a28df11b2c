import { ScrubberError } from "./errors.js";
import type { KeyRange } from "./source.js";

export const NO_BYTES = new Uint8Array(0);

/** Order of two keys, byte by byte, unsigned; a prefix comes first. The only collation that is the same everywhere. */
export function compareBytes(a: Uint8Array, b: Uint8Array): number {
  const length = Math.min(a.length, b.length);
  for (let i = 0; i < length; i++) {
    const difference = (a[i] as number) - (b[i] as number);
    if (difference !== 0) return difference;
  }
  return a.length - b.length;
}

export function equalBytes(a: Uint8Array, b: Uint8Array): boolean {
  return a.length === b.length && compareBytes(a, b) === 0;
}

/** The next possible key: the same bytes and a zero byte. */
export function successor(key: Uint8Array): Uint8Array {
  const next = new Uint8Array(key.length + 1);
  next.set(key);
  return next;
}

/** The range that holds this key and no other. */
export function only(key: Uint8Array): KeyRange {
  return { from: key, to: successor(key) };
}

/** A source whose entries do not ascend is damaged in its order: what a merge would make of it are findings without sense. */
export function checkOrder(before: Uint8Array | undefined, key: Uint8Array): void {
  if (before === undefined || compareBytes(before, key) < 0) return;
  throw new ScrubberError(
    "ERR_SCRUBBER_ORDER",
    "entries must come in ascending order of their keys' bytes, each key once",
  );
}

/** The pieces of a range between split keys; keys that are out of order or outside are left out. */
export function cut(range: KeyRange, splits: readonly Uint8Array[]): KeyRange[] {
  const pieces: KeyRange[] = [];
  let from = range.from;
  for (const split of splits) {
    if (compareBytes(split, from) <= 0) continue;
    if (range.to !== undefined && compareBytes(split, range.to) >= 0) break;
    pieces.push({ from, to: split });
    from = split;
  }
  pieces.push({ from, to: range.to });
  return pieces;
}

/** Appends a range to ascending ones, joining it to the last where they touch. */
export function joinRange(ranges: KeyRange[], next: KeyRange): void {
  const last = ranges.at(-1);
  if (last?.to !== undefined && equalBytes(last.to, next.from))
    ranges[ranges.length - 1] = { from: last.from, to: next.to };
  else ranges.push(next);
}
