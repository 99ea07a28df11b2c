import { describe, expect, it } from "vitest";
import { explorerMutants } from "./support/explore/mutants.js";
import { nightMutants } from "./support/explore/night-mutants.js";
import { mutants as simulated } from "./support/mutants.js";
import { sleepMutants } from "./support/sleep-mutants.js";
import { missing, type Shown } from "./support/titles.js";

/** Who looks for the mutants of each list, and catches all of them or fails. */
const catchers = {
  simulator: { mutants: simulated, test: ["mutants", "a replica that $name"] },
  "simulator of nights": { mutants: sleepMutants, test: ["sleep", "a replica that $name is caught"] },
  explorer: { mutants: explorerMutants, test: ["explore-mutants", "the explorer catches a replica that"] },
  "explorer of nights": { mutants: nightMutants, test: ["explore-nights", "the explorer catches a replica that"] },
} as const;

type Catcher = keyof typeof catchers;

/** A bug that others shipped with; the mutants that have it, by who catches them; and tests that show that it is not here. */
interface Bug {
  readonly bug: string;
  readonly mutants?: Partial<Record<Catcher, readonly string[]>>;
  readonly tests?: readonly Shown[];
}

const bugs: readonly Bug[] = [
  {
    bug: "acknowledged before its own or the quorum's sync (etcd 14370)",
    mutants: {
      simulator: ["answers before its write is durable"],
      explorer: ["answers before its write is durable", "counts its own log before it is durable"],
    },
  },
  {
    bug: "directory not synced after a rename (etcd 6368, 22340)",
    tests: [["wal/failures", "while a dead segment is dropped poisons the log: later renames could be lost"]],
  },
  {
    bug: "a sync fails and is retried",
    mutants: { simulator: ["goes on after a failed sync"] },
    tests: [["elections", "gives leadership away and falls silent when a write fails"]],
  },
  {
    bug: "a promise is sent before it is durable, or erased on step-down",
    mutants: {
      simulator: ["forgets a promise at a restart"],
      explorer: [
        "sends a promise before it is durable",
        "forgets a promise at a restart",
        "erases its promise when it steps down",
        "promises, and goes on accepting in the ballot before",
      ],
    },
  },
  {
    bug: "duplicate replies counted twice toward a quorum",
    mutants: {
      simulator: ["counts a vote that came twice as two"],
      explorer: ["counts a vote that came twice as two", "leads without a quorum of promises"],
    },
  },
  {
    bug: "a wiped acceptor rejoins under its old name",
    mutants: {
      simulator: [
        "votes under its old name with an empty disk",
        "comes back with an older copy of its disk",
        "votes before it has asked whether this is its first disk",
        "does not write down whose logs it knows",
        "takes rot in the middle of its log for the log's end",
        "takes a misdirected write in the middle of its log for the log's end",
        "takes a read that failed when it started for its log's end",
      ],
      explorer: [
        "votes under its old name with an empty disk",
        "promises in the name of another disk",
        "takes what its log says of its name for its own, whatever the mark",
        "counts whoever promises, and asks by the name alone",
      ],
    },
    tests: [
      ["members", "never votes under the old name again, and takes part under a new one"],
      ["births", "who knocks again is not told that he is remembered before that is on disk"],
      ["newcomers", "does not take back one of them whose disk is another"],
      ["newcomers", "has none after a restart either"],
      ["mark-formats", "takes the marks of those who join, and leaves those of the others as they are"],
      ["marks", "is not asked for before its mark is known, nor by its name alone"],
      ["marks", "is not counted: neither what it says by its own mark, nor what the name alone says"],
      ["marks", "is not counted for a learner whose name alone has spoken before, either"],
      ["marks", "does not lead where the log that it would adopt knows the one before"],
      ["marks", "has to wait while a member does not read marks: by its name it has no voice"],
      ["marks", "is found out by what the log says, and never speaks again"],
      ["marks", "goes with that entry, when another leader cuts it"],
    ],
  },
  {
    bug: "torn sync: the ballot is raised before the log that belongs to it is durable",
    mutants: {
      simulator: ["raises its accepted ballot before the log that belongs to it"],
      explorer: [
        "raises its accepted ballot before the log that belongs to it",
        "takes the longest log for the best",
        "leads with its own log, whatever the others have accepted",
      ],
    },
  },
  {
    bug: "a lease counted from the reply; a process suspended between check and reply; drift ignored; a grant forgotten by a restarted acceptor",
    mutants: {
      simulator: [
        "counts the lease from the answer",
        "judges leases by a clock reading that is up to 400 ms old",
        "ignores that clocks drift",
        "forgets at a restart that a grant may run",
        "has one acceptor with a shorter lease than its leader counts on",
      ],
      explorer: [
        "counts the lease from the answer",
        "ignores that clocks drift",
        "forgets at a restart that a grant may run",
        "promises although it has granted a lease",
        "has one acceptor with a shorter lease than its leader counts on",
      ],
      "explorer of nights": ["counts a bond's lease from the echo", "is not bound in its sleep"],
    },
    tests: [["sigkill", "elect another, and the one that wakes up never answers from what it believed"]],
  },
  {
    bug: "an old lease used after a hand-over (etcd-raft 99)",
    mutants: { "explorer of nights": ["keeps its lease when it hands over"] },
  },
  {
    bug: "a read index reused across a leader change or a retry (etcd 20418)",
    mutants: {
      simulator: ["reads at whoever believes that it leads", "proposes again what was lost with the leadership"],
      explorer: ["answers a read by a round of before it was asked"],
      "explorer of nights": ["answers a read by a round of before it was asked"],
    },
    tests: [
      ["leases", "asks a quorum when there is no lease, and takes no answer to an earlier round"],
      ["leases", "rejects reads that wait when the leadership ends"],
    ],
  },
  {
    bug: "a new leader reads before anything of its own ballot is chosen, or before the old lease has run out",
    mutants: {
      simulator: ["reads at a leader before an entry of its own ballot is chosen"],
      explorer: ["answers reads before anything of its own reign is chosen"],
      "explorer of nights": ["answers reads before anything of its own reign is chosen"],
    },
    tests: [["leases", "lets no read through before an entry of the leader's own ballot is chosen"]],
  },
  {
    bug: "overlapping reconfigurations; a swap without overlap; a candidate with a stale configuration",
    mutants: {
      simulator: [
        "changes members while the change before is not chosen (no G1)",
        "swaps members in one step (no G3)",
        "is a log replica and leads",
      ],
      explorer: [
        "changes members while the change before is not chosen (no G1)",
        "changes members before anything of its own reign is chosen (no G2)",
        "swaps members in one step (no G3)",
        "does not count again under the log that it adopts",
        "is a log replica and leads",
      ],
    },
  },
  {
    bug: "apply and applied index not atomic (etcd 3.5)",
    mutants: {
      simulator: [
        "writes down how far it has applied before what it has applied",
        "writes down how far it has applied after what it has applied",
        "takes a snapshot over in two halves",
        "carries out whatever the log says, whoever may have asked for it before",
      ],
      explorer: [
        "goes on with its old log when a crash cuts the taking over of a state short",
        "begins its log behind a state before the state machine has it on disk",
      ],
    },
    tests: [
      ["group-host", "replays exactly what its state machine lacks"],
      ["snapshots", "is not what has happened when nothing was announced: that log has lost records"],
      ["clients", "takes the table of clients along, through restarts and behind a log that was let go"],
    ],
  },
  {
    bug: "two snapshots in quick succession (etcd 18055); one without its configuration; a gap in the log after an install",
    mutants: {
      simulator: ["sends snapshots without their members", "sends snapshots without the table of clients"],
      explorer: [
        "sends snapshots without the table of clients",
        "keeps its log behind a state, whatever it holds there",
      ],
    },
    tests: [
      [
        "snapshots",
        "has no use for a snapshot below what is applied, nor for messages about one that it does not take",
      ],
      ["resumed-snapshots", "is there in the next life, and only for that very snapshot"],
      ["wal-storage", "begin anew behind a snapshot, with the slots that follow it"],
    ],
  },
  {
    bug: "a log replica truncates past the storage checkpoints, or is ahead of every candidate",
    mutants: {
      simulator: ["lets go of a log replica's log as soon as it is chosen"],
      explorer: [
        "takes for chosen what it holds where another's log begins, whatever that is",
        "tells for the entry behind which its log begins the one with which it begins",
      ],
    },
    tests: [
      ["members", "never leads, and has what a storage replica that is behind lacks"],
      ["elections", "tells a candidate where the log begins: by the very entry it knows as chosen all that it holds"],
    ],
  },
  {
    bug: "a quiescent group does not notice a dead leader",
    mutants: {
      "simulator of nights": [
        "sleeps on when the node of its leader is gone",
        "does not tell who sleeps in its reign that it is over",
      ],
      "explorer of nights": [
        "sleeps on when the node of its leader is gone",
        "does not tell who sleeps in its reign that it is over",
        "falls asleep by a question from before its leader's node was reborn",
      ],
    },
    tests: [["idle-groups", "are led again, all of them, when the node dies that leads most"]],
  },
  {
    bug: "the checker itself is wrong",
    tests: [
      ["simulation/explore", "single-decree Paxos: 16,668 states with two clients"],
      ["simulation/explore", "single-decree Paxos: 1,194,428 states with three clients"],
      ["explore-core", "a core that is taken apart after every step, and put into another instance"],
    ],
  },
];

const names = new Set(Object.values(catchers).flatMap(({ mutants: list }) => list.map(({ name }) => name)));

/** Who catches it; of an explorer, by which invariant. */
function caughtBy(name: string): string {
  const by = (Object.keys(catchers) as Catcher[]).flatMap((catcher) => {
    const list: readonly { readonly name: string; readonly caughtBy?: string }[] = catchers[catcher].mutants;
    return list
      .filter((one) => one.name === name)
      .map((one) => (one.caughtBy ? `${catcher} (${one.caughtBy})` : catcher));
  });
  return by.join(", ");
}

describe("seeded mutants", () => {
  it.each(Object.entries(catchers))(
    "are looked for by the %s, each under a name of its own",
    (_, { mutants: list, test }) => {
      expect(new Set(list.map(({ name }) => name)).size).toBe(list.length);
      expect(missing([test])).toEqual([]);
    },
  );

  it("are caught, each by whom this says", () => {
    expect([...names].sort().map((name) => `${name}: ${caughtBy(name)}`)).toMatchInlineSnapshot(`
      [
        "answers a read by a round of before it was asked: explorer (no stale read), explorer of nights (no stale read)",
        "answers before its write is durable: simulator, explorer (one value a slot, chosen for ever, promises kept)",
        "answers before its write is durable, watched at the message: simulator",
        "answers reads before anything of its own reign is chosen: explorer (no stale read), explorer of nights (no stale read)",
        "asks only a quorum what it may have forgotten: simulator",
        "asks whoever believes that it leads how old it is: simulator",
        "begins its log behind a state before the state machine has it on disk: explorer (one value a slot, chosen for ever, promises kept)",
        "believes its own clock about its age: simulator",
        "carries out whatever the log says, whoever may have asked for it before: simulator, explorer (one value a slot, chosen for ever, promises kept)",
        "changes members before anything of its own reign is chosen (no G2): explorer (a leader holds what is chosen)",
        "changes members while the change before is not chosen (no G1): simulator, explorer (a leader holds what is chosen)",
        "comes back with an older copy of its disk: simulator",
        "counts a bond's lease from the echo: simulator of nights, explorer of nights (one lease at a time)",
        "counts a vote that came twice as two: simulator, explorer (one value a slot, chosen for ever, promises kept)",
        "counts its own log before it is durable: explorer (one value a slot, chosen for ever, promises kept)",
        "counts on an echo in any bond: simulator of nights, explorer of nights (one lease at a time)",
        "counts on its voters' bonds when it has woken: explorer of nights (one lease at a time)",
        "counts the lease from the answer: simulator, explorer (one lease at a time)",
        "counts whoever promises, and asks by the name alone: explorer (a leader holds what is chosen)",
        "does not count again under the log that it adopts: explorer (a leader holds what is chosen)",
        "does not tell who sleeps in its reign that it is over: simulator of nights, explorer of nights (somebody leads again)",
        "does not write down under which mark its own log was born: simulator",
        "does not write down whose logs it knows: simulator",
        "erases its promise when it steps down: explorer (one value a slot, chosen for ever, promises kept)",
        "falls asleep by a question from before its leader's node was reborn: explorer of nights (somebody leads again)",
        "forgets a promise at a restart: simulator, explorer (a leader holds what is chosen)",
        "forgets another client than the others do: simulator",
        "forgets at a restart that a grant may run: simulator, explorer (one lease at a time)",
        "gives all its bonds one name: simulator of nights, explorer of nights (one lease at a time)",
        "gives up what is not chosen yet for want of room: simulator",
        "goes on after a failed sync: simulator",
        "goes on with its old log when a crash cuts the taking over of a state short: explorer (one value a slot, chosen for ever, promises kept)",
        "has asked what it may have forgotten, and does not promise what the others had promised: explorer (a leader holds what is chosen)",
        "has asked, and does not promise what the others had promised: simulator",
        "has one acceptor with a shorter lease than its leader counts on: simulator, explorer (one lease at a time)",
        "helps anybody to be elected once it has asked, whatever its log has lost: simulator",
        "ignores that clocks drift: simulator, explorer (one lease at a time)",
        "in doubt, does not ask whom its newest configuration leaves out, chosen or not: explorer (a leader holds what is chosen)",
        "is a log replica and leads: simulator, explorer (one value a slot, chosen for ever, promises kept)",
        "is not bound in its sleep: simulator of nights, explorer of nights (one lease at a time)",
        "is woken by what was said before it slept: simulator of nights, explorer of nights (one lease at a time)",
        "judges leases by a clock reading that is up to 400 ms old: simulator",
        "keeps its lease when it hands over: explorer of nights (one lease at a time)",
        "keeps its log behind a state, whatever it holds there: explorer (one value a slot, chosen for ever, promises kept)",
        "leads with its own log, whatever the others have accepted: explorer (a leader holds what is chosen)",
        "leads without a quorum of promises: explorer (a leader holds what is chosen)",
        "lets go of a log replica's log as soon as it is chosen: simulator",
        "looks into the table of clients when it proposes, and not when it applies: simulator",
        "opens a group again on the bonds on which it slept: simulator of nights, explorer of nights (one lease at a time)",
        "promises although it has granted a lease: explorer (one lease at a time)",
        "promises in the name of another disk: explorer (a leader holds what is chosen)",
        "promises, and goes on accepting in the ballot before: explorer (a leader holds what is chosen)",
        "proposes again what was lost with the leadership: simulator",
        "raises its accepted ballot before the log that belongs to it: simulator, explorer (a leader holds what is chosen)",
        "reads at a leader before an entry of its own ballot is chosen: simulator",
        "reads at whoever believes that it leads: simulator",
        "sends a promise before it is durable: explorer (one value a slot, chosen for ever, promises kept)",
        "sends no-ops in the place of what it cannot read: simulator",
        "sends snapshots without the table of clients: simulator, explorer (one value a slot, chosen for ever, promises kept)",
        "sends snapshots without their members: simulator",
        "ships entries that are not chosen: simulator",
        "sleeps on when the node of its leader is gone: simulator of nights, explorer of nights (somebody leads again)",
        "swaps members in one step (no G3): simulator, explorer (a leader holds what is chosen)",
        "takes a misdirected write in the middle of its log for the log's end: simulator",
        "takes a read that failed when it started for its log's end: simulator",
        "takes a snapshot over in two halves: simulator",
        "takes an answer about its age for as new as its arrival: simulator",
        "takes an answer about its age for true before it has applied as much: simulator",
        "takes for chosen what it holds where another's log begins, whatever that is: explorer (one value a slot, chosen for ever, promises kept)",
        "takes its bonds up again after a restart: simulator of nights, explorer of nights (somebody leads again)",
        "takes rot in the middle of its log for the log's end: simulator",
        "takes the first echo for a word that its reign is over was heard: explorer of nights (somebody leads again)",
        "takes the longest log for the best: explorer (a leader holds what is chosen)",
        "takes what its log says of its name for its own, whatever the mark: explorer (a leader holds what is chosen)",
        "tells for the entry behind which its log begins the one with which it begins: explorer (one value a slot, chosen for ever, promises kept)",
        "tells only those of its reign's end who have agreed to sleep: explorer of nights (somebody leads again)",
        "votes at once although its log's end was torn: simulator",
        "votes before it has asked whether this is its first disk: simulator",
        "votes under its old name with an empty disk: simulator, explorer (one value a slot, chosen for ever, promises kept)",
        "writes down how far it has applied after what it has applied: simulator",
        "writes down how far it has applied before what it has applied: simulator",
      ]
    `);
  });
});

describe("bugs that others shipped with", () => {
  it("are seventeen kinds", () => expect(bugs.length).toBe(17));

  it.each(bugs)("$bug", ({ mutants: named = {}, tests = [] }) => {
    for (const [by, names] of Object.entries(named)) {
      const known = catchers[by as Catcher].mutants.map(({ name }) => name);
      expect(known).toEqual(expect.arrayContaining([...names]));
    }
    expect(missing(tests)).toEqual([]);
    expect(Object.keys(named).length + tests.length).toBeGreaterThan(0);
  });
});
