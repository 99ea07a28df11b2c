import type { GroupModelOptions } from "./group-model.js";

const elected = ["a: the timer", "a -> b: prepare", "b -> a: promised"];

/** a leads and has had its first entry chosen by b; c has heard nothing. A log replica l is being fed, and holds the log; then the members begin to change. */
const feeding = [
  ...elected,
  "a -> b: sync",
  "b -> a: ack (ballot 1.a, round 1, sentMs 0, synced true, acceptedThrough 1",
  "a is asked for the next members",
  "a -> l: heartbeat",
  "l -> a: ack",
  "a -> l: sync",
  "l -> a: ack (ballot 1.a, round 2, sentMs 0, synced true, acceptedThrough 1",
  "a is asked for the next members",
];

/** c leads and appends what nobody hears of; a leads in the next ballot, and has a command chosen by b. */
const outdated = [
  "c: the timer",
  "c -> b: prepare",
  "b -> c: promised",
  "c is asked for a command",
  "c -> a: prepare",
  "a: the timer",
  "a -> b: prepare",
  "b -> a: promised",
  "a -> b: sync",
  "b -> a: ack (ballot 2.a, round 1, sentMs 0, synced true, acceptedThrough 1",
  "a is asked for a command",
  "a -> b: accept",
  "b -> a: ack (ballot 2.a, round 1, sentMs 0, synced true, acceptedThrough 2",
];

/** a leads, and its first entry is chosen; c has promised d in the next ballot, and forgotten that. */
const forgetting = [
  ...elected,
  "a -> c: prepare",
  "c -> a: promised",
  "a -> b: sync",
  "a -> c: sync",
  "b -> a: ack (ballot 1.a, round 1, sentMs 0, synced true, acceptedThrough 1",
  "c -> a: ack (ballot 1.a, round 1, sentMs 0, synced true, acceptedThrough 1",
  "d: the timer",
  "d -> c: prepare",
  "c -> d: promised",
  "c comes back in doubt",
];

const members = {
  logReplicas: ["l"],
  stands: [1, 1, 0, 0],
  lagging: 0,
  changes: [
    { storage: ["a", "b", "c"], log: ["l"] },
    { storage: ["a", "b"], log: ["l"] },
  ],
  prelude: feeding,
} as const;

/** a leads and has had its first entry chosen by b; it is told of x, which nobody has heard of before. */
const joining = [
  ...elected,
  "a -> b: sync",
  "b -> a: ack (ballot 1.a, round 1, sentMs 0, synced true, acceptedThrough 1",
  "a is asked for the next members",
  "a -> x: heartbeat",
  "x -> a: knock",
  "a -> x: known",
  "a is asked for the next members",
];

/** The same, and x is a member by its mark: a and x have the entry that says so, and it is chosen. */
const joined = [
  ...joining,
  "x -> a: ack",
  "a -> x: sync",
  "x -> a: ack (ballot 1.a, round 3, sentMs 0, synced true, acceptedThrough 1",
  "a is asked for the next members",
  "a -> x: accept",
  "a -> b: accept",
  "x -> a: ack (ballot 1.a, round 3, sentMs 0, synced true, acceptedThrough 2",
];

/** a makes x a member, which nobody but x hears; b leads in the next ballot, x comes back with an empty disk, and b makes it a member as the one that it is now. */
const twice = [
  ...elected,
  "a -> b: sync",
  "b -> a: ack (ballot 1.a, round 1, sentMs 0, synced true, acceptedThrough 1",
  "a is asked for the next members",
  "a -> x: heartbeat",
  "x -> a: knock",
  "a -> x: known",
  "a is asked for the next members",
  "x -> a: ack",
  "a -> x: sync",
  "x -> a: ack (ballot 1.a, round 3, sentMs 0, synced true, acceptedThrough 1",
  "a is asked for the next members",
  "a -> x: accept",
  "b: the timer",
  "b -> c: prepare",
  "c -> b: promised",
  "b -> c: sync",
  "c -> b: ack (ballot 2.b, round 1, sentMs 0, synced true, acceptedThrough 2",
  "x comes back with an empty disk",
  "b is asked for the next members",
  "b -> x: heartbeat (ballot 2.b, round 2",
  "x -> b: knock",
  "b -> x: known",
  "b is asked for the next members",
  "x -> b: ack",
  "b -> x: sync",
  "x -> b: ack (ballot 2.b, round 3, sentMs 0, synced true, acceptedThrough 2",
  "b is asked for the next members",
  "b -> x: accept",
];

/** x is to be the third beside a and b, either of whom may take it in, and loses its disk once. */
const third = {
  founders: ["a", "b"],
  newcomers: ["x"],
  stands: [1, 1, 1],
  losses: 1,
  lagging: 0,
  changes: [
    { storage: ["a", "b", "x"], log: [] },
    { storage: ["a", "b", "x"], log: [] },
  ],
};

/** The groups that are explored, small enough to be looked at whole or deep enough to be worth a look. */
export const groups = {
  /** Two of three replicas stand, every disk as slow as it likes, one crash anywhere. */
  reigns: { stands: [1, 1, 0], proposals: 1, crashes: 1 },
  /** The same without a crash and with disks that are never behind: all of it. */
  prompt: { stands: [1, 1, 0], proposals: 1, lagging: 0 },
  /** Who leads may crash, lose what was not durable, and stand again. */
  comebacks: { stands: [2, 1, 0], crashes: 2, lagging: 1 },
  /**
   * A log replica takes the place of a storage replica, in two changes, while another stands. The leader that began may do so at any point of it.
   */
  members,
  /** The same with a crash anywhere and a round of heartbeats more. Far too much to look at whole. */
  turmoil: { ...members, crashes: 1, beats: 1 },
  /** x joins a and b, which have nobody left to ask whether it begins. It loses its disk at any point of that, and the other one leads and takes in x too, as whom it knows it. */
  newcomers: { ...third, prelude: joining },
  /** The same from where x is a member: a command is chosen with its vote, and x loses its disk. */
  namesakes: { ...third, proposals: 1, prelude: joined },
  /** Two who believe that they lead have made x a member each, under two marks: its disk was lost in between. */
  twice: {
    newcomers: ["x"],
    stands: [2, 1, 0, 1],
    losses: 1,
    lagging: 0,
    proposals: 1,
    changes: [
      { storage: ["a", "b", "c", "x"], log: [] },
      { storage: ["a", "b", "c", "x"], log: [] },
    ],
    prelude: twice,
  },
  /** Leaders give up on request, and refusals arrive. */
  handovers: { stands: [2, 1, 0], resigns: 2, proposals: 1, crashes: 1, lagging: 0, nacks: true },
  /** A client has registered, and asks whoever leads for the same command, again and again. */
  requests: {
    stands: [1, 1, 0],
    proposals: 3,
    client: true,
    crashes: 1,
    lagging: 0,
    prelude: [
      ...elected,
      "a -> b: sync",
      "b -> a: ack (ballot 1.a, round 1, sentMs 0, synced true, acceptedThrough 1",
      "a is asked for a command",
      "a -> b: accept",
      "b -> a: ack (ballot 1.a, round 1, sentMs 0, synced true, acceptedThrough 2",
    ],
  },
  /** Who leads, or believes so, is read, by a round of heartbeats, while another may have begun to lead. What a replica is told of its age rests on that. */
  reads: { stands: [1, 1, 0], proposals: 1, reads: 1, beats: 2, lagging: 0, prelude: elected },
  /**
   * A replica lags, and holds what it appended when it led; the others have a command chosen, and let go of their logs: it needs a state. While that is on its way, noted, and taken over, it may
   * crash, and another may stand.
   */
  states: {
    stands: [1, 1, 1],
    proposals: 2,
    crashes: 1,
    trims: 1,
    lagging: 0,
    options: { tailBytesMax: 0 },
    prelude: outdated,
  },
  /** The same, and who asks around is told where the logs of others begin: one that holds that entry and did not know it as chosen, and one that holds another there. */
  edges: {
    stands: [1, 1, 1],
    proposals: 2,
    crashes: 1,
    trims: 1,
    asks: true,
    lagging: 0,
    options: { tailBytesMax: 0 },
    prelude: outdated,
  },
  /** The same with logs let go of twice, and rounds of heartbeats. Far too much to look at whole. */
  copies: {
    stands: [1, 1, 1],
    proposals: 3,
    crashes: 1,
    trims: 2,
    beats: 1,
    lagging: 0,
    options: { tailBytesMax: 0 },
    prelude: outdated,
  },
  /** a has had its first entry chosen, c has promised d in the next ballot, and has forgotten that; d is to leave, and may never say anything again. */
  doubts: {
    founders: ["a", "b", "c", "d"],
    stands: [1, 0, 0, 1],
    lagging: 0,
    tears: "c",
    beats: 1,
    changes: [{ storage: ["a", "b", "c"], log: [] }],
    prelude: forgetting,
  },
  /** The same, where d has left, and c, which has been answered by the others, does not know it yet. */
  departures: {
    founders: ["a", "b", "c", "d"],
    stands: [1, 0, 0, 1],
    lagging: 0,
    tears: "c",
    beats: 1,
    changes: [{ storage: ["a", "b", "c"], log: [] }],
    prelude: [
      ...forgetting,
      "c: the timer",
      "c -> a: doubt",
      "c -> b: doubt",
      "a -> c: standing",
      "b -> c: standing",
      "a is asked for the next members",
      "a -> b: accept",
      "b -> a: ack (ballot 1.a, round 1, sentMs 0, synced true, acceptedThrough 2",
      "c: the timer",
    ],
  },
  /**
   * Leases. A lease is 24 units long; a slow clock runs at 4 a tick and a fast one at 12, the most that a drift bound of one half allows. So a grant ends after two
   * ticks of a fast clock, and the leader's count of it after two of a slow one: to the tick, nothing to spare.
   */
  leases: {
    stands: [1, 1, 0],
    crashes: 1,
    beats: 1,
    lagging: 0,
    clocks: {
      rates: [
        [4, 12, 12],
        [12, 4, 12],
        [12, 12, 4],
      ],
      ticksMax: 4,
    },
    options: { leaseMs: 24, heartbeatMs: 4, voteTimeoutMs: 1, clockDriftMax: 0.5 },
    prelude: elected,
  },
} as const satisfies Record<string, GroupModelOptions>;

export type GroupName = keyof typeof groups;
