import { type Crc, getU16, getU32, getU48, putU16, putU32, putU48, u48Max } from "./bytes.js";

/**
 * An archived object: consecutive entries of one stream in canonical form. The same entries with the same predecessor give the same bytes, on
 * whichever replica. It may be stored compressed (stored-body.ts): its identity is that of these bytes. Drawn byte by byte in ARCHITECTURE.md.
 */
export const archiveVersion = 1;
const magic = 0x41_4b_56_45; // "EVKA"
const fixedHeaderBytes = 76;
export const archiveEntryBytes = 20;
/** What a builder begins with: many objects are small, since they are closed by age. */
const firstBytes = 64 * 1024;

export interface ArchiveEntry {
  readonly sequence: number;
  /** Wall-clock milliseconds since 1970. Part of the canonical form: replicas must agree on it, so it comes from the command, not from a replica's clock. */
  readonly timeMs: number;
  readonly data: Uint8Array;
}

/** What an archiver takes. Who can say more about an entry has it checked. */
export interface EntryToArchive extends ArchiveEntry {
  /** Where the entry was read from; it must be the stream that is archived. */
  readonly stream?: string;
  /** CRC-32 of the data, from where it was last verified. */
  readonly crc32?: number;
}

export interface ArchiveObject {
  readonly stream: string;
  readonly first: number;
  readonly last: number;
  readonly count: number;
  readonly firstTimeMs: number;
  readonly lastTimeMs: number;
  /** Latest time of any entry: clocks may have stepped back in between. */
  readonly timeMaxMs: number;
  /** SHA-256 of the object before this one, as hex; zeros for the first. Ties neighbours together. */
  readonly previousSha256: string;
  /** How many bytes of the object are entries. */
  readonly entriesBytes: number;
}

/** Gathers entries and copies their data as they come. */
export class ArchiveObjectBuilder {
  readonly #stream: string;
  readonly #headerBytes: number;
  readonly #name: Uint8Array;
  readonly #crc: Crc;
  #bytes: Uint8Array;
  #used: number;
  first = 0;
  last = 0;
  count = 0;
  #firstTimeMs = 0;
  #lastTimeMs = 0;
  #timeMaxMs = 0;

  /** `memory`: bytes that nobody needs any more, of whatever length; they save the pages of new ones. */
  constructor(stream: string, crc: Crc, memory?: Uint8Array) {
    this.#stream = stream;
    this.#name = new TextEncoder().encode(stream);
    this.#headerBytes = fixedHeaderBytes + this.#name.length + 4;
    this.#crc = crc;
    this.#bytes = memory !== undefined && memory.length >= firstBytes ? memory : new Uint8Array(firstBytes);
    this.#used = this.#headerBytes;
  }

  /** Bytes of entries so far, framing included. */
  get entriesBytes(): number {
    return this.#used - this.#headerBytes;
  }

  /** `entry` follows the one before; `entryProblem` has been asked. `entriesBytesHint` is how many bytes of entries the object will be closed at. */
  add(entry: ArchiveEntry, entriesBytesHint: number): void {
    const { sequence, timeMs, data } = entry;
    const at = this.#used;
    const end = at + archiveEntryBytes + data.length;
    if (end > this.#bytes.length) this.#grow(end, entriesBytesHint);
    const bytes = this.#bytes;
    putU32(bytes, at + 4, data.length);
    putU48(bytes, at + 8, sequence);
    putU48(bytes, at + 14, timeMs);
    bytes.set(data, at + archiveEntryBytes);
    putU32(bytes, at, this.#crc(bytes.subarray(at + 4, end)));
    this.#used = end;
    if (this.count++ === 0) [this.first, this.#firstTimeMs] = [sequence, timeMs];
    this.last = sequence;
    this.#lastTimeMs = timeMs;
    this.#timeMaxMs = Math.max(this.#timeMaxMs, timeMs);
  }

  /** Everything that was allocated for the object: memory for another, once nothing reads this one any more. */
  get memory(): Uint8Array {
    return this.#bytes;
  }

  /** The object: at least one entry is in it. A view of `memory`. */
  finish(previousSha256: string): { readonly bytes: Uint8Array; readonly object: ArchiveObject } {
    const bytes = this.#bytes.subarray(0, this.#used);
    const headerBytes = this.#headerBytes;
    putU32(bytes, 0, magic);
    putU16(bytes, 4, archiveVersion);
    putU16(bytes, 6, this.#name.length);
    putU32(bytes, 8, this.count);
    putU48(bytes, 12, this.first);
    putU48(bytes, 18, this.last);
    putU48(bytes, 24, this.#firstTimeMs);
    putU48(bytes, 30, this.#lastTimeMs);
    putU48(bytes, 36, this.entriesBytes);
    putHex(bytes, 44, previousSha256);
    bytes.set(this.#name, fixedHeaderBytes);
    putU32(bytes, headerBytes - 4, this.#crc(bytes.subarray(0, headerBytes - 4)));
    const object: ArchiveObject = {
      stream: this.#stream,
      first: this.first,
      last: this.last,
      count: this.count,
      firstTimeMs: this.#firstTimeMs,
      lastTimeMs: this.#lastTimeMs,
      timeMaxMs: this.#timeMaxMs,
      previousSha256,
      entriesBytes: this.entriesBytes,
    };
    return { bytes, object };
  }

  /** At once to where the object will end, if it has got past the beginning; past that by doubling. */
  #grow(needed: number, hint: number): void {
    const closedAt = this.#headerBytes + hint + Math.ceil(hint / 64);
    const grown = new Uint8Array(Math.max(needed, needed <= closedAt ? closedAt : this.#bytes.length * 2));
    grown.set(this.#bytes.subarray(0, this.#used));
    this.#bytes = grown;
  }
}

/**
 * Verifies everything that an object can say about itself and calls `visit` with each entry, whose data are views of `bytes`. Throws a plain Error that
 * says what is wrong; what was visited until then was right. `sealedHere`: the entries' checksums were computed from these very bytes a moment ago, by
 * a builder in this process, and are not computed again. As many `step`s as one likes, until one says that there are no more entries; then `end`.
 */
export class ArchiveObjectWalk {
  readonly #bytes: Uint8Array;
  readonly #crc: Crc;
  readonly #visit: ((entry: ArchiveEntry) => void) | undefined;
  readonly #sealedHere: boolean;
  readonly #headerBytes: number;
  readonly #first: number;
  readonly #last: number;
  #sequence: number;
  #at: number;
  #timeMaxMs = 0;
  #firstTimeMs = 0;
  #lastTimeMs = 0;

  constructor(bytes: Uint8Array, crc: Crc, visit?: (entry: ArchiveEntry) => void, sealedHere = false) {
    if (bytes.length < fixedHeaderBytes + 4 || getU32(bytes, 0) !== magic) throw new Error("not an archived object");
    const headerBytes = fixedHeaderBytes + getU16(bytes, 6) + 4;
    if (bytes.length < headerBytes || crc(bytes.subarray(0, headerBytes - 4)) !== getU32(bytes, headerBytes - 4)) {
      throw new Error("the header is damaged");
    }
    const version = getU16(bytes, 4);
    if (version !== archiveVersion) throw new UnsupportedArchive(`format version ${version}`);
    const [count, first, last, entriesBytes] = [
      getU32(bytes, 8),
      getU48(bytes, 12),
      getU48(bytes, 18),
      getU48(bytes, 36),
    ];
    if (bytes.length !== headerBytes + entriesBytes || count < 1 || last - first + 1 !== count) {
      throw new Error("its length or its bounds contradict its header");
    }
    this.#bytes = bytes;
    this.#crc = crc;
    this.#visit = visit;
    this.#sealedHere = sealedHere;
    this.#headerBytes = headerBytes;
    this.#first = first;
    this.#last = last;
    this.#sequence = first;
    this.#at = headerBytes;
  }

  /** Goes past so many bytes, and to the end of the entry that they end in. Returns whether there are more entries. */
  step(bytesMin: number): boolean {
    const [bytes, crc, visit, sealedHere] = [this.#bytes, this.#crc, this.#visit, this.#sealedHere];
    const [first, last] = [this.#first, this.#last];
    let [at, sequence, timeMaxMs, lastTimeMs] = [this.#at, this.#sequence, this.#timeMaxMs, this.#lastTimeMs];
    for (const until = at + bytesMin; sequence <= last && at < until; sequence++) {
      const dataFrom = at + archiveEntryBytes;
      const end = dataFrom <= bytes.length ? dataFrom + getU32(bytes, at + 4) : Number.POSITIVE_INFINITY;
      if (end > bytes.length || (!sealedHere && crc(bytes.subarray(at + 4, end)) !== getU32(bytes, at))) {
        throw new Error(`entry ${sequence} at ${at} is damaged`);
      }
      const found = getU48(bytes, at + 8);
      if (found !== sequence) throw new Error(`entry ${found} stands where ${sequence} should`);
      lastTimeMs = getU48(bytes, at + 14);
      if (sequence === first) this.#firstTimeMs = lastTimeMs;
      if (lastTimeMs > timeMaxMs) timeMaxMs = lastTimeMs;
      visit?.({ sequence, timeMs: lastTimeMs, data: bytes.subarray(dataFrom, end) });
      at = end;
    }
    [this.#at, this.#sequence, this.#timeMaxMs, this.#lastTimeMs] = [at, sequence, timeMaxMs, lastTimeMs];
    return sequence <= last;
  }

  /** Once there are no more entries. */
  end(): ArchiveObject {
    const [bytes, headerBytes] = [this.#bytes, this.#headerBytes];
    const [firstTimeMs, lastTimeMs] = [this.#firstTimeMs, this.#lastTimeMs];
    if (this.#at !== bytes.length) throw new Error(`${bytes.length - this.#at} bytes behind the last entry`);
    if (firstTimeMs !== getU48(bytes, 24) || lastTimeMs !== getU48(bytes, 30)) {
      throw new Error("its times contradict its header");
    }
    return {
      stream: new TextDecoder().decode(bytes.subarray(fixedHeaderBytes, headerBytes - 4)),
      first: this.#first,
      last: this.#last,
      count: this.#last - this.#first + 1,
      firstTimeMs,
      lastTimeMs,
      timeMaxMs: this.#timeMaxMs,
      previousSha256: getHex(bytes, 44, 32),
      entriesBytes: bytes.length - headerBytes,
    };
  }
}

export class UnsupportedArchive extends Error {}

/** Why an entry cannot be archived, if so. */
export function entryProblem(entry: EntryToArchive, stream: string, expected: number, crc: Crc): string | undefined {
  const { sequence, timeMs, data } = entry;
  if (sequence !== expected) return `sequence ${sequence} came where ${expected} was due`;
  if (!Number.isSafeInteger(timeMs) || timeMs < 0 || timeMs > u48Max) return `timeMs of entry ${sequence} is ${timeMs}`;
  if (!(data instanceof Uint8Array)) return `data of entry ${sequence} is no Uint8Array`;
  if (entry.stream !== undefined && entry.stream !== stream) {
    return `entry ${sequence} is one of stream ${JSON.stringify(entry.stream)}`;
  }
  if (entry.crc32 !== undefined && crc(data) !== entry.crc32) return `data of entry ${sequence} do not have its crc32`;
  return undefined;
}

export function putHex(target: Uint8Array, at: number, hex: string): void {
  for (let n = 0; n < hex.length / 2; n++) target[at + n] = Number.parseInt(hex.slice(n * 2, n * 2 + 2), 16);
}

export function getHex(source: Uint8Array, at: number, length: number): string {
  return Array.from(source.subarray(at, at + length), (value) => value.toString(16).padStart(2, "0")).join("");
}
