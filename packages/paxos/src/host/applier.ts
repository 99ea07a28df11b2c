import type { MemberRole } from "../core/configuration.js";
import { PaxosError } from "../core/errors.js";
import type { Entry } from "../core/types.js";
import { applyThrew } from "./failure.js";
import type { StateMachine } from "./state-machine.js";

type Answer<R> = (entry: Entry, result: R | undefined, failure?: PaxosError) => void;

/** Brings chosen entries to the state machine: every slot once, in order, and not one more after it has thrown. */
export class Applier<R> {
  readonly #groupId: string;
  readonly #machine: StateMachine<R>;
  readonly #role: MemberRole;
  appliedThrough: number;
  /** The state machine lacks what the log has let go of: chosen entries are not for it before a snapshot has come. */
  behind: boolean;
  /** Commands carried out in this life. */
  applied = 0;
  #held: { entries: readonly Entry[]; answer: Answer<R> }[] | undefined;

  constructor(
    groupId: string,
    machine: StateMachine<R>,
    { appliedThrough, behind, role }: { appliedThrough: number; behind: boolean; role: MemberRole },
  ) {
    this.#groupId = groupId;
    this.#machine = machine;
    this.appliedThrough = appliedThrough;
    this.behind = behind;
    this.#role = role;
  }

  /**
   * What the core reports as chosen. `answer` hears of each entry what came out: a result, nothing for an entry without a command, or the failure
   * that ends it all.
   *
   * @throws PaxosError ERR_PAXOS_APPLY, ERR_PAXOS_INVARIANT
   */
  chosen(entries: readonly Entry[], answer: Answer<R>): void {
    if (this.#role === "log") this.appliedThrough = entries.at(-1)?.slot ?? this.appliedThrough;
    else if (this.#held) this.#held.push({ entries, answer });
    else if (!this.behind) this.apply(entries, answer);
  }

  /** The state machine is about to be another: nothing is applied until `release`. */
  hold(): void {
    this.#held ??= [];
  }

  /** The state machine stands at `slot` now. */
  jumpTo(slot: number): void {
    this.appliedThrough = Math.max(this.appliedThrough, slot);
  }

  /** @throws PaxosError ERR_PAXOS_APPLY, ERR_PAXOS_INVARIANT */
  release(): void {
    const held = this.#held ?? [];
    this.#held = undefined;
    for (const { entries, answer } of held) {
      // A snapshot has brought the first of them.
      const rest = entries.filter(({ slot }) => slot > this.appliedThrough);
      if (!this.behind) this.apply(rest, answer);
    }
  }

  /** @throws PaxosError ERR_PAXOS_APPLY, ERR_PAXOS_INVARIANT */
  apply(entries: readonly Entry[], answer: Answer<R>): void {
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
          const failure = applyThrew(this.#groupId, `apply threw at slot ${slot}`, cause);
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
      throw applyThrew(this.#groupId, `advance threw at slot ${last.slot}`, cause);
    }
  }
}
