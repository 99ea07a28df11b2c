import { type Crc, getU16, getU32, getU48, putU16, putU32, putU48 } from "./bytes.js";

/**
 * A batch is the unit of atomicity: what one `fdatasync` makes durable. It is believed only where it was written (salt of the segment and
 * offset in the file seed its checksum), only after its predecessor (whose checksum it carries), and says how far the log was known to be
 * durable when it was written. That last field tells a torn tail from rot: a damaged batch that a later one vouches for was once on disk.
 */
export const batchHeaderBytes = 42;
/** Zeros written behind each batch and overwritten by the next: "nothing was begun here". */
export const trailerBytes = 64;
export const batchMagic = 0x01_42_56_45; // "EVB", format version 1
/** Magic and the first half of the salt: what the forward scan looks for. */
export const batchPrefixBytes = 8;

export interface BatchHeader {
  readonly number: number;
  readonly durableBatch: number;
  readonly timeMs: number;
  readonly count: number;
  readonly payloadBytes: number;
  readonly previousCrc: number;
  readonly payloadCrc: number;
  /** Checksum over the header, and through `payloadCrc` over all; it names the batch. */
  readonly crc: number;
}

/** Everything a batch's checksum depends on besides its own bytes. */
export class BatchPlace {
  readonly salt: Uint8Array;
  readonly #seedBytes = new Uint8Array(14);
  readonly #crc: Crc;

  constructor(salt: Uint8Array, crc: Crc) {
    this.salt = salt;
    this.#crc = crc;
    this.#seedBytes.set(salt, 0);
  }

  seed(offset: number): number {
    putU48(this.#seedBytes, 8, offset);
    return this.#crc(this.#seedBytes);
  }

  prefix(): Uint8Array {
    const prefix = new Uint8Array(batchPrefixBytes);
    putU32(prefix, 0, batchMagic);
    prefix.set(this.salt.subarray(0, 4), 4);
    return prefix;
  }
}

export interface BatchToSeal {
  readonly number: number;
  readonly durableBatch: number;
  readonly timeMs: number;
  readonly count: number;
  readonly previousCrc: number;
  /** Of the entries, continued from the place's seed. */
  readonly payloadCrc: number;
}

/** Fills in the header in front of a payload that already stands at `batchHeaderBytes`; returns the checksum that names the batch. */
export function sealBatch(bytes: Uint8Array, batch: BatchToSeal, place: BatchPlace, offset: number, crc: Crc): number {
  const seed = place.seed(offset);
  putU32(bytes, 0, batchMagic);
  bytes.set(place.salt.subarray(0, 4), 4);
  putU48(bytes, 8, batch.number);
  putU16(bytes, 14, batch.number - batch.durableBatch);
  putU48(bytes, 16, batch.timeMs);
  putU32(bytes, 22, batch.count);
  putU32(bytes, 26, bytes.length - batchHeaderBytes);
  putU32(bytes, 30, batch.previousCrc);
  putU32(bytes, 34, batch.payloadCrc);
  const name = crc(bytes.subarray(0, 38), seed);
  putU32(bytes, 38, name);
  return name;
}

/** The header at `at`, if it is one and was written for exactly this `offset` of this segment. The payload is not looked at. */
export function readBatchHeader(
  bytes: Uint8Array,
  at: number,
  place: BatchPlace,
  offset: number,
  crc: Crc,
): BatchHeader | undefined {
  if (at + batchHeaderBytes > bytes.length || getU32(bytes, at) !== batchMagic) return undefined;
  const expected = getU32(bytes, at + 38);
  if (crc(bytes.subarray(at, at + 38), place.seed(offset)) !== expected) return undefined;
  const number = getU48(bytes, at + 8);
  return {
    number,
    durableBatch: number - getU16(bytes, at + 14),
    timeMs: getU48(bytes, at + 16),
    count: getU32(bytes, at + 22),
    payloadBytes: getU32(bytes, at + 26),
    previousCrc: getU32(bytes, at + 30),
    payloadCrc: getU32(bytes, at + 34),
    crc: expected,
  };
}

/** Whether the payload behind a verified header is the one that was written. The caller has made sure that all of it is in `bytes`. */
export function payloadIsWhole(
  bytes: Uint8Array,
  at: number,
  header: BatchHeader,
  place: BatchPlace,
  offset: number,
  crc: Crc,
): boolean {
  const from = at + batchHeaderBytes;
  return crc(bytes.subarray(from, from + header.payloadBytes), place.seed(offset)) === header.payloadCrc;
}
