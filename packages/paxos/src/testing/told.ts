import { BALLOT_ZERO, type Ballot } from "../core/ballot.js";
import { type Configuration, configurationOf } from "../core/configuration.js";
import type { Entry, PersistWrite, Position } from "../core/types.js";

/** All that one group's storage has been told, and nothing of how it keeps that. */
export class Told {
  promised: Ballot = BALLOT_ZERO;
  accepted: Ballot = BALLOT_ZERO;
  chosenThrough = 0;
  trimmedThrough = 0;
  /** The log's last slot. */
  end = 0;
  base: Position | undefined;
  installing: Position | undefined;
  births = new Map<string, string>();
  /** By their slots, those that were let go of included, from the last new beginning on. */
  entries: (Entry | undefined)[] = [];
  #begins: Configuration | undefined;

  /** The configuration in force at a slot; undefined for the one with which the group was founded. */
  at(slot: number): Configuration | undefined {
    for (let s = Math.min(slot, this.end); s > 0; s--) {
      const entry = this.entries[s];
      if (entry?.kind === "config") return configurationOf(entry);
    }
    return this.#begins;
  }

  write(write: PersistWrite): void {
    if (write.promised) this.promised = write.promised;
    if (write.accepted) this.accepted = write.accepted;
    if (write.reset) {
      this.entries = [];
      this.end = this.trimmedThrough = write.reset.slot;
      this.base = write.reset;
      this.#begins = write.reset.configuration;
      this.installing = undefined;
    }
    if (write.truncateFrom !== undefined) this.end = Math.min(this.end, write.truncateFrom - 1);
    this.entries.length = Math.min(this.entries.length, this.end + 1);
    for (const entry of write.entries ?? []) {
      this.entries[entry.slot] = entry;
      this.end = entry.slot;
    }
    this.choose(write.chosenThrough ?? 0);
  }

  choose(through: number): void {
    this.chosenThrough = Math.max(this.chosenThrough, through);
    if (this.installing !== undefined && this.chosenThrough >= this.installing.slot) this.installing = undefined;
  }

  trim(through: number, founders: Configuration): void {
    if (through <= this.trimmedThrough) return;
    const { ballot } = this.entries[through] as Entry;
    this.base = { slot: through, ballot, configuration: this.at(through) ?? founders };
    this.#begins ??= founders;
    this.trimmedThrough = through;
    this.choose(through);
  }

  copy(): Told {
    const { base, ...rest } = this;
    const told = Object.assign(new Told(), { ...rest, base, births: new Map(this.births), entries: [...this.entries] });
    told.#begins = this.#begins;
    return told;
  }
}
