import { constants } from "node:buffer";
import {
  type ArchiveEntry,
  type ArchiveObject,
  ArchiveObjectWalk,
  UnsupportedArchive,
} from "../core/archive-object.js";
import type { Compression } from "../core/stored-body.js";
import { crc } from "../fs/checksum.js";
import { unpack } from "./codec.js";
import { ArchiveError } from "./errors.js";
import { sha256InTurns } from "./hashing.js";
import { objectKey } from "./keys.js";
import type { Manifest } from "./manifest.js";
import type { ObjectStore } from "./object-store.js";
import { withSignal } from "./sealed-json.js";

/** An object as it was read: its canonical form, verified. */
export interface VerifiedObject {
  readonly object: ArchiveObject;
  /** Canonical form. */
  readonly bytes: Uint8Array;
  readonly sha256: string;
  readonly compression: Compression;
}

/** Some 0.1 ms where entries are of a kilobyte. An object of 4 MiB in one piece would be some milliseconds, on the thread that answers requests. */
const bytesPerTurn = 128 * 1024;

/** Verifies canonical bytes: every checksum, and that they are what the key says. With everybody else's turn between the pieces; the bytes stay as they are meanwhile. */
export async function verifyCanonical(
  bytes: Uint8Array,
  stream: string,
  first: number,
  visit?: (entry: ArchiveEntry) => void,
  sealedHere = false,
): Promise<ArchiveObject> {
  const key = objectKey(stream, first);
  const walk = plainly(key, () => new ArchiveObjectWalk(bytes, crc, visit, sealedHere));
  while (plainly(key, () => walk.step(bytesPerTurn))) await new Promise(setImmediate);
  const object = plainly(key, () => walk.end());
  if (object.stream === stream && object.first === first) return object;
  const message = `${key} holds stream ${JSON.stringify(object.stream)} from ${object.first}`;
  throw new ArchiveError("ERR_ARCHIVE_CORRUPT", message, { key });
}

/** The same for what is stored at the key, packed or not. */
export async function verifyStored(
  stored: Uint8Array,
  stream: string,
  first: number,
  visit?: (entry: ArchiveEntry) => void,
  contentBytesMax: number = constants.MAX_LENGTH,
): Promise<VerifiedObject> {
  const key = objectKey(stream, first);
  const unpacked = await unpack(stored, contentBytesMax).catch((cause: unknown) => plainly(key, () => raise(cause)));
  const object = await verifyCanonical(unpacked.content, stream, first, visit);
  return { object, bytes: unpacked.content, sha256: unpacked.sha256, compression: unpacked.compression };
}

/** Reads the object of a manifest and verifies both against each other; nothing is unpacked that is not what was stored. */
export async function readObject(
  store: ObjectStore,
  manifest: Manifest,
  visit?: (entry: ArchiveEntry) => void,
  signal?: AbortSignal,
): Promise<VerifiedObject> {
  const key = manifest.object;
  const stored = await store.get(key, withSignal(signal));
  if (stored === undefined) {
    throw new ArchiveError("ERR_ARCHIVE_HOLE", `${key} is missing; its manifest is there`, { key });
  }
  const corrupt = (why: string) => new ArchiveError("ERR_ARCHIVE_CORRUPT", `${key} ${why}`, { key });
  // Where nothing is packed the content's hash, taken below, is the stored one's too.
  const isPacked = manifest.compression !== "none";
  const storedIsRight =
    stored.length === manifest.storedBytes && (!isPacked || (await sha256InTurns(stored)) === manifest.storedSha256);
  if (!storedIsRight) throw corrupt("is not what its manifest vouches for");
  const unpacked = await unpack(stored, manifest.bytes).catch((cause: unknown) => plainly(key, () => raise(cause)));
  const { content, compression } = unpacked;
  if (content.length !== manifest.bytes || unpacked.sha256 !== manifest.sha256) {
    throw corrupt("is not what its manifest vouches for");
  }
  const object = await verifyCanonical(content, manifest.stream, manifest.first, visit);
  const agree =
    object.last === manifest.last &&
    object.count === manifest.count &&
    object.firstTimeMs === manifest.firstTimeMs &&
    object.lastTimeMs === manifest.lastTimeMs &&
    object.timeMaxMs <= (manifest.timeMaxMs ?? object.timeMaxMs) &&
    object.previousSha256 === manifest.previousSha256 &&
    compression === manifest.compression;
  if (!agree) throw corrupt("and its manifest contradict each other");
  return { object, bytes: content, sha256: unpacked.sha256, compression };
}

/** The format's plain errors with the key and a code. */
export function plainly<T>(key: string, work: () => T): T {
  try {
    return work();
  } catch (cause) {
    if (cause instanceof ArchiveError) throw cause;
    const code = cause instanceof UnsupportedArchive ? "ERR_ARCHIVE_UNSUPPORTED" : "ERR_ARCHIVE_CORRUPT";
    throw new ArchiveError(code, `${key}: ${(cause as Error).message}`, { key, cause });
  }
}

export function raise(error: unknown): never {
  throw error;
}
