import { type Configuration, configurationOf } from "../core/configuration.js";
import type { Entry, Position } from "../core/types.js";

/** The configurations in a log, and the one below it: so that who reads a part of the log knows whose log it is. */
export class ConfigurationLog {
  #base: Position | undefined;
  #all: Configuration[] = [];

  /** Slot and ballot where the log begins, when it does not begin at slot 1. */
  get base(): Position | undefined {
    return this.#base;
  }

  appended(entries: readonly Entry[]): void {
    for (const entry of entries) if (entry.kind === "config") this.#all.push(configurationOf(entry));
  }

  truncatedFrom(slot: number): void {
    while ((this.#all.at(-1)?.slot ?? -1) >= slot) this.#all.pop();
  }

  /** The log begins behind this position. */
  beginsAt(base: Position): void {
    this.#base = base;
    this.#all = this.#all.filter(({ slot }) => slot > base.slot);
  }

  /** The one in force at `slot`; undefined for that with which the group was founded. */
  at(slot: number): Configuration | undefined {
    return this.#all.findLast((one) => one.slot <= slot) ?? this.#base?.configuration;
  }

  /** Those above the base. */
  get all(): readonly Configuration[] {
    return this.#all;
  }

  resume(base: Position | undefined, all: readonly Configuration[]): void {
    this.#base = base;
    this.#all = [...all];
  }

  clear(): void {
    this.#base = undefined;
    this.#all = [];
  }
}
