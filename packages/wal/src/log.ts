import { channel } from "node:diagnostics_channel";
import { Carrier } from "./carry.js";
import { batchHeaderBytes, sealBatch, trailerBytes } from "./core/batch.js";
import type { StreamTable } from "./core/stream-table.js";
import { WalError } from "./errors.js";
import { crc } from "./fs/checksum.js";
import { type WalFile, type WalFileSystem, writeAll, writeAllSynced } from "./fs/file-system.js";
import type { MarkFile } from "./mark-file.js";
import { Packing } from "./packing.js";
import { PendingBatch } from "./pending-batch.js";
import type { Segment } from "./segment.js";
import { writeZeros } from "./segment.js";
import type { SegmentSet } from "./segment-set.js";

export interface LogOptions {
  readonly segmentBytes: number;
  readonly batchBytesMax: number;
  readonly bytesInFlightMax: number;
  readonly idleMarkMs: number;
  readonly packAfterMs: number;
  readonly segmentsBeforeCarry: number;
  readonly nowMs: () => number;
}

const fillAheadBytes = 64 * 1024;
const fillStepBytesMax = 1024 * 1024;
/** Above so many bytes a batch, zeros written ahead cost more than they save: everything would be written twice, where the disk's bandwidth is what there is too little of. */
const bulkBytes = 256 * 1024;
/** The mean of about so many batches. */
const batchBytesOver = 8;
/** A segment is at least so many times as long as the checkpoint that it begins with. */
const checkpointsPerSegment = 4;
const poisonedChannel = channel("evenkeel:wal:poisoned");

/**
 * Group commit. One batch is written and synced at a time; what arrives meanwhile gathers into the next. So the durable mark of each batch is
 * its predecessor, at most one batch can be torn, and the cost of a sync is shared by however many wait for it.
 *
 * After a write or sync has failed nobody knows what is on disk, and asking again is known to lie (a kernel may drop the dirty pages and
 * report success). So the log is poisoned: every waiter and every later append is refused, and opening it again tells the truth.
 */
export class Log {
  readonly table: StreamTable;
  readonly segments: SegmentSet;
  readonly #options: LogOptions;
  readonly #marks: MarkFile;
  readonly carrier: Carrier;
  readonly #packing: Packing;
  /** What a batch holds of late. */
  #batchBytes = 0;
  #file: WalFile;
  #queue: PendingBatch[] = [];
  /** A turn is due or under way. */
  #busy = false;
  /** Who waits until it is not. */
  #idle: (() => void)[] = [];
  #markTimer: NodeJS.Timeout | undefined;
  #markDue = false;
  #committing: PendingBatch | undefined;
  /** Whether the active segment holds more than its checkpoint. A batch larger than a segment gets one of its own, which is then longer. */
  #hasRecords = true;
  /** Zeros have been written that no sync has covered: the next one is to be of the whole file, or each batch would have to allocate its own piece of it. */
  #zerosAhead = false;
  #closed = false;
  #room: (() => void)[] = [];
  /** Called when nothing more will become durable: the log was poisoned, or closed. */
  readonly stopped = new Set<() => void>();
  poisoned: WalError | undefined;
  /** Number and name of the last durable batch. */
  durableBatch: number;
  #durableCrc: number;
  bytesInFlight = 0;
  syncs = 0;
  bytesWritten = 0;
  entries = 0;

  constructor(
    options: LogOptions,
    parts: {
      table: StreamTable;
      segments: SegmentSet;
      marks: MarkFile;
      file: WalFile;
      fileSystem: WalFileSystem;
      batch: number;
      batchCrc: number;
    },
  ) {
    this.#options = options;
    this.table = parts.table;
    this.segments = parts.segments;
    this.#marks = parts.marks;
    this.#file = parts.file;
    this.durableBatch = parts.batch;
    this.#durableCrc = parts.batchCrc;
    this.carrier = new Carrier(this, parts.fileSystem, options);
    this.#packing = new Packing(this.table, options.packAfterMs);
    this.#scheduleMark();
  }

  get closed(): boolean {
    return this.#closed;
  }

  /** Why nothing can be appended, if so. */
  refusal(): WalError | undefined {
    if (this.poisoned !== undefined) return this.poisoned;
    if (this.#closed) return new WalError("ERR_WAL_CLOSED", "the log is closed");
    if (this.bytesInFlight > this.#options.bytesInFlightMax) {
      const message = `${this.bytesInFlight} bytes wait for the disk (bytesInFlightMax ${this.#options.bytesInFlightMax}); await room() before appending more`;
      return new WalError("ERR_WAL_OVERLOADED", message);
    }
    return undefined;
  }

  /** The batch that takes `bytes` more bytes of entries, all of which are to be put into it before the caller gives up its turn. */
  gather(bytes: number): PendingBatch {
    let batch = this.#queue.at(-1);
    if (batch === undefined || (batch.count > 0 && batch.used + bytes > this.#options.batchBytesMax)) {
      batch = new PendingBatch();
      batch.timeMs = Math.max(0, this.#options.nowMs());
      this.#queue.push(batch);
    }
    batch.reserve(bytes);
    this.bytesInFlight += bytes;
    this.#pump();
    return batch;
  }

  /** Resolves once everything that was appended before is durable. */
  settled(): Promise<void> {
    const refusal = this.refusal();
    if (refusal !== undefined) return Promise.reject(refusal);
    const last = this.#queue.at(-1) ?? this.#committing;
    if (last === undefined) return Promise.resolve();
    return new Promise((resolve, reject) => last.wait(() => resolve(), reject, 0));
  }

  /** Resolves as soon as fewer than `bytesInFlightMax` bytes wait for the disk. */
  async room(signal?: AbortSignal): Promise<void> {
    signal?.throwIfAborted();
    while (this.bytesInFlight > this.#options.bytesInFlightMax) {
      await new Promise<void>((resolve, reject) => {
        const stop = () => {
          this.#room = this.#room.filter((waiter) => waiter !== wake);
          reject(signal?.reason);
        };
        const wake = () => {
          signal?.removeEventListener("abort", stop);
          resolve();
        };
        this.#room.push(wake);
        signal?.addEventListener("abort", stop, { once: true });
      });
    }
  }

  #pump(): void {
    if (this.#busy) return;
    this.#busy = true;
    // A turn of the event loop: whoever was just answered, and whatever just arrived, joins this batch instead of the next.
    setImmediate(this.#turn);
  }

  readonly #turn = (): void => {
    void this.#next().then(this.#rest, (cause: unknown) => {
      this.#poison(cause);
      this.#rest();
    });
  };

  /** A lone append ends here: another turn only to find that there is nothing to do would cost as much again as the rest of its way through this file. */
  readonly #rest = (): void => {
    this.#busy = false;
    if (this.#queue.length > 0 || this.#markDue) this.#pump();
    else for (const resolve of this.#idle.splice(0)) resolve();
  };

  #next(): Promise<void> {
    // Also while there is always more to do: each batch vouches for those before it, but not once the whole end of the file is gone.
    if (this.#markDue) return this.#writeMark().then(() => this.#next());
    const batch = this.#queue.shift();
    return batch === undefined ? Promise.resolve() : this.#commit(batch);
  }

  async #commit(batch: PendingBatch): Promise<void> {
    this.#committing = batch;
    // Whoever gathered it, nothing may be written behind a write that failed.
    if (this.poisoned !== undefined) throw this.poisoned;
    if (this.segments.failure !== undefined) throw this.segments.failure as Error;
    const segmentBytes = this.#segmentBytes;
    if (this.segments.active.end + batch.used + trailerBytes > segmentBytes && this.#hasRecords) await this.#rotate();
    const segment = this.segments.active;
    const offset = segment.end;
    const payloadCrc = batch.seal(segment.place.seed(offset));
    await this.#write(segment, batch.written(), payloadCrc, batch.count, batch.timeMs);
    this.#hasRecords = true;
    batch.apply(segment, offset);
    this.#committing = undefined;
    this.bytesInFlight -= batch.used - batchHeaderBytes;
    this.entries += batch.count;
    batch.answer();
    batch.release();
    if (this.bytesInFlight <= this.#options.bytesInFlightMax && this.#room.length > 0) {
      for (const wake of this.#room.splice(0)) wake();
    }
    this.#scheduleMark();
    this.#packing.consider();
    this.segments.dropDead();
    this.#batchBytes += (batch.used - this.#batchBytes) / batchBytesOver;
    const bulk = this.#batchBytes > bulkBytes;
    if (segment.end > segmentBytes / 2) {
      this.segments.prepare(bulk);
      this.segments.fillNext((2 * segment.end) / segmentBytes - 1);
    }
    if (!bulk) await this.#fillAhead(segment, batch.used);
  }

  /** With a million streams the checkpoint alone would fill a segment, and each batch would need one. */
  get #segmentBytes(): number {
    return Math.max(this.#options.segmentBytes, checkpointsPerSegment * this.table.declarationsBytes);
  }

  /** `bytes` = header's place, entries, trailer. Durable when this resolves. */
  async #write(segment: Segment, bytes: Uint8Array, payloadCrc: number, count: number, timeMs: number): Promise<void> {
    const offset = segment.end;
    const number = this.durableBatch + 1;
    const sealed = bytes.subarray(0, bytes.length - trailerBytes);
    const fields = {
      number,
      durableBatch: this.durableBatch,
      timeMs,
      count,
      previousCrc: this.#durableCrc,
      payloadCrc,
    };
    const name = sealBatch(sealed, fields, segment.place, offset, crc);
    if (this.#zerosAhead) {
      await writeAll(this.#file, bytes, offset);
      await this.#file.sync();
      this.#zerosAhead = false;
    } else {
      await writeAllSynced(this.#file, bytes, offset);
    }
    segment.end = offset + sealed.length;
    segment.filledTo = Math.max(segment.filledTo, offset + bytes.length);
    this.durableBatch = number;
    this.#durableCrc = name;
    this.syncs++;
    this.bytesWritten += bytes.length;
  }

  /** Goes on in the next segment, whose first batch is the state of all streams. */
  async #rotate(): Promise<void> {
    const next = await this.segments.takeNext();
    const old = this.#file;
    this.#file = next.file;
    this.#zerosAhead = false;
    await old.close();
    this.segments.list.push(next.segment);
    await this.writeCheckpoint();
    this.carrier.consider();
  }

  async writeCheckpoint(): Promise<void> {
    const segment = this.segments.active;
    const batch = new PendingBatch();
    try {
      batch.putCheckpoint(this.table);
      const payloadCrc = batch.seal(segment.place.seed(segment.end));
      await this.#write(segment, batch.written(), payloadCrc, batch.count, this.#options.nowMs());
    } finally {
      batch.release();
    }
    this.#hasRecords = false;
  }

  /**
   * Keeps zeros written ahead of a growing segment, in steps that grow with it: a sync that also has to record a new file size costs twice. The
   * next batch's sync makes the zeros durable along with itself.
   */
  async #fillAhead(segment: Segment, batchBytes: number): Promise<void> {
    const segmentBytes = this.#segmentBytes;
    if (segment.filledTo - segment.end > 2 * batchBytes + fillAheadBytes || segment.filledTo >= segmentBytes) return;
    const to = Math.min(segment.filledTo + Math.min(segment.filledTo, fillStepBytesMax), segmentBytes);
    await writeZeros(this.#file, segment.filledTo, to);
    this.#zerosAhead = true;
    segment.filledTo = to;
  }

  #scheduleMark(): void {
    if (this.#markTimer !== undefined || this.#closed || this.#marks.mark.batch === this.durableBatch) return;
    this.#markTimer = setTimeout(() => {
      this.#markTimer = undefined;
      if (this.#closed || this.poisoned !== undefined) return;
      this.#markDue = true;
      this.#pump();
    }, this.#options.idleMarkMs);
    this.#markTimer.unref();
  }

  async #writeMark(): Promise<void> {
    this.#markDue = false;
    if (this.#marks.mark.batch === this.durableBatch) return;
    await this.#marks.write({
      batch: this.durableBatch,
      batchCrc: this.#durableCrc,
      segment: this.segments.active.number,
      writtenMs: this.#options.nowMs(),
    });
    this.syncs++;
  }

  #poison(cause: unknown): void {
    const reason = cause instanceof Error ? cause.message : String(cause);
    const message = `the log takes no more appends since a write to disk failed (${reason}); what was not acknowledged may or may not be on disk: close it and open it again`;
    const error =
      this.poisoned ?? new WalError("ERR_WAL_POISONED", message, { file: this.segments.active.path, cause });
    this.poisoned = error;
    const waiting = this.#committing === undefined ? this.#queue : [this.#committing, ...this.#queue];
    this.#queue = [];
    this.#committing = undefined;
    this.#markDue = false;
    this.bytesInFlight = 0;
    for (const batch of waiting) {
      batch.reject(error);
      batch.release();
    }
    for (const wake of [...this.#room.splice(0), ...this.stopped]) wake();
    if (poisonedChannel.hasSubscribers) poisonedChannel.publish({ file: error.file, error });
  }

  /** Takes nothing more, finishes what waits, and leaves a mark behind that vouches for all of it. */
  async close(): Promise<void> {
    this.#closed = true;
    clearTimeout(this.#markTimer);
    this.#packing.stop();
    await this.carrier.stop();
    while (this.#busy) await new Promise<void>((resolve) => this.#idle.push(resolve));
    const failures: unknown[] = [];
    const parts = [() => this.segments.close(), () => this.#file.close(), () => this.#marks.close()];
    if (this.poisoned === undefined) parts.unshift(() => this.#writeMark());
    for (const part of parts) await part().catch((error: unknown) => failures.push(error));
    for (const wake of this.stopped) wake();
    if (failures.length === 0) return;
    const [cause] = failures;
    const message = `all that was acknowledged is on disk, but closing the log failed: ${cause instanceof Error ? cause.message : String(cause)}`;
    throw new WalError("ERR_WAL_IO", message, { file: this.segments.active.path, cause });
  }
}
