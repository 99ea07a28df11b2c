import { type Configuration, configurationOf } from "./configuration.js";
import { type Membership, membership } from "./quorum.js";
import type { Entry } from "./types.js";

/** Of nearly all groups, nearly always. */
const none: readonly Membership[] = [];

/**
 * The configurations that this replica's log holds, oldest first. The newest is in force, chosen or not: it comes and goes
 * with its entry.
 */
export class Configurations {
  readonly #self: string;
  /** The newest. A field of its own: every step of every group asks for it. */
  current: Membership;
  /** Those before it. */
  #older: readonly Membership[] = none;

  constructor(self: string, base: Configuration) {
    this.#self = self;
    this.current = membership(self, base);
  }

  /** The one in force in a log that ends at `slot`; the oldest known for slots below that. */
  at(slot: number): Membership {
    const { current } = this;
    if (current.configuration.slot <= slot) return current;
    return this.#older.findLast((one) => one.configuration.slot <= slot) ?? this.#older[0] ?? current;
  }

  /** The one in force in a log that ends at `slot`, and all behind it. Where everything through `slot` is chosen, any of those behind may yet be cut. */
  since(slot: number): readonly Membership[] {
    const from = this.at(slot).configuration.slot;
    return [...this.#older.filter((one) => one.configuration.slot >= from), this.current];
  }

  appended(entries: readonly Entry[]): void {
    for (const entry of entries) {
      if (entry.kind !== "config") continue;
      this.#older = [...this.#older, this.current];
      this.current = membership(this.#self, configurationOf(entry));
    }
  }

  truncatedFrom(slot: number): void {
    for (let before = this.#older.at(-1); before !== undefined; before = this.#older.at(-1)) {
      if (this.current.configuration.slot < slot) return;
      this.current = before;
      this.#older = this.#older.slice(0, -1);
    }
  }

  /** Nobody will ask for slots below this one. */
  forgetBelow(slot: number): void {
    while (this.#older.length > 0 && (this.#older[1] ?? this.current).configuration.slot <= slot) {
      this.#older = this.#older.slice(1);
    }
  }

  /** The log begins anew, under this one. */
  reset(base: Configuration): void {
    this.current = membership(this.#self, base);
    this.#older = none;
  }
}
