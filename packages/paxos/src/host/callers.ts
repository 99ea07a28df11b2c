import { sameBallot } from "../core/ballot.js";
import { PaxosError } from "../core/errors.js";
import type { Effect, Entry } from "../core/types.js";
import type { Applier } from "./applier.js";
import type { Outcome } from "./executor.js";
import type { Leadership } from "./group.js";
import { LeadershipNews } from "./leadership.js";
import { PendingReads } from "./reads.js";
import { Submissions } from "./submissions.js";

type Of<T extends Effect["type"]> = Extract<Effect, { type: T }>;

const unsafe =
  "a name that has left, fewer than two storage replicas beside a log replica, a storage replica made a log replica, or too many";

const noneReadable: readonly Of<"readable">[] = [];

/** Who waits for what in one group, and what each of them is told when it comes, or can no longer come. */
export class Callers<R> {
  readonly #groupId: string;
  readonly submissions: Submissions<R>;
  readonly reads: PendingReads;
  readonly leadership: LeadershipNews;
  /** Reads that may be answered once so much is applied: of a leader that is still catching up. */
  #readable = noneReadable;

  constructor(
    ids: { readonly nodeId: string; readonly groupId: string },
    bounds: { readonly outstandingMax: number; readonly outstandingBytesMax: number; readonly readsMax: number },
    leadership: Leadership,
    listeners?: LeadershipNews["listeners"],
  ) {
    this.#groupId = ids.groupId;
    this.reads = new PendingReads(bounds.readsMax);
    this.submissions = new Submissions({ countMax: bounds.outstandingMax, bytesMax: bounds.outstandingBytesMax });
    this.leadership = new LeadershipNews(ids, leadership, listeners);
  }

  /** Nobody waits for anything. */
  get idle(): boolean {
    return this.submissions.under.count === 0 && !this.submissions.waiting && this.reads.idle;
  }

  applied(entry: Entry, { result, refusal }: Outcome<R>, failure?: PaxosError): void {
    const waiting = this.submissions.under.take(entry.slot);
    if (!waiting) return;
    if (failure) waiting.reject(failure);
    else if (entry.kind === "noop" || !sameBallot(waiting.ballot, entry.ballot)) waiting.reject(this.notLeader());
    else if (refusal) waiting.reject(refusal);
    else waiting.resolve(result as R);
  }

  /** The leader's first own entry makes its state as new as any acknowledged write. */
  appliedThrough(last: Entry | undefined, appliedThrough: number): void {
    if (this.#readable.length > 0) this.#answerReads(appliedThrough);
    const { leading, ready, ballot } = this.leadership.now;
    if (leading && !ready && last !== undefined && sameBallot(last.ballot, ballot))
      this.leadership.tell({ ...this.leadership.now, ready: true });
  }

  /** @throws PaxosError ERR_PAXOS_INVARIANT */
  proposed({ id, slot, ballot }: Of<"proposed">): void {
    if (this.submissions.under.expects(slot, ballot) && id === slot) return;
    throw new PaxosError("ERR_PAXOS_INVARIANT", `a command submitted for slot ${id} came to slot ${slot}`);
  }

  rejected({ id, reason, leader }: Of<"rejected">): void {
    const error =
      reason === "not-leader"
        ? this.notLeader(leader)
        : reason === "unsafe"
          ? new PaxosError("ERR_PAXOS_MEMBERS", `group ${this.#groupId} cannot have these members: ${unsafe}`)
          : new PaxosError("ERR_PAXOS_OVERLOADED", `group ${this.#groupId} refused it: ${reason}`);
    this.reads.take(id)?.reject(error);
    this.submissions.under.take(id)?.reject(error);
  }

  /** @throws PaxosError ERR_PAXOS_INVARIANT */
  readable(effect: Of<"readable">, { appliedThrough, lagging }: Pick<Applier<R>, "appliedThrough" | "lagging">): void {
    const { id, slot } = effect;
    if (slot <= appliedThrough) this.reads.take(id)?.run();
    else if (lagging) this.#readable = [...this.#readable, effect];
    else throw new PaxosError("ERR_PAXOS_INVARIANT", `readable at slot ${slot}, applied through ${appliedThrough}`);
  }

  #answerReads(appliedThrough: number): void {
    const ready = this.#readable.filter(({ slot }) => slot <= appliedThrough);
    const left = this.#readable.filter(({ slot }) => slot > appliedThrough);
    this.#readable = left.length === 0 ? noneReadable : left;
    for (const { id } of ready) this.reads.take(id)?.run();
  }

  leadershipChanged({ leading, ballot, leader }: Of<"leadership">): void {
    const before = this.leadership.now;
    if (before.leading && !(leading && sameBallot(before.ballot, ballot))) {
      const { under } = this.submissions;
      this.submissions.forget();
      for (const { id } of this.submissions.take()) under.take(id)?.reject(this.notLeader(leader));
      under.rejectAll(
        new PaxosError(
          "ERR_PAXOS_UNKNOWN_OUTCOME",
          `leadership of group ${this.#groupId} was lost before the command was known to be chosen; it may or may not be carried out`,
          { leader },
        ),
      );
    }
    const ready = before.ready && leading && sameBallot(before.ballot, ballot);
    this.leadership.tell({ leading, ready, ballot, leader });
  }

  /** Nobody is left waiting, and nobody is told anything afterwards. */
  end(reason: PaxosError): void {
    this.submissions.under.rejectAll(
      new PaxosError("ERR_PAXOS_UNKNOWN_OUTCOME", `group ${this.#groupId} stopped: ${reason.message}`, {
        cause: reason,
      }),
    );
    this.reads.rejectAll(reason);
    this.leadership.end();
  }

  notLeader(leader: string | undefined = this.leadership.now.leader): PaxosError {
    const hint = leader === undefined ? "nobody is known to lead" : `${leader} leads`;
    const message = `this node does not lead group ${this.#groupId}; ${hint}`;
    return new PaxosError("ERR_PAXOS_NOT_LEADER", message, { leader });
  }
}
