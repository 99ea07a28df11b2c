import type { Bench, Subject } from "../../../scripts/bench-types.js";
import { ITEMS } from "./support/loader.js";
import { bareServer, type ServerUnderTest, servers, WARM_SECONDS } from "./support/subjects.js";

/** With how many each workload is begun, and what its capacity is. */
const MANY = 64;
const WARM = `warm (${WARM_SECONDS} s)`;

/** YCSB's workloads that are nothing but reads and writes of one item, and what we want of them beside each peer's throughput with 64 clients. */
const WORKLOADS = [
  { name: "YCSB A (50 % GetItem, 50 % PutItem)", readShare: 0.5, memory: 1.2, disk: 3 },
  { name: "YCSB B (95 % GetItem, 5 % PutItem)", readShare: 0.95, memory: 2, disk: 2.5 },
];

/** Longer turns and more of them where goals are. */
const TURNS = [
  { clients: MANY, seconds: 1.2, runs: 5 },
  { clients: 16, seconds: 0.7, runs: 3 },
  { clients: 1, seconds: 0.7, runs: 3 },
];

function subject(
  server: ServerUnderTest,
  readShare: number,
  { clients, seconds }: { readonly clients: number; readonly seconds: number },
): Subject {
  server.expectUser();
  return {
    note: server.note,
    ...(server.skip === undefined ? {} : { skip: server.skip }),
    open: () => server.start({ readShare, clients: MANY }),
    async run() {
      const { processes: _, ...figures } = await server.load({ readShare, clients, seconds });
      return figures;
    },
    close: () => server.stop(),
  };
}

/**
 * Items of 900 bytes, keys chosen uniformly, reads consistent, writes of whole items; the load comes from a process of its own. Before the first
 * turn each server is loaded with the workload for `WARM_SECONDS`. A goal's ratio is told by the same turns as the figures themselves: those of a round follow on one another at once.
 */
function workload({ name, readShare, memory, disk }: (typeof WORKLOADS)[number]): Bench[] {
  const peers = Object.entries(servers).filter(([peer, { skip }]) => peer !== "evenkeel" && skip === undefined);
  const goals = peers.map(([against]) => ({
    metric: "throughput",
    against,
    atLeast: against.startsWith("dynoxide") ? disk : memory,
  }));
  return TURNS.map((turn) => ({
    name: `${name}, ${turn.clients} client${turn.clients === 1 ? "" : "s"}, ${ITEMS} items of 900 B, ${WARM}`,
    metrics: {
      throughput: { unit: "ops/s", better: "higher" },
      p50: { unit: "ms", better: "lower" },
      p99: { unit: "ms", better: "lower" },
      "p99 of writes": { unit: "ms", better: "lower" },
      cpu: { unit: "µs/op", better: "lower" },
    },
    subjects: Object.fromEntries(
      Object.entries(servers).map(([subjectName, server]) => [subjectName, subject(server, readShare, turn)]),
    ),
    runs: turn.runs,
    ...(turn.clients === MANY ? { goals } : {}),
  }));
}

const OPEN_SECONDS = 3;

/**
 * How even answers are when there is room: half of what a server does when it is asked for as much as it can. What the peers and a server that does nothing come to tells how much of it is the load's and the machine's;
 * the goals are this store's.
 */
function openLoop({ name, readShare }: (typeof WORKLOADS)[number]): Bench {
  return {
    name: `${name}, open loop at half of capacity, ${ITEMS} items of 900 B, ${WARM}`,
    metrics: {
      rate: { unit: "ops/s", better: "higher" },
      p50: { unit: "ms", better: "lower" },
      p99: { unit: "ms", better: "lower" },
      p999: { unit: "ms", better: "lower" },
      "p99 / p50": { unit: "", better: "lower" },
      "p999 / p50": { unit: "", better: "lower" },
    },
    subjects: Object.fromEntries(
      Object.entries({ ...servers, limit: bareServer }).map(([subjectName, server]) => [
        subjectName,
        halfLoaded(server, readShare),
      ]),
    ),
    runs: 3,
    goals: [
      { metric: "p99 / p50", atMost: 3 },
      { metric: "p999 / p50", atMost: 8 },
    ],
  };
}

function halfLoaded(server: ServerUnderTest, readShare: number): Subject {
  server.expectUser();
  let rate = 0;
  return {
    note: `${server.note}; requests come at random moments, and an answer's time counts from when its request was due`,
    ...(server.skip === undefined ? {} : { skip: server.skip }),
    async open() {
      await server.start({ readShare, clients: MANY });
      rate = (await server.load({ readShare, clients: MANY, seconds: OPEN_SECONDS })).throughput / 2;
    },
    async run() {
      const { p50, p99, p999 } = await server.load({ readShare, clients: MANY, seconds: OPEN_SECONDS, rate });
      return { rate, p50, p99, p999, "p99 / p50": p99 / p50, "p999 / p50": p999 / p50 };
    },
    close: () => server.stop(),
  };
}

export default [...WORKLOADS.flatMap(workload), ...WORKLOADS.map(openLoop)];
