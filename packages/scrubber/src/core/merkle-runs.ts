import { compareBytes } from "./bytes.js";
import { LANES, type Lanes, noLanes, type RunSum } from "./digest.js";
import type { Measure, SortedTree } from "./sorted-tree.js";

/** A stretch of entries up to and with `key`, beginning behind the run before it. Without a sum it has to be read again. */
export interface Run {
  readonly key: Uint8Array;
  readonly sum: RunSum | undefined;
  readonly epoch: number;
}

/** What comes behind the last run's end. */
export type Tail = Omit<Run, "key">;

/** A run without a sum, and where it begins. */
export interface UnknownRun {
  readonly run: Run;
  readonly start: Uint8Array;
}

export interface Sum {
  readonly lanes: Lanes;
  keys: number;
  bytes: number;
  /** Runs that have to be read again. */
  unknown: number;
}

export const measure: Measure<Run, Sum> = {
  empty: () => ({ lanes: noLanes(), keys: 0, bytes: 0, unknown: 0 }),
  addItem: (sum, run) => {
    if (run.sum === undefined) sum.unknown++;
    else addTo(sum, run.sum);
  },
  addSum: (sum, other) => {
    addTo(sum, other);
    sum.unknown += other.unknown;
  },
  takeItem: (sum, run) => {
    if (run.sum === undefined) sum.unknown--;
    else takeFrom(sum, run.sum);
  },
};

export function addTo(sum: Sum, { lanes, keys, bytes }: RunSum): void {
  for (let lane = 0; lane < LANES; lane++)
    sum.lanes[lane] = ((sum.lanes[lane] as number) + (lanes[lane] as number)) | 0;
  sum.keys += keys;
  sum.bytes += bytes;
}

function takeFrom(sum: Sum, { lanes, keys, bytes }: RunSum): void {
  for (let lane = 0; lane < LANES; lane++)
    sum.lanes[lane] = ((sum.lanes[lane] as number) - (lanes[lane] as number)) | 0;
  sum.keys -= keys;
  sum.bytes -= bytes;
}

/** The run becomes those that it was found to be; the last of them has its key mostly. */
export function replace(runs: SortedTree<Run, Sum>, run: Run, found: readonly Run[]): void {
  const last = found.at(-1);
  if (last === undefined || compareBytes(last.key, run.key) !== 0) runs.delete(run.key);
  for (const one of found) runs.set(one);
}
