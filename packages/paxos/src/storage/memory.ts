import { BALLOT_ZERO, type Ballot } from "../core/ballot.js";
import type { Configuration } from "../core/configuration.js";
import { PaxosError } from "../core/errors.js";
import type { Entry, PersistWrite, Position } from "../core/types.js";
import { ConfigurationLog } from "./configuration-log.js";
import type { GroupStorage, LoadedState, StorageMemory } from "./storage.js";

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
  #installing: Position | undefined;
  readonly #births = new Map<string, string>();
  readonly #configurations = new ConfigurationLog();

  get trimmedThrough(): number {
    return this.#trimmedThrough;
  }

  get base(): Position | undefined {
    const { base } = this.#configurations;
    return base?.slot === this.#trimmedThrough ? base : undefined;
  }

  async load(): Promise<LoadedState> {
    const { base } = this;
    const configuration = this.#configurations.at(this.#trimmedThrough);
    return {
      ...(this.#births.size === 0 ? {} : { births: new Map(this.#births) }),
      ...(configuration === undefined ? {} : { configuration }),
      ...(base === undefined ? {} : { base }),
      ...(this.#installing === undefined ? {} : { installing: this.#installing }),
      promised: this.#promised,
      accepted: this.#accepted,
      trimmedThrough: this.#trimmedThrough,
      chosenThrough: this.#chosenThrough,
      entries: [...this.#entries],
    };
  }

  memory(): StorageMemory | undefined {
    if (this.#installing !== undefined) return undefined;
    return {
      promised: this.#promised,
      accepted: this.#accepted,
      trimmedThrough: this.#trimmedThrough,
      chosenThrough: this.#chosenThrough,
      lastSlot: this.#trimmedThrough + this.#entries.length,
      base: undefined,
      configurations: [],
      index: [],
    };
  }

  /** It is the disk as well, and has forgotten nothing. */
  resume(): void {}

  async write(write: PersistWrite): Promise<void> {
    if (write.promised) this.#promised = write.promised;
    if (write.accepted) this.#accepted = write.accepted;
    if (write.reset) this.#reset(write.reset);
    if (write.truncateFrom !== undefined) {
      this.#configurations.truncatedFrom(write.truncateFrom);
      this.#entries.splice(Math.max(0, write.truncateFrom - this.#trimmedThrough - 1));
    }
    if (write.entries) {
      this.#configurations.appended(write.entries);
      for (const entry of write.entries) {
        if (entry.slot !== this.#trimmedThrough + this.#entries.length + 1) {
          throw new PaxosError("ERR_PAXOS_STORAGE", `slot ${entry.slot} does not follow on the log's end`);
        }
        this.#entries.push({ ...entry, command: entry.command.slice() });
      }
    }
    if (write.chosenThrough !== undefined) this.#chosenThrough = Math.max(this.#chosenThrough, write.chosenThrough);
    if (this.#installing && this.#chosenThrough >= this.#installing.slot) this.#installing = undefined;
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

  async remember(nodeId: string, birth: string): Promise<void> {
    this.#births.set(nodeId, birth);
  }

  async markInstall(position: Position): Promise<void> {
    this.#installing = position;
  }

  #reset(position: Position): void {
    this.#entries = [];
    this.#trimmedThrough = position.slot;
    this.#configurations.clear();
    this.#configurations.beginsAt(position);
    this.#installing = undefined;
  }

  async trim(throughSlot: number, founders?: Configuration): Promise<void> {
    if (throughSlot <= this.#trimmedThrough) return;
    const last = this.#entries[throughSlot - this.#trimmedThrough - 1] as Entry;
    const configuration = this.#configurations.at(throughSlot) ?? founders;
    if (configuration) this.#configurations.beginsAt({ slot: throughSlot, ballot: last.ballot, configuration });
    this.#entries.splice(0, throughSlot - this.#trimmedThrough);
    this.#trimmedThrough = throughSlot;
    this.#chosenThrough = Math.max(this.#chosenThrough, throughSlot);
  }
}

export function trimmed(slot: number, through: number): PaxosError {
  return new PaxosError("ERR_PAXOS_TRIMMED", `slot ${slot} is no longer kept here, the log begins at ${through + 1}`);
}
