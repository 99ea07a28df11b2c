import { ArchiveError, badArchiveArgument } from "./errors.js";
import { type ObjectStore, sha256 } from "./object-store.js";

/** What is known of an archived object without reading it. Written after the object was read back and verified: it vouches for it. */
export interface Manifest {
  readonly format: typeof manifestFormat;
  readonly stream: string;
  readonly object: string;
  readonly first: number;
  readonly last: number;
  readonly firstTimeMs: number;
  readonly lastTimeMs: number;
  readonly bytes: number;
  readonly sha256: string;
  /** Of the object before this one; zeros for the first. */
  readonly previousSha256: string;
}

export const manifestFormat = "evenkeel-archive/1";
export const noPrevious = "0".repeat(64);
const suffix = ".manifest";

/** Where a stream's objects stand. Names that make no safe key, or too long a one, are replaced by their hash. */
export function streamPrefix(stream: string): string {
  if (typeof stream !== "string" || stream === "" || /\p{Surrogate}/u.test(stream)) {
    throw badArchiveArgument("stream", "a name", stream);
  }
  const name = encodeURIComponent(stream).replace(
    /[.~!*'()]/g,
    (sign) => `%${sign.charCodeAt(0).toString(16).toUpperCase()}`,
  );
  return name.length <= 200 ? `${name}/` : `~${sha256(new TextEncoder().encode(stream))}/`;
}

/** An object's key says where it begins, and nothing else: two uploaders that start at the same place meet there, wherever each would end. */
export function objectKey(stream: string, first: number): string {
  return `${streamPrefix(stream)}${String(first).padStart(16, "0")}.log`;
}

export function manifestKey(stream: string, first: number): string {
  return `${streamPrefix(stream)}${String(first).padStart(16, "0")}${suffix}`;
}

export function manifestFirst(key: string): number | undefined {
  const match = /\/(\d{16})\.manifest$/.exec(key);
  return match === null ? undefined : Number(match[1]);
}

/** Canonical: the same manifest gives the same bytes, ending in the SHA-256 of what is before it. */
export function encodeManifest(manifest: Manifest): Uint8Array {
  const { format, stream, object, first, last, firstTimeMs, lastTimeMs, bytes, previousSha256 } = manifest;
  const fields = {
    format,
    stream,
    object,
    first,
    last,
    firstTimeMs,
    lastTimeMs,
    bytes,
    sha256: manifest.sha256,
    previousSha256,
  };
  const text = `${JSON.stringify(fields, null, 1)}\n`;
  return new TextEncoder().encode(`${text}${sha256(new TextEncoder().encode(text))}\n`);
}

function decodeManifest(bytes: Uint8Array, stream: string, first: number): Manifest {
  const key = manifestKey(stream, first);
  const text = new TextDecoder().decode(bytes);
  const cut = text.length - 65;
  const corrupt = (why: string) => new ArchiveError("ERR_ARCHIVE_CORRUPT", `${key}: ${why}`, { key });
  // To the last byte: also the line's end behind the sum is as it was written.
  if (cut < 0 || `${sha256(new TextEncoder().encode(text.slice(0, cut)))}\n` !== text.slice(cut))
    throw corrupt("the manifest is damaged");
  const manifest = JSON.parse(text.slice(0, cut)) as Manifest;
  if (manifest.format !== manifestFormat) {
    const message = `${key} has format ${manifest.format}, this version reads ${manifestFormat}; use a newer one`;
    throw new ArchiveError("ERR_ARCHIVE_UNSUPPORTED", message, { key });
  }
  if (manifest.stream !== stream) throw corrupt(`it belongs to stream ${JSON.stringify(manifest.stream)}`);
  if (manifest.first !== first || manifest.object !== objectKey(stream, first) || manifest.last < first) {
    throw corrupt(`it speaks of ${manifest.first} to ${manifest.last} in ${manifest.object}`);
  }
  return manifest;
}

export async function readManifest(store: ObjectStore, stream: string, first: number): Promise<Manifest | undefined> {
  const bytes = await store.get(manifestKey(stream, first));
  return bytes === undefined ? undefined : decodeManifest(bytes, stream, first);
}

/** Where each archived object of a stream begins, ascending. */
export async function archivedFirsts(store: ObjectStore, stream: string): Promise<number[]> {
  const firsts: number[] = [];
  for await (const key of store.list(streamPrefix(stream))) {
    const first = manifestFirst(key);
    if (first !== undefined) firsts.push(first);
  }
  return firsts;
}

/** The last manifest of the archive. A listing may be old: what follows is asked for by name until there is nothing. */
export async function lastManifest(store: ObjectStore, stream: string): Promise<Manifest | undefined> {
  const firsts = await archivedFirsts(store, stream);
  const listed = firsts.at(-1);
  let last = await readManifest(store, stream, listed ?? 1);
  if (last === undefined && listed !== undefined) {
    const key = manifestKey(stream, listed);
    throw new ArchiveError("ERR_ARCHIVE_HOLE", `${key} is listed and cannot be read`, { key });
  }
  while (last !== undefined) {
    const next = await readManifest(store, stream, last.last + 1);
    if (next === undefined) break;
    last = next;
  }
  return last;
}
