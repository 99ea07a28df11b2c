import { manifestOf } from "./chain.js";
import { ArchiveError, badArchiveArgument, checkArchiveOptions } from "./errors.js";
import { type Floor, raiseFloor, readFloor } from "./floor.js";
import { parseKey, streamPrefix } from "./keys.js";
import type { Manifest } from "./manifest.js";
import { readObject } from "./object.js";
import type { ObjectStore } from "./object-store.js";
import { checkStore } from "./object-store.js";
import { checkAnchor } from "./restore-state.js";
import { withSignal } from "./sealed-json.js";
import { snapshotChunks } from "./snapshot.js";
import { readSnapshotManifest, type SnapshotManifest, snapshotSequences } from "./snapshot-manifest.js";

export interface RetainOptions {
  /** Where the archive is kept: `FileObjectStore`, `S3ObjectStore`, one of them behind a `PatientObjectStore`, or your own. */
  readonly store: ObjectStore;
  /** The stream's name in the archive. */
  readonly stream: string;
  /** Every moment from this one on, and with it, stays restorable. */
  readonly promise: { readonly sinceMs: number } | { readonly sinceSequence: number };
  /** Says what would be let go, and changes nothing. Default false. */
  readonly dryRun?: boolean;
  /** Ends it, with its reason. */
  readonly signal?: AbortSignal;
}

const optionNames: Record<keyof RetainOptions, 0> = { store: 0, stream: 0, promise: 0, dryRun: 0, signal: 0 };

export interface RetentionReport {
  /** The archive now begins with the snapshot at this sequence; 0 where nothing was ever let go. */
  readonly floor: number;
  /** Keys deleted, or to be deleted, in that order. */
  readonly deleted: readonly string[];
  /** Snapshots that would have done and are not right; an older one was relied on instead. */
  readonly problems: readonly ArchiveError[];
}

/**
 * Lets go of what a promise does not need: entries and snapshots before the newest snapshot at or before the promised moment. That snapshot is read and
 * verified as a whole first, with the object of the log that leads on from it; one that is not right is passed over for an older one. Then a floor says
 * that the archive begins there; only then is anything deleted. Whatever it is interrupted at, every promised moment can be restored, and
 * the next call goes on. What an interrupted upload left behind below the floor goes too.
 *
 * Without a snapshot at or before the promised moment nothing is deleted.
 */
export async function retain(options: RetainOptions): Promise<RetentionReport> {
  options = checkArchiveOptions("retain", options, optionNames);
  const { store, stream, dryRun = false, signal } = options;
  checkStore(store);
  const isCovered = coverage(options.promise);
  for (;;) {
    const problems: ArchiveError[] = [];
    const floor = await readFloor(store, stream, signal);
    const base = await newestSound(store, stream, floor, isCovered, problems, signal);
    const next = base === undefined ? floor : floorAt(floor, base);
    if (next !== floor && !dryRun && (await raiseFloor(store, stream, next, signal)) === undefined) continue;
    const deleted: string[] = [];
    for (const key of await keysBelow(store, stream, next, signal)) {
      signal?.throwIfAborted();
      if (!dryRun) await store.delete(key, withSignal(signal));
      deleted.push(key);
    }
    return { floor: next.sequence, deleted, problems };
  }
}

function coverage(promise: RetainOptions["promise"]): (snapshot: SnapshotManifest) => boolean {
  const isPromise = typeof promise === "object" && promise !== null;
  if (!isPromise || "sinceSequence" in promise === "sinceMs" in promise) {
    throw badArchiveArgument("promise", "{ sinceMs } or { sinceSequence }", promise);
  }
  if ("sinceSequence" in promise) {
    const { sinceSequence } = promise;
    if (!Number.isSafeInteger(sinceSequence) || sinceSequence < 0) {
      throw badArchiveArgument("promise.sinceSequence", "a whole number", sinceSequence);
    }
    return (snapshot) => snapshot.sequence <= sinceSequence;
  }
  const { sinceMs } = promise;
  if (typeof sinceMs !== "number" || !Number.isFinite(sinceMs)) {
    throw badArchiveArgument("promise.sinceMs", "a number of milliseconds since 1970", sinceMs);
  }
  return (snapshot) => snapshot.timeMaxMs <= sinceMs;
}

interface Base {
  readonly snapshot: SnapshotManifest;
  /** Of the object that holds the snapshot's entry. */
  readonly holder: Manifest;
}

/** The newest snapshot above the floor that keeps the promise and was found right, every byte. */
async function newestSound(
  store: ObjectStore,
  stream: string,
  floor: Floor,
  isCovered: (snapshot: SnapshotManifest) => boolean,
  problems: ArchiveError[],
  signal: AbortSignal | undefined,
): Promise<Base | undefined> {
  for (const sequence of (await snapshotSequences(store, stream, floor.sequence, signal)).reverse()) {
    // At the floor there is nothing more to let go, and a state before the first entry covers none.
    if (sequence <= floor.sequence) return undefined;
    try {
      const snapshot = await readSnapshotManifest(store, stream, sequence, signal);
      // A listing may be old.
      if (snapshot === undefined || !isCovered(snapshot)) continue;
      await checkAnchor(store, snapshot, floor, signal);
      for await (const _ of snapshotChunks(store, snapshot, signal));
      const holder = (await manifestOf(store, stream, sequence, floor, signal)) as Manifest;
      await readObject(store, holder, undefined, signal);
      return { snapshot, holder };
    } catch (error) {
      const isDamage = error instanceof ArchiveError && damageCodes.includes(error.code);
      if (!isDamage) throw error;
      problems.push(error);
    }
  }
  return undefined;
}

const damageCodes: readonly string[] = ["ERR_ARCHIVE_CORRUPT", "ERR_ARCHIVE_HOLE", "ERR_ARCHIVE_UNSUPPORTED"];

function floorAt(floor: Floor, { snapshot, holder }: Base): Floor {
  return {
    generation: floor.generation + 1,
    sequence: snapshot.sequence,
    snapshotSha256: snapshot.sha256,
    // The object that holds the snapshot's entry stays: it ties the snapshot to what follows, and the log never becomes empty.
    first: holder.first,
    previousSha256: holder.previousSha256,
    gaps: floor.gaps.filter(({ first }) => first > holder.first),
  };
}

/** What is below the floor, front to back; what vouches goes before what it vouches for. */
async function keysBelow(
  store: ObjectStore,
  stream: string,
  floor: Floor,
  signal: AbortSignal | undefined,
): Promise<string[]> {
  const log: { readonly key: string; readonly first: number; readonly isManifest: boolean }[] = [];
  const snapshots: string[] = [];
  const parts: string[] = [];
  if (floor.sequence === 0) return [];
  for await (const key of store.list(streamPrefix(stream), withSignal(signal))) {
    const parsed = parseKey(stream, key);
    if (parsed?.kind === "log" || parsed?.kind === "manifest") {
      if (parsed.first < floor.first) log.push({ key, first: parsed.first, isManifest: parsed.kind === "manifest" });
    } else if (parsed?.kind === "snapshot" || parsed?.kind === "part") {
      if (parsed.sequence < floor.sequence) (parsed.kind === "snapshot" ? snapshots : parts).push(key);
    }
  }
  log.sort((a, b) => a.first - b.first || Number(b.isManifest) - Number(a.isManifest));
  return [...snapshots, ...parts, ...log.map(({ key }) => key)];
}
