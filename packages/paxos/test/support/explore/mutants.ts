import { EMPTY_STATE } from "../../../src/core/index.js";
import { type Betrayal, faithful } from "./betrayal.js";
import { type GroupModelOptions, SETTLE } from "./group-model.js";
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
const read = "no stale read";

/** a leads and nobody has heard of its command; b begins to lead. */
const rivals = [
  "a: the timer",
  "a -> b: prepare",
  "b -> a: promised",
  "a is asked for a command",
  "b: the timer",
  "b -> c: prepare",
  "c -> b: promised",
];
/** Of four, a leads, and its removal of d is known to nobody. */
const four: GroupModelOptions = {
  founders: ["a", "b", "c", "d"],
  stands: [2, 0, 0, 1],
  lagging: 0,
  changes: [
    { storage: ["a", "b", "c"], log: [] },
    { storage: ["b", "c", "d"], log: [] },
  ],
  prelude: [
    "a: the timer",
    "a -> b: prepare",
    "a -> c: prepare",
    "b -> a: promised",
    "c -> a: promised",
    "a is asked for the next members",
    "d: the timer",
    "d -> b: prepare",
    "d -> c: prepare",
    "b -> d: promised",
    "c -> d: promised",
  ],
};
const quick: GroupModelOptions = { ...groups.prompt, proposals: 0 };
const crashing: GroupModelOptions = { ...quick, crashes: 1 };
const slow: GroupModelOptions = { stands: [1, 1, 0], lagging: 1, crashes: 1 };
/** a has won and nothing of its own log is durable yet. */
const won = ["a: the timer", SETTLE, "a -> b: prepare", SETTLE, "b -> a: promised"];
const slowLeader: GroupModelOptions = { stands: [1, 0, 0], lagging: 1, beats: 1, prelude: won };
/** a leads, and b begins to. */
const readWhileRivals: GroupModelOptions = {
  ...groups.reads,
  proposals: 0,
  prelude: [...groups.reads.prelude, "a -> b: sync", "b -> a: ack (ballot 1.a", "b: the timer"],
};
/** a's first entry is chosen by a and b; b begins to lead, and c takes its log over while a hears of it. */
const overtaken: GroupModelOptions = {
  stands: [2, 1, 0],
  lagging: 1,
  crashes: 1,
  prelude: [
    ...won,
    SETTLE,
    "a -> b: sync",
    SETTLE,
    "b: the timer",
    SETTLE,
    "b -> c: prepare",
    SETTLE,
    "c -> b: promised",
    SETTLE,
    "b -> a: heartbeat",
    SETTLE,
    "b -> c: sync",
  ],
};

/** a holds a command that nobody else has heard of; b knows what is below as chosen, and may let go of it. */
const cutShort: GroupModelOptions = {
  ...groups.edges,
  proposals: 3,
  beats: 1,
  prelude: [...groups.edges.prelude, "a is asked for a command", "a: the timer", "a -> b: heartbeat"],
};

/** a has told c alone that d is to leave, and c has asked them where they stand. */
const leaving: GroupModelOptions = {
  ...groups.doubts,
  prelude: [
    ...groups.doubts.prelude,
    "a is asked for the next members",
    "a -> c: sync",
    "a -> c: accept",
    "c: the timer",
    "c -> a: doubt",
    "c -> b: doubt",
    "a -> c: standing",
    "b -> c: standing",
  ],
};

/** A command is chosen by a and x, and b has not heard of it; then x comes back with an empty disk. */
const emptied: GroupModelOptions = {
  ...groups.namesakes,
  prelude: [
    ...groups.namesakes.prelude,
    "a is asked for a command",
    "a -> x: accept (ballot 1.a, round 3, sentMs 0, chosenThrough 2, prevSlot 2",
    "x -> a: ack (ballot 1.a, round 3, sentMs 0, synced true, acceptedThrough 3",
    "x comes back with an empty disk",
  ],
};

function mutant(name: string, caughtBy: string, group: GroupModelOptions, changes: Partial<Betrayal>): ExplorerMutant {
  // Caught by what comes of it, not by a look at the one message that shows it.
  return { name, caughtBy, group: { ...group, betrayal: { ...faithful, unobserved: true, ...changes } } };
}

/** A line of the core is another; it must be there, once. */
export function line(file: string, from: string, to: string, further: Partial<Betrayal> = {}): Partial<Betrayal> {
  return {
    source: (name, before) => {
      const text = further.source?.(name, before) ?? before;
      if (name !== file) return text;
      if (text.split(from).length !== 2) throw new Error(`${file} has the line "${from}" no longer, or more than once`);
      return text.replace(from, () => to);
    },
  };
}

/** Bugs that consensus systems have shipped with, and rules of this one, each broken by itself. */
export const explorerMutants: readonly ExplorerMutant[] = [
  mutant("answers before its write is durable", chosen, slow, { confirmsEarly: true }),
  mutant(
    "counts its own log before it is durable",
    chosen,
    slowLeader,
    line("leader.ts", "sameBallot(replica.durableAccepted, this.ballot) ? replica.durableEnd : 0", "replica.log.end"),
  ),
  mutant(
    "sends a promise before it is durable",
    chosen,
    { ...slow, crashes: 2, stands: [1, 1, 0] },
    {
      ...line("acceptor.ts", "replica.sendWhenDurable(from, {", "replica.send(from, {"),
      unobserved: false,
    },
  ),
  mutant("forgets a promise at a restart", complete, crashing, {
    load: (state) => ({ ...state, promised: state.accepted }),
  }),
  mutant("votes under its old name with an empty disk", chosen, crashing, { load: () => EMPTY_STATE }),
  mutant("raises its accepted ballot before the log that belongs to it", complete, overtaken, {
    writes: ({ promised, accepted, ...rest }) => {
      const promise = promised === undefined ? {} : { promised };
      return accepted === undefined ? [{ ...promise, ...rest }] : [{ ...promise, accepted }, rest];
    },
  }),
  mutant("counts a vote that came twice as two", chosen, slowLeader, {
    receive: (from, message) => {
      if (message.type !== "ack") return [[from, message]];
      const third = ["a", "b", "c"].find((node) => node !== from && node !== message.ballot.node) as string;
      return [
        [from, message],
        [third, message],
      ];
    },
  }),
  mutant(
    "promises, and goes on accepting in the ballot before",
    complete,
    { ...quick, nacks: true },
    line("acceptor.ts", "replica.promise(ballot);\n    this.#stopFollowing();", ""),
  ),
  mutant(
    "erases its promise when it steps down",
    chosen,
    { ...groups.handovers, proposals: 0 },
    {
      ...line(
        "core.ts",
        "    leader.end();\n",
        '    leader.end();\n    this.#replica.promised = { round: 0, node: "" };\n',
      ),
      unobserved: false,
    },
  ),
  mutant(
    "leads without a quorum of promises",
    complete,
    quick,
    line(
      "election.ts",
      "if (!isQuorum(replica.membership, this.#promisedTo(replica.membership))) return;",
      "",
      line(
        "election.ts",
        "if (!isQuorum(winning, this.#promisedTo(winning))) {",
        "if (winning.members.length === 0) {",
      ),
    ),
  ),
  mutant(
    "leads with its own log, whatever the others have accepted",
    complete,
    quick,
    line("election.ts", "if (order < 0 || (order === 0 && promised.logEnd <= top.logEnd)) continue;", "continue;"),
  ),
  mutant(
    "takes the longest log for the best",
    complete,
    { ...quick, stands: [2, 1, 0], proposals: 1, prelude: rivals },
    line("election.ts", "const order = compareBallots(promised.accepted, top.accepted);", "const order = 0;"),
  ),
  mutant("counts the lease from the answer", lease, groups.leases, {
    receive: (from, message, nowMs) => [[from, message.type === "ack" ? { ...message, sentMs: nowMs } : message]],
  }),
  mutant("ignores that clocks drift", lease, groups.leases, {
    options: (options) => ({ ...options, clockDriftMax: 0 }),
  }),
  mutant("forgets at a restart that a grant may run", lease, groups.leases, { bornAtMs: (nowMs) => nowMs - 24 }),
  mutant(
    "promises although it has granted a lease",
    lease,
    groups.leases,
    line("grants.ts", "(nowMs >= this.untilMs || this.#to === candidate)", "true"),
  ),
  mutant("has one acceptor with a shorter lease than its leader counts on", lease, groups.leases, {
    options: (options) => ({ ...options, ...(options.nodeId === "a" ? {} : { leaseMs: 12 }) }),
  }),
  mutant(
    "swaps members in one step (no G3)",
    complete,
    { ...groups.members, changes: [{ storage: ["a", "b"], log: ["l"] }] },
    line("members.ts", 'if (!quorumsMeet(before, next)) return "unsafe";', ""),
  ),
  mutant(
    "changes members while the change before is not chosen (no G1)",
    complete,
    groups.members,
    line("members.ts", "if (!currentChosen || !reignBegun)", "if (!reignBegun)"),
  ),
  mutant(
    "changes members before anything of its own reign is chosen (no G2)",
    complete,
    four,
    line("members.ts", "if (!currentChosen || !reignBegun)", "if (!currentChosen)"),
  ),
  mutant(
    "is a log replica and leads",
    chosen,
    { ...groups.members, stands: [1, 0, 0, 1] },
    line(
      "replica.ts",
      "return this.membership.mayLead &&",
      "return true ||",
      line("quorum.ts", "mayLead: configuration.storage.includes(self),", "mayLead: true,"),
    ),
  ),
  mutant("carries out whatever the log says, whoever may have asked for it before", chosen, groups.requests, {
    carriesOutAgain: true,
  }),
  mutant("sends snapshots without the table of clients", chosen, groups.requests, { forgetsClients: true }),
  mutant("goes on with its old log when a crash cuts the taking over of a state short", chosen, groups.states, {
    keepsLog: true,
  }),
  mutant("begins its log behind a state before the state machine has it on disk", chosen, groups.states, {
    switchesLate: true,
  }),
  mutant(
    "keeps its log behind a state, whatever it holds there",
    chosen,
    groups.states,
    line("replica.ts", "if (slot <= log.end && log.matches(slot, ballot)) {", "if (slot <= log.end) {"),
  ),
  mutant(
    "takes for chosen what it holds where another's log begins, whatever that is",
    chosen,
    groups.edges,
    line(
      "election.ts",
      "if (!this.#replica.log.matches(chosenThrough, chosenBallot)) return false;",
      "if (chosenThrough > this.#replica.log.end) return false;",
    ),
  ),
  mutant(
    "tells for the entry behind which its log begins the one with which it begins",
    chosen,
    cutShort,
    line(
      "acceptor.ts",
      "const { slot: chosenThrough, ballot: chosenBallot } = edge;",
      "const { ballot: chosenBallot } = edge;\n    const chosenThrough = edge.slot + 1;",
    ),
  ),
  mutant(
    "in doubt, does not ask whom its newest configuration leaves out, chosen or not",
    complete,
    leaving,
    line("doubt.ts", "configurations.at(knownChosen).configuration", "configurations.current.configuration"),
  ),
  mutant(
    "has asked what it may have forgotten, and does not promise what the others had promised",
    complete,
    leaving,
    line("doubt.ts", "if (open && compareBallots(answer.promised", "if (false && compareBallots(answer.promised"),
  ),
  mutant(
    "answers a read by a round of before it was asked",
    read,
    readWhileRivals,
    line("reads.ts", "this.#inRound.length === 0 || round < this.#asked", "this.#inRound.length === 0"),
  ),
  mutant(
    "answers reads before anything of its own reign is chosen",
    read,
    readWhileRivals,
    line("leader.ts", "this.#reads.waiting === 0 || !this.ready", "this.#reads.waiting === 0"),
  ),
  mutant(
    "does not count again under the log that it adopts",
    complete,
    groups.members,
    line("election.ts", "if (!isQuorum(winning, this.#promisedTo(winning))) {", "if (winning.members.length === 0) {"),
  ),
  mutant(
    "promises in the name of another disk",
    complete,
    emptied,
    line("core.ts", "(mark === undefined ? !mute : mark === birth)", "(mark !== undefined || !mute)"),
  ),
  mutant(
    "takes what its log says of its name for its own, whatever the mark",
    complete,
    emptied,
    line(
      "replica.ts",
      "return mark === undefined ? !this.mute : mark === this.birth;",
      "return mark !== undefined || !this.mute;",
      line(
        "replica.ts",
        "return mark !== undefined && this.birth !== undefined && mark !== this.birth;",
        "return false;",
      ),
    ),
  ),
  mutant(
    "counts whoever promises, and asks by the name alone",
    complete,
    emptied,
    line(
      "quorum.ts",
      "return mark === undefined ? said.mute !== true : said.mark === mark;",
      "return true;",
      line(
        "election.ts",
        "const mark = markIn(configuration, node);\n      if",
        "const mark = undefined;\n      if",
        line("core.ts", "(mark === undefined ? !mute : mark === birth)", "true"),
      ),
    ),
  ),
];
