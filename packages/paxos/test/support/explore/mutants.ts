import { EMPTY_STATE } from "../../../src/core/index.js";
import { type Betrayal, faithful } from "./betrayal.js";
import type { GroupModelOptions } from "./group-model.js";
import { groups } from "./groups.js";

export interface ExplorerMutant {
  readonly name: string;
  /** What says so, as far as it is the same in every run. */
  readonly caughtBy: string;
  readonly group: GroupModelOptions;
}

const chosen = "one value a slot, chosen for ever, promises kept";
const complete = "a leader holds what is chosen";
const lease = "one lease at a time";

const quick: GroupModelOptions = { ...groups.prompt, proposals: 0 };
const crashing: GroupModelOptions = { ...quick, crashes: 1 };
const slow: GroupModelOptions = { stands: [1, 1, 0], lagging: 1, crashes: 1 };

function mutant(name: string, caughtBy: string, group: GroupModelOptions, changes: Partial<Betrayal>): ExplorerMutant {
  // Caught by what comes of it, not by a look at the one message that shows it.
  return { name, caughtBy, group: { ...group, betrayal: { ...faithful, unobserved: true, ...changes } } };
}

/** One line of the core is another; the line must be there, once. */
function line(file: string, from: string, to: string): Partial<Betrayal> {
  return {
    source: (name, text) => {
      if (name !== file) return text;
      if (text.split(from).length !== 2) throw new Error(`${file} has the line "${from}" no longer, or more than once`);
      return text.replace(from, () => to);
    },
  };
}

/** Bugs that consensus systems have shipped with, and rules of this one, each broken by itself. */
export const explorerMutants: readonly ExplorerMutant[] = [
  mutant("answers before its write is durable", chosen, slow, { confirmsEarly: true }),
  mutant("counts its own log before it is durable", chosen, slow, line("leader.ts", "sameBallot(replica.durableAccepted, this.ballot) ? replica.durableEnd : 0", "replica.log.end")),
  mutant("sends a promise before it is durable", chosen, { ...slow, crashes: 2, stands: [1, 1, 0] }, {
    ...line("acceptor.ts", "replica.sendWhenDurable(from, {", "replica.send(from, {"),
    unobserved: false,
  }),
  mutant("forgets a promise at a restart", complete, crashing, { load: (state) => ({ ...state, promised: state.accepted }) }),
  mutant("votes under its old name with an empty disk", complete, crashing, { load: () => EMPTY_STATE }),
  mutant("raises its accepted ballot before the log that belongs to it", complete, { ...slow, stands: [1, 1, 1] , crashes: 1 }, {
    writes: ({ promised, accepted, ...rest }) => {
      const promise = promised === undefined ? {} : { promised };
      return accepted === undefined ? [{ ...promise, ...rest }] : [{ ...promise, accepted }, rest];
    },
  }),
  mutant("counts a vote that came twice as two", chosen, { ...quick, founders: ["a", "b", "c"] }, {
    receive: (from, message) => {
      if (message.type !== "ack") return [[from, message]];
      const third = ["a", "b", "c"].find((node) => node !== from && node !== message.ballot.node) as string;
      return [
        [from, message],
        [third, message],
      ];
    },
  }),
  mutant("follows a leader whose ballot it has promised to refuse", chosen, quick, line("acceptor.ts", "if (order < 0) {\n      replica.send(from, { type: \"nack\"", "if (order < -9) {\n      replica.send(from, { type: \"nack\"")),
  mutant("leads with its own log, whatever the others have accepted", complete, quick, line("election.ts", "if (order < 0 || (order === 0 && promised.logEnd <= top.logEnd)) continue;", "continue;")),
  mutant("takes the longest log for the best", complete, { ...quick, stands: [1, 1, 1], proposals: 1 }, line("election.ts", "const order = compareBallots(promised.accepted, top.accepted);", "const order = 0;")),
  mutant("stands without a quorum of promises", complete, quick, line("election.ts", "if (!isQuorum(replica.membership, promised)) return;", "")),
  mutant("lets a sync end before the log that it adopted", complete, quick, line("leader.ts", "entries = log.slice(prevSlot + 1, this.#startSlot);", "entries = [];")),
  mutant("counts the lease from the answer", lease, groups.leases, {
    receive: (from, message, nowMs) => [[from, message.type === "ack" ? { ...message, sentMs: nowMs } : message]],
  }),
  mutant("ignores that clocks drift", lease, groups.leases, { options: (options) => ({ ...options, clockDriftMax: 0 }) }),
  mutant("forgets at a restart that a grant may run", lease, groups.leases, { bornAtMs: (nowMs) => nowMs - 24 }),
  mutant("promises although it has granted a lease", lease, groups.leases, line("acceptor.ts", "return nowMs >= this.grantUntilMs || this.#grantedTo === candidate;", "return true;")),
  mutant("promises although its own lease runs", lease, groups.leases, line("acceptor.ts", "if (nowMs < this.quietUntilMs || this.#own.leaseHeld()) return false;", "if (nowMs < this.quietUntilMs) return false;")),
  mutant("has one acceptor with a shorter lease than its leader counts on", lease, groups.leases, {
    options: (options) => ({ ...options, ...(options.nodeId === "a" ? {} : { leaseMs: 12 }) }),
  }),
  mutant("judges leases by a clock reading that is a tick old", lease, groups.leases, { clock: (nowMs) => Math.max(0, nowMs - 12) }),
  mutant("swaps members in one step (no G3)", complete, { ...groups.members, changes: [{ storage: ["a", "b"], log: ["l"] }] }, line("members.ts", "if (!quorumsMeet(before, next)) return \"unsafe\";", "")),
  mutant("is a log replica and leads", chosen, { ...groups.members, stands: [0, 0, 0, 1] }, line("quorum.ts", "mayLead: configuration.storage.includes(self),", "mayLead: true,")),
  mutant("does not count again under the log that it adopts", complete, groups.members, line("election.ts", "if (!isQuorum(winning, promised)) {", "if (winning.members.length === 0) {")),
];
