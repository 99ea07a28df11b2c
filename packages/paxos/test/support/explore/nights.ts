import type { NightOptions } from "./night-model.js";

const reaches = (follower: string, round: number) => [
  `a -> ${follower}: heartbeat (ballot 1.a, round ${round}`,
  `${follower} -> a: ack (ballot 1.a, round ${round}`,
];
/** a leads, and its nodes have bonds with the others. */
const led = [
  "time passes",
  "a: the timer",
  "a -> b: prepare",
  "b -> a: promised",
  "a -> b: sync",
  "b -> a: ack",
  "b -> a: ack",
  "a -> c: heartbeat",
  "c -> a: ack",
  "a -> c: sync",
  "c -> a: ack",
  "time passes",
  "a: the timer",
  ...reaches("b", 2),
  ...reaches("c", 2),
  "time passes",
  "a: the timer",
];
/** All have agreed to sleep. */
const asleep = [...led, "a -> b: sleep", "b -> a: asleep", "a -> c: sleep", "c -> a: asleep"];

/**
 * A lease is 6 units long; a slow clock goes on by 1 a tick and a fast one by 3, the most that a drift bound of one half allows. So a grant ends after two ticks of a fast
 * clock, and the leader's count of it after two of a slow one: to the tick.
 */
const base = {
  rates: [[1, 3, 3]],
  options: { leaseMs: 6, heartbeatMs: 1, voteTimeoutMs: 1, clockDriftMax: 0.5, sleepAfterMs: 0 },
  prelude: asleep,
} as const;

export const nights = {
  links: { ...base, stands: [0, 1, 0], ticksMax: 4, cuts: 2, links: ["ab", "ba", "ac"], late: [] },
  deaths: { ...base, stands: [0, 1, 0], ticksMax: 3, crashes: 1, cuts: 1, links: ["ab"], late: [] },
  reopened: { ...base, stands: [0, 1, 0], ticksMax: 3, reopens: 1, cuts: 1, links: ["ac"], late: [] },
  closed: {
    ...base,
    rates: [[2, 2, 2]],
    stands: [0, 1, 0],
    ticksMax: 3,
    closes: 1,
    cuts: 1,
    links: ["ab", "ac"],
    late: [],
  },
  late: {
    ...base,
    stands: [0, 1, 0],
    ticksMax: 4,
    cuts: 1,
    links: ["ac"],
    late: ["a -> b: heartbeat (ballot 1.a, round 2", "a -> b: sleep"],
  },
  handover: { ...base, stands: [0, 0, 0], ticksMax: 3, handovers: 1, late: [] },
  /** Reads that ask a quorum, whatever the lease, of a leader that is deposed and of the next one. */
  reads: {
    ...base,
    options: { ...base.options, leaseReads: false },
    stands: [0, 0, 0],
    ticksMax: 2,
    reads: 1,
    rounds: 1,
    prelude: [
      ...asleep,
      "a is asked for a command",
      "a -> b: accept",
      "a -> c: accept",
      "c -> a: ack",
      "time passes",
      "time passes",
      "b: the timer",
      "b -> c: prepare",
      "c -> b: promised",
    ],
    late: ["b -> a: ack", "b -> c: sync", "b -> c: heartbeat"],
  },
  woken: { ...base, stands: [0, 1, 0], ticksMax: 3, proposals: 1, rounds: 1, reads: 1, late: [] },
} as const satisfies Record<string, NightOptions>;

export type NightName = keyof typeof nights;
