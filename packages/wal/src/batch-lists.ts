/** What goes with a batch beside its bytes: see `PendingBatch`, which counts what is in them. */
export class BatchLists {
  readonly targets: unknown[] = [];
  readonly runs: number[] = [];
  readonly waiters: unknown[] = [];
}

const idleMax = 4;
/** Lists of a batch in which so many waited, or more, are let go of. */
const idleLengthMax = 256 * 1024;

const idle: BatchLists[] = [];

/** Lists for a batch to gather in: where thousands of streams append, lists that begin empty and grow anew with each batch cost several times what is put into them. */
export function takeLists(): BatchLists {
  return idle.pop() ?? new BatchLists();
}

/** Whoever has put something into them has taken it out: nothing is kept alive by lists that nobody uses. */
export function giveBackLists(lists: BatchLists): void {
  if (idle.length < idleMax && lists.waiters.length <= idleLengthMax) idle.push(lists);
}
