import type { Random, SimJournal, SimNode, SimulationError } from "@evenkeel/simulation";
import {
  BALLOT_ZERO,
  type Ballot,
  type Configuration,
  type Entry,
  type PersistedState,
  type PersistWrite,
  type Position,
  sameBallot,
} from "../../src/core/index.js";
import { ConfigurationLog } from "../../src/storage/configuration-log.js";

/** A write of the core's, or the host's note that its state machine is about to jump, or of the mark under which a node's log was born. */
export type SimWrite = PersistWrite & {
  readonly installing?: Position;
  readonly birth?: readonly [node: string, mark: string];
};

/** What a sequence of writes leaves behind, slot by slot. */
export class Folded {
  promised: Ballot = BALLOT_ZERO;
  accepted: Ballot = BALLOT_ZERO;
  chosenThrough = 0;
  installing: Position | undefined;
  readonly configurations = new ConfigurationLog();
  readonly births = new Map<string, string>();
  /** From slot `below` + 1 on. */
  readonly entries: Entry[] = [];

  apply(write: SimWrite): void {
    if (write.promised !== undefined) this.promised = write.promised;
    if (write.accepted !== undefined) this.accepted = write.accepted;
    if (write.installing !== undefined) this.installing = write.installing;
    if (write.birth !== undefined) this.births.set(...write.birth);
    if (write.reset !== undefined) {
      this.entries.length = 0;
      this.configurations.clear();
      this.configurations.beginsAt(write.reset);
    }
    if (write.truncateFrom !== undefined) {
      this.entries.length = Math.min(this.entries.length, write.truncateFrom - 1 - this.below);
      this.configurations.truncatedFrom(write.truncateFrom);
    }
    for (const entry of write.entries ?? []) {
      if (entry.slot !== this.end + 1) throw new Error(`write leaves a hole before slot ${entry.slot}`);
      this.entries.push(entry);
    }
    this.configurations.appended(write.entries ?? []);
    if (write.chosenThrough !== undefined) this.chosenThrough = Math.max(this.chosenThrough, write.chosenThrough);
  }

  at(slot: number): Entry | undefined {
    return this.entries[slot - 1 - this.below];
  }

  /** Slots through here are not in the log at all. */
  get below(): number {
    return this.configurations.base?.slot ?? 0;
  }

  get end(): number {
    return this.below + this.entries.length;
  }

  /** As a host hands it to the core, with the entries behind `from` only, trimmed through `trimmedThrough`. */
  state(from = this.below, trimmedThrough = this.below, founders?: Configuration): PersistedState {
    const { promised, accepted, chosenThrough, configurations } = this;
    const configuration = configurations.at(from);
    const base = this.base(trimmedThrough, founders);
    return {
      promised,
      accepted,
      trimmedThrough,
      chosenThrough,
      entries: this.entries.slice(Math.max(0, from - this.below)),
      ...(configuration === undefined ? {} : { configuration }),
      ...(base === undefined ? {} : { base }),
    };
  }

  base(slot: number, founders?: Configuration): Position | undefined {
    const { base } = this.configurations;
    if (base?.slot === slot) return base;
    const ballot = this.at(slot)?.ballot;
    const configuration = this.configurations.at(slot) ?? founders;
    return ballot === undefined || configuration === undefined ? undefined : { slot, ballot, configuration };
  }
}

/** An acceptor's log on a simulated disk: one journal record an atomic write. */
export class SimStorage {
  readonly #node: SimNode<Uint8Array>;
  readonly #journal: SimJournal<SimWrite>;
  /** As read back by this life: written, perhaps not durable. */
  written = new Folded();
  /** What a crash now would certainly leave; checked against what the replica says to others. */
  #durable = new Folded();
  #durableCount = 0;
  readonly #forgotten = new Set<SimWrite>();
  #full = false;

  constructor(node: SimNode<Uint8Array>) {
    this.#node = node;
    this.#journal = node.disk.journal<SimWrite>("log");
  }

  /** Recovery: whatever a crash has left, less the newest `forgotten` records (an older copy of the disk). */
  load(forgotten = 0): PersistedState {
    this.#full = false;
    const found = this.#journal.records();
    for (const record of found.slice(found.length - Math.min(forgotten, found.length))) this.#forgotten.add(record);
    this.written = new Folded();
    this.#durable = new Folded();
    for (const record of this.#kept(found)) {
      this.written.apply(record);
      this.#durable.apply(record);
    }
    this.#durableCount = found.length;
    return this.written.state();
  }

  /** The newest record, if it may go bad without taking more than itself along: it is not one that begins the log anew. */
  get perishable(): SimWrite | undefined {
    const newest = this.#journal.records(-1)[0];
    if (newest === undefined || this.#forgotten.has(newest)) return undefined;
    const { reset, installing, birth } = newest;
    return reset === undefined && installing === undefined && birth === undefined ? newest : undefined;
  }

  /** Whether this entry was here, in a record that has gone bad. */
  hadLost(entry: Entry): boolean {
    for (const { entries } of this.#forgotten) {
      if (entries?.some(({ slot, ballot }) => slot === entry.slot && sameBallot(ballot, entry.ballot))) return true;
    }
    return false;
  }

  append(write: SimWrite, done: (error: unknown) => void): void {
    this.written.apply(write);
    const { disk } = this.#node;
    if (this.#full) {
      // A log that has refused a write takes no more of them.
      disk.later(disk.faults.writeMs, () => done(new Error("refused after a full disk")));
      return;
    }
    const usedBytes = disk.usedBytes();
    this.#journal.append(write, done, { sizeBytes: 64 });
    this.#full = disk.usedBytes() === usedBytes;
  }

  /** Why this log does not open, if it does not: where something is damaged with whole records behind it, and so vouched for; or because this reading of it failed. */
  get unopened(): SimulationError | undefined {
    try {
      this.#journal.recover();
      return undefined;
    } catch (error) {
      return error as SimulationError;
    }
  }

  /** How many records stand behind the first that is damaged, itself included. */
  get damagedEnd(): number {
    const first = this.#journal.damaged()[0];
    return first === undefined ? 0 : this.#journal.records().length - first;
  }

  /** One of its records goes bad. */
  rot(random: Random): void {
    this.#journal.corrupt(random.int(this.#journal.records().length));
  }

  get records(): number {
    return this.#journal.records().length;
  }

  get durable(): Folded {
    const count = this.#journal.durableCount;
    if (count > this.#durableCount) {
      for (const record of this.#kept(this.#journal.records(this.#durableCount, count))) this.#durable.apply(record);
      this.#durableCount = count;
    }
    return this.#durable;
  }

  /** Reads chosen entries back, as the host does for a `ship`: all that fit, or none and why. */
  read(
    from: number,
    through: number,
    bytesMax: number,
    done: (entries: Entry[], error: SimulationError | undefined) => void,
  ): void {
    const [first, end] = this.#placeOf(from, through);
    this.#journal.read(first, end, (error) => {
      const entries: Entry[] = [];
      let bytes = 0;
      for (let slot = from; slot <= through && error === undefined; slot++) {
        const entry = this.written.at(slot);
        if (entry === undefined) break;
        bytes += entry.command.length + 32;
        if (bytes > bytesMax && entries.length > 0) break;
        entries.push(entry);
      }
      done(entries, error);
    });
  }

  /** The records in which these slots were written last; only looked for where something may be wrong with one of them. */
  #placeOf(from: number, through: number): readonly [first: number, end: number] {
    const { misdirected, corrupted } = this.#node.disk.counters;
    if (misdirected + corrupted === 0) return [0, 0];
    const records = this.#journal.records();
    const wanted = new Set(this.written.entries.filter(({ slot }) => slot >= from && slot <= through));
    const holds = ({ entries }: SimWrite) => entries?.some((entry) => wanted.has(entry)) === true;
    const first = records.findIndex(holds);
    return first < 0 ? [0, 0] : [first, 1 + records.findLastIndex(holds)];
  }

  #kept(records: readonly SimWrite[]): SimWrite[] {
    return records.filter((record) => !this.#forgotten.has(record));
  }
}
