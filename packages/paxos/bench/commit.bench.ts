import { fileURLToPath } from "node:url";
import type { Bench, Goal, Subject } from "../../../scripts/bench-types.js";
import { bareNode } from "./support/bare-node.js";
import { Etcd, etcdDriver, etcdMissing, etcdNote } from "./support/etcd.js";
import { evenkeelNode } from "./support/evenkeel-node.js";
import type { Demand } from "./support/load.js";
import { forkedAs, ThreeProcesses } from "./support/processes.js";
import { withStolen } from "./support/stolen.js";

const turnMs = 1000;
const file = fileURLToPath(import.meta.url);

const forked = forkedAs();
if (forked?.kind === "evenkeel") await evenkeelNode(forked.name, forked.dir);
else if (forked?.kind === "bare") await bareNode(forked.name, forked.dir);
else if (forked?.kind === "etcd-driver") await etcdDriver(forked.name);

const notes = {
  evenkeel:
    "three processes over TCP, fdatasync on each before it answers, applied on the leader; callers in the leader's process",
  limit: "the same three processes without a protocol: gather, write, sync, forward, wait for two of three",
  etcd: etcdNote,
} as const;

function subject(kind: keyof typeof notes, demand: Omit<Demand, "ms">): Subject {
  let three: ThreeProcesses | Etcd | undefined;
  return {
    note: notes[kind],
    ...(kind === "etcd" && etcdMissing !== undefined ? { skip: etcdMissing } : {}),
    async open() {
      three = await (kind === "etcd" ? Etcd.open(file) : ThreeProcesses.open(file, kind === "limit" ? "bare" : kind));
      // Until the log's segments are used again instead of made and the code is compiled, for many callers and then for as many as are measured: the state in which a service spends its life.
      // (One caller's p99 falls from 3 ms to below 1 within five seconds, while nothing about its writes changes.)
      await three.load({ what: demand.what, clients: 256, ms: (kind === "etcd" ? 1 : 4) * turnMs });
      await three.load({ ...demand, ms: 5 * turnMs });
    },
    run() {
      const here = three;
      if (!here) throw new Error("not open");
      return withStolen(() => here.load({ ...demand, ms: turnMs }));
    },
    close: () => three?.close(),
  };
}

const metrics = {
  throughput: { unit: "ops/s", better: "higher" },
  p50: { unit: "ms", better: "lower" },
  p99: { unit: "ms", better: "lower" },
} as const;

function againstEtcd(...goals: Omit<Goal, "against">[]): Goal[] {
  return etcdMissing === undefined ? goals.map((goal) => ({ ...goal, against: "etcd" })) : [];
}

const writes = (
  [
    [1, 1.5],
    [64, 5],
    [512, 8],
  ] as const
).map(([clients, times]): Bench => {
  const demand = { what: "write", clients } as const;
  return {
    name: `committed writes, 256 B, ${clients} at a time`,
    metrics,
    subjects: {
      evenkeel: subject("evenkeel", demand),
      limit: subject("limit", demand),
      etcd: subject("etcd", demand),
    },
    goals: [
      { metric: "throughput", against: "limit", atLeast: 0.5 },
      ...againstEtcd({ metric: "throughput", atLeast: times }, { metric: "p99", atMost: 1 }),
    ],
  };
});

const steady = { what: "write", clients: 64, rate: 3000 } as const;

const rate: Bench = {
  name: "committed writes, 256 B, 3,000 a second whatever happens",
  // Of these seconds, on the leader: what of the latencies is the disk's, and whether this machine was running. (etcd's sync by its own histogram, the upper end of a step.)
  metrics: {
    ...metrics,
    sync: { unit: "ms, p99 of a sync", better: "lower" },
    stolen: { unit: "% of the processors' time, taken by the host", better: "lower" },
  },
  subjects: {
    evenkeel: subject("evenkeel", steady),
    limit: subject("limit", steady),
    etcd: subject("etcd", steady),
  },
  goals: [{ metric: "p99", atMost: 5 }],
};

const reading = { what: "read", clients: 64 } as const;

const reads: Bench = {
  name: "linearizable reads, 64 at a time (here by lease: no message between replicas)",
  metrics,
  subjects: { evenkeel: subject("evenkeel", reading), etcd: subject("etcd", reading) },
  goals: againstEtcd({ metric: "throughput", atLeast: 6 }),
};

export default [...writes, rate, reads] satisfies Bench[];
