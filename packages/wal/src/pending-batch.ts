import { giveBackLists, takeLists } from "./batch-lists.js";
import { batchHeaderBytes, trailerBytes } from "./core/batch.js";
import { putU48 } from "./core/bytes.js";
import { EntryType, entryHeaderBytes, putEntryHeader } from "./core/entry.js";
import type { SegmentRef } from "./core/point-list.js";
import type { StreamState } from "./core/stream-state.js";
import { putDeclaration, type StreamTable } from "./core/stream-table.js";
import { giveBackMemory, larger, takeMemory } from "./fs/batch-memory.js";
import type { SealingMemory } from "./fs/compiled-crc.js";

/** What is to happen in memory once a batch is durable, and stands at `offset` of `segment`. */
type Apply = (segment: SegmentRef, offset: number) => void;

/** Numbers of a run in `#runs`: its first entry's place in the batch, how many there are, their bytes. */
const runWidth = 3;
/** Who waits, in `#waiters`: what to resolve, what to reject, the value; or an `AppendWaiter`, nothing, the value. */
const waiterWidth = 3;

/** Who waits for an append, for `WalStream.appendThen`. An object, so that who has thousands of streams needs no functions made for each. */
export interface AppendWaiter {
  /** They are on disk; `sequence` is the last one's. */
  appended(sequence: number): void;
  notAppended(reason: unknown): void;
}

/** In the place of a target that is forgotten. */
const nobody: Apply = () => {};

let batches = 0;

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
  /** Of this process. */
  readonly id = ++batches;
  /**
   * What happens once it is durable, in the order of the calls: a stream, whose index learns at once of all records of one run, however many appends they
   * came from, or what else was called. Beside it, three numbers for each. No objects, because with ten thousand streams there is a run an append.
   */
  readonly #targets: (StreamState | Apply)[];
  readonly #runs: number[];
  #targetCount = 0;
  /** How many of them are not runs of appends. */
  controls = 0;
  /**
   * Who waits, in the order of the calls: what to resolve, what to reject and the value, one behind the other, because at a million appends a second an
   * object for each is felt, and so are three arrays.
   */
  readonly #waiters: unknown[];
  #waiterCount = 0;
  readonly #lists = takeLists();

  constructor() {
    this.#targets = this.#lists.targets as (StreamState | Apply)[];
    this.#runs = this.#lists.runs;
    this.#waiters = this.#lists.waiters;
    this.#memory = takeMemory();
    this.#bytes = this.#memory.bytes;
  }

  /** To happen behind what was called before, and before what is called from now on. */
  control(apply: Apply): void {
    this.controls++;
    this.#target(apply, 0, 0, 0);
  }

  /**
   * Says that `count` records of the stream, of `bytes` with framing, are put next. Returns the number of their run, by which more can be added to it as
   * long as `id` and `controls` are the same; -1 begins a new one.
   */
  extend(state: StreamState, count: number, bytes: number, run: number): number {
    if (run < 0) return this.#target(state, this.count, count, bytes);
    const runs = this.#runs;
    const at = run * runWidth;
    runs[at + 1] = (runs[at + 1] as number) + count;
    runs[at + 2] = (runs[at + 2] as number) + bytes;
    return run;
  }

  /** It is durable, and stands at `offset` of `segment`. */
  apply(segment: SegmentRef, offset: number): void {
    const runs = this.#runs;
    for (let i = 0, at = 0; i < this.#targetCount; i++, at += runWidth) {
      const target = this.#targets[i] as StreamState | Apply;
      if (typeof target === "function") target(segment, offset);
      else target.extend(runs[at + 1] as number, runs[at + 2] as number, segment, offset, runs[at] as number);
    }
  }

  /** `resolve(value)` is called once the batch is durable. */
  wait(resolve: (value: number) => void, reject: (reason: unknown) => void, value: number): void {
    const waiters = this.#waiters;
    const at = this.#waiterCount;
    waiters[at] = resolve;
    waiters[at + 1] = reject;
    waiters[at + 2] = value;
    this.#waiterCount = at + waiterWidth;
  }

  /** The same, said to it. */
  waitAs(waiter: AppendWaiter, value: number): void {
    const waiters = this.#waiters;
    const at = this.#waiterCount;
    waiters[at] = waiter;
    waiters[at + 1] = undefined;
    waiters[at + 2] = value;
    this.#waiterCount = at + waiterWidth;
  }

  /** Answers all who wait. */
  answer(): void {
    const waiters = this.#waiters;
    for (let at = 0; at < this.#waiterCount; at += waiterWidth) {
      const waiter = waiters[at] as AppendWaiter | ((value: number) => void);
      if (typeof waiter === "function") waiter(waiters[at + 2] as number);
      else waiter.appended(waiters[at + 2] as number);
    }
  }

  reject(error: Error): void {
    const waiters = this.#waiters;
    for (let at = 0; at < this.#waiterCount; at += waiterWidth) {
      const rejects = waiters[at + 1] as ((reason: unknown) => void) | undefined;
      if (rejects === undefined) (waiters[at] as AppendWaiter).notAppended(error);
      else rejects(error);
    }
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
  putCheckpoint(table: StreamTable): void {
    this.reserve(entryHeaderBytes + table.declarationsBytes);
    this.putControl(EntryType.checkpoint, 0, table.nextId);
    this.used = table.putDeclarations(this.#bytes, this.used);
    this.count += table.size;
  }

  /** Fills in the checksums of the entries; returns that of all of them, continued from `seed`. */
  seal(seed: number): number {
    return this.#memory.sealEntries(batchHeaderBytes, this.used, seed);
  }

  /** The header's place, the entries, and zeros for the trailer: what is written to the file. */
  written(): Uint8Array {
    return this.#bytes.fill(0, this.used, this.used + trailerBytes).subarray(0, this.used + trailerBytes);
  }

  /** Lets another batch have the memory and the lists. Nothing may use them any more. */
  release(): void {
    giveBackMemory(this.#memory);
    this.#targets.fill(nobody, 0, this.#targetCount);
    this.#waiters.fill(undefined, 0, this.#waiterCount);
    this.#targetCount = this.#waiterCount = 0;
    giveBackLists(this.#lists);
  }

  #target(target: StreamState | Apply, entry: number, count: number, bytes: number): number {
    const runs = this.#runs;
    const index = this.#targetCount++;
    const at = index * runWidth;
    this.#targets[index] = target;
    runs[at] = entry;
    runs[at + 1] = count;
    runs[at + 2] = bytes;
    return index;
  }

  #put(type: EntryType, stream: number, sequence: number, length: number): void {
    putEntryHeader(this.#bytes, this.used, type, stream, sequence, 0, length);
    this.used += entryHeaderBytes + length;
    this.count++;
  }
}
