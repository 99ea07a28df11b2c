import { compareBytes } from "./bytes.js";
import type { Change } from "./diff.js";
import { bad, checkBytes, MemdsError } from "./errors.js";
import type { RangeTree } from "./range-tree.js";

/** The keys `from <= key < to`; without `to` all from `from` on. */
export interface Range {
  readonly from: Uint8Array;
  readonly to?: Uint8Array | undefined;
}

/** A range and what is known about it: at least one byte, since an empty value marks keys that belong to nobody. */
export interface OwnedRange extends Range {
  readonly value: Uint8Array;
}

/**
 * Some ranges give way to others that cover the same keys: one to two is a split, two to one a merge, one to one a move. From none: a table is
 * created, on keys that belong to nobody. To none: it is dropped.
 */
export interface RangeUpdate {
  /** Ascending, each beginning where the one before it ends; exactly as they are held. */
  readonly replace: readonly Range[];
  /** Ascending, each beginning where the one before it ends. */
  readonly by: readonly OwnedRange[];
}

const nobody = new Uint8Array(0);

/**
 * The range that a key belongs to. In the tree a range is its first key; it ends where the next entry begins. An entry with an empty value begins keys that belong to nobody.
 */
export function rangeOf(tree: RangeTree, key: Uint8Array): OwnedRange | undefined {
  const begin = tree.floor(key);
  if (begin === undefined || begin.value.length === 0) return undefined;
  return { from: begin.key, to: nextKey(tree, begin.key), value: begin.value };
}

/**
 * What a change of ranges is in entries, against the tree as it stands.
 * @throws MemdsError `ERR_MEMDS_RANGE` where the new ranges leave a gap or overlap, or where those to be replaced are not what is held.
 */
export function rangeChanges(tree: RangeTree, { replace, by }: RangeUpdate): Change[] {
  checkTiles("replace", replace);
  checkTiles("by", by);
  const first = replace[0] ?? by[0];
  const last = replace[replace.length - 1] ?? by[by.length - 1];
  if (first === undefined || last === undefined) throw refused("a change of ranges names no range");
  if (replace.length > 0 && by.length > 0) {
    if (compareBytes(by[0]!.from, first.from) !== 0 || !sameEnd(by[by.length - 1]!.to, last.to)) {
      throw refused(`${show(by)} do not cover the same keys as ${show(replace)}`);
    }
  }
  for (const range of replace) {
    const value = tree.get(range.from);
    if (value === undefined || value.length === 0 || !sameEnd(nextKey(tree, range.from), range.to)) {
      throw refused(`there is no range ${show([range])}`);
    }
  }
  if (replace.length === 0) checkFree(tree, first.from, last.to);

  const changes = new Map<string, Change>();
  const put = (key: Uint8Array, value: Uint8Array | null) => changes.set(key.join(), { key, value });
  for (const { from } of replace) put(from, null);
  for (const { from, value } of by) put(from, value);
  if (replace.length === 0) {
    // What follows still belongs to nobody; where the free keys began is where they begin, or a range now.
    if (last.to !== undefined && tree.get(last.to) === undefined) put(last.to, nobody);
  } else if (by.length === 0) {
    // Neighbouring keys of nobody are one stretch with one beginning, and none before the first range: one form for one content.
    const before = tree.lower(first.from);
    if (before !== undefined && before.value.length > 0) put(first.from, nobody);
    if (last.to !== undefined && tree.get(last.to)?.length === 0) put(last.to, null);
  }
  return [...changes.values()];
}

/** What must hold of changes of ranges before they are held against a tree. @throws MemdsError `ERR_MEMDS_ARGUMENT` */
export function checkRangeUpdates(updates: readonly RangeUpdate[]): void {
  if (!Array.isArray(updates)) throw bad("ranges", "a list of changes of ranges", updates);
  for (const update of updates as readonly (Partial<RangeUpdate> | null)[]) {
    for (const name of ["replace", "by"] as const) {
      const ranges = update?.[name];
      if (!Array.isArray(ranges)) throw bad(name, "a list of ranges", ranges);
      for (const range of ranges as readonly (Partial<OwnedRange> | null)[]) {
        checkBytes(`${name}: from`, range?.from);
        if (range?.to !== undefined) checkBytes(`${name}: to`, range.to);
        if (name === "by") checkBytes("by: value", range?.value);
      }
    }
  }
}

function checkFree(tree: RangeTree, from: Uint8Array, to: Uint8Array | undefined): void {
  const begin = tree.floor(from);
  const next = nextKey(tree, from);
  const reaches = next === undefined || (to !== undefined && compareBytes(to, next) <= 0);
  if ((begin !== undefined && begin.value.length > 0) || !reaches) {
    throw refused(`keys of ${show([{ from, to }])} belong to a range already`);
  }
}

function checkTiles(name: string, ranges: readonly (Range | OwnedRange)[]): void {
  for (let i = 0; i < ranges.length; i++) {
    const range = ranges[i]!;
    if (range.to !== undefined && compareBytes(range.from, range.to) >= 0)
      throw refused(`${name}: ${show([range])} holds no key`);
    if ("value" in range && range.value.length === 0) {
      throw refused(`${name}: the value of ${show([range])} is empty, which means that nobody owns it`);
    }
    const end = ranges[i - 1]?.to;
    if (i === 0) continue;
    const order = end === undefined ? -1 : compareBytes(range.from, end);
    if (order !== 0) throw refused(`${name}: there is ${order < 0 ? "an overlap" : "a gap"} before ${show([range])}`);
  }
}

function nextKey(tree: RangeTree, key: Uint8Array): Uint8Array | undefined {
  const behind = new Uint8Array(key.length + 1);
  behind.set(key);
  return tree.ceiling(behind)?.key;
}

function sameEnd(a: Uint8Array | undefined, b: Uint8Array | undefined): boolean {
  return a === undefined || b === undefined ? a === b : compareBytes(a, b) === 0;
}

function refused(message: string): MemdsError {
  return new MemdsError("ERR_MEMDS_RANGE", message);
}

function show(ranges: readonly Range[]): string {
  const hex = (key: Uint8Array) =>
    Array.from(key.subarray(0, 24), (byte) => byte.toString(16).padStart(2, "0")).join("");
  return ranges.map(({ from, to }) => `[0x${hex(from)}, ${to === undefined ? "end" : `0x${hex(to)}`})`).join(" ");
}
