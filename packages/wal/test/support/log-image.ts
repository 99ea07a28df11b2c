import { BatchPlace, batchHeaderBytes, batchMagic, readBatchHeader } from "../../src/core/batch.js";
import { putU16, putU32, putU48 } from "../../src/core/bytes.js";
import { entryHeaderBytes, readEntry } from "../../src/core/entry.js";
import { decodeMark, decodeSegmentHeader, pageBytes } from "../../src/core/headers.js";
import { crc } from "../../src/fs/checksum.js";

/**
 * A log taken apart and put together again with all its checksums right, whatever was changed in between: damage of the kind that only a mistake
 * in a writer could make. It leads behind the checks that random bytes never pass. Fields named `...Said` are written instead of the truth.
 */
export interface LogImage {
  segments: SegmentImage[];
  marks: MarkImage[];
}

export interface SegmentImage {
  number: number;
  version: number;
  flags: number;
  logId: Uint8Array;
  salt: Uint8Array;
  batches: BatchImage[];
  bytes: number;
}

export interface BatchImage {
  number: number;
  durableDelta: number;
  timeMs: number;
  entries: EntryImage[];
  countSaid?: number;
  payloadBytesSaid?: number;
  previousCrcSaid?: number;
}

export interface EntryImage {
  type: number;
  reserved: number;
  stream: number;
  sequence: number;
  deltaMs: number;
  data: Uint8Array;
  lengthSaid?: number;
  crcSaid?: number;
}

export interface MarkImage {
  version: number;
  logId: Uint8Array;
  generation: number;
  batch: number;
  segment: number;
  batchCrcSaid?: number;
}

export function parseLog(files: ReadonlyMap<string, Uint8Array>): LogImage {
  const segments: SegmentImage[] = [];
  for (const name of [...files.keys()].sort()) {
    if (name.endsWith(".wal")) segments.push(parseSegment(files.get(name) as Uint8Array));
  }
  const bytes = files.get("marks") as Uint8Array;
  const marks = [0, pageBytes].map((at) => {
    const slot = decodeMark(bytes.subarray(at, at + pageBytes), crc);
    if (!slot.ok) throw new Error("the log to begin with is not whole");
    const { logId, generation, batch, segment } = slot.value;
    return { version: 1, logId, generation, batch, segment };
  });
  return { segments, marks };
}

function parseSegment(bytes: Uint8Array): SegmentImage {
  const header = decodeSegmentHeader(bytes, crc);
  if (!header.ok) throw new Error("the log to begin with is not whole");
  const { segment: number, logId, salt, recycled } = header.value;
  const place = new BatchPlace(salt, crc);
  const batches: BatchImage[] = [];
  for (let at = pageBytes; ; ) {
    const found = readBatchHeader(bytes, at, place, at, crc);
    if (found === undefined) break;
    const end = at + batchHeaderBytes + found.payloadBytes;
    const entries: EntryImage[] = [];
    for (let from = at + batchHeaderBytes; from < end; ) {
      const entry = readEntry(bytes, from, end);
      if (entry === undefined) break;
      const { type, stream, sequence, timeDeltaMs: deltaMs } = entry;
      entries.push({ type, reserved: 0, stream, sequence, deltaMs, data: bytes.slice(entry.dataFrom, entry.dataTo) });
      from = entry.dataTo;
    }
    batches.push({
      number: found.number,
      durableDelta: found.number - found.durableBatch,
      timeMs: found.timeMs,
      entries,
    });
    at = end;
  }
  return { number, version: 1, flags: recycled ? 1 : 0, logId, salt, batches, bytes: bytes.length };
}

/** The files of the log, by name. */
export function encodeLog(image: LogImage): Map<string, Uint8Array> {
  const files = new Map<string, Uint8Array>();
  const crcOf = new Map<number, number>();
  let previousCrc = 0;
  for (const segment of image.segments) {
    const parts: Uint8Array[] = [segmentHeader(segment)];
    const place = new BatchPlace(segment.salt, crc);
    let at = pageBytes;
    for (const batch of segment.batches) {
      const bytes = encodeBatch(batch, place, at, previousCrc);
      previousCrc = crc(bytes.subarray(0, 38), place.seed(at));
      crcOf.set(batch.number, previousCrc);
      parts.push(bytes);
      at += bytes.length;
    }
    parts.push(new Uint8Array(Math.max(0, segment.bytes - at)));
    files.set(`${String(segment.number).padStart(12, "0")}.wal`, Buffer.concat(parts));
  }
  files.set("marks", Buffer.concat(image.marks.map((mark) => encodeMark(mark, crcOf.get(mark.batch) ?? 0))));
  return files;
}

function segmentHeader({ version, flags, number, logId, salt }: SegmentImage): Uint8Array {
  const page = new Uint8Array(pageBytes);
  page.set(Buffer.from("EVKS"));
  putU16(page, 4, version);
  putU16(page, 6, flags);
  putU48(page, 8, number);
  page.set(logId, 16);
  page.set(salt, 32);
  putU32(page, 60, crc(page.subarray(0, 60)));
  return page;
}

function encodeBatch(batch: BatchImage, place: BatchPlace, at: number, previousCrc: number): Uint8Array {
  const payload = Buffer.concat(batch.entries.map(encodeEntry));
  const bytes = new Uint8Array(batchHeaderBytes + payload.length);
  bytes.set(payload, batchHeaderBytes);
  const seed = place.seed(at);
  const said = batch.payloadBytesSaid ?? payload.length;
  putU32(bytes, 0, batchMagic);
  bytes.set(place.salt.subarray(0, 4), 4);
  putU48(bytes, 8, batch.number);
  putU16(bytes, 14, batch.durableDelta);
  putU48(bytes, 16, batch.timeMs);
  putU32(bytes, 22, batch.countSaid ?? batch.entries.length);
  putU32(bytes, 26, said);
  putU32(bytes, 30, batch.previousCrcSaid ?? previousCrc);
  putU32(bytes, 34, crc(payload.subarray(0, said), seed));
  putU32(bytes, 38, crc(bytes.subarray(0, 38), seed));
  return bytes;
}

function encodeEntry(entry: EntryImage): Uint8Array {
  const bytes = new Uint8Array(entryHeaderBytes + entry.data.length);
  bytes[4] = entry.type;
  bytes[5] = entry.reserved;
  putU16(bytes, 6, entry.deltaMs);
  putU32(bytes, 8, entry.lengthSaid ?? entry.data.length);
  putU32(bytes, 12, entry.stream);
  putU48(bytes, 16, entry.sequence);
  bytes.set(entry.data, entryHeaderBytes);
  putU32(bytes, 0, entry.crcSaid ?? crc(bytes.subarray(4)));
  return bytes;
}

function encodeMark(mark: MarkImage, batchCrc: number): Uint8Array {
  const page = new Uint8Array(pageBytes);
  page.set(Buffer.from("EVKM"));
  putU16(page, 4, mark.version);
  page.set(mark.logId, 8);
  putU48(page, 24, mark.generation);
  putU48(page, 30, mark.batch);
  putU32(page, 36, mark.batchCrcSaid ?? batchCrc);
  putU48(page, 40, mark.segment);
  putU32(page, 52, crc(page.subarray(0, 52)));
  return page;
}
