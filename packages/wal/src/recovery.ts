import { type BatchHeader, batchHeaderBytes, readBatchHeader } from "./core/batch.js";
import { EntryType } from "./core/entry.js";
import { decodeSegmentHeader, type Mark, pageBytes, type SegmentHeader, sameBytes } from "./core/headers.js";
import { type Expected, endsClean, findVouching, firstDamagedEntry, walkSegment } from "./core/scan.js";
import { ReplayError, StreamTable } from "./core/stream-table.js";
import { asIo, WalError } from "./errors.js";
import { crc, indexOf } from "./fs/checksum.js";
import type { WalFileSystem } from "./fs/file-system.js";
import { unsupported } from "./mark-file.js";
import { Segment, segmentFile, writeZeros } from "./segment.js";
import type { UncertainFile, UncertainTail } from "./uncertain-file.js";

export interface Recovered {
  readonly segments: Segment[];
  /** Made ahead of time for what comes after the last segment, and untouched so far. */
  readonly prepared: Segment | undefined;
  /** Files behind the last segment that hold nothing of the log and cannot be used as they are. */
  readonly discard: readonly string[];
  readonly table: StreamTable;
  /** Where the last batch stands in the last segment. */
  readonly lastOffset: number;
  /** Undefined while the log has no batch at all. */
  readonly expected: Expected | undefined;
}

/**
 * Reads the whole log and decides where it ends.
 *
 * The walk stops at the first batch that does not follow from the one before. If anything vouches for that batch (a later batch's durable mark
 * or the file `marks`) it was once durable and now is damaged: an error, and nothing on disk is touched. If nothing does, it was never
 * acknowledged or is the very last one: what is left of it is overwritten with zeros before anything may be appended behind it. An error while
 * reading is an error, never the end of the log. Holds one segment in memory at a time.
 */
export async function recover(
  fileSystem: WalFileSystem,
  dir: string,
  numbers: readonly number[],
  mark: Mark,
  uncertain: UncertainFile,
): Promise<Recovered> {
  const loader = new SegmentLoader(fileSystem, dir, mark);
  const table = new StreamTable();
  const segments: Segment[] = [];
  let expected: Expected | undefined;
  let lastOffset = pageBytes;
  const behind: number[] = [];
  for (const number of numbers) {
    const previous = segments.at(-1);
    if (previous !== undefined && number !== previous.number + 1 + behind.length) {
      const file = `${dir}/${segmentFile(previous.number + 1 + behind.length)}`;
      const where = { file, offset: 0, ...(expected && { batch: expected.number }) };
      throw new WalError("ERR_WAL_CORRUPT", `${file} is missing: there are segments before and behind it`, where);
    }
    const { segment, bytes } = await loader.load(number, expected?.number);
    // Without a first batch in the oldest segment nothing behind it can be taken to follow.
    if (behind.length > 0 || (previous !== undefined && expected === undefined)) {
      behind.push(number);
      continue;
    }
    const walked = walkSegment(bytes, segment.place, expected, crc, (header, offset) => {
      checkMark(header, offset, mark, segment);
      lastOffset = offset;
      replay(table, bytes, header, offset, segment);
    });
    if (walked.end === pageBytes && previous !== undefined) {
      behind.push(number);
      continue;
    }
    segment.end = walked.end;
    expected = walked.expected;
    segments.push(segment);
  }
  const last = segments.at(-1);
  if (last === undefined) return { segments, prepared: undefined, discard: [], table, lastOffset, expected };
  if (expected === undefined && last.number > 1) {
    const { path, number } = last;
    const message = `${path}: the first batch at ${pageBytes} is damaged; segments before ${number} were dropped only once it was durable`;
    throw new WalError("ERR_WAL_CORRUPT", message, { file: path, offset: pageBytes });
  }
  const { clean, prepared } = await judgeTail(loader, table, last, behind, expected?.number ?? 1, mark);
  const end = { file: last.path, offset: last.end, batch: expected?.number ?? 1 };
  table.replayed();
  checkLocated(table, dir, clean ? undefined : end);
  if (!clean) {
    // First said, then wiped: a crash between the two finds the torn end once more, one after them finds what was said.
    const written = uncertain.write(end, last.number);
    await asIo(`cannot write down that the end of ${last.path} is torn`, uncertain.path, written);
    await wipeTail(fileSystem, last);
  }
  const discard = behind
    .filter((number) => number !== prepared?.number)
    .map((number) => `${dir}/${segmentFile(number)}`);
  return { segments, prepared, discard, table, lastOffset, expected };
}

class SegmentLoader {
  readonly #fileSystem: WalFileSystem;
  readonly #dir: string;
  readonly #mark: Mark;
  #buffer = new Uint8Array(0);

  constructor(fileSystem: WalFileSystem, dir: string, mark: Mark) {
    this.#fileSystem = fileSystem;
    this.#dir = dir;
    this.#mark = mark;
  }

  /** The segment and all its bytes; they are valid until the next call. `batch`: the first that is to be in it, where that is known. */
  async load(number: number, batch?: number): Promise<{ segment: Segment; bytes: Uint8Array }> {
    const path = `${this.#dir}/${segmentFile(number)}`;
    let bytes: Uint8Array;
    try {
      const file = await this.#fileSystem.open(path, "read");
      try {
        const size = await file.size();
        if (this.#buffer.length < size) this.#buffer = new Uint8Array(size);
        bytes = this.#buffer.subarray(0, await file.read(this.#buffer.subarray(0, size), 0));
      } finally {
        await file.close();
      }
    } catch (cause) {
      throw new WalError("ERR_WAL_IO", `cannot read ${path}: ${String(cause)}`, { file: path, cause });
    }
    const segment = new Segment(path, this.#header(path, number, bytes, batch));
    segment.filledTo = bytes.length;
    return { segment, bytes };
  }

  #header(path: string, number: number, bytes: Uint8Array, batch: number | undefined): SegmentHeader {
    const header = decodeSegmentHeader(bytes, crc);
    const where = { file: path, offset: 0, ...(batch !== undefined && { batch }) };
    if (!header.ok) {
      if (header.version !== undefined) throw unsupported(path, header.version);
      throw new WalError("ERR_WAL_CORRUPT", `${path}: the segment's header is damaged`, where);
    }
    if (header.value.segment !== number || !sameBytes(header.value.logId, this.#mark.logId)) {
      const message = `${path} is not segment ${number} of this log: it was moved here from elsewhere`;
      throw new WalError("ERR_WAL_CORRUPT", message, where);
    }
    return header.value;
  }
}

function checkMark(header: BatchHeader, offset: number, mark: Mark, segment: Segment): void {
  if (header.number !== mark.batch || header.crc === mark.batchCrc) return;
  const message = `${segment.path}: batch ${header.number} at ${offset} is not the one that the file marks vouches for`;
  throw new WalError("ERR_WAL_CORRUPT", message, { file: segment.path, offset, batch: header.number });
}

function replay(table: StreamTable, bytes: Uint8Array, header: BatchHeader, offset: number, segment: Segment): void {
  const from = offset + batchHeaderBytes;
  try {
    table.replay(bytes, from, from + header.payloadBytes, header.count, segment, offset);
  } catch (cause) {
    if (!(cause instanceof ReplayError)) throw cause;
    const where = { file: segment.path, offset, batch: header.number, cause };
    const details = cause.stream === undefined ? where : { ...where, stream: cause.stream };
    const code = cause.unsupported ? "ERR_WAL_UNSUPPORTED" : "ERR_WAL_CORRUPT";
    throw new WalError(code, `${segment.path}: batch ${header.number} at ${offset}: ${cause.message}`, details);
  }
}

async function judgeTail(
  loader: SegmentLoader,
  table: StreamTable,
  last: Segment,
  behind: readonly number[],
  number: number,
  mark: Mark,
): Promise<{ clean: boolean; prepared: Segment | undefined }> {
  const tail = await loader.load(last.number);
  const clean = endsClean(tail.bytes, last.end, last.header.recycled);
  let vouched = mark.batch >= number ? `the file marks vouches for batch ${mark.batch}` : undefined;
  const later = findVouching(tail.bytes, last.end, number, last.place, crc, indexOf);
  if (later !== undefined) vouched = `batch ${later.header.number} at ${later.offset} vouches for it`;
  let stream = damagedStream(table, tail.bytes, last, number);
  let damaged = { file: last.path, offset: last.end };
  // The segment ends as it should and later ones were in use: then what is missing is the first batch of the next one, unless that is whole.
  let inNext = clean && mark.batch >= number && mark.segment > last.number;
  let next: { damaged: typeof damaged; stream: string | undefined } | undefined;
  let prepared: Segment | undefined;
  for (const after of behind) {
    const { segment, bytes } = await loader.load(after);
    const isNext = after === last.number + 1;
    if (isNext && !beginsAfter(bytes, segment, number)) {
      next = {
        damaged: { file: segment.path, offset: pageBytes },
        stream: damagedStream(table, bytes, segment, number),
      };
    }
    const found = findVouching(bytes, pageBytes, number, segment.place, crc, indexOf);
    if (found !== undefined) {
      vouched ??= `batch ${found.header.number} in ${segment.path} at ${found.offset} vouches for it`;
      inNext ||= clean;
    } else if (isNext && endsClean(bytes, pageBytes, false)) prepared = segment;
  }
  if (inNext && next !== undefined) ({ damaged, stream } = next);
  if (vouched !== undefined) {
    const message = `${damaged.file}: batch ${number} at ${damaged.offset} was durable and is damaged: ${vouched}. Nothing was changed on disk`;
    throw new WalError("ERR_WAL_CORRUPT", message, { ...damaged, batch: number, ...(stream && { stream }) });
  }
  return { clean, prepared };
}

function beginsAfter(bytes: Uint8Array, segment: Segment, number: number): boolean {
  const header = readBatchHeader(bytes, pageBytes, segment.place, pageBytes, crc);
  return header !== undefined && header.number > number;
}

/** The stream whose record is damaged in batch `number`, where what is left of the batch tells. */
function damagedStream(table: StreamTable, bytes: Uint8Array, segment: Segment, number: number): string | undefined {
  const header = readBatchHeader(bytes, segment.end, segment.place, segment.end, crc);
  if (header?.number !== number) return undefined;
  const entry = firstDamagedEntry(bytes, segment.end, header, crc);
  const isRecord = entry?.type === EntryType.record || entry?.type === EntryType.carried;
  const state = isRecord ? table.get(entry.stream) : undefined;
  // The fields themselves may be what is damaged: believed only where they make sense.
  return state !== undefined && entry !== undefined && entry.sequence >= state.first ? state.name : undefined;
}

/**
 * Segments are dropped only once what replaces them (a truncation, records carried forward) is durable. So where live records are in none of
 * the segments, and the end of the log is damaged, that end was durable.
 */
function checkLocated(table: StreamTable, dir: string, damagedEnd: UncertainTail | undefined): void {
  for (const state of table.states()) {
    const { lost, name } = state;
    if (lost === undefined) continue;
    const where = damagedEnd ?? { file: dir };
    const what = damagedEnd
      ? `batch ${damagedEnd.batch} at ${damagedEnd.offset} was durable and is damaged: what it held was dropped elsewhere`
      : "they are in a segment that is missing";
    const message = `${where.file}: records of stream ${JSON.stringify(name)} from ${lost} on are lost: ${what}`;
    throw new WalError("ERR_WAL_CORRUPT", message, { ...where, stream: name });
  }
}

/** What a torn batch left behind must be gone, durably, before anything is appended in its place. */
async function wipeTail(fileSystem: WalFileSystem, last: Segment): Promise<void> {
  try {
    const file = await fileSystem.open(last.path, "write");
    try {
      await writeZeros(file, last.end, last.filledTo);
      await file.sync();
    } finally {
      await file.close();
    }
  } catch (cause) {
    throw new WalError("ERR_WAL_IO", `cannot wipe the torn end of ${last.path}: ${String(cause)}`, {
      file: last.path,
      cause,
    });
  }
}
