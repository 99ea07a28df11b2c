import { compareBytes, NO_BYTES } from "./bytes.js";
import { LANES, type Lanes, noLanes, type RunSum } from "./run-digest.js";
import type { SortedTree } from "./sorted-tree.js";
import type { Measure } from "./sorted-view.js";

/** A stretch of entries up to and with `key`, beginning behind the run before it. Without a sum it has to be read again. */
export interface Run {
  readonly key: Uint8Array;
  readonly sum: RunSum | undefined;
  readonly epoch: number;
  /** Of one without a sum: the entry at its end was written to, and may end a run no more. Never the last one. */
  readonly loose?: boolean;
}

/** What comes behind the last run's end. */
export type Tail = Omit<Run, "key" | "loose">;

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

/** How many runs have no sum: the root knows. */
export function unknownIn(runs: SortedTree<Run, Sum>): number {
  let unknown = 0;
  runs.peek().walk(
    NO_BYTES,
    undefined,
    measure,
    (sum) => {
      unknown += sum.unknown;
      return true;
    },
    () => undefined,
  );
  return unknown;
}

/** The run becomes those that it was found to be; the last of them has its key mostly, and is the only one. */
export function replace(runs: SortedTree<Run, Sum>, run: Run, found: readonly Run[]): void {
  const last = found.at(-1);
  if (last === undefined || compareBytes(last.key, run.key) !== 0) {
    runs.delete(run.key);
    for (const one of found) runs.set(one);
    return;
  }
  runs.replace(last);
  for (let i = 0; i < found.length - 1; i++) runs.set(found[i] as Run);
}
