import type { ArchiveEntry } from "../core/archive-object.js";
import { ArchiveError, badArchiveArgument } from "./errors.js";
import {
  archivedFirsts,
  lastManifest,
  type Manifest,
  manifestKey,
  noPrevious,
  objectKey,
  readManifest,
} from "./manifest.js";
import { readObject } from "./object.js";
import type { ObjectStore } from "./object-store.js";

export interface RestoreOptions {
  readonly store: ObjectStore;
  readonly stream: string;
  /** First sequence wanted. Default 1. */
  readonly from?: number;
  /**
   * Up to and including a sequence, which must be archived; or up to the last entry before the first one that is later than a time (entries keep
   * their order, whatever clocks did). Default: everything that is archived.
   */
  readonly until?: { readonly sequence: number } | { readonly timeMs: number };
  readonly signal?: AbortSignal;
}

/**
 * The archived entries, in order, one object in memory at a time. Everything read is verified: manifests, objects, entries, and that each object
 * follows from the one before. Throws `ERR_ARCHIVE_HOLE` or `ERR_ARCHIVE_CORRUPT` where it cannot go on, and `ERR_ARCHIVE_RANGE` at once when what is
 * asked for is not in the archive. Data are views of the object's bytes, which are the caller's.
 */
export async function* restore(options: RestoreOptions): AsyncGenerator<ArchiveEntry, void, undefined> {
  const { store, stream, from = 1, until, signal } = options;
  if (!Number.isSafeInteger(from) || from < 1) throw badArchiveArgument("from", "a whole number from 1", from);
  const last = (await lastManifest(store, stream))?.last ?? 0;
  const through = until !== undefined && "sequence" in until ? until.sequence : last;
  const timeMs = until !== undefined && "timeMs" in until ? until.timeMs : Number.POSITIVE_INFINITY;
  if (!Number.isSafeInteger(through) || through < 0)
    throw badArchiveArgument("until.sequence", "a whole number", through);
  if (Number.isNaN(timeMs)) throw badArchiveArgument("until.timeMs", "a number of milliseconds", timeMs);
  if (through > last || from > last + 1) {
    const message = `stream ${JSON.stringify(stream)} is archived through ${last}; asked for ${from} to ${through}`;
    throw new ArchiveError("ERR_ARCHIVE_RANGE", message);
  }
  if (from > through) return;
  for await (const manifest of manifests(store, stream, from, last)) {
    signal?.throwIfAborted();
    for (const entry of (await readObject(store, manifest)).entries) {
      if (entry.sequence > through || entry.timeMs > timeMs) return;
      if (entry.sequence >= from) yield entry;
    }
    if (manifest.last >= through) return;
  }
}

/** The chain of manifests that covers `from` to `last`, each verified against its neighbour. */
async function* manifests(store: ObjectStore, stream: string, from: number, last: number): AsyncGenerator<Manifest> {
  const firsts = await archivedFirsts(store, stream);
  let first = firsts.findLast((candidate) => candidate <= from) ?? 1;
  let previous: string | undefined = first === 1 ? noPrevious : undefined;
  while (first <= last) {
    const manifest = await readManifest(store, stream, first);
    const key = objectKey(stream, first);
    if (manifest === undefined)
      throw new ArchiveError("ERR_ARCHIVE_HOLE", `the manifest of ${key} is missing`, { key });
    if (previous !== undefined && manifest.previousSha256 !== previous) {
      throw new ArchiveError("ERR_ARCHIVE_CORRUPT", `${key} does not follow from the object before it`, { key });
    }
    // A listing that is behind may have named an object that ends before `from`: then the next one is meant.
    if (manifest.last >= from) yield manifest;
    previous = manifest.sha256;
    first = manifest.last + 1;
  }
}

export interface ArchiveReport {
  /** Through which sequence the archive is whole, from 1 on. */
  readonly wholeThrough: number;
  readonly objects: number;
  readonly entries: number;
  readonly bytes: number;
  /** What is wrong, in order. Empty: every object and manifest was read and is right. */
  readonly problems: readonly ArchiveError[];
}

/** Walks a stream's whole archive and collects what is wrong with it: holes, rot, wrong neighbours. */
export async function verifyArchive(options: {
  readonly store: ObjectStore;
  readonly stream: string;
  readonly signal?: AbortSignal;
}): Promise<ArchiveReport> {
  const { store, stream, signal } = options;
  const problems: ArchiveError[] = [];
  const total = { objects: 0, entries: 0, bytes: 0 };
  let wholeThrough = 0;
  let due = 1;
  let previous: string | undefined = noPrevious;
  const firsts = await archivedFirsts(store, stream);
  for (;;) {
    signal?.throwIfAborted();
    const listed = firsts[0];
    // A listing may be behind: a gap in it counts only when what is due cannot be had by name either.
    const skipped = listed === undefined || (listed > due && (await isArchived(store, stream, due)));
    const first = skipped ? due : (firsts.shift() as number);
    const key = objectKey(stream, first);
    try {
      const manifest = await readManifest(store, stream, first);
      if (manifest === undefined) {
        if (first === due) break;
        throw new ArchiveError("ERR_ARCHIVE_HOLE", `the manifest of ${key} is listed and missing`, { key });
      }
      if (first !== due) {
        const what = first > due ? `entries ${due} to ${first - 1} are missing` : `it overlaps what ends at ${due - 1}`;
        problems.push(new ArchiveError("ERR_ARCHIVE_HOLE", `before ${key}: ${what}`, { key }));
      } else if (previous !== undefined && manifest.previousSha256 !== previous) {
        problems.push(
          new ArchiveError("ERR_ARCHIVE_CORRUPT", `${key} does not follow from the object before it`, { key }),
        );
      }
      due = manifest.last + 1;
      previous = manifest.sha256;
      await readObject(store, manifest);
      total.objects++;
      total.entries += manifest.last - manifest.first + 1;
      total.bytes += manifest.bytes;
      if (problems.length === 0) wholeThrough = manifest.last;
    } catch (error) {
      if (!(error instanceof ArchiveError)) throw error;
      problems.push(error);
      if (due <= first) {
        // Its extent is not known. What follows is judged against the next manifest that can be read.
        due = firsts[0] ?? first + 1;
        previous = undefined;
      }
    }
  }
  return { ...total, wholeThrough, problems };
}

async function isArchived(store: ObjectStore, stream: string, first: number): Promise<boolean> {
  return (await store.get(manifestKey(stream, first))) !== undefined;
}
