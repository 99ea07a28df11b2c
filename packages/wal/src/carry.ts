import { channel } from "node:diagnostics_channel";
import { entryHeaderBytes } from "./core/entry.js";
import type { StreamState } from "./core/stream-state.js";
import type { WalFileSystem } from "./fs/file-system.js";
import type { Log } from "./log.js";
import { carriedTimeBytes } from "./pending-batch.js";
import { readRecords, type WalRecord } from "./reader.js";
import type { Segment } from "./segment.js";

const pieceBytesMax = 1024 * 1024;
/** So many streams are carried side by side, as long as they have little in the segment. */
const streamsAtOnceMax = 64;
const carryFailed = channel("evenkeel:wal:carry-failed");

/**
 * Segments are freed from the front only, so a stream that is rarely written would hold on to everything behind its oldest record. Once most of
 * the log is dead, the live records of the oldest segment are written again at the end, with their sequences and times, and the segment is free.
 *
 * At most half of the log is live when this is done, so what is carried in one round through the log is at most what was freed in it.
 */
export class Carrier {
  readonly #log: Log;
  readonly #fileSystem: WalFileSystem;
  readonly #options: { readonly segmentBytes: number; readonly segmentsBeforeCarry: number };
  #running: Promise<void> | undefined;
  #stopped = false;
  recordsCarried = 0;

  constructor(log: Log, fileSystem: WalFileSystem, options: { segmentBytes: number; segmentsBeforeCarry: number }) {
    this.#log = log;
    this.#fileSystem = fileSystem;
    this.#options = options;
  }

  /** Called after each new segment: carries in the background if it is time to. */
  consider(): void {
    if (this.#running !== undefined || this.#stopped || !this.#isTime()) return;
    this.#running = this.#carry()
      .catch((error: unknown) => {
        // Nothing is lost: the records stay where they are, and the next new segment tries again.
        if (carryFailed.hasSubscribers) carryFailed.publish({ error });
      })
      .finally(() => {
        this.#running = undefined;
      });
  }

  async stop(): Promise<void> {
    this.#stopped = true;
    await this.#running;
  }

  #isTime(): boolean {
    const { list } = this.#log.segments;
    const { segmentBytes, segmentsBeforeCarry } = this.#options;
    if (list.length <= segmentsBeforeCarry) return false;
    const liveBytes = list.reduce((sum, segment) => sum + segment.liveBytes, 0);
    // One is larger than the others where a batch was, or the checkpoint that it begins with.
    const bytes = list.reduce((sum, segment) => sum + Math.max(segmentBytes, segment.end), 0);
    return (list[0] as Segment).points > 0 && liveBytes <= bytes / 2;
  }

  /** One segment after the other, for as long as it is time: one for each new segment would keep up, but never catch up. */
  async #carry(): Promise<void> {
    for (let times = this.#log.segments.list.length; times > 0 && this.#isTime(); times--) {
      const oldest = this.#log.segments.list[0] as Segment;
      await this.#carryFrom(oldest);
      await this.#log.segments.housekept();
      if (this.#halted) return;
    }
  }

  /** Several streams at a time where they are small: a hundred thousand quiet ones would otherwise wait for a sync each. */
  async #carryFrom(oldest: Segment): Promise<void> {
    const { table } = this.#log;
    let some: Promise<void>[] = [];
    let bytes = 0;
    for (const id of table.idsIn(oldest)) {
      const state = table.get(id);
      if (state === undefined) continue;
      some.push(this.#carryStream(state, oldest));
      bytes += state.bytesIn(oldest);
      if (some.length < streamsAtOnceMax && bytes < pieceBytesMax) continue;
      await allOf(some);
      if (this.#halted) return;
      some = [];
      bytes = 0;
    }
    await allOf(some);
    this.#log.segments.dropDead();
  }

  get #halted(): boolean {
    return this.#stopped || this.#log.refusal() !== undefined;
  }

  async #carryStream(state: StreamState, oldest: Segment): Promise<void> {
    state.holders++;
    try {
      for (;;) {
        const range = state.removed ? undefined : state.rangeIn(oldest);
        if (range === undefined || this.#halted) return;
        await this.#carryPiece(state, range);
      }
    } finally {
      state.holders--;
    }
  }

  /** Carries records of a stream, as many as fit a piece. Gives up, to be called again, when a truncation comes in between. */
  async #carryPiece(state: StreamState, range: { readonly first: number; readonly last: number }): Promise<void> {
    const called = state.truncationsCalled;
    if (state.truncationsApplied !== called) return this.#log.settled();
    const records: WalRecord[] = [];
    let bytes = 0;
    try {
      for await (const record of readRecords(this.#fileSystem, state, range.first, range.last, undefined)) {
        records.push(record);
        bytes += entryHeaderBytes + carriedTimeBytes + record.data.length;
        if (bytes >= pieceBytesMax) break;
      }
    } catch (error) {
      if (state.truncationsCalled !== called) return this.#log.settled();
      throw error;
    }
    // From here to the end of this turn nothing can come between the check and the order in which things are written.
    if (state.truncationsCalled !== called) return this.#log.settled();
    const [first, through] = [records[0]?.sequence, records.at(-1)?.sequence];
    if (first === undefined || through === undefined)
      throw new Error(`stream ${state.name}: no record where ${range.first} should be`);
    const refusal = this.#log.refusal();
    if (refusal !== undefined) throw refusal;
    const batch = this.#log.gather(bytes);
    const entry = batch.count;
    for (const { sequence, timeMs, data } of records) batch.putCarried(state.id, sequence, timeMs, data);
    batch.control((segment, offset) =>
      state.carry([{ sequence: first, segment: segment as Segment, offset, entry, end: through + 1, bytes }], through),
    );
    await new Promise<unknown>((resolve, reject) => batch.wait(resolve, reject, through));
    this.recordsCarried += records.length;
  }
}

/** All have come to an end before the first failure is told. */
async function allOf(work: readonly Promise<void>[]): Promise<void> {
  for (const result of await Promise.allSettled(work)) if (result.status === "rejected") throw result.reason;
}
