import type { Compression } from "../core/stored-body.js";
import { codecs } from "../core/stored-body.js";
import { ArchiveError } from "./errors.js";
import { manifestKey, objectKey } from "./keys.js";
import type { ObjectStore } from "./object-store.js";
import { decodeSealedJson, encodeSealedJson, withSignal } from "./sealed-json.js";

/** What is known of an archived object without reading it. Written after the object was read back and verified: it vouches for it. */
export interface Manifest {
  /** Archives of format 1 are read and continued; everything is written in format 2. */
  readonly format: "evenkeel-archive/1" | "evenkeel-archive/2";
  readonly stream: string;
  readonly object: string;
  readonly first: number;
  readonly last: number;
  readonly firstTimeMs: number;
  readonly lastTimeMs: number;
  /** Latest time of any entry of the stream through `last`, whatever clocks did. Unknown in format 1. */
  readonly timeMaxMs: number | undefined;
  readonly count: number;
  /** Of the canonical form, the same for every replica. */
  readonly bytes: number;
  readonly sha256: string;
  /** Of the canonical form of the object before this one; zeros for the first. */
  readonly previousSha256: string;
  /** How the object is stored. Another replica, or another version of a codec's library, might have stored other bytes for the same content. */
  readonly compression: Compression;
  readonly storedBytes: number;
  readonly storedSha256: string;
}

export const manifestFormat = "evenkeel-archive/2";
export const noPrevious = "0".repeat(64);

export function encodeManifest(manifest: Manifest): Uint8Array {
  const { format, stream, object, first, last, firstTimeMs, lastTimeMs, timeMaxMs, count } = manifest;
  const { bytes, previousSha256, compression, storedBytes, storedSha256 } = manifest;
  return encodeSealedJson({
    format,
    stream,
    object,
    first,
    last,
    firstTimeMs,
    lastTimeMs,
    timeMaxMs,
    count,
    bytes,
    sha256: manifest.sha256,
    previousSha256,
    compression,
    storedBytes,
    storedSha256,
  });
}

export function decodeManifest(encoded: Uint8Array, stream: string, first: number): Manifest {
  const key = manifestKey(stream, first);
  const fields = decodeSealedJson(key, encoded, ["evenkeel-archive/1", manifestFormat]);
  const corrupt = (why: string) => new ArchiveError("ERR_ARCHIVE_CORRUPT", `${key}: ${why}`, { key });
  if (fields.stream !== stream) throw corrupt(`it belongs to stream ${JSON.stringify(fields.stream)}`);
  const whole = (name: string): number => {
    const value = fields[name];
    if (typeof value !== "number" || !Number.isSafeInteger(value) || value < 0) {
      throw corrupt(`${name} is ${JSON.stringify(value)}`);
    }
    return value;
  };
  const hash = (name: string): string => {
    const value = fields[name];
    if (typeof value !== "string" || !/^[\da-f]{64}$/.test(value)) throw corrupt(`${name} is ${JSON.stringify(value)}`);
    return value;
  };
  const isFirstFormat = fields.format === "evenkeel-archive/1";
  const last = whole("last");
  if (whole("first") !== first || fields.object !== objectKey(stream, first) || last < first) {
    throw corrupt(`it speaks of ${fields.first} to ${last} in ${String(fields.object)}`);
  }
  const known = {
    stream,
    object: objectKey(stream, first),
    first,
    last,
    firstTimeMs: whole("firstTimeMs"),
    lastTimeMs: whole("lastTimeMs"),
    bytes: whole("bytes"),
    sha256: hash("sha256"),
    previousSha256: hash("previousSha256"),
  };
  if (isFirstFormat) {
    return {
      ...known,
      format: "evenkeel-archive/1",
      timeMaxMs: undefined,
      count: last - first + 1,
      compression: "none",
      storedBytes: known.bytes,
      storedSha256: known.sha256,
    };
  }
  const compression = fields.compression as Compression;
  if (!codecs.includes(compression)) {
    const message = `${key} names compression ${JSON.stringify(compression)}, which this version does not know; use a newer one`;
    throw new ArchiveError("ERR_ARCHIVE_UNSUPPORTED", message, { key });
  }
  const count = whole("count");
  if (count !== last - first + 1) throw corrupt(`it counts ${count} entries from ${first} to ${last}`);
  return {
    ...known,
    format: manifestFormat,
    timeMaxMs: whole("timeMaxMs"),
    count,
    compression,
    storedBytes: whole("storedBytes"),
    storedSha256: hash("storedSha256"),
  };
}

/** What two manifests of one object cannot differ in, whichever versions wrote them. */
export function sameManifest(a: Manifest, b: Manifest): boolean {
  const names: readonly (keyof Manifest)[] = [
    "stream",
    "object",
    "first",
    "last",
    "firstTimeMs",
    "lastTimeMs",
    "count",
    "bytes",
    "sha256",
    "previousSha256",
    "compression",
    "storedBytes",
    "storedSha256",
  ];
  if (a.timeMaxMs !== undefined && b.timeMaxMs !== undefined && a.timeMaxMs !== b.timeMaxMs) return false;
  return names.every((name) => a[name] === b[name]);
}

export async function readManifest(
  store: ObjectStore,
  stream: string,
  first: number,
  signal?: AbortSignal,
): Promise<Manifest | undefined> {
  const bytes = await store.get(manifestKey(stream, first), withSignal(signal));
  return bytes === undefined ? undefined : decodeManifest(bytes, stream, first);
}
