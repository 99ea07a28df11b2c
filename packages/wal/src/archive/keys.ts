import { badArchiveArgument } from "./errors.js";
import { sha256 } from "./object-store.js";

/**
 * Where a stream's archive stands:
 *
 *     <stream>/0000000000000001.log, .manifest                        entries, by their first sequence
 *     <stream>/floors/000001.floor                                    how far retention went
 *     <stream>/snapshots/0000000000000500.snapshot                    manifest of the state at a sequence
 *     <stream>/snapshots/0000000000000500-000000-<hash>.part          its bytes
 *
 * Entries come first in a listing, so that who wants only them stops where they end.
 */
export type ArchiveKey =
  | { readonly kind: "log" | "manifest"; readonly first: number }
  | { readonly kind: "floor"; readonly generation: number }
  | { readonly kind: "snapshot" | "part"; readonly sequence: number };

/** Names that make no safe key, or too long a one, are replaced by their hash. */
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

const digits = (value: number, count: number) => String(value).padStart(count, "0");

/** An object's key says where it begins, and nothing else: two uploaders that start at the same place meet there, wherever each would end. */
export function objectKey(stream: string, first: number): string {
  return `${streamPrefix(stream)}${digits(first, 16)}.log`;
}

export function manifestKey(stream: string, first: number): string {
  return `${streamPrefix(stream)}${digits(first, 16)}.manifest`;
}

export function floorPrefix(stream: string): string {
  return `${streamPrefix(stream)}floors/`;
}

export function floorKey(stream: string, generation: number): string {
  return `${floorPrefix(stream)}${digits(generation, 6)}.floor`;
}

export function snapshotPrefix(stream: string): string {
  return `${streamPrefix(stream)}snapshots/`;
}

export function snapshotKey(stream: string, sequence: number): string {
  return `${snapshotPrefix(stream)}${digits(sequence, 16)}.snapshot`;
}

/** Named by its content too: what an interrupted writer with another idea of the state left behind is not in the way. */
export function partKey(stream: string, sequence: number, index: number, contentSha256: string): string {
  return `${snapshotPrefix(stream)}${digits(sequence, 16)}-${digits(index, 6)}-${contentSha256.slice(0, 32)}.part`;
}

/** What a key of the stream names; undefined for what is none of ours. */
export function parseKey(stream: string, key: string): ArchiveKey | undefined {
  const rest = key.slice(streamPrefix(stream).length);
  const log = /^(\d{16})\.(log|manifest)$/.exec(rest);
  if (log !== null) return { kind: log[2] as "log" | "manifest", first: Number(log[1]) };
  const floor = /^floors\/(\d{6,})\.floor$/.exec(rest);
  if (floor !== null) return { kind: "floor", generation: Number(floor[1]) };
  const snapshot = /^snapshots\/(\d{16})(?:\.snapshot|-\d{6}-[\da-f]{32}(\.part))$/.exec(rest);
  if (snapshot === null) return undefined;
  return { kind: snapshot[2] === undefined ? "snapshot" : "part", sequence: Number(snapshot[1]) };
}
