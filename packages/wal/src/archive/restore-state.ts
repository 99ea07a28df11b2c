import type { ArchiveEntry } from "../core/archive-object.js";
import { lastManifest, manifestOf } from "./chain.js";
import { ArchiveError, badArchiveArgument, checkArchiveOptions } from "./errors.js";
import { type Floor, readFloor } from "./floor.js";
import { snapshotKey } from "./keys.js";
import type { ObjectStore } from "./object-store.js";
import { checkStore } from "./object-store.js";
import { type ArchivePoint, entriesBetween, type Limits, limitsOf } from "./restore.js";
import { snapshotChunks } from "./snapshot.js";
import { readSnapshotManifest, type SnapshotManifest, snapshotSequences } from "./snapshot-manifest.js";

export interface RestoreStateOptions {
  /** Where the archive is kept: `FileObjectStore`, `S3ObjectStore`, one of them behind a `PatientObjectStore`, or your own. */
  readonly store: ObjectStore;
  /** The stream's name in the archive. */
  readonly stream: string;
  /** As for `restore`. A time in the future means everything that is archived by now. Default: that. */
  readonly until?: ArchivePoint;
  /** Only snapshots of a lower sequence: the way round one that turned out to be damaged. */
  readonly snapshotBefore?: number;
  /** Ends it, with its reason. */
  readonly signal?: AbortSignal;
}

const optionNames: Record<keyof RestoreStateOptions, 0> = {
  store: 0,
  stream: 0,
  until: 0,
  snapshotBefore: 0,
  signal: 0,
};

/** A snapshot, and what is to be applied to it. */
export interface Restoration {
  /** Where to start. Undefined: with nothing, the entries begin with the first one. */
  readonly snapshot: SnapshotToRestore | undefined;
  /** The archive reaches through this entry. What was acknowledged later is not in it yet. */
  readonly archivedThrough: number;
  /** The entries behind the snapshot, through the moment that was asked for, verified as by `restore`. */
  entries(): AsyncGenerator<ArchiveEntry, void, undefined>;
}

export interface SnapshotToRestore {
  readonly sequence: number;
  /** Latest time of any entry that is in it. */
  readonly timeMaxMs: number;
  readonly bytes: number;
  /**
   * The state's bytes, in order. Each piece is verified before it is handed out, the whole before the last one is. Throws `ERR_ARCHIVE_CORRUPT` or
   * `ERR_ARCHIVE_HOLE` at damage: then throw away what was loaded and restore with `snapshotBefore`. Holds two pieces.
   */
  chunks(): AsyncGenerator<Uint8Array, void, undefined>;
}

/**
 * The state of a stream at a moment: from the newest snapshot that is not later, and the entries from there on.
 *
 * For a moment before the first snapshot the entries begin with the first one. A moment that retention has let go is `ERR_ARCHIVE_RANGE`, as is a sequence
 * that is not archived. A snapshot that belongs to another log than the one beside it is `ERR_ARCHIVE_CORRUPT`.
 */
export async function restoreState(options: RestoreStateOptions): Promise<Restoration> {
  options = checkArchiveOptions("restoreState", options, optionNames);
  const { store, stream, until, snapshotBefore = Number.POSITIVE_INFINITY, signal } = options;
  checkStore(store);
  if (typeof snapshotBefore !== "number" || Number.isNaN(snapshotBefore)) {
    throw badArchiveArgument("snapshotBefore", "a sequence", snapshotBefore);
  }
  const limits = limitsOf(until);
  const floor = await readFloor(store, stream, signal);
  const last = (await lastManifest(store, stream, floor, signal))?.last ?? 0;
  if (limits.through !== undefined && limits.through > last) {
    const message = `stream ${JSON.stringify(stream)} is archived through ${last}; asked for ${limits.through}`;
    throw new ArchiveError("ERR_ARCHIVE_RANGE", message);
  }
  const manifest = await newestAt(store, stream, limits, floor, snapshotBefore, signal);
  if (manifest === undefined && floor.sequence > 0) {
    const asked = snapshotBefore < Number.POSITIVE_INFINITY ? `a snapshot before ${snapshotBefore}` : "that moment";
    const message = `retention has let go what is before entry ${floor.sequence} of ${JSON.stringify(stream)}: ${asked} cannot be restored`;
    throw new ArchiveError("ERR_ARCHIVE_RANGE", message);
  }
  if (manifest !== undefined) await checkAnchor(store, manifest, floor, signal);
  const from = (manifest?.sequence ?? 0) + 1;
  return {
    snapshot: manifest && {
      sequence: manifest.sequence,
      timeMaxMs: manifest.timeMaxMs,
      bytes: manifest.bytes,
      chunks: () => snapshotChunks(store, manifest, signal),
    },
    archivedThrough: last,
    entries: () => entriesBetween(() => ({ store, stream, from, last, floor, signal, ...limits })),
  };
}

/**
 * The newest snapshot whose state is one at the moment asked for or earlier. Its `timeMaxMs` says exactly that: no entry in it is later, whatever
 * the clocks did.
 */
async function newestAt(
  store: ObjectStore,
  stream: string,
  limits: Limits,
  floor: Floor,
  before: number,
  signal: AbortSignal | undefined,
): Promise<SnapshotManifest | undefined> {
  const through = limits.through ?? Number.POSITIVE_INFINITY;
  const sequences = await snapshotSequences(store, stream, floor.sequence, signal);
  for (const sequence of sequences.reverse()) {
    if (sequence > through || sequence >= before) continue;
    const manifest = await readSnapshotManifest(store, stream, sequence, signal);
    if (manifest === undefined) {
      const key = snapshotKey(stream, sequence);
      throw new ArchiveError("ERR_ARCHIVE_HOLE", `${key} should be there and cannot be read`, { key });
    }
    if (manifest.timeMaxMs <= limits.timeMs) return manifest;
  }
  return undefined;
}

/** That the log beside a snapshot is the one that it was made from. */
export async function checkAnchor(
  store: ObjectStore,
  manifest: SnapshotManifest,
  floor: Floor,
  signal: AbortSignal | undefined,
): Promise<void> {
  const { stream, sequence, logSha256 } = manifest;
  if (sequence === 0) return;
  const key = snapshotKey(stream, sequence);
  const holder = await manifestOf(store, stream, sequence, floor, signal);
  if (holder === undefined) {
    throw new ArchiveError("ERR_ARCHIVE_HOLE", `${key}: the log beside it does not reach entry ${sequence}`, { key });
  }
  if (holder.sha256 !== logSha256) {
    throw new ArchiveError("ERR_ARCHIVE_CORRUPT", `${key} was made from another log than this one`, { key });
  }
}
