import { createHash } from "node:crypto";
import type { Compression } from "../core/stored-body.js";
import { divergence } from "./alarm.js";
import { manifestOf } from "./chain.js";
import { checkedCompression, pack, unpack } from "./codec.js";
import { ArchiveError, badArchiveArgument, checkArchiveOptions } from "./errors.js";
import { type Floor, readFloor } from "./floor.js";
import { sha256InTurns, updateInTurns } from "./hashing.js";
import { partKey, snapshotKey } from "./keys.js";
import { noPrevious } from "./manifest.js";
import { plainly, raise, readObject } from "./object.js";
import { checkStore, type ObjectStore, sha256 } from "./object-store.js";
import { createObject, getExisting, sameBytes, withSignal } from "./sealed-json.js";
import {
  encodeSnapshotManifest,
  readSnapshotManifest,
  type SnapshotManifest,
  type SnapshotPart,
  snapshotFormat,
} from "./snapshot-manifest.js";

export interface SnapshotOptions {
  /** Where the archive is kept: `FileObjectStore`, `S3ObjectStore`, one of them behind a `PatientObjectStore`, or your own. */
  readonly store: ObjectStore;
  /** The stream's name in the archive. */
  readonly stream: string;
  /** The state is the one after this entry, which is archived; 0 for one that was there before the first. */
  readonly sequence: number;
  /**
   * The state's bytes, in pieces of any size. The same state must give the same bytes on every replica (in an order of its own, not in one of
   * insertion): a second one that writes the snapshot of a sequence is compared with the first.
   */
  readonly chunks: Iterable<Uint8Array> | AsyncIterable<Uint8Array>;
  /** The bytes are cut anew at this size. Default 8 MiB, from 1 KiB to 1 GiB; there are at most 100,000 parts. */
  readonly bytesPerObjectMax?: number;
  /** As for an `Archiver`. Default "brotli". */
  readonly compression?: Compression;
  /** Ends it, with its reason: what was stored by then stays, and whoever goes on takes it over. */
  readonly signal?: AbortSignal;
}

const optionNames: Record<keyof SnapshotOptions, 0> = {
  store: 0,
  stream: 0,
  sequence: 0,
  chunks: 0,
  bytesPerObjectMax: 0,
  compression: 0,
  signal: 0,
};

const partsMax = 100_000;

/**
 * Writes the state of a stream beside its archive, from which restoring then starts. Parts are created, read back and compared, and then the manifest
 * vouches for them. After an interruption the same call goes on: parts that are there are compared. A snapshot that exists is compared as a whole,
 * nothing is uploaded, and a difference is `ERR_ARCHIVE_DIVERGED`. `ERR_ARCHIVE_RANGE` when the archive does not reach `sequence`, or has let it go.
 *
 * Holds five parts at most: one is gathered while one is packed, stored, read back and unpacked.
 */
export async function writeSnapshot(options: SnapshotOptions): Promise<SnapshotManifest> {
  options = checkArchiveOptions("writeSnapshot", options, optionNames);
  const { store, stream, sequence, chunks, bytesPerObjectMax = 8 * 1024 * 1024, signal } = options;
  checkStore(store);
  if (!Number.isSafeInteger(sequence) || sequence < 0) throw badArchiveArgument("sequence", "a whole number", sequence);
  if (!Number.isSafeInteger(bytesPerObjectMax) || bytesPerObjectMax < 1024 || bytesPerObjectMax > 2 ** 30) {
    throw badArchiveArgument("bytesPerObjectMax", "a whole number from 1,024 to 1,073,741,824", bytesPerObjectMax);
  }
  if (
    typeof Object(chunks)[Symbol.asyncIterator] !== "function" &&
    typeof Object(chunks)[Symbol.iterator] !== "function"
  ) {
    throw badArchiveArgument("chunks", "an iterable of Uint8Arrays", chunks);
  }
  const compression = checkedCompression(options.compression ?? "brotli");
  const floor = await readFloor(store, stream, signal);
  const anchor = await anchorOf(store, stream, sequence, floor, signal);
  const existing = await readSnapshotManifest(store, stream, sequence, signal);
  const hash = createHash("sha256");
  const parts: SnapshotPart[] = [];
  let bytes = 0;
  let storing: Promise<SnapshotPart> | undefined;
  const land = async (): Promise<void> => {
    if (storing !== undefined) parts.push(await storing);
    storing = undefined;
  };
  try {
    for await (const content of cut(chunks, bytesPerObjectMax)) {
      signal?.throwIfAborted();
      await updateInTurns(hash, content);
      bytes += content.length;
      if (existing !== undefined) continue;
      await land();
      if (parts.length === partsMax)
        throw badArchiveArgument("bytesPerObjectMax", `enough for ${partsMax} parts`, bytes);
      const wanted = { store, stream, sequence, index: parts.length, content, compression, signal };
      storing = storePart(wanted);
      storing.catch(() => undefined);
    }
    await land();
  } finally {
    await storing?.catch(() => undefined);
  }
  const digest = hash.digest("hex");
  const key = snapshotKey(stream, sequence);
  const checked = (found: SnapshotManifest): SnapshotManifest => {
    if (found.bytes === bytes && found.sha256 === digest) return found;
    throw divergence(stream, key, "the state that is archived is not the one that this replica has");
  };
  if (existing !== undefined) return checked(existing);
  const manifest = { format: snapshotFormat, stream, sequence, ...anchor, bytes, sha256: digest, parts } as const;
  const encoded = encodeSnapshotManifest(manifest);
  await createObject(store, key, encoded, sha256(encoded), signal);
  const stored = await getExisting(store, key, signal);
  if (sameBytes(stored, encoded)) return manifest;
  return checked((await readSnapshotManifest(store, stream, sequence, signal)) as SnapshotManifest);
}

/** What ties a state to the log that it was made from. */
async function anchorOf(
  store: ObjectStore,
  stream: string,
  sequence: number,
  floor: Floor,
  signal: AbortSignal | undefined,
): Promise<{ readonly timeMaxMs: number; readonly logSha256: string }> {
  const range = (why: string) =>
    new ArchiveError("ERR_ARCHIVE_RANGE", `no snapshot of ${JSON.stringify(stream)} at ${sequence}: ${why}`);
  if (sequence < floor.sequence) throw range(`retention has let go what is before ${floor.sequence}`);
  if (sequence === 0) return { timeMaxMs: 0, logSha256: noPrevious };
  const manifest = await manifestOf(store, stream, sequence, floor, signal);
  if (manifest === undefined) throw range("archive the log first");
  const before = await timeMaxBefore(store, stream, manifest.first, floor, signal);
  let timeMaxMs = before;
  await readObject(
    store,
    manifest,
    (entry) => {
      if (entry.sequence <= sequence) timeMaxMs = Math.max(timeMaxMs, entry.timeMs);
    },
    signal,
  );
  return { timeMaxMs, logSha256: manifest.sha256 };
}

/** Latest time of any entry before `first`, where an object begins. */
export async function timeMaxBefore(
  store: ObjectStore,
  stream: string,
  first: number,
  floor: Floor,
  signal: AbortSignal | undefined,
): Promise<number> {
  if (first === 1) return 0;
  // The object that holds the floor's entry is the oldest one there is; what was before it, the floor's snapshot remembers.
  if (first === floor.first) {
    return (await readSnapshotManifest(store, stream, floor.sequence, signal))?.timeMaxMs ?? 0;
  }
  const gap = floor.gaps.find((one) => one.first === first);
  if (gap !== undefined) return gap.timeMaxMs;
  const manifest = await manifestOf(store, stream, first - 1, floor, signal);
  if (manifest?.timeMaxMs !== undefined) return manifest.timeMaxMs;
  const key = snapshotKey(stream, first);
  // Format 1 did not say. An archiver that continues such an archive says it in its next manifest.
  if (manifest === undefined) throw new ArchiveError("ERR_ARCHIVE_HOLE", `no manifest covers ${first - 1}`, { key });
  const own = (await readObject(store, manifest, undefined, signal)).object.timeMaxMs;
  return Math.max(own, await timeMaxBefore(store, stream, manifest.first, floor, signal));
}

interface PartToStore {
  readonly store: ObjectStore;
  readonly stream: string;
  readonly sequence: number;
  readonly index: number;
  readonly content: Uint8Array;
  readonly compression: Compression;
  readonly signal: AbortSignal | undefined;
}

async function storePart(part: PartToStore): Promise<SnapshotPart> {
  const { store, stream, sequence, index, content, signal } = part;
  const hash = await sha256InTurns(content);
  const { compression, stored } = await pack(content, hash, part.compression, true);
  const storedSha256 = await sha256InTurns(stored);
  const key = partKey(stream, sequence, index, hash);
  await createObject(store, key, stored, storedSha256, signal);
  const found = await getExisting(store, key, signal);
  // Somebody else may have packed the same content into other bytes; and ours are unpacked once before anybody relies on them.
  const unpacked = await unpackPart(key, found, content.length);
  if (!sameBytes(unpacked.content, content)) {
    throw new ArchiveError("ERR_ARCHIVE_CORRUPT", `${key} does not hold the content that it is named after`, { key });
  }
  const isOurs = sameBytes(found, stored);
  return {
    object: key,
    bytes: content.length,
    sha256: hash,
    compression: isOurs ? compression : unpacked.compression,
    storedBytes: found.length,
    storedSha256: isOurs ? storedSha256 : await sha256InTurns(found),
  };
}

function unpackPart(key: string, stored: Uint8Array, bytes: number) {
  return unpack(stored, bytes).catch((cause: unknown) => plainly(key, () => raise(cause)));
}

/** The bytes of a snapshot, in order; each part verified before it is handed out, and the whole at the end. Holds two parts. */
export async function* snapshotChunks(
  store: ObjectStore,
  manifest: SnapshotManifest,
  signal: AbortSignal | undefined,
): AsyncGenerator<Uint8Array, void, undefined> {
  const { parts } = manifest;
  const hash = createHash("sha256");
  const begin = (index: number): Promise<Uint8Array> | undefined => {
    const part = parts[index];
    const reading = part === undefined ? undefined : readPart(store, part, signal);
    reading?.catch(() => undefined);
    return reading;
  };
  let ahead = begin(0);
  try {
    for (let index = 0; index < parts.length; index++) {
      signal?.throwIfAborted();
      const content = (await ahead) as Uint8Array;
      ahead = begin(index + 1);
      await updateInTurns(hash, content);
      // The last one only once the whole is known to be right.
      if (index === parts.length - 1) checkWhole();
      yield content;
    }
    if (parts.length === 0) checkWhole();
  } finally {
    await ahead?.catch(() => undefined);
  }

  function checkWhole(): void {
    if (hash.digest("hex") === manifest.sha256) return;
    const key = snapshotKey(manifest.stream, manifest.sequence);
    throw new ArchiveError("ERR_ARCHIVE_CORRUPT", `${key}: its parts do not make up the state it vouches for`, { key });
  }
}

async function readPart(store: ObjectStore, part: SnapshotPart, signal: AbortSignal | undefined): Promise<Uint8Array> {
  const key = part.object;
  const stored = await store.get(key, withSignal(signal));
  if (stored === undefined) {
    throw new ArchiveError("ERR_ARCHIVE_HOLE", `${key} is missing; its snapshot's manifest is there`, { key });
  }
  const corrupt = () => new ArchiveError("ERR_ARCHIVE_CORRUPT", `${key} is not what its manifest vouches for`, { key });
  if (stored.length !== part.storedBytes || (await sha256InTurns(stored)) !== part.storedSha256) throw corrupt();
  const { content, sha256: hash } = await unpackPart(key, stored, part.bytes);
  if (content.length !== part.bytes || hash !== part.sha256) throw corrupt();
  return content;
}

/** The same bytes in pieces of exactly `size`, the last one shorter; copied, so that the caller's may change. */
async function* cut(
  chunks: Iterable<Uint8Array> | AsyncIterable<Uint8Array>,
  size: number,
): AsyncGenerator<Uint8Array, void, undefined> {
  let piece = new Uint8Array(size);
  let used = 0;
  for await (const chunk of chunks) {
    if (!(chunk instanceof Uint8Array)) throw badArchiveArgument("chunks", "Uint8Arrays", chunk);
    for (let from = 0; from < chunk.length; ) {
      const taken = Math.min(size - used, chunk.length - from);
      piece.set(chunk.subarray(from, from + taken), used);
      used += taken;
      from += taken;
      if (used < size) continue;
      yield piece;
      piece = new Uint8Array(size);
      used = 0;
    }
  }
  if (used > 0) yield piece.subarray(0, used);
}
