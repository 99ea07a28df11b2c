import { fileURLToPath } from "node:url";
import type { Bench, Subject } from "../../../scripts/bench-types.js";
import { groupsNode } from "./support/groups-node.js";
import { forkedAs, ThreeProcesses } from "./support/processes.js";

const file = fileURLToPath(import.meta.url);
const forked = forkedAs();
if (forked?.kind.startsWith("groups-") === true) {
  await groupsNode(forked.name, forked.dir, Number(forked.kind.slice("groups-".length)));
}

/** EVENKEEL_BENCH_GROUPS=10000 is what the goal is about. */
const active = Number(process.env.EVENKEEL_BENCH_GROUPS ?? 300);
const demand = { what: "write", clients: 256, ms: 1000 } as const;

function groups(count: number): Subject {
  let three: ThreeProcesses | undefined;
  return {
    note: `${count} of three replicas each, over TCP, fdatasync before each answer; 256 callers in each node's process, on the groups that it leads`,
    async open() {
      three = await ThreeProcesses.open(file, `groups-${count}`);
      await three.allReady();
      await three.loadAll({ ...demand, ms: 3000 });
    },
    run() {
      if (!three) throw new Error("not open");
      return three.loadAll(demand);
    },
    close: () => three?.close(),
  };
}

export default [
  {
    name: `${active} active groups on three nodes`,
    metrics: {
      throughput: { unit: "ops/s", better: "higher" },
      p50: { unit: "ms", better: "lower" },
      p99: { unit: "ms", better: "lower" },
    },
    subjects: { evenkeel: groups(active), "one group": groups(1) },
    goals: [{ metric: "throughput", against: "one group", atLeast: 0.8 }],
  },
] satisfies Bench[];
