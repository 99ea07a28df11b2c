import { type Crc, getU16, getU32, getU48, putU16, putU32, putU48 } from "./bytes.js";

/**
 * The two small structures that stand outside the flow of batches: the page at the front of each segment, and a slot of the file `marks`.
 * Both are drawn byte by byte in ARCHITECTURE.md.
 */
export const formatVersion = 1;
export const pageBytes = 4096;
export const logIdBytes = 16;
export const saltBytes = 8;

const segmentMagic = 0x53_4b_56_45; // "EVKS"
const markMagic = 0x4d_4b_56_45; // "EVKM"
const segmentHeaderUsed = 64;
const markUsed = 56;

export interface SegmentHeader {
  readonly version: number;
  readonly segment: number;
  readonly logId: Uint8Array;
  /** Random for each use of a file: what an earlier use left behind can never pass for this one's. */
  readonly salt: Uint8Array;
  readonly createdMs: number;
  /** The file held another segment before, so that what follows the last batch is old bytes instead of zeros. */
  readonly recycled: boolean;
}

export function encodeSegmentHeader(header: Omit<SegmentHeader, "version">, crc: Crc): Uint8Array {
  const page = new Uint8Array(pageBytes);
  putU32(page, 0, segmentMagic);
  putU16(page, 4, formatVersion);
  putU16(page, 6, header.recycled ? 1 : 0);
  putU48(page, 8, header.segment);
  page.set(header.logId, 16);
  page.set(header.salt, 32);
  putU48(page, 40, header.createdMs);
  putU32(page, segmentHeaderUsed - 4, crc(page.subarray(0, segmentHeaderUsed - 4)));
  return page;
}

export type Decoded<T> = { readonly ok: true; readonly value: T } | { readonly ok: false; readonly version?: number };

export function decodeSegmentHeader(page: Uint8Array, crc: Crc): Decoded<SegmentHeader> {
  if (page.length < segmentHeaderUsed || getU32(page, 0) !== segmentMagic) return { ok: false };
  if (getU32(page, segmentHeaderUsed - 4) !== crc(page.subarray(0, segmentHeaderUsed - 4))) return { ok: false };
  const version = getU16(page, 4);
  if (version !== formatVersion) return { ok: false, version };
  return {
    ok: true,
    value: {
      version,
      segment: getU48(page, 8),
      logId: page.slice(16, 16 + logIdBytes),
      salt: page.slice(32, 32 + saltBytes),
      createdMs: getU48(page, 40),
      recycled: (getU16(page, 6) & 1) === 1,
    },
  };
}

/** How far the log was known to be durable when this was written. Batch 0 says: nothing yet. */
export interface Mark {
  readonly logId: Uint8Array;
  readonly generation: number;
  readonly batch: number;
  /** Checksum of that batch: ties the mark to this history and no other. */
  readonly batchCrc: number;
  readonly segment: number;
  readonly writtenMs: number;
}

/** Two slots, a page each, written in turn: whichever write a crash tears, the other slot is whole. */
export const markSlots = 2;

export function encodeMark(mark: Mark, crc: Crc): Uint8Array {
  const page = new Uint8Array(pageBytes);
  putU32(page, 0, markMagic);
  putU16(page, 4, formatVersion);
  page.set(mark.logId, 8);
  putU48(page, 24, mark.generation);
  putU48(page, 30, mark.batch);
  putU32(page, 36, mark.batchCrc);
  putU48(page, 40, mark.segment);
  putU48(page, 46, mark.writtenMs);
  putU32(page, markUsed - 4, crc(page.subarray(0, markUsed - 4)));
  return page;
}

export function decodeMark(page: Uint8Array, crc: Crc): Decoded<Mark> {
  if (page.length < markUsed || getU32(page, 0) !== markMagic) return { ok: false };
  if (getU32(page, markUsed - 4) !== crc(page.subarray(0, markUsed - 4))) return { ok: false };
  const version = getU16(page, 4);
  if (version !== formatVersion) return { ok: false, version };
  return {
    ok: true,
    value: {
      logId: page.slice(8, 8 + logIdBytes),
      generation: getU48(page, 24),
      batch: getU48(page, 30),
      batchCrc: getU32(page, 36),
      segment: getU48(page, 40),
      writtenMs: getU48(page, 46),
    },
  };
}

/** Where the end of a log was torn off, until whoever uses the log has taken note. */
export interface TornEnd {
  readonly logId: Uint8Array;
  readonly batch: number;
  readonly segment: number;
  readonly offset: number;
}

const tornEndMagic = 0x55_4b_56_45; // "EVKU"
export const tornEndBytes = 48;

export function encodeTornEnd(end: TornEnd, crc: Crc): Uint8Array {
  const bytes = new Uint8Array(tornEndBytes);
  putU32(bytes, 0, tornEndMagic);
  putU16(bytes, 4, formatVersion);
  bytes.set(end.logId, 8);
  putU48(bytes, 24, end.batch);
  putU48(bytes, 30, end.segment);
  putU48(bytes, 36, end.offset);
  putU32(bytes, tornEndBytes - 4, crc(bytes.subarray(0, tornEndBytes - 4)));
  return bytes;
}

export function decodeTornEnd(bytes: Uint8Array, crc: Crc): Decoded<TornEnd> {
  if (bytes.length !== tornEndBytes || getU32(bytes, 0) !== tornEndMagic) return { ok: false };
  if (getU32(bytes, tornEndBytes - 4) !== crc(bytes.subarray(0, tornEndBytes - 4))) return { ok: false };
  const version = getU16(bytes, 4);
  if (version !== formatVersion) return { ok: false, version };
  return {
    ok: true,
    value: {
      logId: bytes.slice(8, 8 + logIdBytes),
      batch: getU48(bytes, 24),
      segment: getU48(bytes, 30),
      offset: getU48(bytes, 36),
    },
  };
}

export function sameBytes(a: Uint8Array, b: Uint8Array): boolean {
  return a.length === b.length && a.every((value, at) => value === b[at]);
}
