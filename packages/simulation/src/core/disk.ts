import { DiskFile, PAGE_BYTES } from "./disk-file.js";
import { badArgument, checkedNumber, checkOptions, SimulationError } from "./errors.js";
import { SimJournal } from "./journal.js";
import type { Random } from "./random.js";
import type { Scheduler } from "./scheduler.js";

export interface DiskFaults {
  /** Every write, read and sync takes from the first to the second of its two times, in virtual milliseconds. */
  readonly writeMs: readonly [number, number];
  readonly readMs: readonly [number, number];
  readonly syncMs: readonly [number, number];
  /** Chance that a sync fails. What it covered may then be lost, and a later sync that succeeds does not bring it back. */
  readonly syncFailChance: number;
  /** Chance that a read fails. */
  readonly readFailChance: number;
  /** Chance that a write lands on another page of the file than it was meant for, or on another record of the journal, and is reported as done. */
  readonly misdirectChance: number;
  /** All files together; a write that would pass it fails with ERR_SIMULATION_DISK_FULL and changes nothing. */
  readonly capacityBytes: number;
}

export interface DiskCounters {
  writes: number;
  reads: number;
  syncs: number;
  syncFailures: number;
  readFailures: number;
  full: number;
  misdirected: number;
  crashes: number;
  /** Pages and journal records that a crash took back. */
  lost: number;
  corrupted: number;
}

export type Done = (error?: SimulationError) => void;
export type ReadDone = (error: SimulationError | undefined, bytes: Uint8Array) => void;

const CALM: DiskFaults = {
  writeMs: [0.01, 0.05],
  readMs: [0.01, 0.1],
  syncMs: [0.1, 1],
  syncFailChance: 0,
  readFailChance: 0,
  misdirectChance: 0,
  capacityBytes: Number.POSITIVE_INFINITY,
};

type NameChange =
  | { readonly kind: "create"; readonly file: string; readonly content: DiskFile }
  | { readonly kind: "rename"; readonly file: string; readonly to: string }
  | { readonly kind: "remove"; readonly file: string };

/**
 * A disk with one directory of files, seen through a page cache that a crash takes away.
 *
 * What is written is readable at once; it is durable when a `sync` that began after the write was done has succeeded. A crash keeps
 * any subset of the 4 KiB pages that were not synced, and any prefix of the creations, renames and removals since the last
 * `syncDirectory`. Bytes handed in are copied before the call returns; bytes handed out belong to the reader.
 */
export class SimDisk {
  readonly counters: DiskCounters = {
    writes: 0,
    reads: 0,
    syncs: 0,
    syncFailures: 0,
    readFailures: 0,
    full: 0,
    misdirected: 0,
    crashes: 0,
    lost: 0,
    corrupted: 0,
  };
  #faults: DiskFaults = CALM;
  #files = new Map<string, DiskFile>();
  #durableNames = new Map<string, DiskFile>();
  #nameChanges: NameChange[] = [];
  readonly #journals = new Map<string, SimJournal<unknown>>();
  /** Drawn from only where such faults are asked for: journals whose reads and writes never go astray are the same as ever. */
  readonly #astray: Random;
  #failNextSyncs = 0;
  /** Rises with every crash: what was under way before it never completes. */
  #life = 0;
  #complete: (action: () => void) => void = (action) => action();

  constructor(
    readonly name: string,
    readonly scheduler: Scheduler,
    readonly random: Random,
  ) {
    this.#astray = random.fork("journals astray");
  }

  get faults(): DiskFaults {
    return this.#faults;
  }

  /** Changes what is given and leaves the rest, from the next call on. @throws SimulationError ERR_SIMULATION_ARGUMENT */
  setFaults(change: Partial<DiskFaults>): void {
    this.#faults = checkedFaults({ ...this.#faults, ...checkOptions("setFaults", change, CALM) });
  }

  /** No chance of a fault any more, normal times, no limit. Damage that was done stays. */
  calm(): void {
    this.#faults = CALM;
    this.#failNextSyncs = 0;
  }

  /** The next `count` syncs (of files, the directory or journals) fail. */
  failSyncs(count = 1): void {
    this.#failNextSyncs = checkedNumber("count", count, 0);
  }

  /** Every completion goes through `gate`: a node holds back what happens to it while it is paused. */
  completeThrough(gate: (action: () => void) => void): void {
    this.#complete = gate;
  }

  /** Writes at an offset, creating or extending the file; a gap reads as zeros. */
  write(file: string, offset: number, bytes: Uint8Array, done: Done): void {
    checkedNumber("offset", offset, 0, Number.MAX_SAFE_INTEGER);
    if (!(bytes instanceof Uint8Array)) throw badArgument("bytes", "a Uint8Array", typeof bytes);
    this.counters.writes++;
    const grownBytes = Math.max(0, offset + bytes.length - (this.#files.get(file)?.sizeBytes ?? 0));
    if (this.usedBytes() + grownBytes > this.#faults.capacityBytes) {
      this.counters.full++;
      const error = new SimulationError("ERR_SIMULATION_DISK_FULL", `disk ${this.name} is full`);
      this.later(this.#faults.writeMs, () => done(error));
      return;
    }
    const content = this.#open(file);
    const complete = content.write(this.#misdirected(content, offset), bytes);
    this.later(this.#faults.writeMs, () => {
      complete();
      done();
    });
  }

  /** Up to `length` bytes; fewer at the end of the file. The bytes are those at the moment of the completion. */
  read(file: string, offset: number, length: number, done: ReadDone): void {
    this.counters.reads++;
    const fails = this.random.chance(this.#faults.readFailChance);
    this.later(this.#faults.readMs, () => {
      const content = this.#files.get(file);
      if (content === undefined) return done(this.#noFile(file), new Uint8Array(0));
      if (fails) {
        this.counters.readFailures++;
        return done(this.#ioError(`read of ${file} failed`), new Uint8Array(0));
      }
      done(undefined, content.read(offset, length));
    });
  }

  /** Makes durable every write to the file that was done before this call, and its size. */
  sync(file: string, done: Done): void {
    const content = this.#files.get(file);
    if (content === undefined) {
      this.later(this.#faults.syncMs, () => done(this.#noFile(file)));
      return;
    }
    const captured = content.capture();
    this.syncLater(
      `sync of ${file}`,
      () => content.makeDurable(captured),
      () => content.forsake(captured, this.random),
      done,
    );
  }

  /** Makes the names durable: creations, renames and removals before this call. */
  syncDirectory(done: Done): void {
    const count = this.#nameChanges.length;
    const covered = this.#nameChanges.slice(0, count);
    const covering = () => {
      for (const change of covered) applyName(this.#durableNames, change);
      this.#nameChanges = this.#nameChanges.filter((change) => !covered.includes(change));
    };
    this.syncLater("sync of the directory", covering, () => {}, done);
  }

  truncate(file: string, sizeBytes: number, done: Done): void {
    checkedNumber("sizeBytes", sizeBytes, 0, Number.MAX_SAFE_INTEGER);
    this.#open(file).truncate(sizeBytes);
    this.later(this.#faults.writeMs, () => done());
  }

  rename(file: string, to: string, done: Done): void {
    this.#changeName({ kind: "rename", file, to }, file, done);
  }

  remove(file: string, done: Done): void {
    this.#changeName({ kind: "remove", file }, file, done);
  }

  /** Names of the files, sorted. */
  list(): string[] {
    return [...this.#files.keys()].sort();
  }

  /** As a read would see it now; undefined where there is no such file. */
  sizeBytes(file: string): number | undefined {
    return this.#files.get(file)?.sizeBytes;
  }

  /** The whole file as a read would see it now, without taking time: for assertions, and for recovery that is not itself on trial. */
  peek(file: string): Uint8Array | undefined {
    const content = this.#files.get(file);
    return content?.read(0, content.sizeBytes);
  }

  /** All files and journals together: what `capacityBytes` bounds. */
  usedBytes(): number {
    let used = 0;
    for (const file of this.#files.values()) used += file.sizeBytes;
    for (const journal of this.#journals.values()) used += journal.usedBytes;
    return used;
  }

  /**
   * A log of whole records, for code under test whose storage is an interface of its own. A crash keeps any prefix of what was not
   * synced, as a log with checksums does after recovery.
   */
  journal<T>(name: string): SimJournal<T> {
    let journal = this.#journals.get(name);
    if (journal === undefined) {
      journal = new SimJournal<unknown>(name, this);
      this.#journals.set(name, journal);
    }
    return journal as SimJournal<T>;
  }

  /** Power off: pending calls never complete, and what was not synced is lost in part or whole. */
  crash(): void {
    this.#life++;
    this.counters.crashes++;
    const kept = this.random.int(this.#nameChanges.length + 1);
    for (const change of this.#nameChanges.slice(0, kept)) applyName(this.#durableNames, change);
    this.counters.lost += this.#nameChanges.length - kept;
    this.#nameChanges = [];
    this.#files = new Map(this.#durableNames);
    for (const file of new Set(this.#files.values())) this.counters.lost += file.crash(this.random);
    for (const journal of this.#journals.values()) this.counters.lost += journal.crash(this.random);
  }

  /** The disk was replaced: everything is gone. Journals must be asked for anew. */
  wipe(): void {
    this.#life++;
    this.#files.clear();
    this.#durableNames.clear();
    this.#nameChanges = [];
    this.#journals.clear();
  }

  /** Flips the bits of `mask` in one stored byte: rot. */
  corrupt(file: string, offset: number, mask = 1): void {
    const content = this.#files.get(file);
    if (content === undefined) throw this.#noFile(file);
    checkedNumber("offset", offset, 0, content.sizeBytes - 1);
    this.counters.corrupted++;
    content.corrupt(offset, mask);
  }

  /** Calls `action` after a time from the range, unless the disk crashes first. Also for the journals. */
  later([minMs, maxMs]: readonly [number, number], action: () => void): void {
    const life = this.#life;
    this.scheduler.timer(this.random.between(minMs, maxMs), () => {
      if (life === this.#life) this.#complete(action);
    });
  }

  /** For the journals. */
  misdirects(): boolean {
    const { misdirectChance } = this.#faults;
    return misdirectChance > 0 && this.#astray.chance(misdirectChance);
  }

  /** For the journals. */
  readFails(): boolean {
    const { readFailChance } = this.#faults;
    return readFailChance > 0 && this.#astray.chance(readFailChance);
  }

  /** One sync, which succeeds or fails as the faults have it. Also for the journals. */
  syncLater(what: string, succeed: () => void, fail: () => void, done: Done): void {
    this.counters.syncs++;
    const byChance = this.random.chance(this.#faults.syncFailChance);
    const fails = byChance || this.#failNextSyncs > 0;
    if (this.#failNextSyncs > 0) this.#failNextSyncs--;
    const life = this.#life;
    this.scheduler.timer(this.random.between(...this.#faults.syncMs), () => {
      if (life !== this.#life) return;
      // The platter does not wait for a paused process; only the news of it does.
      if (fails) {
        this.counters.syncFailures++;
        fail();
      } else {
        succeed();
      }
      this.#complete(() => (fails ? done(this.#ioError(`${what} failed`)) : done()));
    });
  }

  #changeName(change: NameChange, file: string, done: Done): void {
    if (!this.#files.has(file)) {
      this.later(this.#faults.writeMs, () => done(this.#noFile(file)));
      return;
    }
    applyName(this.#files, change);
    this.#nameChanges.push(change);
    this.later(this.#faults.writeMs, () => done());
  }

  #open(file: string): DiskFile {
    let content = this.#files.get(file);
    if (content === undefined) {
      content = new DiskFile();
      this.#files.set(file, content);
      this.#nameChanges.push({ kind: "create", file, content });
    }
    return content;
  }

  #misdirected(content: DiskFile, offset: number): number {
    const misses = this.random.chance(this.#faults.misdirectChance);
    const pages = Math.ceil(content.sizeBytes / PAGE_BYTES);
    if (!misses || pages < 2) return offset;
    this.counters.misdirected++;
    const away = 1 + this.random.int(pages - 1);
    return ((Math.floor(offset / PAGE_BYTES) + away) % pages) * PAGE_BYTES + (offset % PAGE_BYTES);
  }

  #noFile(file: string): SimulationError {
    return new SimulationError("ERR_SIMULATION_NO_FILE", `disk ${this.name} has no file ${JSON.stringify(file)}`);
  }

  #ioError(what: string): SimulationError {
    return new SimulationError("ERR_SIMULATION_DISK_IO", `disk ${this.name}: ${what}`);
  }
}

function applyName(names: Map<string, DiskFile>, change: NameChange): void {
  if (change.kind === "create") {
    names.set(change.file, change.content);
    return;
  }
  const content = names.get(change.file);
  names.delete(change.file);
  if (change.kind === "rename" && content !== undefined) names.set(change.to, content);
}

function checkedFaults(faults: DiskFaults): DiskFaults {
  for (const name of ["writeMs", "readMs", "syncMs"] as const) {
    checkedNumber(`${name}[0]`, faults[name][0], 0);
    checkedNumber(`${name}[1]`, faults[name][1], faults[name][0]);
  }
  for (const name of ["syncFailChance", "readFailChance", "misdirectChance"] as const) {
    checkedNumber(name, faults[name], 0, 1);
  }
  if (!(faults.capacityBytes >= 0)) throw badArgument("capacityBytes", "a number at least 0", faults.capacityBytes);
  return faults;
}
