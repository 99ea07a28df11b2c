import { type Crc, getU16, getU32, getU48, putU16, putU32, putU48 } from "./bytes.js";

/** A batch's payload is entries, one behind the other. Each has its own checksum, so that one record can be judged without its neighbours. */
export const entryHeaderBytes = 22;

export const EntryType = {
  /** A record: `sequence` is its own, the data is the user's. */
  record: 1,
  /** State of a stream: id, `sequence` = first live one, data = next one (u48) and the name. On its first use, and at the front of each segment. */
  stream: 2,
  /** Everything of the stream below `sequence` is gone. */
  truncateBefore: 3,
  /** Everything of the stream above `sequence` is gone. */
  truncateAfter: 4,
  /** The stream and its id are gone. */
  remove: 5,
  /** A record moved forward out of an old segment: data = its time (u48) and the user's bytes. */
  carried: 6,
  /** First entry of a segment: `sequence` = the next stream id to give out. The states of all live streams follow. */
  checkpoint: 7,
} as const;
export type EntryType = (typeof EntryType)[keyof typeof EntryType];

export interface Entry {
  readonly type: number;
  readonly stream: number;
  readonly sequence: number;
  /** Milliseconds after the batch's time. */
  readonly timeDeltaMs: number;
  /** Where the data stands in the bytes that were read. */
  readonly dataFrom: number;
  readonly dataTo: number;
}

/** Writes the header, all but its checksum, for `length` bytes of data that stand at `at + entryHeaderBytes`. */
export function putEntryHeader(
  target: Uint8Array,
  at: number,
  type: EntryType,
  stream: number,
  sequence: number,
  timeDeltaMs: number,
  length: number,
): void {
  target[at + 4] = type;
  target[at + 5] = 0;
  putU16(target, at + 6, timeDeltaMs);
  putU32(target, at + 8, length);
  putU32(target, at + 12, stream);
  putU48(target, at + 16, sequence);
}

/** Fills in the checksums of the entries that stand in `target[from, to)` with the rest of their headers written. */
export function sealEntries(target: Uint8Array, from: number, to: number, crc: Crc): void {
  for (let at = from; at < to; ) {
    const end = at + entryHeaderBytes + getU32(target, at + 8);
    putU32(target, at, crc(target.subarray(at + 4, end)));
    at = end;
  }
}

/** The entry at `at` of a payload whose batch was verified, or undefined when it does not fit before `end`. */
export function readEntry(bytes: Uint8Array, at: number, end: number): Entry | undefined {
  if (at + entryHeaderBytes > end) return undefined;
  const dataFrom = at + entryHeaderBytes;
  const dataTo = dataFrom + getU32(bytes, at + 8);
  if (dataTo > end) return undefined;
  return {
    type: bytes[at + 4] as number,
    timeDeltaMs: getU16(bytes, at + 6),
    stream: getU32(bytes, at + 12),
    sequence: getU48(bytes, at + 16),
    dataFrom,
    dataTo,
  };
}
