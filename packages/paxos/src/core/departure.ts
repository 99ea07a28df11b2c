import type { Membership } from "./quorum.js";
import type { Replica } from "./replica.js";

/** Who has left, as far as this log knows it chosen: this node itself, and whoever asks for its vote. */
export class Departure {
  readonly #replica: Replica;
  readonly #gone: () => void;
  /** Of what is chosen; looked at again only when it changes. */
  #membership: Membership;

  /** `gone` is called when this node is no member any more. */
  constructor(replica: Replica, gone: () => void) {
    this.#replica = replica;
    this.#gone = gone;
    this.#membership = replica.configurations.at(replica.knownChosen);
    replica.departed = this.#membership.configuration.departed.includes(replica.self);
  }

  notice(): void {
    const { configurations, knownChosen, self } = this.#replica;
    const chosen = configurations.at(knownChosen);
    if (chosen === this.#membership) return;
    this.#membership = chosen;
    if (chosen.configuration.departed.includes(self)) this.#depart();
  }

  /** Somebody says so, by the configuration of this slot. */
  told(slot: number): void {
    if (slot > this.#membership.configuration.slot) this.#depart();
  }

  /**
   * Who has left is told so instead of answered: it may have slept through its departure, and would go on standing. Only
   * what is chosen counts; and a name never comes back, so this cannot hit a member of whom we have not heard yet.
   */
  refersAway(from: string): boolean {
    const { slot, departed } = this.#membership.configuration;
    if (!departed.includes(from)) return false;
    this.#replica.send(from, { type: "departed", slot });
    return true;
  }

  #depart(): void {
    const replica = this.#replica;
    if (replica.departed) return;
    replica.departed = true;
    this.#gone();
    replica.effects.push({ type: "departed" });
  }
}
