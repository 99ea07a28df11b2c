import { PaxosError } from "../core/errors.js";
import type { Entry } from "../core/types.js";
import { asFailure } from "./failure.js";
import type { StateMachine } from "./state-machine.js";

/** Brings chosen entries to the state machine: every slot once, in order, and not one more after it has thrown. */
export class Applier<R> {
  readonly #groupId: string;
  readonly #machine: StateMachine<R>;
  appliedThrough: number;
  /** Commands carried out in this life. */
  applied = 0;

  constructor(groupId: string, machine: StateMachine<R>, appliedThrough: number) {
    this.#groupId = groupId;
    this.#machine = machine;
    this.appliedThrough = appliedThrough;
  }

  /**
   * `answer` hears of each entry what came out: a result, nothing for an entry without a command, or the failure that ends it all.
   *
   * @throws PaxosError ERR_PAXOS_APPLY, ERR_PAXOS_INVARIANT
   */
  apply(entries: readonly Entry[], answer: (entry: Entry, result: R | undefined, failure?: PaxosError) => void): void {
    for (const entry of entries) {
      const { slot } = entry;
      if (slot !== this.appliedThrough + 1) {
        const message = `slot ${slot} is chosen behind applied slot ${this.appliedThrough}`;
        throw new PaxosError("ERR_PAXOS_INVARIANT", message);
      }
      let result: R | undefined;
      if (entry.kind === "command") {
        try {
          result = this.#machine.apply(entry);
        } catch (cause) {
          const failure = asFailure("ERR_PAXOS_APPLY", this.#groupId, `apply threw at slot ${slot}`, cause);
          answer(entry, undefined, failure);
          throw failure;
        }
        this.applied++;
      }
      this.appliedThrough = slot;
      answer(entry, result);
    }
    const last = entries.at(-1);
    if (!last) return;
    try {
      this.#machine.advance?.(last.slot);
    } catch (cause) {
      throw asFailure("ERR_PAXOS_APPLY", this.#groupId, `advance threw at slot ${last.slot}`, cause);
    }
  }
}
