import { archiveEnd, manifestOf } from "./chain.js";
import { ArchiveError, badArchiveArgument } from "./errors.js";
import { type Floor, type Gap, raiseFloor, readFloor } from "./floor.js";
import { objectKey, parseKey } from "./keys.js";
import type { ObjectStore } from "./object-store.js";
import { withSignal } from "./sealed-json.js";

export interface GapOptions {
  readonly store: ObjectStore;
  readonly stream: string;
  /** The first entry that can be archived again: the archive goes on with it, or a little behind. */
  readonly first: number;
  /** No entry before `first` is later: at least the latest time of any of them. */
  readonly timeMaxMs: number;
  readonly signal?: AbortSignal;
}

export interface LeftGap {
  /** Entries `from` to `first - 1` are lost. */
  readonly from: number;
  /** The archive goes on with this one. */
  readonly first: number;
  /** Moments from this one on are lost, until that of the first snapshot behind the gap: what is lost may be as old as the last entry before it. Undefined where what stands before the gap cannot be read either. */
  readonly lostFromMs: number | undefined;
}

/**
 * Has an archive go on behind entries that are lost for good: its last manifest is damaged, or it ends before the oldest entry that anybody still has. Without it nothing could be archived any more.
 * What is whole before the gap stays restorable; moments in it are refused from now on (`ERR_ARCHIVE_HOLE`), and so are those behind it until a snapshot was written there, which is for the caller to do at once.
 * Nothing is deleted. The same call again says what it said.
 *
 * @throws ArchiveError ERR_ARCHIVE_ARGUMENT where nothing is lost: the archive reaches `first`, or what is damaged could be made anew from `first` on
 */
export async function leaveGap(options: GapOptions): Promise<LeftGap> {
  const { store, stream, timeMaxMs, signal } = options;
  if (!Number.isSafeInteger(options.first) || options.first < 1)
    throw badArchiveArgument("first", "a whole number from 1", options.first);
  if (!Number.isSafeInteger(timeMaxMs) || timeMaxMs < 0)
    throw badArchiveArgument("timeMaxMs", "a whole number of milliseconds since 1970", timeMaxMs);
  for (;;) {
    const floor = await readFloor(store, stream, signal);
    const { from, gap } = await firstLost(store, stream, floor, signal);
    // Somebody else's, or what this call did before it was interrupted.
    if (gap !== undefined && gap.first >= options.first) return await told(store, stream, floor, gap, signal);
    if (from >= options.first)
      throw badArchiveArgument("first", `behind entry ${from}, with which what is lost begins`, options.first);
    let { first } = options;
    // What an interrupted upload left there follows from what is lost now.
    while ((await store.get(objectKey(stream, first), withSignal(signal))) !== undefined) first++;
    const gaps = [...floor.gaps.filter((one) => one.from < from), { from, first, timeMaxMs }];
    const next = { ...floor, generation: floor.generation + 1, gaps };
    const left = await raiseFloor(store, stream, next, signal);
    if (left !== undefined) return await told(store, stream, left, gaps.at(-1) as Gap, signal);
  }
}

/** The first entry that nothing vouches for, and the gap that it is in already. */
async function firstLost(
  store: ObjectStore,
  stream: string,
  floor: Floor,
  signal: AbortSignal | undefined,
): Promise<{ readonly from: number; readonly gap?: Gap }> {
  try {
    const end = await archiveEnd(store, stream, floor, signal);
    if (end === undefined) return { from: floor.first };
    return "from" in end ? { from: end.from, gap: end } : { from: end.last + 1 };
  } catch (error) {
    const parsed = isDamage(error) && error.key !== undefined ? parseKey(stream, error.key) : undefined;
    if (parsed?.kind !== "manifest") throw error;
    return { from: parsed.first };
  }
}

async function told(
  store: ObjectStore,
  stream: string,
  floor: Floor,
  { from, first }: Gap,
  signal: AbortSignal | undefined,
): Promise<LeftGap> {
  if (from === 1) return { from, first, lostFromMs: 0 };
  const before = await manifestOf(store, stream, from - 1, floor, signal).catch((error: unknown) => {
    if (isDamage(error)) return undefined;
    throw error;
  });
  return { from, first, lostFromMs: before?.timeMaxMs };
}

/** Not what a newer version wrote. */
function isDamage(error: unknown): error is ArchiveError {
  return error instanceof ArchiveError && (error.code === "ERR_ARCHIVE_CORRUPT" || error.code === "ERR_ARCHIVE_HOLE");
}
