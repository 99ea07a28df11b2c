import { channel } from "node:diagnostics_channel";
import { batchHeaderBytes } from "./core/batch.js";
import { entryHeaderBytes, readEntry } from "./core/entry.js";
import type { RecordPlace, StreamState } from "./core/stream-state.js";
import type { WalFileSystem } from "./fs/file-system.js";
import type { Log } from "./log.js";
import { carriedTimeBytes } from "./pending-batch.js";
import { recordOf, type WalRecord } from "./reader.js";
import type { Segment } from "./segment.js";
import { SegmentCursor } from "./segment-cursor.js";

const pieceBytesMax = 1024 * 1024;
/** So many streams are carried side by side: none of them rests meanwhile. */
const streamsAtOnceMax = 4096;
/** So many are looked up in one turn of the event loop. */
const streamsInTurnMax = 512;
const carryFailed = channel("evenkeel:wal:carry-failed");

/** Records that are still to be found from a place on. */
interface Wanted extends RecordPlace {
  readonly state: StreamState;
  next: number;
}

/** Records of one stream that follow one another, about to be written again. */
interface Run {
  readonly state: StreamState;
  /** Truncations that had been called when their places were looked up: none may have come since. */
  readonly called: number;
  readonly records: WalRecord[];
}

/**
 * Segments are freed from the front only, so a stream that is rarely written would hold on to everything behind its oldest record. Once most of
 * the log is dead, the live records of the oldest segment are written again at the end, with their sequences and times, and the segment is free.
 *
 * At most half of the log is live when this is done, so what is carried in one round through the log is at most what was freed in it. The segment is walked once for all streams that have something in it,
 * and what they have is written together: with a reader and a sync for each of many thousands that are small, others would write faster than anything is freed.
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
      this.#log.segments.dropDead();
      await this.#log.segments.housekept();
      if (this.#halted) return;
    }
  }

  async #carryFrom(oldest: Segment): Promise<void> {
    const { table } = this.#log;
    const ids = table.idsIn(oldest);
    for (let from = 0; from < ids.length; from += streamsAtOnceMax) {
      const some: StreamState[] = [];
      try {
        for (const id of ids.slice(from, from + streamsAtOnceMax)) {
          const state = table.get(id);
          if (state === undefined) continue;
          state.holders++;
          if (some.push(state) % streamsInTurnMax === 0) await new Promise((resolve) => setImmediate(resolve));
        }
        while (!this.#halted && !(await this.#carryOf(some, oldest))) await this.#log.settled();
      } finally {
        for (const state of some) state.holders--;
      }
    }
  }

  get #halted(): boolean {
    return this.#stopped || this.#log.refusal() !== undefined;
  }

  /** Returns whether nothing of these streams is left there: a truncation may have come in between, and is to be durable first. */
  async #carryOf(states: readonly StreamState[], oldest: Segment): Promise<boolean> {
    const here = states.filter((state) => !state.removed && state.rangeIn(oldest) !== undefined);
    if (here.length === 0) return true;
    const called = new Map(here.map((state) => [state, state.truncationsCalled]));
    const settled = here.filter((state) => state.truncationsApplied === state.truncationsCalled);
    const wanted = settled.flatMap((state) =>
      state.placesIn(oldest).map((place): Wanted => ({ ...place, state, next: place.first })),
    );
    wanted.sort((a, b) => a.offset - b.offset || a.entry - b.entry);
    try {
      await this.#walk(wanted, called, oldest);
    } catch (error) {
      // What was not found there may have been let go of meanwhile.
      if (here.every((state) => state.truncationsCalled === called.get(state))) throw error;
    }
    return here.every((state) => state.removed || state.rangeIn(oldest) === undefined);
  }

  /** Each batch in which something is wanted is read once, and what is not wanted is passed over. */
  async #walk(wanted: readonly Wanted[], called: ReadonlyMap<StreamState, number>, oldest: Segment): Promise<void> {
    const [first] = wanted;
    if (first === undefined) return;
    const cursor = await SegmentCursor.open(this.#fileSystem, oldest, first.state.name);
    try {
      /** Those that are found from here on, by their streams. */
      const open = new Map<number, Wanted[]>();
      let piece = new Map<number, Run[]>();
      let bytes = 0;
      let begun = 0;
      let offset = first.offset;
      while (begun < wanted.length || open.size > 0) {
        if (open.size === 0) offset = Math.max(offset, (wanted[begun] as Wanted).offset);
        const batch = cursor.batchAt(offset);
        if (batch === undefined) {
          await cursor.load(offset);
          if (this.#halted) return;
          continue;
        }
        for (; begun < wanted.length && (wanted[begun] as Wanted).offset <= offset; begun++) {
          const one = wanted[begun] as Wanted;
          open.set(one.state.id, [...(open.get(one.state.id) ?? []), one]);
        }
        const { header, from } = batch;
        const end = from + header.payloadBytes;
        for (let at = from, n = 0; n < header.count; n++) {
          const entry = readEntry(cursor.bytes, at, end);
          if (entry === undefined) break;
          at = entry.dataTo;
          const found = open.get(entry.stream)?.find((one) => isThere(one, entry.sequence, offset, n));
          const record = found && recordOf(entry, header, cursor.bytes);
          if (found === undefined || record === undefined) continue;
          if (++found.next === found.end) drop(open, found);
          add(piece, found.state, called.get(found.state) as number, record);
          bytes += carriedBytes(record);
          if (bytes < pieceBytesMax) continue;
          await this.#write(piece);
          if (this.#halted) return;
          piece = new Map();
          bytes = 0;
        }
        offset += batchHeaderBytes + header.payloadBytes;
        if (offset >= oldest.end && open.size > 0) throw missing(open);
      }
      await this.#write(piece);
    } finally {
      await cursor.close();
    }
  }

  /** Of each stream one run a batch, as the format has it: further ones, where some of its records were carried here before, follow in batches of their own. */
  async #write(piece: ReadonlyMap<number, Run[]>): Promise<void> {
    const streams = [...piece.values()].map(merged);
    for (let at = 0; ; at++) {
      const runs = streams.flatMap((its) => its.slice(at, at + 1));
      if (runs.length === 0 || this.#halted) return;
      await this.#writeRuns(runs);
    }
  }

  async #writeRuns(runs: readonly Run[]): Promise<void> {
    // From here to the end of this turn nothing can come between the check and the order in which things are written.
    const current = runs.filter(({ state, called }) => state.truncationsCalled === called);
    if (current.length === 0) return;
    const refusal = this.#log.refusal();
    if (refusal !== undefined) throw refusal;
    const batch = this.#log.gather(current.reduce((sum, { records }) => sum + bytesOf(records), 0));
    let count = 0;
    for (const { state, records } of current) {
      const entry = batch.count;
      const [first, through] = [(records[0] as WalRecord).sequence, (records.at(-1) as WalRecord).sequence];
      for (const { sequence, timeMs, data } of records) batch.putCarried(state.id, sequence, timeMs, data);
      const bytes = bytesOf(records);
      batch.control((segment, offset) =>
        state.carry([{ sequence: first, segment, offset, entry, end: through + 1, bytes }], through),
      );
      count += records.length;
    }
    await new Promise<unknown>((resolve, reject) => batch.wait(resolve, reject, 0));
    this.recordsCarried += count;
  }
}

/** What it takes where it is written again. */
function carriedBytes({ data }: WalRecord): number {
  return entryHeaderBytes + carriedTimeBytes + data.length;
}

function bytesOf(records: readonly WalRecord[]): number {
  return records.reduce((sum, record) => sum + carriedBytes(record), 0);
}

/** In the order of their sequences, those that follow one another as one. */
function merged(runs: Run[]): Run[] {
  runs.sort((a, b) => (a.records[0] as WalRecord).sequence - (b.records[0] as WalRecord).sequence);
  const all: Run[] = [];
  for (const run of runs) {
    const last = all.at(-1)?.records;
    if (last?.at(-1)?.sequence !== (run.records[0] as WalRecord).sequence - 1) all.push(run);
    else for (const record of run.records) last.push(record);
  }
  return all;
}

function isThere(one: Wanted, sequence: number, offset: number, entry: number): boolean {
  return one.next === sequence && (offset > one.offset || entry >= one.entry);
}

function drop(open: Map<number, Wanted[]>, found: Wanted): void {
  const left = (open.get(found.state.id) ?? []).filter((one) => one !== found);
  if (left.length === 0) open.delete(found.state.id);
  else open.set(found.state.id, left);
}

function add(piece: Map<number, Run[]>, state: StreamState, called: number, record: WalRecord): void {
  const runs = piece.get(state.id);
  const last = runs?.at(-1);
  if (last?.records.at(-1)?.sequence === record.sequence - 1) last?.records.push(record);
  else if (runs !== undefined) runs.push({ state, called, records: [record] });
  else piece.set(state.id, [{ state, called, records: [record] }]);
}

function missing(open: ReadonlyMap<number, readonly Wanted[]>): Error {
  const [one] = [...open.values()].flat();
  return new Error(`stream ${one?.state.name}: no record where ${one?.next} should be`);
}
