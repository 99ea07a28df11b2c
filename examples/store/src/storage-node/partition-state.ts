import { bufferOf } from "../buffer-of.js";
import { StoreError } from "./errors.js";
import { decodeStored } from "./stored-value.js";

/**
 * Everything that a partition holds as of one slot, as bytes: what is written beside the archived log, and what a replica is given that has fallen
 * behind what is kept of the log. Numbers are big-endian.
 *
 * ```
 * "EKPS" | u8 version = 1 | 3 bytes zero | u64 slot | f64 time of the last entry (Unix ms; 0 in the archive, whose manifest has it)
 * any number of times, in key order:  u16 key length, 1 to 0xFFFE | u32 value length | key | stored value
 * u16 0xFFFF | u64 how many entries there were | zeros to the end
 * ```
 * The values are those of the B-tree with their own checksums, which are looked at on either side: what has rotted is never handed on. The
 * whole is summed by who carries it. The same state gives the same bytes on every replica. The zeros are there because a sender has to say how long
 * it will be before it has looked.
 */
export interface StateEntry {
  readonly key: Uint8Array;
  /** As it lies in the B-tree, see `stored-value.ts`. */
  readonly bytes: Uint8Array;
}

export interface StateHeader {
  readonly slot: number;
  /** Unix ms; 0 where it is not said. */
  readonly timeMs: number;
}

const MAGIC = 0x454b5053;
const VERSION = 1;
const HEADER_BYTES = 24;
const ENTRY_HEADER_BYTES = 6;
const END = 0xffff;
const END_BYTES = 10;
/** No value is as long: an entry of the log holds 4 MiB. A length above it is damage, and not waited for. */
const VALUE_BYTES_MAX = 8 * 1024 * 1024;

export const stateEntryBytes = (keyBytes: number, valueBytes: number): number =>
  ENTRY_HEADER_BYTES + keyBytes + valueBytes;

/** A state of `entriesBytes` takes so much; see `stateEntryBytes`. */
export const stateBytes = (entriesBytes: number): number => HEADER_BYTES + entriesBytes + END_BYTES;

/** One piece for each page, and one more at either end. Throws ERR_STORE_CORRUPT where a value's checksum does not hold. */
export function* encodeState(
  { slot, timeMs }: StateHeader,
  pages: Iterable<readonly StateEntry[]>,
): Generator<Buffer, void, undefined> {
  const header = Buffer.alloc(HEADER_BYTES);
  header.writeUInt32BE(MAGIC, 0);
  header[4] = VERSION;
  header.writeBigUInt64BE(BigInt(slot), 8);
  header.writeDoubleBE(timeMs, 16);
  yield header;
  let count = 0;
  for (const page of pages) {
    const out = Buffer.allocUnsafe(
      page.reduce((sum, { key, bytes }) => sum + stateEntryBytes(key.length, bytes.length), 0),
    );
    let at = 0;
    for (const { key, bytes } of page) {
      decodeStored(key, bytes);
      out.writeUInt16BE(key.length, at);
      out.writeUInt32BE(bytes.length, at + 2);
      out.set(key, at + ENTRY_HEADER_BYTES);
      out.set(bytes, at + ENTRY_HEADER_BYTES + key.length);
      at += stateEntryBytes(key.length, bytes.length);
      count++;
    }
    yield out;
  }
  const end = Buffer.alloc(END_BYTES);
  end.writeUInt16BE(END, 0);
  end.writeBigUInt64BE(BigInt(count), 2);
  yield end;
}

/** Takes a state apart, whatever the pieces in which it comes. Holds one piece and one entry. */
export class StateDecoder {
  header: StateHeader | undefined;
  #rest: Buffer = Buffer.alloc(0);
  #count = 0;
  #ended = false;

  /** The entries that are complete with this piece, verified; views of it. Throws ERR_STORE_FORMAT and ERR_STORE_CORRUPT. */
  push(piece: Uint8Array): StateEntry[] {
    const view = bufferOf(piece);
    const bytes = this.#rest.length === 0 ? view : Buffer.concat([this.#rest, view]);
    const entries: StateEntry[] = [];
    let at = 0;
    if (this.header === undefined) {
      if (bytes.length < HEADER_BYTES) {
        this.#rest = Buffer.from(bytes);
        return entries;
      }
      this.header = headerOf(bytes);
      at = HEADER_BYTES;
    }
    while (!this.#ended && bytes.length - at >= 2) {
      const keyBytes = bytes.readUInt16BE(at);
      const isEnd = keyBytes === END;
      if (bytes.length - at < (isEnd ? END_BYTES : ENTRY_HEADER_BYTES)) break;
      if (isEnd) {
        const announced = Number(bytes.readBigUInt64BE(at + 2));
        if (announced !== this.#count) throw wrong(`has ${this.#count} entries and ends with ${announced}`);
        this.#ended = true;
        at += END_BYTES;
        break;
      }
      if (keyBytes === 0) throw wrong("has an entry without a key");
      const valueBytes = bytes.readUInt32BE(at + 2);
      if (valueBytes > VALUE_BYTES_MAX) throw wrong(`has a value of ${valueBytes} bytes`);
      const end = at + stateEntryBytes(keyBytes, valueBytes);
      if (end > bytes.length) break;
      const key = bytes.subarray(at + ENTRY_HEADER_BYTES, at + ENTRY_HEADER_BYTES + keyBytes);
      const value = bytes.subarray(at + ENTRY_HEADER_BYTES + keyBytes, end);
      decodeStored(key, value);
      entries.push({ key, bytes: value });
      this.#count++;
      at = end;
    }
    if (this.#ended) {
      for (; at < bytes.length; at++) if (bytes[at] !== 0) throw wrong("goes on behind its end");
    }
    this.#rest = at === bytes.length ? Buffer.alloc(0) : Buffer.from(bytes.subarray(at));
    return entries;
  }

  /** Throws ERR_STORE_FORMAT where the state was not whole. */
  finish(): StateHeader {
    if (this.header === undefined || !this.#ended) throw wrong("ends early");
    return this.header;
  }
}

function headerOf(bytes: Buffer): StateHeader {
  if (bytes.readUInt32BE(0) !== MAGIC) throw wrong("does not begin as one");
  if (bytes[4] !== VERSION) throw wrong(`has format version ${bytes[4]}; this program reads version ${VERSION}`);
  return { slot: Number(bytes.readBigUInt64BE(8)), timeMs: bytes.readDoubleBE(16) };
}

const wrong = (what: string): StoreError => new StoreError("ERR_STORE_FORMAT", `a partition's state ${what}`);
