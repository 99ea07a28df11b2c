import { SimulationError } from "./errors.js";
import type { Random } from "./random.js";

/** What a journal needs of its disk. */
export interface JournalDisk {
  readonly name: string;
  readonly faults: { readonly writeMs: readonly [number, number]; readonly capacityBytes: number };
  usedBytes(): number;
  later(rangeMs: readonly [number, number], action: () => void): void;
  syncLater(what: string, succeed: () => void, fail: () => void, done: JournalDone): void;
}

export type JournalDone = (error?: SimulationError) => void;

interface Stored<T> {
  readonly record: T;
  readonly sizeBytes: number;
  forsaken: boolean;
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

  /** `sizeBytes` counts toward the disk's capacity. */
  append(record: T, done: JournalDone, { sizeBytes = 0 }: { readonly sizeBytes?: number } = {}): void {
    if (this.#refusedAsFull(sizeBytes, done)) return;
    this.#records.push({ record, sizeBytes, forsaken: false });
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
  replace(records: readonly T[], done: JournalDone, { sizeBytes = 0 }: { readonly sizeBytes?: number } = {}): void {
    if (this.#refusedAsFull(sizeBytes - this.#usedBytes, done)) return;
    const next = records.map((record, index) => ({ record, sizeBytes: index === 0 ? sizeBytes : 0, forsaken: false }));
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
