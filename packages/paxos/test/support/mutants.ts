import { ClientTable } from "../../src/core/index.js";
import type { CoreHooks } from "./core-hooks.js";
import type { Loss } from "./losses.js";
import { honest, type Mutation } from "./mutation.js";
import type { Weather } from "./nemesis.js";

export interface Mutant {
  readonly name: string;
  readonly mutation: Mutation;
  readonly weather?: Partial<Weather>;
  /** With members that come and go, logs kept short and snapshots. */
  readonly members?: boolean;
  /** With logs that come back torn. */
  readonly torn?: boolean;
  /** With clients that ask again under the same number. */
  readonly requests?: boolean;
  /** With reads of the replicas' own states. */
  readonly localReads?: boolean;
  /** With logs that ask whether they are their node's first. */
  readonly births?: boolean;
  /** With reads that fail, and one node that is lost for good. */
  readonly losses?: Loss | "none";
  /** With one bound for the tails of all logs. */
  readonly crowded?: boolean;
  /** What is broken inside the core. */
  readonly hooks?: Partial<CoreHooks>;
}

const members = ["a1", "b1", "c1"];

/** Short waits before an election: a lease that runs a little too long is met by another leader sooner. */
const eager = { electionJitterMs: 5 };

function mutant(name: string, changes: Partial<Mutation>, weather?: Partial<Weather>): Mutant {
  // Unless it says otherwise, each must be caught by what comes of it, not by a look at the one message that shows it.
  return { name, mutation: { ...honest, unobserved: true, ...changes }, ...(weather === undefined ? {} : { weather }) };
}

/** Storms, so that two who believe that they lead change members at once. */
const stormy: Partial<Weather> = { strokeMs: 60, lossChance: 0.1, delayMaxMs: 3 };

function changing(name: string, changes: Partial<Mutation>, hooks: Partial<CoreHooks> = {}): Mutant {
  return { ...mutant(name, changes, stormy), members: true, hooks };
}

/** With logs that come back torn, now and then without something that others were told of. */
function torn(name: string, changes: Partial<Mutation>, hooks: Partial<CoreHooks> = {}, weather = stormy): Mutant {
  return { ...mutant(name, changes, weather), torn: true, hooks };
}

/** With clients that ask again, and now and then more of them than are remembered. */
function asking(name: string, changes: Partial<Mutation>, options: Partial<Mutant> = {}): Mutant {
  return { ...mutant(name, changes, stormy), requests: true, ...options };
}

/** With replicas that are asked how old their states are. */
function reading(name: string, staleness: Mutation["staleness"], weather: Partial<Weather> = {}): Mutant {
  return { ...mutant(name, { staleness }, { ...stormy, drift: 0, ...weather }), localReads: true };
}

/** With reads that fail, and with one node that loses its disk, or on whose disk something goes bad. */
function losing(
  name: string,
  losses: Loss | "none",
  changes: Partial<Mutation>,
  weather: Partial<Weather> = {},
): Mutant {
  return { ...mutant(name, changes, { ...stormy, ...weather }), births: true, losses };
}

/** Remembers all but the one heard of last, where an honest replica forgets the one unheard of for longest. */
class ForgetsAnother extends ClientTable {
  protected override victim(clients: Iterable<number>): number {
    return [...clients].at(-2) as number;
  }
}

/** Wiped once: the disk was replaced, the name was not. */
function wipedOnce(): Mutation["load"] {
  const wiped = new Set<unknown>();
  return (storage) => {
    if (storage.written.end < 8 || wiped.has(storage)) return storage.load();
    wiped.add(storage);
    return storage.load(Number.MAX_SAFE_INTEGER);
  };
}

/** Bugs that consensus systems have shipped with, each done to the shipped core by its driver. */
export const mutants: readonly Mutant[] = [
  mutant("answers before its write is durable", { confirmsEarly: true }, { syncMaxMs: 30 }),
  mutant("answers before its write is durable, watched at the message", { confirmsEarly: true, unobserved: false }),
  mutant("forgets a promise at a restart", {
    unobserved: false,
    load: (storage) => {
      const state = storage.load();
      return { ...state, promised: state.accepted };
    },
  }),
  mutant("comes back with an older copy of its disk", { load: (storage) => storage.load(4) }),
  mutant("goes on after a failed sync", { ignoresFailedSync: true }),
  mutant(
    "raises its accepted ballot before the log that belongs to it",
    {
      writes: ({ promised, accepted, ...rest }) => {
        const promise = promised === undefined ? {} : { promised };
        return accepted === undefined ? [{ ...promise, ...rest }] : [{ ...promise, accepted }, rest];
      },
    },
    { syncMaxMs: 60, strokeMs: 60, lossChance: 0.2 },
  ),
  mutant("counts a vote that came twice as two", {
    receive: (from, message) => {
      if (message.type !== "promised" && message.type !== "ack") return [[from, message]];
      const third = members.find((node) => node !== from && node !== message.ballot.node) as string;
      return [
        [from, message],
        [third, message],
      ];
    },
  }),
  mutant("counts the lease from the answer", {
    options: (options) => ({ ...options, ...eager }),
    receive: (from, message, nowMs) => [[from, message.type === "ack" ? { ...message, sentMs: nowMs } : message]],
  }),
  mutant(
    "ignores that clocks drift",
    { options: (options) => ({ ...options, ...eager, clockDriftMax: 0 }) },
    { drift: 0.1 },
  ),
  mutant("forgets at a restart that a grant may run", {
    bornAtMs: (nowMs) => nowMs - 300,
    options: (options) => ({ ...options, ...eager }),
  }),
  mutant("has one acceptor with a shorter lease than its leader counts on", {
    options: (options) => ({
      ...options,
      ...eager,
      ...(options.nodeId === "c1" ? { leaseMs: 60, heartbeatMs: 25 } : {}),
    }),
  }),
  mutant("judges leases by a clock reading that is up to 400 ms old", {
    clock: (nowMs) => Math.floor(nowMs / 400) * 400,
  }),
  mutant("reads at a leader before an entry of its own ballot is chosen", {
    readsAtOnce: (core) => core.leading && !core.ready,
  }),
  mutant("reads at whoever believes that it leads", { readsAtOnce: (core) => core.leading }),
  mutant("proposes again what was lost with the leadership", { proposesAgain: true }),
  {
    ...mutant("gives up what is not chosen yet for want of room", {}, stormy),
    crowded: true,
    hooks: { shedsUnchosen: true },
  },
  mutant("ships entries that are not chosen", { shipsThrough: (_, storage) => storage.written.end }),
  mutant("votes under its old name with an empty disk", { load: wipedOnce() }),
  torn("votes at once although its log's end was torn", { ignoresDoubt: true }),
  torn("helps anybody to be elected once it has asked, whatever its log has lost", {}, { doubt: "helps anybody" }),
  torn(
    "has asked, and does not promise what the others had promised",
    { unobserved: false },
    { doubt: "promises nothing" },
    {
      strokeMs: 100,
      syncMaxMs: 2,
      delayMaxMs: 10,
      lossChance: 0.3,
    },
  ),
  torn("asks only a quorum what it may have forgotten", { unobserved: false }, { doubt: "asks a quorum" }),
  changing(
    "changes members while the change before is not chosen (no G1)",
    {},
    {
      refusal: (change, shipped) => shipped({ ...change, currentChosen: true }),
    },
  ),
  changing("swaps members in one step (no G3)", {}, { quorumsMeet: () => true }),
  changing(
    "is a log replica and leads",
    { options: (options) => ({ ...options, role: "storage" }) },
    { everybodyLeads: true },
  ),
  changing("lets go of a log replica's log as soon as it is chosen", { releasesEverything: true }),
  changing("takes a snapshot over in two halves", { tearsInstalls: true }),
  changing("sends snapshots without their members", {
    position: (position, founders) => ({ ...position, configuration: founders }),
  }),
  mutant("writes down how far it has applied before what it has applied", { tearsCheckpoints: "position first" }),
  asking("writes down how far it has applied after what it has applied", { tearsCheckpoints: "state first" }),
  asking("carries out whatever the log says, whoever may have asked for it before", {
    betrayal: () => ({ carriesOutAgain: true }),
  }),
  asking("looks into the table of clients when it proposes, and not when it applies", {
    betrayal: () => ({ carriesOutAgain: true }),
    judgesAtProposal: true,
  }),
  asking("sends snapshots without the table of clients", { forgetsClients: true }, { members: true }),
  reading("takes an answer about its age for as new as its arrival", "from the answer"),
  reading("takes an answer about its age for true before it has applied as much", "before it is applied"),
  reading("believes its own clock about its age", "without drift", { drift: 0.1, lossChance: 0.3 }),
  reading("asks whoever believes that it leads how old it is", "of any leader"),
  losing("votes before it has asked whether this is its first disk", "emptied", {
    options: (options) => ({ ...options, mute: false }),
  }),
  losing("does not write down whose logs it knows", "emptied", { forgetsBirths: "others" }, { strokeMs: 40 }),
  losing("does not write down under which mark its own log was born", "none", { forgetsBirths: "own" }),
  losing("takes a misdirected write in the middle of its log for the log's end", "misdirected", { opensDamaged: true }),
  losing("takes rot in the middle of its log for the log's end", "rotten", { opensDamaged: true }),
  losing("takes a read that failed when it started for its log's end", "none", { opensUnread: true }),
  {
    ...losing("sends no-ops in the place of what it cannot read", "none", { invents: true }),
    weather: { strokeMs: 150, lossChance: 0 },
    births: false,
    crowded: true,
  },
  asking("forgets another client than the others do", {
    betrayal: (node) => (node === "b1" ? { table: () => new ForgetsAnother() } : {}),
  }),
];

/** Those that many seeds let pass, and the first seed that is worth a look: to begin before it takes time, and finds nothing more. */
export const firstSeeds: Readonly<Record<string, number>> = {
  "raises its accepted ballot before the log that belongs to it": 230,
  "counts the lease from the answer": 120,
  "forgets at a restart that a grant may run": 120,
  "has one acceptor with a shorter lease than its leader counts on": 200,
  "ships entries that are not chosen": 50,
  "has asked, and does not promise what the others had promised": 110,
  "changes members while the change before is not chosen (no G1)": 720,
  "votes before it has asked whether this is its first disk": 130,
  "lets go of a log replica's log as soon as it is chosen": 130,
  "takes a snapshot over in two halves": 50,
};
