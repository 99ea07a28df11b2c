import { BatchPlace } from "./core/batch.js";
import { encodeSegmentHeader, pageBytes, type SegmentHeader } from "./core/headers.js";
import { IdList } from "./core/id-list.js";
import type { SegmentRef } from "./core/point-list.js";
import { crc } from "./fs/checksum.js";
import { type WalFile, type WalFileSystem, writeAll } from "./fs/file-system.js";

/** One file of the log, in use. */
export class Segment implements SegmentRef {
  readonly number: number;
  readonly path: string;
  readonly header: SegmentHeader;
  readonly place: BatchPlace;
  points = 0;
  liveBytes = 0;
  readonly streams = new IdList();
  /** Readers that are in it. While there is one the file may be removed, but not be given a second life. */
  readers = 0;
  /** Behind the last durable batch. */
  end = pageBytes;
  /** Up to here the file has been written before, if only with zeros: overwriting is faster than growing. */
  filledTo = 0;

  constructor(path: string, header: SegmentHeader) {
    this.path = path;
    this.number = header.segment;
    this.header = header;
    this.place = new BatchPlace(header.salt, crc);
  }
}

const suffix = ".wal";
/** Files of which a crash may leave behind anything: half-made segments and spare ones. Never part of the log. */
const scratchSuffix = ".tmp";

export function segmentFile(number: number): string {
  return `${String(number).padStart(12, "0")}${suffix}`;
}

export function segmentNumber(file: string): number | undefined {
  const number = /^\d{12,15}\.wal$/.test(file) ? Number(file.slice(0, -suffix.length)) : 0;
  return segmentFile(number) === file ? number : undefined;
}

export function isScratch(file: string): boolean {
  return file.endsWith(scratchSuffix);
}

const zeros = new Uint8Array(1024 * 1024);

export async function writeZeros(file: WalFile, from: number, to: number): Promise<void> {
  for (let at = from; at < to; at += zeros.length) {
    await writeAll(file, zeros.subarray(0, Math.min(zeros.length, to - at)), at);
  }
}

/** Written and synced at once: less than what others who sync to the disk would notice. */
const fillPieceBytes = 256 * 1024;

/** Writes some more zeros ahead in a segment that nobody writes to yet. */
export async function fillSome({ segment, file }: OpenSegment, segmentBytes: number): Promise<void> {
  const to = Math.min(segment.filledTo + fillPieceBytes, segmentBytes);
  await writeZeros(file, segment.filledTo, to);
  await file.sync();
  segment.filledTo = to;
}

export interface OpenSegment {
  readonly segment: Segment;
  readonly file: WalFile;
}

export interface NewSegment {
  readonly fileSystem: WalFileSystem;
  readonly dir: string;
  readonly number: number;
  readonly logId: Uint8Array;
  readonly salt: Uint8Array;
  readonly nowMs: number;
  /** A dead segment's file that may be overwritten. Its space is already allocated and written. */
  readonly spare?: { readonly path: string; readonly filledTo: number };
  readonly fillBytes: number;
}

/**
 * Makes a segment under a scratch name, syncs it, and only then gives it its name: whatever has a segment's name has a whole header, so that a
 * damaged header always means rot and never an interrupted birth.
 */
export async function createSegment(wanted: NewSegment): Promise<OpenSegment> {
  const { fileSystem, dir, number } = wanted;
  const path = `${dir}/${segmentFile(number)}`;
  const scratch = `${path}${scratchSuffix}`;
  if (wanted.spare !== undefined) await fileSystem.rename(wanted.spare.path, scratch);
  const file = await fileSystem.open(scratch, wanted.spare === undefined ? "create" : "write");
  try {
    const fields = {
      segment: number,
      logId: wanted.logId,
      salt: wanted.salt,
      createdMs: wanted.nowMs,
      recycled: wanted.spare !== undefined,
    };
    await writeAll(file, encodeSegmentHeader(fields, crc), 0);
    const filledTo = wanted.spare?.filledTo ?? Math.max(pageBytes, wanted.fillBytes);
    if (wanted.spare === undefined) await writeZeros(file, pageBytes, filledTo);
    await file.sync();
    await fileSystem.rename(scratch, path);
    await fileSystem.syncDirectory(dir);
    const segment = new Segment(path, { ...fields, version: 1 });
    segment.filledTo = filledTo;
    return { segment, file };
  } catch (error) {
    await file.close().catch(() => undefined);
    throw error;
  }
}

export function spareFile(number: number): string {
  return `spare-${segmentFile(number)}${scratchSuffix}`;
}
