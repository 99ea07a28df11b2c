import type { Bench, Subject } from "../../../scripts/bench-types.js";
import { ITEMS } from "./support/loader.js";
import { type ServerUnderTest, servers } from "./support/subjects.js";

const SECONDS = 1;
const PAIRED_SECONDS = 0.4;

/** YCSB's workloads that are nothing but reads and writes of one item, and what we want of them beside each peer's throughput with 64 clients. */
const WORKLOADS = [
  { name: "YCSB A (50 % GetItem, 50 % PutItem)", readShare: 0.5, memory: 1.2, disk: 3 },
  { name: "YCSB B (95 % GetItem, 5 % PutItem)", readShare: 0.95, memory: 2, disk: 2.5 },
];

function subject(server: ServerUnderTest, readShare: number, clients: number): Subject {
  return {
    note: server.note,
    ...(server.skip === undefined ? {} : { skip: server.skip }),
    open: () => server.start(),
    async run() {
      const { processes: _, ...figures } = await server.load({ readShare, clients, seconds: SECONDS });
      return figures;
    },
    close: () => server.stop(),
  };
}

/** Items of 900 bytes, keys chosen uniformly, reads consistent, writes of whole items; the load comes from a process of its own. */
const benches: Bench[] = [];
for (const { name, readShare } of WORKLOADS) {
  for (const clients of [1, 16, 64]) {
    benches.push({
      name: `${name}, ${clients} client${clients === 1 ? "" : "s"}, ${ITEMS} items of 900 B`,
      metrics: {
        throughput: { unit: "ops/s", better: "higher" },
        p50: { unit: "ms", better: "lower" },
        p99: { unit: "ms", better: "lower" },
        "p99 of writes": { unit: "ms", better: "lower" },
        cpu: { unit: "µs/op", better: "lower" },
      },
      subjects: Object.fromEntries(
        Object.entries(servers).map(([subjectName, server]) => [subjectName, subject(server, readShare, clients)]),
      ),
    });
  }
}

/** Ratios of turns that follow on one another at once: what else the machine does falls on both, and the spread is that of the ratio itself. */
for (const { name, readShare, memory, disk } of WORKLOADS) {
  const store = servers.evenkeel as ServerUnderTest;
  const peers = Object.entries(servers).filter(([peer, { skip }]) => peer !== "evenkeel" && skip === undefined);
  const ratioTo = (peer: string) => `throughput / ${peer}`;
  benches.push({
    name: `${name}, 64 clients, ${ITEMS} items of 900 B, paired turns`,
    metrics: Object.fromEntries(peers.map(([peer]) => [ratioTo(peer), { unit: "x", better: "higher" } as const])),
    subjects: {
      evenkeel: {
        ...(store.skip === undefined ? {} : { skip: store.skip }),
        async open() {
          for (const server of [store, ...peers.map(([, peer]) => peer)]) await server.start();
        },
        async run() {
          const load = async (server: ServerUnderTest) =>
            (await server.load({ readShare, clients: 64, seconds: PAIRED_SECONDS })).throughput;
          const ratios: Record<string, number> = {};
          for (const [name, peer] of peers) {
            const before = await load(store);
            const theirs = await load(peer);
            ratios[ratioTo(name)] = (before + (await load(store))) / 2 / theirs;
          }
          return ratios;
        },
        async close() {
          for (const server of [store, ...peers.map(([, peer]) => peer)]) await server.stop();
        },
      },
    },
    runs: 7,
    goals: peers.map(([peer]) => ({ metric: ratioTo(peer), atLeast: peer.startsWith("dynoxide") ? disk : memory })),
  });
}

/** How even answers are when there is room: half of what the store does when it is asked for as much as it can. */
for (const { name, readShare } of WORKLOADS) {
  const server = servers.evenkeel as ServerUnderTest;
  let rate = 0;
  benches.push({
    name: `${name}, open loop at half of capacity, ${ITEMS} items of 900 B`,
    metrics: {
      rate: { unit: "ops/s", better: "higher" },
      p50: { unit: "ms", better: "lower" },
      p99: { unit: "ms", better: "lower" },
      p999: { unit: "ms", better: "lower" },
      "p99 / p50": { unit: "", better: "lower" },
      "p999 / p50": { unit: "", better: "lower" },
    },
    subjects: {
      evenkeel: {
        note: "requests come at random moments, and an answer's time counts from when its request was due",
        ...(server.skip === undefined ? {} : { skip: server.skip }),
        async open() {
          await server.start();
          rate = (await server.load({ readShare, clients: 64, seconds: 2 })).throughput / 2;
        },
        async run() {
          const { p50, p99, p999 } = await server.load({ readShare, clients: 64, seconds: 2, rate });
          return { rate, p50, p99, p999, "p99 / p50": p99 / p50, "p999 / p50": p999 / p50 };
        },
        close: () => server.stop(),
      },
    },
    runs: 3,
    goals: [
      { metric: "p99 / p50", atMost: 3 },
      { metric: "p999 / p50", atMost: 8 },
    ],
  });
}

export default benches;
