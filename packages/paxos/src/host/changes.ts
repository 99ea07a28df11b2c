import { type Configuration, type MemberRole, nodesOf, roleIn } from "../core/configuration.js";
import { badArgument, PaxosError } from "../core/errors.js";
import { stepTowards } from "../core/members.js";
import type { Learner, Members } from "../core/types.js";

export interface ChangeParts {
  readonly groupId: string;
  readonly configuration: () => Configuration;
  readonly chosenThrough: () => number;
  /** Whether a node could become a member of this kind now. */
  readonly readyFor: (node: string, role: MemberRole) => boolean;
  /** Under which mark its log was born, once it is durable that we have heard so. */
  readonly markOf: (node: string) => string | undefined;
  /** Throws when this node does not lead, or the group has stopped. */
  readonly refuseIfNotLeading: () => void;
  readonly setLearners: (learners: readonly Learner[]) => void;
  readonly propose: (members: Members) => Promise<unknown>;
  /** Something waits for the next `tick`. */
  readonly waits: () => void;
}

/**
 * Leads a group from its members to others, one safe step at a time: whoever is new is first fed until it holds the log's
 * end, so that no step ever stops a write for longer than a round trip, then added, then who is superfluous leaves. The
 * core's guards judge each step; this only waits for what they ask for.
 */
export class Changes {
  readonly #parts: ChangeParts;
  #under = false;
  #waiting: (() => void)[] = [];

  constructor(parts: ChangeParts) {
    this.#parts = parts;
  }

  /** A change is being made. */
  get underWay(): boolean {
    return this.#under || this.waiting;
  }

  get waiting(): boolean {
    return this.#waiting.length > 0;
  }

  /** Something may have moved: look again. */
  tick(): void {
    if (this.#waiting.length > 0) for (const wake of this.#waiting.splice(0)) wake();
  }

  replaceWithLogReplica(self: string, { failed, by, signal }: { failed: string; by: string; signal?: AbortSignal }) {
    return this.#without("failed", failed, self, signal, (current) => {
      if (roleIn(current, by) === "storage") throw badArgument("by", "a node that is no storage replica", by);
      const { storage, log } = current;
      return { storage: except(storage, failed), log: [...except(log, failed, by), by] };
    });
  }

  addStorageReplica(self: string, change: { node: string; replaces?: string; signal?: AbortSignal }) {
    const { node, replaces, signal } = change;
    return this.#without("replaces", replaces, self, signal, ({ storage, log }) => ({
      storage: [...except(storage, replaces, node), node],
      log: except(log, replaces, node),
    }));
  }

  promote(self: string, { node, signal }: { node: string; signal?: AbortSignal }) {
    if (roleIn(this.#parts.configuration(), node) === undefined) throw badArgument("node", "a member", node);
    return this.addStorageReplica(self, { node, ...(signal && { signal }) });
  }

  remove(self: string, { node, signal }: { node: string; signal?: AbortSignal }) {
    return this.#without("node", node, self, signal, ({ storage, log }) => ({
      storage: except(storage, node),
      log: except(log, node),
    }));
  }

  #without(
    argument: string,
    leaving: string | undefined,
    self: string,
    signal: AbortSignal | undefined,
    wanted: (current: Configuration) => Members,
  ): Promise<void> {
    if (leaving === self) throw badArgument(argument, "another node than the leader: have it resign first", leaving);
    return this.#lead(wanted, signal);
  }

  async #lead(wanted: (current: Configuration) => Members, signal: AbortSignal | undefined): Promise<void> {
    const { refuseIfNotLeading, configuration, groupId, setLearners } = this.#parts;
    refuseIfNotLeading();
    if (this.#under)
      throw new PaxosError("ERR_PAXOS_MEMBERS", `group ${groupId}: its members are being changed already`);
    this.#under = true;
    try {
      const goal = wanted(configuration());
      // Waited for, it would be fed like one that is to come, and never hear that it has left.
      const left = nodesOf(goal).find((node) => configuration().departed.includes(node));
      if (left !== undefined) {
        const why = `${left} has left, and a name that has left never comes back`;
        throw new PaxosError("ERR_PAXOS_MEMBERS", `group ${groupId} cannot have these members: ${why}`);
      }
      for (;;) {
        signal?.throwIfAborted();
        refuseIfNotLeading();
        const current = configuration();
        const step = stepTowards(current, goal);
        if (current.slot > this.#parts.chosenThrough()) await this.#moment();
        else if (step === undefined) return;
        else await this.#step(current, goal, step);
      }
    } finally {
      this.#under = false;
      setLearners([]);
    }
  }

  async #step(current: Configuration, goal: Members, step: Members): Promise<void> {
    const { setLearners, readyFor, markOf, propose } = this.#parts;
    const learners = [...learnersOf(goal.storage, "storage", current), ...learnersOf(goal.log, "log", current)];
    setLearners(
      learners.map((learner) => {
        const mark = markOf(learner.node);
        return mark === undefined ? learner : { ...learner, mark };
      }),
    );
    const next = { slot: 0, departed: [], ...step };
    const joining = learners.filter(({ node, role }) => roleIn(next, node) === role && roleIn(current, node) !== role);
    if (!joining.every(({ node, role }) => readyFor(node, role))) {
      await this.#moment();
      return;
    }
    try {
      await propose(step);
    } catch (error) {
      // Not yet: some of what was true a moment ago is not any more, or not known here yet.
      if (!(error instanceof PaxosError) || error.code !== "ERR_PAXOS_OVERLOADED") throw error;
      await this.#moment();
    }
  }

  #moment(): Promise<void> {
    return new Promise<void>((resolve) => {
      this.#waiting.push(resolve);
      this.#parts.waits();
    });
  }

  /** Looks again at each of the group's moments. */
  async until(condition: () => boolean): Promise<void> {
    while (!condition()) await this.#moment();
  }
}

function except(nodes: readonly string[], ...those: readonly (string | undefined)[]): string[] {
  return nodes.filter((node) => !those.includes(node));
}

function learnersOf(nodes: readonly string[], role: MemberRole, current: Configuration): Learner[] {
  return nodes.filter((node) => roleIn(current, node) !== role).map((node) => ({ node, role }));
}
