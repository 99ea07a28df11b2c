import { BALLOT_ZERO, type Ballot } from "../core/ballot.js";
import { PaxosError } from "../core/errors.js";
import type { Entry, PersistedState, PersistWrite } from "../core/types.js";
import type { GroupStorage } from "./storage.js";

/**
 * A group's state in memory only: for tests and for trying things out. It survives the host being closed and opened again (call the result
 * again with the same group), not the process: a voter that loses its promises may break what a quorum has promised.
 */
export function memoryStorage(): (groupId: string) => GroupStorage {
  const groups = new Map<string, MemoryGroup>();
  return (groupId) => {
    const group = groups.get(groupId) ?? new MemoryGroup();
    groups.set(groupId, group);
    return group;
  };
}

class MemoryGroup implements GroupStorage {
  #promised: Ballot = BALLOT_ZERO;
  #accepted: Ballot = BALLOT_ZERO;
  #trimmedThrough = 0;
  #chosenThrough = 0;
  #entries: Entry[] = [];

  get trimmedThrough(): number {
    return this.#trimmedThrough;
  }

  async load(): Promise<PersistedState> {
    return {
      promised: this.#promised,
      accepted: this.#accepted,
      trimmedThrough: this.#trimmedThrough,
      chosenThrough: this.#chosenThrough,
      entries: [...this.#entries],
    };
  }

  async write(write: PersistWrite): Promise<void> {
    if (write.promised) this.#promised = write.promised;
    if (write.accepted) this.#accepted = write.accepted;
    if (write.truncateFrom !== undefined)
      this.#entries.splice(Math.max(0, write.truncateFrom - this.#trimmedThrough - 1));
    if (write.entries) {
      for (const entry of write.entries) {
        if (entry.slot !== this.#trimmedThrough + this.#entries.length + 1) {
          throw new PaxosError("ERR_PAXOS_STORAGE", `slot ${entry.slot} does not follow on the log's end`);
        }
        this.#entries.push({ ...entry, command: entry.command.slice() });
      }
    }
    if (write.chosenThrough !== undefined) this.#chosenThrough = Math.max(this.#chosenThrough, write.chosenThrough);
  }

  async read(from: number, through: number, bytesMax: number): Promise<Entry[]> {
    if (from <= this.#trimmedThrough) throw trimmed(from, this.#trimmedThrough);
    const entries: Entry[] = [];
    let bytes = 0;
    for (const entry of this.#entries.slice(from - this.#trimmedThrough - 1, through - this.#trimmedThrough)) {
      bytes += entry.command.length;
      if (entries.length > 0 && bytes > bytesMax) break;
      entries.push(entry);
    }
    return entries;
  }

  async trim(throughSlot: number): Promise<void> {
    if (throughSlot <= this.#trimmedThrough) return;
    this.#entries.splice(0, throughSlot - this.#trimmedThrough);
    this.#trimmedThrough = throughSlot;
    this.#chosenThrough = Math.max(this.#chosenThrough, throughSlot);
  }
}

export function trimmed(slot: number, through: number): PaxosError {
  return new PaxosError("ERR_PAXOS_TRIMMED", `slot ${slot} is no longer kept here, the log begins at ${through + 1}`);
}
