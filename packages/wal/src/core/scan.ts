import {
  type BatchHeader,
  type BatchPlace,
  batchHeaderBytes,
  payloadIsWhole,
  readBatchHeader,
  trailerBytes,
} from "./batch.js";
import { type Crc, getU32, isZero } from "./bytes.js";
import { type Entry, readEntry } from "./entry.js";
import { pageBytes } from "./headers.js";

/** What the next batch must be: its number and the checksum of the one before it. Undefined at the front of the oldest segment. */
export interface Expected {
  readonly number: number;
  readonly previousCrc: number;
}

/**
 * Walks the batches of a segment whose whole content is `bytes` for as long as each follows from the one before, and hands each to `visit`.
 * Returns where the walk ended and what would have had to come there. It does not judge: that takes the segments behind and the marks.
 */
export function walkSegment(
  bytes: Uint8Array,
  place: BatchPlace,
  expected: Expected | undefined,
  crc: Crc,
  visit: (header: BatchHeader, offset: number) => void,
): { readonly end: number; readonly expected: Expected | undefined } {
  let end = pageBytes;
  let next = expected;
  for (;;) {
    const header = readBatchHeader(bytes, end, place, end, crc);
    if (header === undefined || end + batchHeaderBytes + header.payloadBytes > bytes.length) break;
    if (next !== undefined && (header.number !== next.number || header.previousCrc !== next.previousCrc)) break;
    if (!payloadIsWhole(bytes, end, header, place, end, crc)) break;
    visit(header, end);
    end += batchHeaderBytes + header.payloadBytes;
    next = { number: header.number + 1, previousCrc: header.crc };
  }
  return { end, expected: next };
}

/**
 * Looks for proof that batch `number` was once durable: a later batch anywhere behind `from`, byte by byte and to the very end, whose durable
 * mark covers it. A header alone is proof enough, since its checksum binds it to this place in this segment.
 */
export function findVouching(
  bytes: Uint8Array,
  from: number,
  number: number,
  place: BatchPlace,
  crc: Crc,
  indexOf: (bytes: Uint8Array, needle: Uint8Array, from: number) => number,
): { readonly offset: number; readonly header: BatchHeader } | undefined {
  const prefix = place.prefix();
  for (let at = indexOf(bytes, prefix, from); at >= 0; at = indexOf(bytes, prefix, at + 1)) {
    const header = readBatchHeader(bytes, at, place, at, crc);
    if (header !== undefined && header.number > number && header.durableBatch >= number) return { offset: at, header };
  }
  return undefined;
}

/** Where in a batch with a right header and a wrong payload the damage begins, as far as the entries' own checksums tell. */
export function firstDamagedEntry(bytes: Uint8Array, offset: number, header: BatchHeader, crc: Crc): Entry | undefined {
  const end = offset + batchHeaderBytes + header.payloadBytes;
  if (end > bytes.length) return undefined;
  for (let at = offset + batchHeaderBytes; ; ) {
    const entry = readEntry(bytes, at, end);
    if (entry === undefined || crc(bytes.subarray(at + 4, entry.dataTo)) !== getU32(bytes, at)) return entry;
    at = entry.dataTo;
  }
}

/**
 * Whether a log that ends at `end` looks as if nothing was begun there: the zeros behind its last batch, and, in a segment that holds no old
 * bytes, zeros to the end.
 */
export function endsClean(bytes: Uint8Array, end: number, recycled: boolean): boolean {
  return isZero(bytes, end, recycled ? Math.min(end + trailerBytes, bytes.length) : bytes.length);
}
