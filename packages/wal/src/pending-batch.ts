import { batchHeaderBytes, trailerBytes } from "./core/batch.js";
import { putU48 } from "./core/bytes.js";
import { EntryType, entryHeaderBytes, sealEntry } from "./core/entry.js";
import type { SegmentRef, StreamState } from "./core/stream-state.js";
import { putDeclaration } from "./core/stream-table.js";
import { crc } from "./fs/checksum.js";

/** What is to happen in memory once a batch is durable, and who waits for it. */
export interface Operation {
  apply(segment: SegmentRef, offset: number): void;
  resolve(): void;
  reject(error: Error): void;
}

/** In front of a carried record's data. */
export const carriedTimeBytes = 6;

const initialBytes = 64 * 1024;

/** A batch that is gathering: entries are encoded straight into the bytes that will be written. */
export class PendingBatch {
  #bytes: Uint8Array;
  /** Header and entries so far. */
  used = batchHeaderBytes;
  count = 0;
  /** When it began to gather. One reading of the clock for all its records: they become durable in the same instant anyway. */
  timeMs = 0;
  readonly operations: Operation[] = [];

  constructor(bytes: Uint8Array = new Uint8Array(initialBytes)) {
    this.#bytes = bytes;
  }

  /** Makes room for `more` bytes of entries besides the trailer. */
  reserve(more: number): void {
    const needed = this.used + more + trailerBytes;
    if (needed <= this.#bytes.length) return;
    const grown = new Uint8Array(Math.max(needed, this.#bytes.length * 2));
    grown.set(this.#bytes.subarray(0, this.used));
    this.#bytes = grown;
  }

  putRecord(stream: number, sequence: number, data: Uint8Array): void {
    this.#bytes.set(data, this.used + entryHeaderBytes);
    this.#seal(EntryType.record, stream, sequence, data.length);
  }

  /** A record written again: its own time goes with it. */
  putCarried(stream: number, sequence: number, timeMs: number, data: Uint8Array): void {
    putU48(this.#bytes, this.used + entryHeaderBytes, timeMs);
    this.#bytes.set(data, this.used + entryHeaderBytes + carriedTimeBytes);
    this.#seal(EntryType.carried, stream, sequence, carriedTimeBytes + data.length);
  }

  putControl(type: EntryType, stream: number, sequence: number): void {
    this.#seal(type, stream, sequence, 0);
  }

  putStream(state: StreamState): void {
    this.used = putDeclaration(this.#bytes, this.used, state, 0, crc);
    this.count++;
  }

  /** The header's place, the entries, and zeros for the trailer: what is written to the file. */
  written(): Uint8Array {
    return this.#bytes.fill(0, this.used, this.used + trailerBytes).subarray(0, this.used + trailerBytes);
  }

  /** The bytes for another batch, once nothing reads them any more. */
  get bytes(): Uint8Array {
    return this.#bytes;
  }

  #seal(type: EntryType, stream: number, sequence: number, length: number): void {
    sealEntry(this.#bytes, this.used, type, stream, sequence, 0, length, crc);
    this.used += entryHeaderBytes + length;
    this.count++;
  }
}
