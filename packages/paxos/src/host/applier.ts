import type { MemberRole } from "../core/configuration.js";
import { PaxosError } from "../core/errors.js";
import type { Entry } from "../core/types.js";
import type { Executor, Outcome } from "./executor.js";
import { applyThrew } from "./failure.js";
import type { StateMachine } from "./state-machine.js";

/** Who is told what came out of each entry, or of the failure that ends it all. */
export interface Answerer<R> {
  applied(entry: Entry, outcome: Outcome<R>, failure?: PaxosError): void;
}

/** Brings chosen entries to the state machine: every slot once, in order, and not one more after it has thrown. */
export class Applier<R> {
  readonly #groupId: string;
  readonly #machine: StateMachine<R>;
  readonly #role: MemberRole;
  appliedThrough: number;
  /** The state machine lacks what the log has let go of: chosen entries are not for it before a snapshot has come. */
  behind: boolean;
  /** Chosen entries are left to the log: the state machine has no room for them, is about to be another, or lacks what stands before them. See `Arrears`, which brings them. */
  lagging = false;
  readonly executor: Executor<R>;
  /** The state machine is about to be another: nothing may be applied meanwhile. */
  held = false;
  readonly #replayed: number;

  constructor(
    groupId: string,
    machine: StateMachine<R>,
    {
      appliedThrough,
      behind,
      executor,
      role,
    }: { appliedThrough: number; behind: boolean; executor: Executor<R>; role: MemberRole },
  ) {
    this.#groupId = groupId;
    this.#machine = machine;
    this.appliedThrough = appliedThrough;
    this.behind = behind;
    this.executor = executor;
    this.#replayed = executor.carriedOut;
    this.#role = role;
  }

  /** Commands carried out in this life, without those of the replay. */
  get applied(): number {
    return this.executor.carriedOut - this.#replayed;
  }

  /**
   * What the core reports as chosen. Returns whether it is applied now.
   *
   * @throws PaxosError ERR_PAXOS_APPLY, ERR_PAXOS_INVARIANT
   */
  chosen(entries: readonly Entry[], answerer: Answerer<R>): boolean {
    if (this.#role === "log") this.appliedThrough = entries.at(-1)?.slot ?? this.appliedThrough;
    else {
      // However long that takes, nothing of it is kept in memory.
      if (this.held && !this.behind) this.lagging = true;
      if (this.behind || this.lagging) return false;
      this.apply(entries, answerer);
    }
    return true;
  }

  /** As the state machine says: undefined where it takes more, or never says. */
  room(): Promise<void> | undefined {
    return this.#machine.room?.();
  }

  /** The state machine stands where it is, and may go on from there. */
  get steady(): boolean {
    return !this.behind && !this.lagging && !this.held;
  }

  /** The state machine stands at `slot` now, and this is the table of clients there. */
  jumpTo(slot: number, clientTable: Uint8Array | undefined): void {
    if (this.executor.clients !== undefined) this.executor.replaceClients(clientTable);
    this.appliedThrough = slot;
  }

  /** @throws PaxosError ERR_PAXOS_APPLY, ERR_PAXOS_INVARIANT */
  apply(entries: readonly Entry[], answerer: Answerer<R>): void {
    for (const entry of entries) {
      const { slot } = entry;
      if (slot !== this.appliedThrough + 1) {
        const message = `slot ${slot} is chosen behind applied slot ${this.appliedThrough}`;
        throw new PaxosError("ERR_PAXOS_INVARIANT", message);
      }
      let outcome: Outcome<R>;
      try {
        outcome = this.executor.execute(entry);
      } catch (cause) {
        const failure = applyThrew(this.#groupId, `apply threw at slot ${slot}`, cause);
        answerer.applied(entry, {}, failure);
        throw failure;
      }
      this.appliedThrough = slot;
      answerer.applied(entry, outcome);
    }
    const last = entries.at(-1);
    if (!last) return;
    try {
      this.#machine.advance?.(last.slot, this.executor.clientTable);
    } catch (cause) {
      throw applyThrew(this.#groupId, `advance threw at slot ${last.slot}`, cause);
    }
  }
}
