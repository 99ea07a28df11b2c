import { type BatchHeader, BatchPlace, batchHeaderBytes, payloadIsWhole, readBatchHeader } from "./core/batch.js";
import { getU32, getU48 } from "./core/bytes.js";
import { EntryType, readEntry } from "./core/entry.js";
import { decodeSegmentHeader, pageBytes } from "./core/headers.js";
import { type Piece, type SalvagedState, SalvageTable, type SequenceRange } from "./core/salvage-table.js";
import { endsClean, findVouching } from "./core/scan.js";
import { asIo, badArgument, checkOptions, WalError } from "./errors.js";
import { crc, indexOf } from "./fs/checksum.js";
import type { WalFileSystem } from "./fs/file-system.js";
import { nodeFileSystem } from "./fs/node-file-system.js";
import { MarkFile } from "./mark-file.js";
import type { WalRecord } from "./reader.js";
import { segmentFile, segmentNumber } from "./segment.js";

/** A part of the log that cannot be believed. */
export interface Damage {
  readonly file: string;
  /** Bytes `from` to `to` of the file (`to` not included). */
  readonly from: number;
  readonly to: number;
  /** Numbers of the batches that were lost there, as far as their neighbours or the file `marks` tell. */
  readonly batches: SequenceRange | undefined;
  /** What is wrong, for people. */
  readonly reason: string;
  /** False only for the very end of the log: nothing says that what stood there was ever acknowledged. */
  readonly wasDurable: boolean;
}

/** Bytes that do not make sense, until what follows tells what was lost there. */
interface Gap extends Pick<Damage, "file" | "from" | "to" | "reason"> {
  /** A segment in which no batch was found: most likely it was made ahead of time and holds what its file held before. */
  readonly unused?: boolean;
}

export interface SalvagedStream {
  /** `#<id>` when no batch that tells the name is left. */
  readonly name: string;
  readonly firstSequence: number;
  readonly lastSequence: number;
  /** Records between them that are lost. Records behind `lastSequence` may be lost as well where the last damage is behind it. */
  readonly missing: readonly SequenceRange[];
  /** What is left, in order, each verified; jumps over what is missing. */
  read(): AsyncIterable<WalRecord>;
}

/** One file of the log, as far as it could be read. */
export interface SalvagedSegment {
  readonly number: number;
  readonly file: string;
  readonly bytes: number;
  /** Undefined where it is damaged, or the file could not be read. `salt` in hexadecimal. */
  readonly header:
    | { readonly version: number; readonly salt: string; readonly createdMs: number; readonly recycled: boolean }
    | undefined;
  /** Where its last batch ends. */
  readonly end: number;
  /** Numbers of the first and the last batch that were believed, how many they are, and when they were written. */
  readonly batches:
    | (SequenceRange & { readonly count: number; readonly fromMs: number; readonly toMs: number })
    | undefined;
  /** Records that are found here and were not truncated, and what they take, to within a batch. */
  readonly liveRecords: number;
  readonly liveBytes: number;
}

export interface Salvage {
  /** In the order of the log; empty when it is whole. */
  readonly damages: readonly Damage[];
  readonly streams: readonly SalvagedStream[];
  /** Batches that were believed. */
  readonly batches: number;
  readonly segments: readonly SalvagedSegment[];
  /** What the file `marks` says; undefined where it is missing or damaged. `logId` in hexadecimal. */
  readonly mark:
    | { readonly logId: string; readonly batch: number; readonly segment: number; readonly writtenMs: number }
    | undefined;
}

export interface SalvageOptions {
  /** Directory of the log. */
  readonly dir: string;
  /** Where the files are. Default: the machine's file system. */
  readonly fileSystem?: WalFileSystem;
  /** Called after each segment with the bytes that were verified so far, of how many. */
  readonly onProgress?: (doneBytes: number, totalBytes: number) => void;
}

const optionNames: Record<keyof SalvageOptions, 0> = { dir: 0, fileSystem: 0, onProgress: 0 };

/**
 * Reads what is left of a log that `Wal.open` refuses, and says what is not: damage by file, offset and batch, and the missing records of each
 * stream by sequence. Changes nothing. A batch counts only where it was written and with all its checksums; the search goes on byte by byte
 * behind damage. A truncation that was lost with a batch is made up for by the next segment's checkpoint; up to there, records that were
 * truncated may be among those found.
 *
 * Holds one segment in memory, and a few dozen bytes for each batch. The directory may be on a read-only file system. Rejects with
 * `ERR_WAL_LOCKED` while the log is open, and with `ERR_WAL_IO` when the directory cannot be read.
 */
export async function salvage(options: SalvageOptions): Promise<Salvage> {
  const { dir, fileSystem = nodeFileSystem, onProgress } = checkOptions("salvage", options, optionNames);
  if (typeof dir !== "string" || dir === "") throw badArgument("dir", "a path", dir);
  const unlock = await asIo(`cannot read the log in ${dir}`, dir, fileSystem.lock(dir));
  try {
    return await new Salvager(dir, fileSystem).run(onProgress);
  } finally {
    await unlock();
  }
}

const notABatch = "not a batch that was written here";

class Salvager {
  readonly #dir: string;
  readonly #fileSystem: WalFileSystem;
  readonly #table = new SalvageTable();
  readonly #damages: Damage[] = [];
  readonly #segments: SalvagedSegment[] = [];
  #mark: Salvage["mark"];
  #batches = 0;
  #lastNumber: number | undefined;
  /** Through which batch the log was durable, as far as anything says. */
  #durable = 0;

  constructor(dir: string, fileSystem: WalFileSystem) {
    this.#dir = dir;
    this.#fileSystem = fileSystem;
  }

  async run(onProgress: SalvageOptions["onProgress"]): Promise<Salvage> {
    const files = await asIo(`cannot read the log in ${this.#dir}`, this.#dir, this.#fileSystem.list(this.#dir));
    const numbers = files.map(segmentNumber).filter((number) => number !== undefined);
    numbers.sort((a, b) => a - b);
    if (numbers[0] === 1) this.#lastNumber = 0;
    this.#durable = await this.#durableBatch();
    const totalBytes = onProgress === undefined ? 0 : await this.#sizeOf(numbers);
    let gap: Gap | undefined;
    for (const [at, number] of numbers.entries()) {
      const before = numbers[at - 1];
      const due = (before ?? number - 1) + 1;
      if (due < number) gap ??= { file: this.#path(due), from: 0, to: 0, reason: "the segment's file is missing" };
      gap = await this.#segment(number, gap);
      onProgress?.(
        this.#segments.reduce((sum, { bytes }) => sum + bytes, 0),
        totalBytes,
      );
    }
    const last = this.#lastNumber ?? 0;
    const durable = this.#durable;
    if ((gap !== undefined && gap.unused !== true) || durable > last) {
      const where = gap ?? {
        file: this.#path(numbers.at(-1) ?? 1),
        from: 0,
        to: 0,
        reason: "durable batches are missing",
      };
      const wasDurable = durable > last;
      this.#damaged(where, wasDurable ? { from: last + 1, to: durable } : undefined, wasDurable);
    }
    const streams = [...this.#table.byId.values()].map((state) => this.#stream(state));
    return {
      damages: this.#damages,
      streams,
      batches: this.#batches,
      segments: this.#withLive(this.#segments),
      mark: this.#mark,
    };
  }

  /** How far the file `marks` vouches for the log; 0 when it cannot be read either, which is damage of its own. */
  async #durableBatch(): Promise<number> {
    try {
      const marks = await MarkFile.open(this.#fileSystem, this.#dir, "read");
      await marks.close();
      const { batch, segment, writtenMs, logId } = marks.mark;
      this.#mark = { logId: hex(logId), batch, segment, writtenMs };
      return batch;
    } catch (error) {
      const reason = error instanceof Error ? error.message : String(error);
      this.#damages.push({ file: `${this.#dir}/marks`, from: 0, to: 0, batches: undefined, reason, wasDurable: true });
      return 0;
    }
  }

  async #sizeOf(numbers: readonly number[]): Promise<number> {
    let total = 0;
    for (const number of numbers) {
      // What cannot be opened is reported when it is its turn.
      const file = await this.#fileSystem.open(this.#path(number), "read").catch(() => undefined);
      total += (await file?.size()) ?? 0;
      await file?.close();
    }
    return total;
  }

  #withLive(segments: readonly SalvagedSegment[]): SalvagedSegment[] {
    const live = new Map(segments.map(({ number }) => [number, { liveRecords: 0, liveBytes: 0 }]));
    for (const state of this.#table.byId.values()) {
      for (const { from, to, segment, bytes } of state.ordered()) {
        const sums = live.get(segment);
        if (sums === undefined) continue;
        sums.liveRecords += to - from + 1;
        sums.liveBytes += bytes;
      }
    }
    return segments.map((segment) => ({ ...segment, ...live.get(segment.number) }));
  }

  /** Walks one segment. What is wrong is held back until the next batch that is right tells whether, and which, batches are missing. */
  async #segment(number: number, before: Gap | undefined): Promise<typeof before> {
    const file = this.#path(number);
    let bytes: Uint8Array;
    try {
      bytes = await this.#load(file);
    } catch (error) {
      this.#segments.push({ ...unread, number, file });
      return before ?? { file, from: 0, to: 0, reason: `the file cannot be read: ${String(error)}` };
    }
    const header = decodeSegmentHeader(bytes, crc);
    if (!header.ok) this.#segments.push({ ...unread, number, file, bytes: bytes.length });
    if (!header.ok) return before ?? { file, from: 0, to: bytes.length, reason: "the segment's header is damaged" };
    const place = new BatchPlace(header.value.salt, crc);
    let gap = before;
    let end = pageBytes;
    let batches: SalvagedSegment["batches"];
    for (;;) {
      let found = batchAt(bytes, end, place);
      if (found === undefined) {
        const next = nextBatch(bytes, end + 1, place, this.#lastNumber ?? 0);
        if (next === undefined) break;
        gap ??= { file, from: end, to: next.offset, reason: notABatch };
        end = next.offset;
        found = next.header;
      }
      const last = this.#lastNumber;
      if (last !== undefined && found.number > last + 1) {
        const where = gap ?? { file, from: end, to: end, reason: "batches are missing in between" };
        this.#damaged(where, { from: last + 1, to: found.number - 1 }, true);
      } else if (gap !== undefined && gap.unused !== true) this.#damaged(gap, undefined, true);
      gap = undefined;
      for (const { sequence, dataFrom, dataTo } of this.#table.apply(bytes, found, number, end, crc)) {
        const reason = `record ${sequence} in batch ${found.number} has a wrong checksum of its own`;
        this.#damaged({ file, from: dataFrom, to: dataTo, reason }, undefined, true);
      }
      this.#batches++;
      this.#lastNumber = found.number;
      const { from, fromMs, count } = batches ?? { from: found.number, fromMs: found.timeMs, count: 0 };
      batches = { from, to: found.number, count: count + 1, fromMs, toMs: found.timeMs };
      end += batchHeaderBytes + found.payloadBytes;
    }
    const { version, salt, createdMs, recycled } = header.value;
    const fields = { version, salt: hex(salt), createdMs, recycled };
    this.#segments.push({ ...unread, number, file, bytes: bytes.length, header: fields, end, batches });
    // The header of a batch that is torn itself still vouches for the one before it.
    const torn = findVouching(bytes, end, (this.#lastNumber ?? 0) + 1, place, crc, indexOf);
    if (torn !== undefined) this.#durable = Math.max(this.#durable, torn.header.durableBatch);
    if (gap !== undefined || endsClean(bytes, end, header.value.recycled)) return gap;
    return { file, from: end, to: bytes.length, reason: notABatch, unused: end === pageBytes && torn === undefined };
  }

  #damaged({ file, from, to, reason }: Gap, batches: SequenceRange | undefined, wasDurable: boolean): void {
    this.#damages.push({ file, from, to, batches, reason, wasDurable });
  }

  async #load(file: string): Promise<Uint8Array> {
    const handle = await this.#fileSystem.open(file, "read");
    try {
      const bytes = new Uint8Array(await handle.size());
      return bytes.subarray(0, await handle.read(bytes, 0));
    } finally {
      await handle.close();
    }
  }

  #stream(state: SalvagedState): SalvagedStream {
    return {
      name: state.name ?? `#${state.id}`,
      firstSequence: state.first,
      lastSequence: state.next - 1,
      missing: state.missing(),
      read: () => this.#read(state.id, state.ordered()),
    };
  }

  async *#read(id: number, pieces: readonly Piece[]): AsyncGenerator<WalRecord, void, undefined> {
    let loaded: { segment: number; bytes: Uint8Array; place: BatchPlace } | undefined;
    for (const { from, to, segment, offset } of pieces) {
      if (loaded?.segment !== segment) {
        const bytes = await this.#load(this.#path(segment));
        const header = decodeSegmentHeader(bytes, crc);
        if (!header.ok) throw this.#changed(segment, 0);
        loaded = { segment, bytes, place: new BatchPlace(header.value.salt, crc) };
      }
      const { bytes, place } = loaded;
      const batch = batchAt(bytes, offset, place);
      if (batch === undefined) throw this.#changed(segment, offset);
      // From the back: of a record that was truncated and replaced within one batch, the later one is meant.
      const records = new Map<number, WalRecord>();
      const end = offset + batchHeaderBytes + batch.payloadBytes;
      for (let at = offset + batchHeaderBytes; at < end; ) {
        const entry = readEntry(bytes, at, end);
        if (entry === undefined) break;
        const whole = crc(bytes.subarray(at + 4, entry.dataTo)) === getU32(bytes, at);
        at = entry.dataTo;
        if (!whole) continue;
        const { sequence, dataFrom, dataTo } = entry;
        if (entry.stream !== id || sequence < from || sequence > to) continue;
        if (entry.type === EntryType.record) {
          const timeMs = batch.timeMs + entry.timeDeltaMs;
          records.set(sequence, { sequence, timeMs, data: bytes.slice(dataFrom, dataTo) });
        } else if (entry.type === EntryType.carried) {
          records.set(sequence, { sequence, timeMs: getU48(bytes, dataFrom), data: bytes.slice(dataFrom + 6, dataTo) });
        }
      }
      for (let sequence = from; sequence <= to; sequence++) {
        const record = records.get(sequence);
        if (record !== undefined) yield record;
      }
    }
  }

  #changed(segment: number, offset: number): WalError {
    const file = this.#path(segment);
    const message = `${file}: what was whole at ${offset} a moment ago is damaged now`;
    return new WalError("ERR_WAL_CORRUPT", message, { file, offset });
  }

  #path(segment: number): string {
    return `${this.#dir}/${segmentFile(segment)}`;
  }
}

/** A segment of which nothing is known yet. */
const unread = { bytes: 0, header: undefined, end: 0, batches: undefined, liveRecords: 0, liveBytes: 0 } as const;

function hex(bytes: Uint8Array): string {
  return Buffer.from(bytes).toString("hex");
}

/** The whole batch at `offset`, if one was written for this place. */
function batchAt(bytes: Uint8Array, offset: number, place: BatchPlace): BatchHeader | undefined {
  const header = readBatchHeader(bytes, offset, place, offset, crc);
  if (header === undefined || offset + batchHeaderBytes + header.payloadBytes > bytes.length) return undefined;
  return payloadIsWhole(bytes, offset, header, place, offset, crc) ? header : undefined;
}

function nextBatch(
  bytes: Uint8Array,
  from: number,
  place: BatchPlace,
  above: number,
): { readonly offset: number; readonly header: BatchHeader } | undefined {
  const prefix = place.prefix();
  for (let at = indexOf(bytes, prefix, from); at >= 0; at = indexOf(bytes, prefix, at + 1)) {
    const header = batchAt(bytes, at, place);
    if (header !== undefined && header.number > above) return { offset: at, header };
  }
  return undefined;
}
