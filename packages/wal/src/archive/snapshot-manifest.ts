import { type Compression, codecs } from "../core/stored-body.js";
import { ArchiveError } from "./errors.js";
import { parseKey, partKey, snapshotKey, snapshotPrefix } from "./keys.js";
import type { ObjectStore } from "./object-store.js";
import { decodeSealedJson, encodeSealedJson, withSignal } from "./sealed-json.js";

/** A piece of a snapshot's bytes. */
export interface SnapshotPart {
  readonly object: string;
  readonly bytes: number;
  readonly sha256: string;
  readonly compression: Compression;
  readonly storedBytes: number;
  readonly storedSha256: string;
}

/** Vouches for the state of a stream at a sequence. Written after every part was read back and verified. */
export interface SnapshotManifest {
  readonly format: "evenkeel-snapshot/1";
  readonly stream: string;
  /** The state is the one after this entry; 0: the one before the first. */
  readonly sequence: number;
  /** Latest time of any entry through `sequence`: the state is one at any time from then on, until the next entry's. */
  readonly timeMaxMs: number;
  /** SHA-256 of the archived object that holds entry `sequence`: the log that the state was made from. */
  readonly logSha256: string;
  readonly bytes: number;
  /** Of the whole state, however it is cut. */
  readonly sha256: string;
  readonly parts: readonly SnapshotPart[];
}

export const snapshotFormat = "evenkeel-snapshot/1";

export function encodeSnapshotManifest(manifest: SnapshotManifest): Uint8Array {
  const { format, stream, sequence, timeMaxMs, logSha256, bytes } = manifest;
  const parts = manifest.parts.map((part) => ({
    object: part.object,
    bytes: part.bytes,
    sha256: part.sha256,
    compression: part.compression,
    storedBytes: part.storedBytes,
    storedSha256: part.storedSha256,
  }));
  return encodeSealedJson({ format, stream, sequence, timeMaxMs, logSha256, bytes, sha256: manifest.sha256, parts });
}

function decodeSnapshotManifest(encoded: Uint8Array, stream: string, sequence: number): SnapshotManifest {
  const key = snapshotKey(stream, sequence);
  const manifest = decodeSealedJson(key, encoded, [snapshotFormat]) as unknown as SnapshotManifest;
  const corrupt = (why: string) => new ArchiveError("ERR_ARCHIVE_CORRUPT", `${key}: ${why}`, { key });
  if (manifest.stream !== stream) throw corrupt(`it belongs to stream ${JSON.stringify(manifest.stream)}`);
  if (manifest.sequence !== sequence) throw corrupt(`it speaks of sequence ${manifest.sequence}`);
  const isHash = (value: unknown) => typeof value === "string" && /^[\da-f]{64}$/.test(value);
  const isWhole = (value: unknown) => Number.isSafeInteger(value) && (value as number) >= 0;
  if (!Array.isArray(manifest.parts)) throw corrupt("it names no parts");
  let bytes = 0;
  for (const [index, part] of manifest.parts.entries()) {
    const isSound =
      isHash(part.sha256) &&
      isHash(part.storedSha256) &&
      part.object === partKey(stream, sequence, index, part.sha256) &&
      isWhole(part.bytes) &&
      isWhole(part.storedBytes);
    if (!isSound) throw corrupt(`part ${index} is ${JSON.stringify(part)}`);
    if (!codecs.includes(part.compression)) {
      const message = `${key} names compression ${JSON.stringify(part.compression)}, which this version does not know; use a newer one`;
      throw new ArchiveError("ERR_ARCHIVE_UNSUPPORTED", message, { key });
    }
    bytes += part.bytes;
  }
  const isSound =
    isHash(manifest.sha256) && isHash(manifest.logSha256) && isWhole(manifest.timeMaxMs) && manifest.bytes === bytes;
  if (!isSound) throw corrupt("its fields contradict each other");
  return manifest;
}

export async function readSnapshotManifest(
  store: ObjectStore,
  stream: string,
  sequence: number,
  signal: AbortSignal | undefined,
): Promise<SnapshotManifest | undefined> {
  const bytes = await store.get(snapshotKey(stream, sequence), withSignal(signal));
  return bytes === undefined ? undefined : decodeSnapshotManifest(bytes, stream, sequence);
}

/**
 * Sequences of the snapshots that have a manifest, ascending, from the floor on. A listing may be behind: the floor's own snapshot is there
 * whatever it says, and not knowing the newest ones makes a restore longer and no less right.
 */
export async function snapshotSequences(
  store: ObjectStore,
  stream: string,
  floorSequence: number,
  signal: AbortSignal | undefined,
): Promise<number[]> {
  const sequences = new Set(floorSequence > 0 ? [floorSequence] : []);
  for await (const key of store.list(snapshotPrefix(stream), withSignal(signal))) {
    const parsed = parseKey(stream, key);
    if (parsed?.kind === "snapshot" && parsed.sequence >= floorSequence) sequences.add(parsed.sequence);
  }
  return [...sequences].sort((a, b) => a - b);
}
