import { ArchiveError } from "./errors.js";
import { type ObjectStore, sha256 } from "./object-store.js";

/**
 * Manifests: JSON in a fixed order, followed by the SHA-256 of it. Canonical (the same fields give the same bytes), readable by people, checked to the
 * last byte.
 */
export function encodeSealedJson(fields: Readonly<Record<string, unknown>>): Uint8Array {
  const text = `${JSON.stringify(fields, null, 1)}\n`;
  return new TextEncoder().encode(`${text}${sha256(new TextEncoder().encode(text))}\n`);
}

/** The fields at `key`, whose checksum is right and whose `format` is one of `formats`. */
export function decodeSealedJson(
  key: string,
  bytes: Uint8Array,
  formats: readonly string[],
): Readonly<Record<string, unknown>> {
  const text = new TextDecoder().decode(bytes);
  const cut = text.length - 65;
  // To the last byte: also the line's end behind the sum is as it was written.
  if (cut < 0 || `${sha256(new TextEncoder().encode(text.slice(0, cut)))}\n` !== text.slice(cut)) {
    throw new ArchiveError("ERR_ARCHIVE_CORRUPT", `${key}: the manifest is damaged`, { key });
  }
  const fields = JSON.parse(text.slice(0, cut)) as Record<string, unknown>;
  if (formats.includes(fields.format as string)) return fields;
  const message = `${key} has format ${String(fields.format)}, this version reads ${formats.join(", ")}; use a newer one`;
  throw new ArchiveError("ERR_ARCHIVE_UNSUPPORTED", message, { key });
}

/** Whether the key was free and is now ours. What had the key before is left alone. */
export async function createObject(
  store: ObjectStore,
  key: string,
  bytes: Uint8Array,
  bytesSha256: string,
  signal: AbortSignal | undefined,
): Promise<boolean> {
  try {
    await store.put(key, bytes, { createOnly: true, sha256: bytesSha256, ...withSignal(signal) });
    return true;
  } catch (error) {
    if (error instanceof ArchiveError && error.code === "ERR_ARCHIVE_EXISTS") return false;
    throw error;
  }
}

/** The object at `key`, which was there a moment ago. */
export async function getExisting(
  store: ObjectStore,
  key: string,
  signal: AbortSignal | undefined,
): Promise<Uint8Array> {
  const bytes = await store.get(key, withSignal(signal));
  if (bytes !== undefined) return bytes;
  throw new ArchiveError("ERR_ARCHIVE_HOLE", `${key} was stored and cannot be read back`, { key });
}

export function withSignal(signal: AbortSignal | undefined): { readonly signal?: AbortSignal } {
  return signal === undefined ? {} : { signal };
}

export function sameBytes(a: Uint8Array, b: Uint8Array): boolean {
  return Buffer.compare(a, b) === 0;
}
