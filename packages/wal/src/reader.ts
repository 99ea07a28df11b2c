import { type BatchHeader, batchHeaderBytes } from "./core/batch.js";
import { getU48 } from "./core/bytes.js";
import { type Entry, EntryType, readEntry } from "./core/entry.js";
import type { StreamState } from "./core/stream-state.js";
import { WalError } from "./errors.js";
import type { WalFileSystem } from "./fs/file-system.js";
import type { Segment } from "./segment.js";
import { SegmentCursor } from "./segment-cursor.js";

export interface WalRecord {
  readonly sequence: number;
  /** Wall-clock time of the append, in milliseconds since 1970: for people and archives, not for decisions. */
  readonly timeMs: number;
  /**
   * The receiver's own: nobody else reads or writes these bytes. Records that were read together are views of one block, at least 256 KiB, which stays
   * in memory for as long as any of them does: who keeps few out of many for long copies those (`data.slice()`).
   */
  readonly data: Uint8Array;
}

/** Records `from` to `to` of a stream, both live when this is called. Ends early where the end was truncated meanwhile. */
export function readRecords(
  fileSystem: WalFileSystem,
  state: StreamState,
  from: number,
  to: number,
  signal: AbortSignal | undefined,
): AsyncIterableIterator<WalRecord> {
  return new RecordReader(fileSystem, state, from, to, signal);
}

/** The same, all records that are in memory at once: a list for each block, none of them empty. */
export async function* readBlocks(
  fileSystem: WalFileSystem,
  state: StreamState,
  from: number,
  to: number,
  signal: AbortSignal | undefined,
): AsyncGenerator<WalRecord[], void, undefined> {
  const reader = new RecordReader(fileSystem, state, from, to, signal);
  try {
    for (let next = await reader.next(); next.done !== true; next = await reader.next()) {
      const block = [next.value];
      reader.takeInto(block);
      yield block;
    }
  } finally {
    await reader.return();
  }
}

const done: IteratorResult<WalRecord, undefined> = { done: true, value: undefined };

/**
 * An iterator by hand: what is in memory is handed out without waiting for anything, at half of what a generator costs. Follows the index from one run
 * of records to the next; a truncation makes the run stale, and the next one is looked up again.
 */
class RecordReader implements AsyncIterableIterator<WalRecord, undefined> {
  readonly #fileSystem: WalFileSystem;
  #state: StreamState;
  readonly #to: number;
  readonly #signal: AbortSignal | undefined;
  /** The next one to hand out. */
  #sequence: number;
  #cursor: SegmentCursor | undefined;
  /** The run: valid for as long as the stream has seen so many truncations, its last sequence, the next batch, and the entries to pass over in it. */
  #truncations = Number.NaN;
  #stop = 0;
  #offset = 0;
  #skip = 0;
  /** The batch at hand, and how many of its entries are left. */
  #header: BatchHeader | undefined;
  #at = 0;
  #end = 0;
  #left = 0;
  /** Set while a call waits: calls that come meanwhile take their turn behind it. */
  #pending: Promise<unknown> | undefined;
  #over = false;

  constructor(
    fileSystem: WalFileSystem,
    state: StreamState,
    from: number,
    to: number,
    signal: AbortSignal | undefined,
  ) {
    this.#fileSystem = fileSystem;
    this.#state = state;
    this.#sequence = from;
    this.#to = to;
    this.#signal = signal;
  }

  [Symbol.asyncIterator](): this {
    return this;
  }

  next(): Promise<IteratorResult<WalRecord, undefined>> {
    if (this.#pending === undefined && !this.#over) {
      try {
        const value = this.#take();
        if (value !== undefined) return Promise.resolve({ done: false, value });
      } catch (error) {
        return this.#inTurn(async () => {
          await this.#close();
          throw error;
        });
      }
    }
    return this.#inTurn(() => this.#wait());
  }

  /** What more is in memory. What is wrong with the record behind it is told by the next call of `next`. */
  takeInto(block: WalRecord[]): void {
    if (this.#pending !== undefined || this.#over) return;
    try {
      for (let value = this.#take(); value !== undefined; value = this.#take()) block.push(value);
    } catch {
      // Nothing was taken from the damaged batch, and it will be as damaged then.
    }
  }

  return(): Promise<IteratorResult<WalRecord, undefined>> {
    return this.#inTurn(async () => {
      await this.#close();
      return done;
    });
  }

  #inTurn<T>(work: () => Promise<T>): Promise<T> {
    const before = this.#pending;
    const inTurn = async () => {
      try {
        await before?.catch(() => undefined);
        return await work();
      } finally {
        if (this.#pending === turn) this.#pending = undefined;
      }
    };
    const turn: Promise<T> = inTurn();
    this.#pending = turn;
    return turn;
  }

  async #wait(): Promise<IteratorResult<WalRecord, undefined>> {
    try {
      for (;;) {
        if (this.#over) return done;
        this.#find();
        const value = this.#take();
        if (value !== undefined) return { done: false, value };
        if (this.#cursor !== undefined && this.#running) await this.#load(this.#cursor);
        else if (this.#sequence <= this.#to && this.#sequence < this.#state.next) await this.#nextRun();
        else break;
      }
    } catch (error) {
      await this.#close();
      throw error;
    }
    await this.#close();
    return done;
  }

  /** A stream that is hardly read is put to rest meanwhile. */
  #find(): void {
    const { awake } = this.#state;
    if (awake === this.#state) return;
    this.#state = awake;
    this.#truncations = Number.NaN;
  }

  get #running(): boolean {
    return this.#truncations === this.#state.truncations && this.#sequence <= this.#stop;
  }

  /** The next record, if it is in memory. */
  #take(): WalRecord | undefined {
    const cursor = this.#cursor;
    while (cursor !== undefined && this.#running) {
      if (this.#left === 0) {
        this.#signal?.throwIfAborted();
        let batch: ReturnType<SegmentCursor["batchAt"]>;
        try {
          batch = cursor.batchAt(this.#offset);
        } catch (error) {
          this.#unlessTruncated(error);
          return undefined;
        }
        if (batch === undefined) return undefined;
        const { header, from } = batch;
        this.#header = header;
        this.#at = from;
        this.#end = from + header.payloadBytes;
        this.#left = header.count;
        this.#offset += batchHeaderBytes + header.payloadBytes;
      }
      const record = this.#nextInBatch(cursor.bytes, this.#header as BatchHeader);
      if (record !== undefined) return record;
    }
    return undefined;
  }

  #nextInBatch(bytes: Uint8Array, header: BatchHeader): WalRecord | undefined {
    const { id } = this.#state;
    while (this.#left > 0) {
      this.#left--;
      const entry = readEntry(bytes, this.#at, this.#end);
      if (entry === undefined) {
        this.#left = 0;
        return undefined;
      }
      this.#at = entry.dataTo;
      if (this.#skip > 0) {
        this.#skip--;
        continue;
      }
      if (entry.stream !== id || entry.sequence !== this.#sequence) continue;
      const record = recordOf(entry, header, bytes);
      if (record === undefined) continue;
      this.#sequence++;
      return record;
    }
    return undefined;
  }

  async #load(cursor: SegmentCursor): Promise<void> {
    try {
      await cursor.load(this.#offset);
    } catch (error) {
      this.#unlessTruncated(error);
    }
  }

  /** Looks up where to go on. */
  async #nextRun(): Promise<void> {
    const state = this.#state;
    const found = state.first <= this.#sequence && !state.removed ? state.find(this.#sequence) : undefined;
    if (found === undefined) throw truncated(state, this.#sequence);
    const { point, end } = found;
    this.#truncations = state.truncations;
    this.#stop = Math.min(end - 1, this.#to);
    this.#offset = point.offset;
    this.#skip = point.entry;
    this.#left = 0;
    const segment = point.segment as Segment;
    if (this.#cursor?.segment === segment) return;
    await this.#cursor?.close();
    this.#cursor = undefined;
    try {
      this.#cursor = await SegmentCursor.open(this.#fileSystem, segment, state.name);
    } catch (error) {
      this.#unlessTruncated(error);
    }
  }

  /** Truncated meanwhile: the file may have been removed, or given a second life, before it was read here. */
  #unlessTruncated(error: unknown): void {
    if (this.#state.truncations === this.#truncations) throw error;
  }

  async #close(): Promise<void> {
    this.#over = true;
    const cursor = this.#cursor;
    this.#cursor = undefined;
    await cursor?.close();
  }
}

/** What V8 keeps beside the object anyway is copied at no cost, and does not hold on to the block. */
const copiedBytesMax = 64;

function view(bytes: Uint8Array, from: number, to: number): Uint8Array {
  if (to - from <= copiedBytesMax) return bytes.slice(from, to);
  return new Uint8Array(bytes.buffer, bytes.byteOffset + from, to - from);
}

/** The record that an entry holds, if it is one; of its batch, which stands in `bytes`. */
export function recordOf(entry: Entry, header: BatchHeader, bytes: Uint8Array): WalRecord | undefined {
  const { type, sequence, timeDeltaMs, dataFrom, dataTo } = entry;
  if (type === EntryType.record) {
    return { sequence, timeMs: header.timeMs + timeDeltaMs, data: view(bytes, dataFrom, dataTo) };
  }
  if (type !== EntryType.carried) return undefined;
  return { sequence, timeMs: getU48(bytes, dataFrom), data: view(bytes, dataFrom + 6, dataTo) };
}

/**
 * The same from `to` down to `from`. Goes back from one point of the index to the one before, holding what lies between two of them: 64 KiB, or
 * one batch if that is larger. Throws `ERR_WAL_TRUNCATED` when what comes next was truncated meanwhile, at either end.
 */
export async function* readRecordsBackwards(
  fileSystem: WalFileSystem,
  found: StreamState,
  from: number,
  to: number,
  signal: AbortSignal | undefined,
): AsyncGenerator<WalRecord, void, undefined> {
  for (let last = to; last >= from; ) {
    const state = found.awake;
    const live = last >= state.first && last < state.next && !state.removed;
    const run = live ? state.find(last) : undefined;
    if (run === undefined) throw truncated(state, last);
    const first = Math.max(run.point.sequence, state.first, from);
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
