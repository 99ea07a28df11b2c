import { type Configuration, configurationOf } from "./configuration.js";
import { type Membership, membership } from "./quorum.js";
import type { Entry } from "./types.js";

/**
 * The configurations that this replica's log holds, oldest first. The newest is in force, chosen or not: it comes and goes
 * with its entry.
 */
export class Configurations {
  readonly #self: string;
  #all: [Membership, ...Membership[]];

  constructor(self: string, base: Configuration) {
    this.#self = self;
    this.#all = [membership(self, base)];
  }

  get current(): Membership {
    return this.#all.at(-1) as Membership;
  }

  /** The one in force in a log that ends at `slot`; the oldest known for slots below that. */
  at(slot: number): Membership {
    for (let i = this.#all.length - 1; i > 0; i--) {
      const one = this.#all[i] as Membership;
      if (one.configuration.slot <= slot) return one;
    }
    return this.#all[0];
  }

  appended(entries: readonly Entry[]): void {
    for (const entry of entries) {
      if (entry.kind === "config") this.#all.push(membership(this.#self, configurationOf(entry)));
    }
  }

  truncatedFrom(slot: number): void {
    while (this.#all.length > 1 && this.current.configuration.slot >= slot) this.#all.pop();
  }

  /** Nobody will ask for slots below this one. */
  forgetBelow(slot: number): void {
    while ((this.#all[1]?.configuration.slot ?? Number.POSITIVE_INFINITY) <= slot) this.#all.shift();
  }

  /** The log begins anew, under this one. */
  reset(base: Configuration): void {
    this.#all = [membership(this.#self, base)];
  }
}
