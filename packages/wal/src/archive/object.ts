import {
  type ArchiveEntry,
  type ArchiveObject,
  decodeArchiveObject,
  UnsupportedArchive,
} from "../core/archive-object.js";
import { crc } from "../fs/checksum.js";
import { ArchiveError } from "./errors.js";
import { type Manifest, manifestFormat, objectKey } from "./manifest.js";
import { type ObjectStore, sha256 } from "./object-store.js";

/** The object at `key`, every checksum verified, and that it is what the key says. */
export function verifiedObject(bytes: Uint8Array, stream: string, first: number): ArchiveObject {
  const key = objectKey(stream, first);
  let object: ArchiveObject;
  try {
    object = decodeArchiveObject(bytes, crc);
  } catch (cause) {
    const code = cause instanceof UnsupportedArchive ? "ERR_ARCHIVE_UNSUPPORTED" : "ERR_ARCHIVE_CORRUPT";
    throw new ArchiveError(code, `${key}: ${(cause as Error).message}`, { key, cause });
  }
  if (object.stream === stream && object.first === first) return object;
  const message = `${key} holds stream ${JSON.stringify(object.stream)} from ${object.first}`;
  throw new ArchiveError("ERR_ARCHIVE_CORRUPT", message, { key });
}

/** Reads the object of a manifest and verifies both against each other. */
export async function readObject(store: ObjectStore, manifest: Manifest): Promise<ArchiveObject> {
  const key = manifest.object;
  const bytes = await store.get(key);
  if (bytes === undefined)
    throw new ArchiveError("ERR_ARCHIVE_HOLE", `${key} is missing; its manifest is there`, { key });
  if (bytes.length !== manifest.bytes || sha256(bytes) !== manifest.sha256) {
    throw new ArchiveError("ERR_ARCHIVE_CORRUPT", `${key} is not what its manifest vouches for`, { key });
  }
  const object = verifiedObject(bytes, manifest.stream, manifest.first);
  if (object.last === manifest.last && object.previousSha256 === manifest.previousSha256) return object;
  throw new ArchiveError("ERR_ARCHIVE_CORRUPT", `${key} and its manifest contradict each other`, { key });
}

export function describeObject(
  stream: string,
  entries: readonly ArchiveEntry[],
  bytes: Uint8Array,
  previousSha256: string,
): Manifest {
  const [first, last] = [entries[0] as ArchiveEntry, entries.at(-1) as ArchiveEntry];
  return {
    format: manifestFormat,
    stream,
    object: objectKey(stream, first.sequence),
    first: first.sequence,
    last: last.sequence,
    firstTimeMs: first.timeMs,
    lastTimeMs: last.timeMs,
    bytes: bytes.length,
    sha256: sha256(bytes),
    previousSha256,
  };
}
