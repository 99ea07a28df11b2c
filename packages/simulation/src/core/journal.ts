import type { DiskCounters, DiskFaults } from "./disk.js";
import { checkedNumber, checkOptions, SimulationError } from "./errors.js";
import type { Random } from "./random.js";

/** What a journal needs of its disk. */
export interface JournalDisk {
  readonly name: string;
  readonly random: Random;
  readonly faults: Pick<DiskFaults, "readMs" | "writeMs" | "capacityBytes">;
  readonly counters: Pick<DiskCounters, "reads" | "readFailures" | "misdirected" | "corrupted">;
  usedBytes(): number;
  later(rangeMs: readonly [number, number], action: () => void): void;
  /** Whether this write lands where another record stands. */
  misdirects(): boolean;
  /** Whether this read fails. */
  readFails(): boolean;
  syncLater(what: string, succeed: () => void, fail: () => void, done: JournalDone): void;
}

export type JournalDone = (error?: SimulationError) => void;
export type JournalReadDone<T> = (error: SimulationError | undefined, records: T[]) => void;

interface Stored<T> {
  readonly record: T;
  readonly sizeBytes: number;
  forsaken: boolean;
  /** Something else stands in its place, or some of its bits have turned. */
  damaged: boolean;
}

type Step<T> =
  | { readonly kind: "sync"; through: number; readonly done: JournalDone[] }
  | { readonly kind: "replace"; readonly count: number; readonly next: Stored<T>[]; readonly done: JournalDone };

/**
 * Whole records in order, each atomic. Appending and syncing are one call, because that is what a log's user sees: `done` comes when
 * the record and all before it are durable. Syncs follow one another, and what is appended during one gathers for the next (group
 * commit); completions keep the order of the calls.
 *
 * Records are kept by reference and handed out again after a crash: they must not be changed once they are appended. After a failed
 * sync its records may be gone after a crash, with all behind them, even if a later append succeeds: a program that goes on after a
 * failed sync loses acknowledged records here, as it would on a real disk.
 *
 * A write that is misdirected (`misdirectChance`) is reported as done, and lands on another record: neither of the two can be read any more. Nor can one that has
 * rotted (`corrupt`). `records` does not look at that, as a program does not that has it all in memory; `recover` and `read` do, as a log with checksums does.
 */
export class SimJournal<T> {
  #records: Stored<T>[] = [];
  /** Where the first record stands that a failed sync has forsaken; infinite while there is none. */
  #forsakenFrom = Number.POSITIVE_INFINITY;
  /** Records that a successful sync has covered, from the start; see `durableCount` for what that is worth. */
  #synced = 0;
  #usedBytes = 0;
  #running = false;
  #steps: Step<T>[] = [];

  constructor(
    readonly name: string,
    readonly disk: JournalDisk,
  ) {}

  get usedBytes(): number {
    return this.#usedBytes;
  }

  /** How many records a crash now would certainly leave. */
  get durableCount(): number {
    return Math.min(this.#synced, this.#firstForsaken());
  }

  /** All records, durable or not, oldest first: after a crash, what recovery finds. `from` and `to` choose as `slice` does. */
  records(from?: number, to?: number): T[] {
    return this.#records.slice(from, to).map((stored) => stored.record);
  }

  /** Which records cannot be read, by their index. */
  damaged(): number[] {
    return this.#records.flatMap((stored, index) => (stored.damaged ? [index] : []));
  }

  /**
   * What a program reads that is started on this disk: all records, if all can be read.
   * @throws SimulationError ERR_SIMULATION_DISK_DAMAGED, and ERR_SIMULATION_DISK_IO where a read fails that may well succeed the next time
   */
  recover(): T[] {
    const error = this.#unreadable(0, this.#records.length);
    if (error !== undefined) throw error;
    return this.records();
  }

  /** The records from index `from` up to `to`, without that one: all of them, or none and the error, as `recover` has it. */
  read(from: number, to: number, done: JournalReadDone<T>): void {
    checkedNumber("from", from, 0, Number.MAX_SAFE_INTEGER);
    checkedNumber("to", to, from, Number.MAX_SAFE_INTEGER);
    const fails = this.#failedRead();
    this.disk.later(this.disk.faults.readMs, () => {
      const error = fails ?? this.#damagedAmong(from, to);
      done(error, error === undefined ? this.records(from, to) : []);
    });
  }

  /** Rot: this record cannot be read any more. */
  corrupt(index: number): void {
    checkedNumber("index", index, 0, this.#records.length - 1);
    this.disk.counters.corrupted++;
    (this.#records[index] as Stored<T>).damaged = true;
  }

  #unreadable(from: number, to: number): SimulationError | undefined {
    return this.#failedRead() ?? this.#damagedAmong(from, to);
  }

  #failedRead(): SimulationError | undefined {
    this.disk.counters.reads++;
    if (!this.disk.readFails()) return undefined;
    this.disk.counters.readFailures++;
    return new SimulationError("ERR_SIMULATION_DISK_IO", `disk ${this.disk.name}: read of journal ${this.name} failed`);
  }

  #damagedAmong(from: number, to: number): SimulationError | undefined {
    const index = this.#records.slice(from, to).findIndex((stored) => stored.damaged);
    if (index < 0) return undefined;
    const what = `record ${from + index} of journal ${this.name} does not have its checksum`;
    return new SimulationError("ERR_SIMULATION_DISK_DAMAGED", `disk ${this.disk.name}: ${what}`);
  }

  /** `sizeBytes` counts toward the disk's capacity. */
  append(record: T, done: JournalDone, options: { readonly sizeBytes?: number } = {}): void {
    const { sizeBytes = 0 } = checkOptions("append", options, { sizeBytes: 0 });
    if (this.#refusedAsFull(sizeBytes, done)) return;
    const damaged = this.#records.length > 0 && this.disk.misdirects();
    if (damaged) {
      this.disk.counters.misdirected++;
      const hit = this.disk.random.fork(`hit ${this.disk.counters.misdirected}`).int(this.#records.length);
      (this.#records[hit] as Stored<T>).damaged = true;
    }
    this.#records.push({ record, sizeBytes, forsaken: false, damaged });
    this.#usedBytes += sizeBytes;
    const last = this.#steps.at(-1);
    const gathering = last?.kind === "sync" && !(this.#running && this.#steps.length === 1) ? last : undefined;
    if (gathering === undefined) {
      this.#steps.push({ kind: "sync", through: this.#records.length, done: [done] });
    } else {
      gathering.through = this.#records.length;
      gathering.done.push(done);
    }
    this.#next();
  }

  /** Puts these records in the place of all before, atomically: a crash before `done` leaves the old ones or the new ones. */
  replace(records: readonly T[], done: JournalDone, options: { readonly sizeBytes?: number } = {}): void {
    const { sizeBytes = 0 } = checkOptions("replace", options, { sizeBytes: 0 });
    if (this.#refusedAsFull(sizeBytes - this.#usedBytes, done)) return;
    const next = records.map((record, index) => ({
      record,
      sizeBytes: index === 0 ? sizeBytes : 0,
      forsaken: false,
      damaged: false,
    }));
    this.#steps.push({ kind: "replace", count: this.#records.length, next, done });
    this.#next();
  }

  /** For the disk: falls back to the durable records and a random prefix of the rest. Returns how many were lost. */
  crash(random: Random): number {
    const certain = this.durableCount;
    const reachable = random.chance(0.5) ? this.#records.length : this.#firstForsaken();
    const kept = certain + random.int(Math.max(certain, reachable) - certain + 1);
    const lost = this.#records.length - kept;
    this.#records = this.#records.slice(0, kept).map((stored) => ({ ...stored, forsaken: false }));
    this.#synced = kept;
    this.#forsakenFrom = Number.POSITIVE_INFINITY;
    this.#measure();
    this.#steps = [];
    this.#running = false;
    return lost;
  }

  #firstForsaken(): number {
    return Math.min(this.#forsakenFrom, this.#records.length);
  }

  #next(): void {
    const step = this.#steps[0];
    if (step === undefined || this.#running) return;
    this.#running = true;
    if (step.kind === "sync") {
      const { through } = step;
      this.disk.syncLater(
        `sync of journal ${this.name}`,
        () => {
          this.#synced = through;
          this.#finished();
        },
        () => {
          for (const stored of this.#records.slice(this.#synced, through)) stored.forsaken = true;
          if (through > this.#synced) this.#forsakenFrom = Math.min(this.#forsakenFrom, this.#synced);
          this.#finished();
        },
        (error) => {
          for (const done of step.done) done(error);
        },
      );
      return;
    }
    this.disk.syncLater(
      `replacement of journal ${this.name}`,
      () => {
        this.#replaced(step.count, step.next);
        this.#finished();
      },
      () => this.#finished(),
      step.done,
    );
  }

  #finished(): void {
    this.#steps.shift();
    this.#running = false;
    this.#next();
  }

  #replaced(count: number, next: Stored<T>[]): void {
    this.#records = [...next, ...this.#records.slice(count)];
    this.#synced = next.length;
    const forsaken = this.#records.findIndex((stored) => stored.forsaken);
    this.#forsakenFrom = forsaken < 0 ? Number.POSITIVE_INFINITY : forsaken;
    this.#measure();
    const shift = next.length - count;
    this.#steps = this.#steps.map((step, index) => {
      if (index === 0) return step;
      return step.kind === "sync" ? { ...step, through: step.through + shift } : { ...step, count: step.count + shift };
    });
  }

  #measure(): void {
    this.#usedBytes = this.#records.reduce((sum, stored) => sum + stored.sizeBytes, 0);
  }

  #refusedAsFull(grownBytes: number, done: JournalDone): boolean {
    if (grownBytes <= 0 || this.disk.usedBytes() + grownBytes <= this.disk.faults.capacityBytes) return false;
    const error = new SimulationError("ERR_SIMULATION_DISK_FULL", `disk ${this.disk.name} is full`);
    this.disk.later(this.disk.faults.writeMs, () => done(error));
    return true;
  }
}
