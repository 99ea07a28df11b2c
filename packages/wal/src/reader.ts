import { type BatchHeader, batchHeaderBytes, payloadIsWhole, readBatchHeader } from "./core/batch.js";
import { getU48 } from "./core/bytes.js";
import { EntryType, readEntry } from "./core/entry.js";
import type { StreamState } from "./core/stream-state.js";
import { WalError } from "./errors.js";
import { crc } from "./fs/checksum.js";
import type { WalFile, WalFileSystem } from "./fs/file-system.js";
import type { Segment } from "./segment.js";

export interface WalRecord {
  readonly sequence: number;
  /** Wall-clock time of the append, in milliseconds since 1970: for people and archives, not for decisions. */
  readonly timeMs: number;
  /** The reader's own copy. */
  readonly data: Uint8Array;
}

const blockBytes = 256 * 1024;

/** Batches of one segment, verified, read in blocks. */
class SegmentCursor {
  readonly segment: Segment;
  readonly #stream: string;
  readonly #file: WalFile;
  bytes = new Uint8Array(0);
  /** File offset of `bytes[0]`. */
  #base = 0;

  /** Where the next batch stands, and its number, once one was read. */
  #next: { readonly offset: number; readonly batch: number } | undefined;

  private constructor(segment: Segment, stream: string, file: WalFile) {
    this.segment = segment;
    this.#stream = stream;
    this.#file = file;
  }

  static async open(fileSystem: WalFileSystem, segment: Segment, stream: string): Promise<SegmentCursor> {
    segment.readers++;
    try {
      return new SegmentCursor(segment, stream, await fileSystem.open(segment.path, "read"));
    } catch (cause) {
      segment.readers--;
      throw new WalError("ERR_WAL_IO", `cannot open ${segment.path}: ${String(cause)}`, { file: segment.path, cause });
    }
  }

  /** The verified batch at `offset` and where its payload stands in `bytes`. */
  async batchAt(offset: number): Promise<{ header: BatchHeader; from: number }> {
    await this.#ensure(offset, batchHeaderBytes);
    const header = readBatchHeader(this.bytes, offset - this.#base, this.segment.place, offset, crc);
    if (header === undefined || offset + batchHeaderBytes + header.payloadBytes > this.segment.end)
      throw this.#damaged(offset);
    await this.#ensure(offset, batchHeaderBytes + header.payloadBytes);
    const at = offset - this.#base;
    if (!payloadIsWhole(this.bytes, at, header, this.segment.place, offset, crc))
      throw this.#damaged(offset, header.number);
    this.#next = { offset: offset + batchHeaderBytes + header.payloadBytes, batch: header.number + 1 };
    return { header, from: at + batchHeaderBytes };
  }

  async #ensure(offset: number, length: number): Promise<void> {
    if (offset >= this.#base && offset + length <= this.#base + this.bytes.length) return;
    const wanted = Math.max(length, Math.min(blockBytes, this.segment.end - offset));
    const block = new Uint8Array(wanted);
    let read: number;
    try {
      read = await this.#file.read(block, offset);
    } catch (cause) {
      const { path } = this.segment;
      throw new WalError("ERR_WAL_IO", `cannot read ${path} at ${offset}: ${String(cause)}`, {
        file: path,
        offset,
        stream: this.#stream,
        cause,
      });
    }
    if (read < length) throw this.#damaged(offset);
    this.bytes = block.subarray(0, read);
    this.#base = offset;
  }

  #damaged(offset: number, found?: number): WalError {
    const { path } = this.segment;
    const details = { file: path, offset, stream: this.#stream };
    const batch = found ?? (this.#next?.offset === offset ? this.#next.batch : undefined);
    const message = `${path}: the durable batch at ${offset} is damaged`;
    return new WalError("ERR_WAL_CORRUPT", message, batch === undefined ? details : { ...details, batch });
  }

  async close(): Promise<void> {
    this.segment.readers--;
    await this.#file.close();
  }
}

/** Records `from` to `to` of a stream, both live when this is called. Ends early where the end was truncated meanwhile. */
export async function* readRecords(
  fileSystem: WalFileSystem,
  state: StreamState,
  from: number,
  to: number,
  signal: AbortSignal | undefined,
): AsyncGenerator<WalRecord, void, undefined> {
  let cursor: SegmentCursor | undefined;
  let sequence = from;
  try {
    while (sequence <= to && sequence < state.next) {
      const found = state.first <= sequence && !state.removed ? state.find(sequence) : undefined;
      if (found === undefined) throw truncated(state, sequence);
      const { point, end } = found;
      const { truncations } = state;
      const segment = point.segment as Segment;
      if (cursor?.segment !== segment) {
        await cursor?.close();
        cursor = undefined;
        try {
          cursor = await SegmentCursor.open(fileSystem, segment, state.name);
        } catch (error) {
          if (state.truncations !== truncations) continue;
          throw error;
        }
      }
      const stop = Math.min(end - 1, to);
      let offset = point.offset;
      let skip = point.entry;
      while (sequence <= stop && state.truncations === truncations) {
        signal?.throwIfAborted();
        let batch: Awaited<ReturnType<SegmentCursor["batchAt"]>>;
        try {
          batch = await cursor.batchAt(offset);
        } catch (error) {
          // Truncated meanwhile: the file may have been given a second life before it was opened here.
          if (state.truncations !== truncations) break;
          throw error;
        }
        const { header, from: payload } = batch;
        const payloadEnd = payload + header.payloadBytes;
        offset += batchHeaderBytes + header.payloadBytes;
        const { bytes } = cursor;
        let at = payload;
        for (let index = 0; index < header.count && sequence <= stop; index++) {
          const entry = readEntry(bytes, at, payloadEnd);
          if (entry === undefined) break;
          at = entry.dataTo;
          if (skip > 0) {
            skip--;
            continue;
          }
          if (entry.stream !== state.id || entry.sequence !== sequence) continue;
          if (entry.type === EntryType.record) {
            const timeMs = header.timeMs + entry.timeDeltaMs;
            yield { sequence, timeMs, data: bytes.slice(entry.dataFrom, entry.dataTo) };
          } else if (entry.type === EntryType.carried) {
            const timeMs = getU48(bytes, entry.dataFrom);
            yield { sequence, timeMs, data: bytes.slice(entry.dataFrom + 6, entry.dataTo) };
          } else continue;
          sequence++;
          if (state.truncations !== truncations) break;
        }
      }
    }
  } finally {
    await cursor?.close();
  }
}

/**
 * The same from `to` down to `from`. Goes back from one point of the index to the one before, holding what lies between two of them: 64 KiB, or
 * one batch if that is larger. Throws `ERR_WAL_TRUNCATED` when what comes next was truncated meanwhile, at either end.
 */
export async function* readRecordsBackwards(
  fileSystem: WalFileSystem,
  state: StreamState,
  from: number,
  to: number,
  signal: AbortSignal | undefined,
): AsyncGenerator<WalRecord, void, undefined> {
  for (let last = to; last >= from; ) {
    const live = last >= state.first && last < state.next && !state.removed;
    const found = live ? state.find(last) : undefined;
    if (found === undefined) throw truncated(state, last);
    const first = Math.max(found.point.sequence, state.first, from);
    const piece: WalRecord[] = [];
    for await (const record of readRecords(fileSystem, state, first, last, signal)) piece.push(record);
    if (piece.length < last - first + 1) throw truncated(state, last);
    for (let record = piece.pop(); record !== undefined; record = piece.pop()) {
      signal?.throwIfAborted();
      yield record;
    }
    last = first - 1;
  }
}

export function truncated(state: { readonly name: string; readonly first: number }, sequence: number): WalError {
  const message = `record ${sequence} of stream ${JSON.stringify(state.name)} was truncated; the first one left is ${state.first}`;
  return new WalError("ERR_WAL_TRUNCATED", message, { stream: state.name });
}
