import { type Crc, getU16, getU32, getU48, putU16, putU32, putU48, u48Max } from "./bytes.js";

/**
 * An archived object: consecutive entries of one stream in canonical form. The same entries with the same predecessor give the same bytes, on
 * whichever replica. Drawn byte by byte in ARCHITECTURE.md.
 */
export const archiveVersion = 1;
const magic = 0x41_4b_56_45; // "EVKA"
const fixedHeaderBytes = 76;
export const archiveEntryBytes = 20;

export interface ArchiveEntry {
  readonly sequence: number;
  /** Wall-clock milliseconds since 1970. Part of the canonical form: replicas must agree on it, so it comes from the command, not from a replica's clock. */
  readonly timeMs: number;
  readonly data: Uint8Array;
}

export interface ArchiveObject {
  readonly stream: string;
  readonly first: number;
  readonly last: number;
  /** SHA-256 of the object before this one, as hex; zeros for the first. Ties neighbours together. */
  readonly previousSha256: string;
  readonly entries: readonly ArchiveEntry[];
}

export function encodeArchiveObject(
  stream: string,
  entries: readonly ArchiveEntry[],
  previousSha256: string,
  crc: Crc,
): Uint8Array {
  const name = new TextEncoder().encode(stream);
  const body = entries.reduce((sum, entry) => sum + archiveEntryBytes + entry.data.length, 0);
  const headerBytes = fixedHeaderBytes + name.length + 4;
  const bytes = new Uint8Array(headerBytes + body);
  putU32(bytes, 0, magic);
  putU16(bytes, 4, archiveVersion);
  putU16(bytes, 6, name.length);
  putU32(bytes, 8, entries.length);
  putU48(bytes, 12, entries[0]?.sequence ?? 0);
  putU48(bytes, 18, entries.at(-1)?.sequence ?? 0);
  putU48(bytes, 24, entries[0]?.timeMs ?? 0);
  putU48(bytes, 30, entries.at(-1)?.timeMs ?? 0);
  putU48(bytes, 36, body);
  putHex(bytes, 44, previousSha256);
  bytes.set(name, fixedHeaderBytes);
  putU32(bytes, headerBytes - 4, crc(bytes.subarray(0, headerBytes - 4)));
  let at = headerBytes;
  for (const entry of entries) {
    putU32(bytes, at + 4, entry.data.length);
    putU48(bytes, at + 8, entry.sequence);
    putU48(bytes, at + 14, entry.timeMs);
    bytes.set(entry.data, at + archiveEntryBytes);
    const end = at + archiveEntryBytes + entry.data.length;
    putU32(bytes, at, crc(bytes.subarray(at + 4, end)));
    at = end;
  }
  return bytes;
}

/** Verifies everything that an object can say about itself. The entries' data are views of `bytes`. Throws a plain Error that says what is wrong. */
export function decodeArchiveObject(bytes: Uint8Array, crc: Crc): ArchiveObject {
  if (bytes.length < fixedHeaderBytes + 4 || getU32(bytes, 0) !== magic) throw new Error("not an archived object");
  const headerBytes = fixedHeaderBytes + getU16(bytes, 6) + 4;
  if (bytes.length < headerBytes || crc(bytes.subarray(0, headerBytes - 4)) !== getU32(bytes, headerBytes - 4)) {
    throw new Error("the header is damaged");
  }
  const version = getU16(bytes, 4);
  if (version !== archiveVersion) throw new UnsupportedArchive(`format version ${version}`);
  const [count, first, last] = [getU32(bytes, 8), getU48(bytes, 12), getU48(bytes, 18)];
  if (bytes.length !== headerBytes + getU48(bytes, 36) || count < 1 || last - first + 1 !== count) {
    throw new Error("its length or its bounds contradict its header");
  }
  const entries: ArchiveEntry[] = [];
  let at = headerBytes;
  for (let sequence = first; sequence <= last; sequence++) {
    const dataFrom = at + archiveEntryBytes;
    const end = dataFrom <= bytes.length ? dataFrom + getU32(bytes, at + 4) : Number.POSITIVE_INFINITY;
    if (end > bytes.length || crc(bytes.subarray(at + 4, end)) !== getU32(bytes, at)) {
      throw new Error(`entry ${sequence} at ${at} is damaged`);
    }
    if (getU48(bytes, at + 8) !== sequence)
      throw new Error(`entry ${getU48(bytes, at + 8)} stands where ${sequence} should`);
    entries.push({ sequence, timeMs: getU48(bytes, at + 14), data: bytes.subarray(dataFrom, end) });
    at = end;
  }
  if (at !== bytes.length) throw new Error(`${bytes.length - at} bytes behind the last entry`);
  const stream = new TextDecoder().decode(bytes.subarray(fixedHeaderBytes, headerBytes - 4));
  return { stream, first, last, previousSha256: getHex(bytes, 44, 32), entries };
}

export class UnsupportedArchive extends Error {}

/** Why an entry cannot be archived, if so. */
export function entryProblem(entry: ArchiveEntry, expected: number): string | undefined {
  if (entry.sequence !== expected) return `sequence ${entry.sequence} came where ${expected} was due`;
  if (!Number.isSafeInteger(entry.timeMs) || entry.timeMs < 0 || entry.timeMs > u48Max)
    return `timeMs is ${entry.timeMs}`;
  return entry.data instanceof Uint8Array ? undefined : "data is no Uint8Array";
}

function putHex(target: Uint8Array, at: number, hex: string): void {
  for (let n = 0; n < hex.length / 2; n++) target[at + n] = Number.parseInt(hex.slice(n * 2, n * 2 + 2), 16);
}

function getHex(source: Uint8Array, at: number, length: number): string {
  return Array.from(source.subarray(at, at + length), (value) => value.toString(16).padStart(2, "0")).join("");
}
