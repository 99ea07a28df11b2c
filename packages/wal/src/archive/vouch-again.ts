import { archivedFirsts, manifestOf } from "./chain.js";
import { describe } from "./draft.js";
import { ArchiveError, badArchiveArgument, checkArchiveOptions } from "./errors.js";
import { type Floor, gapAt, readFloor } from "./floor.js";
import { sha256InTurns } from "./hashing.js";
import { manifestKey, objectKey } from "./keys.js";
import { encodeManifest, type Manifest, noPrevious, readManifest, sameManifest } from "./manifest.js";
import { type VerifiedObject, verifyStored } from "./object.js";
import { checkStore, type ObjectStore, sha256 } from "./object-store.js";
import { withSignal } from "./sealed-json.js";
import { timeMaxBefore } from "./snapshot.js";
import { readSnapshotManifest } from "./snapshot-manifest.js";
import { vouchFor } from "./upload.js";

export interface VouchAgainOptions {
  /** Where the archive is kept: `FileObjectStore`, `S3ObjectStore`, one of them behind a `PatientObjectStore`, or your own. */
  readonly store: ObjectStore;
  /** The stream's name in the archive. */
  readonly stream: string;
  /** The entry with which the object begins. */
  readonly first: number;
  /** Ends it, with its reason. */
  readonly signal?: AbortSignal;
}

const optionNames: Record<keyof VouchAgainOptions, 0> = { store: 0, stream: 0, first: 0, signal: 0 };

/**
 * Makes the manifest of an archived object anew where it is damaged or gone and the object is whole: all that it says follows from the object, which has checksums of its own, and from what stands before
 * it. The object must follow from that by hash, and what stands behind must follow from the object. Nothing is written before all of this was read and is right, and nothing is replaced but a manifest whose
 * own checksum is wrong; one that is right stays, and is what this resolves to.
 *
 * For where no log has the entries any more: where one has, archiving them again takes the object over and compares each byte of it besides. Where several are damaged, front to back.
 *
 * @throws ArchiveError ERR_ARCHIVE_CORRUPT, ERR_ARCHIVE_HOLE: the object, or what it is judged by, is damaged or gone; ERR_ARCHIVE_ARGUMENT: before the archive's beginning, or in a gap
 */
export async function vouchAgain(options: VouchAgainOptions): Promise<Manifest> {
  const { store, stream, first, signal } = checkArchiveOptions("vouchAgain", options, optionNames);
  const floor = await readFloor(checkStore(store), stream, signal);
  if (!Number.isSafeInteger(first) || first < floor.first || gapAt(floor, first) !== undefined)
    throw badArchiveArgument("first", `from ${floor.first} on, where the archive begins, and in no gap of it`, first);
  const made = await manifestFrom(store, stream, first, floor, signal);
  const known = await unlessDamaged(store, stream, first, signal);
  if (known !== undefined && known !== "damaged") {
    if (sameManifest(known, made)) return known;
    throw wrong("ERR_ARCHIVE_CORRUPT", made.object, "and its manifest contradict each other");
  }
  // Put in the place of what is damaged, which is not deleted first: the archive would end before it for a moment, and somebody might go on there.
  const bytes = encodeManifest(made);
  if (known === "damaged")
    await store.put(manifestKey(stream, first), bytes, { sha256: sha256(bytes), ...withSignal(signal) });
  await vouchFor(store, made, signal);
  return made;
}

/** What can be said of the object that begins with `first`, and of no other that might stand there. */
async function manifestFrom(
  store: ObjectStore,
  stream: string,
  first: number,
  floor: Floor,
  signal: AbortSignal | undefined,
): Promise<Manifest> {
  const key = objectKey(stream, first);
  const stored = await store.get(key, withSignal(signal));
  if (stored === undefined) throw wrong("ERR_ARCHIVE_HOLE", key, "is missing: nothing makes its manifest anew");
  const found = await verifyStored(stored, stream, first);
  await checkBefore(store, found, floor, signal);
  await checkBehind(store, found, floor, signal);
  const { object, bytes, sha256: hash, compression } = found;
  const timeMaxMs = Math.max(await timeMaxBefore(store, stream, first, floor, signal), object.timeMaxMs);
  const after = { last: object.last, sha256: hash, timeMaxMs };
  const storedAs = { compression, storedBytes: stored.length, storedSha256: await sha256InTurns(stored) };
  return describe({ object, bytes, sha256: hash, after }, storedAs);
}

/** An object names the hash of what it follows from. What stood before a floor is gone, but the state there was made from the very object that begins there. */
async function checkBefore(
  store: ObjectStore,
  { object: { stream, first, previousSha256 }, sha256: hash }: VerifiedObject,
  floor: Floor,
  signal: AbortSignal | undefined,
): Promise<void> {
  const key = objectKey(stream, first);
  let expected = floor.previousSha256;
  if (floor.gaps.some((gap) => gap.first === first)) expected = noPrevious;
  else if (first > floor.first) {
    const before = await manifestOf(store, stream, first - 1, floor, signal);
    if (before?.last !== first - 1) throw wrong("ERR_ARCHIVE_HOLE", key, "stands behind nothing that the archive has");
    expected = before.sha256;
  } else if (floor.sequence > 0) {
    const state = await readSnapshotManifest(store, stream, floor.sequence, signal);
    if (state?.logSha256 !== hash)
      throw wrong("ERR_ARCHIVE_CORRUPT", key, `is not what the state at ${floor.sequence} was made from`);
  }
  if (previousSha256 !== expected) throw wrong("ERR_ARCHIVE_CORRUPT", key, "does not follow from the object before it");
}

/** What stands behind an object begins where it ends, and names its hash. Nothing need stand there; what is damaged itself says nothing. */
async function checkBehind(
  store: ObjectStore,
  { object: { stream, first, last }, sha256: hash }: VerifiedObject,
  floor: Floor,
  signal: AbortSignal | undefined,
): Promise<void> {
  const key = objectKey(stream, first);
  const gap = gapAt(floor, last + 1);
  const due = gap?.first ?? last + 1;
  const listed = (await archivedFirsts(store, stream, floor, signal)).find((one) => one > first);
  if (listed !== undefined && listed !== due)
    throw wrong("ERR_ARCHIVE_CORRUPT", key, `ends with ${last}, and what stands behind it begins with ${listed}`);
  if (gap !== undefined) return;
  const next = await unlessDamaged(store, stream, due, signal);
  if (next !== undefined && next !== "damaged" && next.previousSha256 !== hash)
    throw wrong("ERR_ARCHIVE_CORRUPT", key, "is not what the object behind it follows from");
}

async function unlessDamaged(
  store: ObjectStore,
  stream: string,
  first: number,
  signal: AbortSignal | undefined,
): Promise<Manifest | "damaged" | undefined> {
  try {
    return await readManifest(store, stream, first, signal);
  } catch (error) {
    if (error instanceof ArchiveError && error.code === "ERR_ARCHIVE_CORRUPT") return "damaged";
    throw error;
  }
}

const wrong = (code: "ERR_ARCHIVE_CORRUPT" | "ERR_ARCHIVE_HOLE", key: string, why: string): ArchiveError =>
  new ArchiveError(code, `${key} ${why}`, { key });
