import { batchHeaderBytes, trailerBytes } from "./core/batch.js";
import { putU48 } from "./core/bytes.js";
import { EntryType, entryHeaderBytes, putEntryHeader } from "./core/entry.js";
import type { SegmentRef, StreamState } from "./core/stream-state.js";
import { declarationBytes, putDeclaration, type StreamTable } from "./core/stream-table.js";
import { giveBackMemory, larger, takeMemory } from "./fs/batch-memory.js";
import type { SealingMemory } from "./fs/compiled-crc.js";

/** What is to happen in memory once a batch is durable, and stands at `offset` of `segment`. */
export interface Operation {
  apply(segment: SegmentRef, offset: number): void;
}

/** Records of one stream in one batch: however many appends they came from, the index learns of them at once. */
export class AppendRun implements Operation {
  readonly #state: StreamState;
  readonly #entry: number;
  /** `controls` of the batch when the run began: what is called in between ends it. */
  readonly #controls: number;
  readonly #batch: PendingBatch;
  #count = 0;
  #bytes = 0;

  constructor(state: StreamState, batch: PendingBatch) {
    this.#state = state;
    this.#batch = batch;
    this.#entry = batch.count;
    this.#controls = batch.controls;
    batch.operations.push(this);
  }

  /** Whether what is put into `batch` next goes on with this run. */
  continuesIn(batch: PendingBatch, state: StreamState): boolean {
    return batch === this.#batch && batch.controls === this.#controls && state === this.#state;
  }

  add(count: number, bytes: number): void {
    this.#count += count;
    this.#bytes += bytes;
  }

  apply(segment: SegmentRef, offset: number): void {
    this.#state.extend(this.#count, this.#bytes, segment, offset, this.#entry);
  }
}

/** In front of a carried record's data. */
export const carriedTimeBytes = 6;

/** A batch that is gathering: entries are encoded straight into the bytes that will be written. */
export class PendingBatch {
  #memory: SealingMemory;
  /** Of the memory. */
  #bytes: Uint8Array;
  /** Header and entries so far. */
  used = batchHeaderBytes;
  count = 0;
  /** When it began to gather. One reading of the clock for all its records: they become durable in the same instant anyway. */
  timeMs = 0;
  readonly operations: Operation[] = [];
  /** How many of them are not runs of appends. */
  controls = 0;
  /**
   * Who waits, in the order of the calls: what to resolve, what to reject and the value, one behind the other, because at a million appends a second an
   * object for each is felt, and so are three arrays.
   */
  readonly #waiters: unknown[] = [];

  constructor() {
    this.#memory = takeMemory();
    this.#bytes = this.#memory.bytes;
  }

  /** To happen behind what was called before, and before what is called from now on. */
  control(apply: Operation["apply"]): void {
    this.controls++;
    this.operations.push({ apply });
  }

  /** `resolve(value)` is called once the batch is durable. */
  wait(resolve: (value: number) => void, reject: (reason: unknown) => void, value: number): void {
    this.#waiters.push(resolve, reject, value);
  }

  /** Answers all who wait. */
  answer(): void {
    const waiters = this.#waiters;
    for (let at = 0; at < waiters.length; at += 3) {
      (waiters[at] as (value: number) => void)(waiters[at + 2] as number);
    }
    waiters.length = 0;
  }

  reject(error: Error): void {
    const waiters = this.#waiters;
    for (let at = 0; at < waiters.length; at += 3) (waiters[at + 1] as (reason: unknown) => void)(error);
    waiters.length = 0;
  }

  /** Makes room for `more` bytes of entries besides the trailer. */
  reserve(more: number): void {
    const needed = this.used + more + trailerBytes;
    if (needed <= this.#bytes.length) return;
    this.#memory = larger(this.#memory, needed, this.used);
    this.#bytes = this.#memory.bytes;
  }

  putRecord(stream: number, sequence: number, data: Uint8Array): void {
    this.#bytes.set(data, this.used + entryHeaderBytes);
    this.#put(EntryType.record, stream, sequence, data.length);
  }

  /** A record written again: its own time goes with it. */
  putCarried(stream: number, sequence: number, timeMs: number, data: Uint8Array): void {
    putU48(this.#bytes, this.used + entryHeaderBytes, timeMs);
    this.#bytes.set(data, this.used + entryHeaderBytes + carriedTimeBytes);
    this.#put(EntryType.carried, stream, sequence, carriedTimeBytes + data.length);
  }

  putControl(type: EntryType, stream: number, sequence: number): void {
    this.#put(type, stream, sequence, 0);
  }

  putStream(state: StreamState): void {
    this.used = putDeclaration(this.#bytes, this.used, state);
    this.count++;
  }

  /**
   * The state of every live stream, as the first batch of a segment has it. With it, segments in front can be dropped, declarations and truncations
   * with them, and what remains still says everything.
   */
  putCheckpoint({ byId, nextId }: StreamTable): void {
    let bytes = entryHeaderBytes;
    for (const { name } of byId.values()) bytes += declarationBytes(name);
    this.reserve(bytes);
    this.putControl(EntryType.checkpoint, 0, nextId);
    for (const state of byId.values()) this.putStream(state);
  }

  /** Fills in the checksums of the entries; returns that of all of them, continued from `seed`. */
  seal(seed: number): number {
    return this.#memory.sealEntries(batchHeaderBytes, this.used, seed);
  }

  /** The header's place, the entries, and zeros for the trailer: what is written to the file. */
  written(): Uint8Array {
    return this.#bytes.fill(0, this.used, this.used + trailerBytes).subarray(0, this.used + trailerBytes);
  }

  /** Lets another batch have the memory. Nothing may use the bytes any more. */
  release(): void {
    giveBackMemory(this.#memory);
  }

  #put(type: EntryType, stream: number, sequence: number, length: number): void {
    putEntryHeader(this.#bytes, this.used, type, stream, sequence, 0, length);
    this.used += entryHeaderBytes + length;
    this.count++;
  }
}
