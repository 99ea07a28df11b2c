import type { SimJournal, SimNode } from "@evenkeel/simulation";
import { BALLOT_ZERO, type Ballot, type Entry, type PersistedState, type PersistWrite } from "../../src/core/index.js";

/** What a sequence of writes leaves behind, slot by slot. */
export class Folded {
  promised: Ballot = BALLOT_ZERO;
  accepted: Ballot = BALLOT_ZERO;
  chosenThrough = 0;
  /** Index 0 is slot 1. */
  readonly entries: Entry[] = [];

  apply(write: PersistWrite): void {
    if (write.promised !== undefined) this.promised = write.promised;
    if (write.accepted !== undefined) this.accepted = write.accepted;
    if (write.truncateFrom !== undefined) this.entries.length = Math.min(this.entries.length, write.truncateFrom - 1);
    for (const entry of write.entries ?? []) {
      if (entry.slot !== this.entries.length + 1) throw new Error(`write leaves a hole before slot ${entry.slot}`);
      this.entries.push(entry);
    }
    if (write.chosenThrough !== undefined) this.chosenThrough = Math.max(this.chosenThrough, write.chosenThrough);
  }

  at(slot: number): Entry | undefined {
    return this.entries[slot - 1];
  }

  get end(): number {
    return this.entries.length;
  }

  state(): PersistedState {
    const { promised, accepted, chosenThrough } = this;
    return { promised, accepted, trimmedThrough: 0, chosenThrough, entries: [...this.entries] };
  }
}

/** An acceptor's log on a simulated disk: one journal record an atomic write. */
export class SimStorage {
  readonly #node: SimNode<Uint8Array>;
  readonly #journal: SimJournal<PersistWrite>;
  /** As read back by this life: written, perhaps not durable. */
  written = new Folded();
  /** What a crash now would certainly leave; checked against what the replica says to others. */
  #durable = new Folded();
  #durableCount = 0;
  readonly #forgotten = new Set<PersistWrite>();

  constructor(node: SimNode<Uint8Array>) {
    this.#node = node;
    this.#journal = node.disk.journal<PersistWrite>("log");
  }

  /** Recovery: whatever a crash has left, less the newest `forgotten` records (an older copy of the disk). */
  load(forgotten = 0): PersistedState {
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

  append(write: PersistWrite, done: (error: unknown) => void): void {
    this.written.apply(write);
    this.#journal.append(write, done, { sizeBytes: 64 });
  }

  get durable(): Folded {
    const count = this.#journal.durableCount;
    if (count > this.#durableCount) {
      for (const record of this.#kept(this.#journal.records().slice(this.#durableCount, count)))
        this.#durable.apply(record);
      this.#durableCount = count;
    }
    return this.#durable;
  }

  /** Reads chosen entries back, as the host does for a `ship`. */
  read(from: number, through: number, bytesMax: number, done: (entries: Entry[]) => void): void {
    this.#node.disk.later([0.05, 0.5], () => {
      const entries: Entry[] = [];
      let bytes = 0;
      for (let slot = from; slot <= through; slot++) {
        const entry = this.written.at(slot);
        if (entry === undefined) break;
        bytes += entry.command.length + 32;
        if (bytes > bytesMax && entries.length > 0) break;
        entries.push(entry);
      }
      done(entries);
    });
  }

  #kept(records: readonly PersistWrite[]): PersistWrite[] {
    return records.filter((record) => !this.#forgotten.has(record));
  }
}
