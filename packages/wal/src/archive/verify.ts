import { archivedFirsts } from "./chain.js";
import { ArchiveError, checkArchiveOptions } from "./errors.js";
import { type Floor, readFloor } from "./floor.js";
import { manifestKey, objectKey, parseKey, streamPrefix } from "./keys.js";
import { readManifest } from "./manifest.js";
import { readObject } from "./object.js";
import type { ObjectStore } from "./object-store.js";
import { checkStore } from "./object-store.js";
import { withSignal } from "./sealed-json.js";
import { verifySnapshots } from "./verify-snapshots.js";

export interface ArchiveReport {
  /** The archive goes back to this entry; what is before it was let go by retention and is covered by the snapshot at `floor`. */
  readonly first: number;
  /** Sequence of the oldest snapshot that is promised; 0 where the archive begins with the first entry. */
  readonly floor: number;
  /** Through which sequence the log is whole, from `first` on; `first - 1` when nothing of it is. */
  readonly wholeThrough: number;
  readonly objects: number;
  readonly entries: number;
  /** Of the canonical forms. */
  readonly bytes: number;
  /** As they are stored. */
  readonly storedBytes: number;
  /** Sequences of the snapshots that are whole and that the log reaches. */
  readonly snapshots: readonly number[];
  /**
   * Keys of the stream that nothing vouches for: uploads under way or interrupted (the next archiver or snapshot finishes them, or retention removes
   * them), and names that are none of the archive's. Not a problem by themselves.
   */
  readonly orphans: readonly string[];
  /** What is wrong, in order. Empty: everything was read and is right. */
  readonly problems: readonly ArchiveError[];
}

export interface VerifyOptions {
  /** Where the archive is kept: `FileObjectStore`, `S3ObjectStore`, one of them behind a `PatientObjectStore`, or your own. */
  readonly store: ObjectStore;
  /** The stream's name in the archive. */
  readonly stream: string;
  /** Ends it, with its reason. */
  readonly signal?: AbortSignal;
}

const optionNames: Record<keyof VerifyOptions, 0> = { store: 0, stream: 0, signal: 0 };

/**
 * Reads a stream's whole archive and collects what is wrong with it: holes, overlaps, rot, wrong neighbours, manifests from elsewhere, snapshots that
 * are damaged or that the log does not reach. One object in memory at a time, and the list of keys.
 */
export async function verifyArchive(options: VerifyOptions): Promise<ArchiveReport> {
  const { store, stream, signal } = checkArchiveOptions("verifyArchive", options, optionNames);
  checkStore(store);
  const floor = await readFloor(store, stream, signal);
  const log = await verifyLog(store, stream, floor, signal);
  const states = await verifySnapshots(store, stream, floor, log.manifests, signal);
  const vouchedFor = new Set([...log.keys, ...states.keys]);
  const orphans: string[] = [];
  for await (const key of store.list(streamPrefix(stream), withSignal(signal))) {
    if (!vouchedFor.has(key) && parseKey(stream, key)?.kind !== "floor") orphans.push(key);
  }
  return {
    first: floor.first,
    floor: floor.sequence,
    ...log.total,
    wholeThrough: log.wholeThrough,
    snapshots: states.whole,
    orphans,
    problems: [...log.problems, ...states.problems],
  };
}

/** Extent and hash of each object that was read: what snapshots are judged by. */
export interface KnownObject {
  readonly first: number;
  readonly last: number;
  readonly sha256: string;
}

async function verifyLog(store: ObjectStore, stream: string, floor: Floor, signal: AbortSignal | undefined) {
  const problems: ArchiveError[] = [];
  const manifests: KnownObject[] = [];
  const keys: string[] = [];
  const total = { objects: 0, entries: 0, bytes: 0, storedBytes: 0 };
  let wholeThrough = floor.first - 1;
  let due = floor.first;
  let isWhole = true;
  let timeMaxMs: number | undefined = floor.first === 1 ? 0 : undefined;
  let previous: string | undefined = floor.previousSha256;
  const firsts = await archivedFirsts(store, stream, floor, signal);
  for (;;) {
    signal?.throwIfAborted();
    const listed = firsts[0];
    // A listing may be behind: a gap in it counts only when what is due cannot be had by name either.
    const skipped = listed === undefined || (listed > due && (await isArchived(store, stream, due, signal)));
    const first = skipped ? due : (firsts.shift() as number);
    const key = objectKey(stream, first);
    const wrong = (
      code: "ERR_ARCHIVE_CORRUPT" | "ERR_ARCHIVE_HOLE" | "ERR_ARCHIVE_OVERLAP",
      message: string,
      where = key,
    ) => problems.push(new ArchiveError(code, message, { key: where }));
    try {
      const manifest = await readManifest(store, stream, first, signal);
      if (manifest === undefined) {
        // The end; but what holds a floor's entry is never let go.
        if (skipped && (floor.sequence === 0 || first !== floor.first)) break;
        throw new ArchiveError("ERR_ARCHIVE_HOLE", `the manifest of ${key} should be there and is missing`, { key });
      }
      keys.push(key, manifestKey(stream, first));
      if (first < due) {
        // Restoring goes from end to beginning and never meets it: the log is whole without.
        wrong("ERR_ARCHIVE_OVERLAP", `${key} overlaps what ends at ${due - 1}`);
        continue;
      }
      isWhole &&= first === due;
      if (first > due) {
        const message = `before ${key}: entries ${due} to ${first - 1} are missing`;
        wrong("ERR_ARCHIVE_HOLE", message, objectKey(stream, due));
      } else if (previous !== undefined && manifest.previousSha256 !== previous) {
        isWhole = false;
        wrong("ERR_ARCHIVE_CORRUPT", `${key} does not follow from the object before it`);
      }
      due = manifest.last + 1;
      previous = manifest.sha256;
      const { object } = await readObject(store, manifest, undefined, signal);
      timeMaxMs = timeMaxMs === undefined ? manifest.timeMaxMs : Math.max(timeMaxMs, object.timeMaxMs);
      if (manifest.timeMaxMs !== undefined && manifest.timeMaxMs !== timeMaxMs) {
        isWhole = false;
        wrong("ERR_ARCHIVE_CORRUPT", `${key} has other times than its manifest says`);
        timeMaxMs = manifest.timeMaxMs;
      }
      total.objects++;
      total.entries += manifest.count;
      total.bytes += manifest.bytes;
      total.storedBytes += manifest.storedBytes;
      manifests.push({ first, last: manifest.last, sha256: manifest.sha256 });
      if (isWhole) wholeThrough = manifest.last;
    } catch (error) {
      if (!(error instanceof ArchiveError)) throw error;
      problems.push(error);
      isWhole = false;
      timeMaxMs = undefined;
      if (due <= first) {
        // Its extent is not known. What follows is judged against the next manifest that can be read.
        keys.push(key, manifestKey(stream, first));
        due = firsts[0] ?? first + 1;
        previous = undefined;
      }
    }
  }
  return { problems, manifests, keys, total, wholeThrough };
}

async function isArchived(
  store: ObjectStore,
  stream: string,
  first: number,
  signal: AbortSignal | undefined,
): Promise<boolean> {
  return (await store.get(manifestKey(stream, first), withSignal(signal))) !== undefined;
}
