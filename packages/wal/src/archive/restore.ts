import type { ArchiveEntry } from "../core/archive-object.js";
import { lastManifest, manifestChain } from "./chain.js";
import { ArchiveError, badArchiveArgument, checkArchiveOptions } from "./errors.js";
import { type Floor, readFloor } from "./floor.js";
import type { Manifest } from "./manifest.js";
import { readObject } from "./object.js";
import { checkStore, type ObjectStore } from "./object-store.js";

/** A moment of a stream: after an entry, or before the first entry that is later than a time. */
export type ArchivePoint = { readonly sequence: number } | { readonly timeMs: number };

export interface RestoreOptions {
  /** Where the archive is kept: `FileObjectStore`, `S3ObjectStore`, one of them behind a `PatientObjectStore`, or your own. */
  readonly store: ObjectStore;
  /** The stream's name in the archive. */
  readonly stream: string;
  /** First sequence wanted. Default 1. */
  readonly from?: number;
  /**
   * Up to and including a sequence, which must be archived; or up to the last entry before the first one that is later than a time (entries keep
   * their order, whatever clocks did). Default: everything that is archived. An archive knows entries and no batches: a sequence in the middle of
   * one gives its first part. A time never does, since the entries of one append have one time.
   */
  readonly until?: ArchivePoint;
  /** Ends it, with its reason. */
  readonly signal?: AbortSignal;
}

const optionNames: Record<keyof RestoreOptions, 0> = { store: 0, stream: 0, from: 0, until: 0, signal: 0 };

/**
 * The archived entries, in order. Everything read is verified: manifests, objects, entries, and that each object follows from the one before. Throws
 * `ERR_ARCHIVE_HOLE` or `ERR_ARCHIVE_CORRUPT` where it cannot go on, and `ERR_ARCHIVE_RANGE` at once when what is asked for is not in the archive.
 *
 * Bad arguments throw at once. Holds two objects, the one whose entries are handed out and the one that is read ahead. Data are views of an object's bytes, which are the
 * caller's.
 */
export function restore(options: RestoreOptions): AsyncGenerator<ArchiveEntry, void, undefined> {
  const { store, stream, from = 1, until, signal } = checkArchiveOptions("restore", options, optionNames);
  checkStore(store);
  if (!Number.isSafeInteger(from) || from < 1) throw badArchiveArgument("from", "a whole number from 1", from);
  const limits = limitsOf(until);
  return entriesBetween(async () => {
    const floor = await readFloor(store, stream, signal);
    const last = (await lastManifest(store, stream, floor, signal))?.last ?? 0;
    return { store, stream, from, last, floor, signal, ...limits };
  });
}

export interface Limits {
  /** Undefined: through the last one there is. */
  readonly through: number | undefined;
  readonly timeMs: number;
}

export function limitsOf(until: ArchivePoint | undefined): Limits {
  if (until === undefined) return { through: undefined, timeMs: Number.POSITIVE_INFINITY };
  // A moment that was misspelt must not be taken for none: everything would be restored, the mistake included.
  if (typeof until !== "object" || until === null || !("sequence" in until || "timeMs" in until)) {
    throw badArchiveArgument("until", "{ sequence } or { timeMs }", until);
  }
  const through = "sequence" in until ? until.sequence : undefined;
  const timeMs = "timeMs" in until ? until.timeMs : Number.POSITIVE_INFINITY;
  if ("sequence" in until && (!Number.isSafeInteger(through) || Number(through) < 0)) {
    throw badArchiveArgument("until.sequence", "a whole number", through);
  }
  if (typeof timeMs !== "number" || Number.isNaN(timeMs)) {
    throw badArchiveArgument("until.timeMs", "a number of milliseconds", timeMs);
  }
  return { through, timeMs };
}

export interface Wanted extends Limits {
  readonly store: ObjectStore;
  readonly stream: string;
  readonly from: number;
  readonly last: number;
  readonly floor: Floor;
  readonly signal: AbortSignal | undefined;
}

/** One generator, not several on top of each other: at a million small entries a second each layer is felt. */
export async function* entriesBetween(
  plan: () => Wanted | Promise<Wanted>,
): AsyncGenerator<ArchiveEntry, void, undefined> {
  const wanted = await plan();
  const { store, stream, from, last, floor, timeMs, signal } = wanted;
  const through = wanted.through ?? last;
  if (through > last || from > last + 1 || (from < floor.first && from <= through)) {
    const kept = floor.first > 1 ? `${floor.first} to ${last}` : `through ${last}`;
    const why = floor.first > 1 ? "; what is before is in a snapshot (restoreState)" : "";
    const message = `stream ${JSON.stringify(stream)} is archived ${kept}; asked for ${from} to ${through}${why}`;
    throw new ArchiveError("ERR_ARCHIVE_RANGE", message);
  }
  if (from > through) return;
  const chain = manifestChain(store, stream, from, last, floor, signal);
  for await (const { manifest, entries } of readAhead(store, chain, through, signal)) {
    signal?.throwIfAborted();
    for (const entry of entries) {
      if (entry.sequence > through || entry.timeMs > timeMs) return;
      if (entry.sequence >= from) yield entry;
    }
    if (manifest.last >= through) return;
  }
}

interface ReadObject {
  readonly manifest: Manifest;
  readonly entries: readonly ArchiveEntry[];
}

/** Objects of the chain, the next one on its way while one is used. */
async function* readAhead(
  store: ObjectStore,
  chain: AsyncIterator<Manifest>,
  through: number,
  signal: AbortSignal | undefined,
): AsyncGenerator<ReadObject, void, undefined> {
  const next = async (): Promise<ReadObject | undefined> => {
    const { done, value: manifest } = await chain.next();
    if (done === true) return undefined;
    const entries: ArchiveEntry[] = [];
    await readObject(store, manifest, (entry) => entries.push(entry), signal);
    return { manifest, entries };
  };
  let ahead: Promise<ReadObject | undefined> | undefined = next();
  try {
    for (;;) {
      const read: ReadObject | undefined = await ahead;
      if (read === undefined) return;
      ahead = read.manifest.last < through ? next() : undefined;
      // What went wrong ahead is told when its turn comes.
      ahead?.catch(() => undefined);
      yield read;
      if (ahead === undefined) return;
    }
  } finally {
    await ahead?.catch(() => undefined);
    await chain.return?.();
  }
}
