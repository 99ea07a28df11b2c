import type { Membership } from "./quorum.js";
import type { Replica } from "./replica.js";

/** Who has left the group for good, by what is known as chosen: this node, or another that may not know it yet. */
export class Departure {
  readonly #replica: Replica;
  /** Of what is chosen; looked at again only when it changes. */
  #membership: Membership;

  constructor(replica: Replica) {
    this.#replica = replica;
    this.#membership = replica.configurations.at(replica.knownChosen);
    replica.departed = this.#isOurs;
  }

  get #isOurs(): boolean {
    return this.#membership.configuration.departed.includes(this.#replica.self);
  }

  /** Whether the chosen members have changed, and leave this node out. */
  noticed(): boolean {
    const { configurations, knownChosen } = this.#replica;
    // What was chosen once stays so: nearly every step of every group ends here.
    if (configurations.current === this.#membership) return false;
    const chosen = configurations.at(knownChosen);
    if (chosen === this.#membership) return false;
    this.#membership = chosen;
    return this.#isOurs;
  }

  /** Whether others speak of members that this node has not heard of. */
  isNews(slot: number): boolean {
    return slot > this.#membership.configuration.slot;
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
}
