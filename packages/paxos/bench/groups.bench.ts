import { fileURLToPath } from "node:url";
import type { Bench, Subject } from "../../../scripts/bench-types.js";
import { groupsNode } from "./support/groups-node.js";
import { forkedAs, ThreeProcesses } from "./support/processes.js";

const file = fileURLToPath(import.meta.url);
const forked = forkedAs();
if (forked?.kind.startsWith("groups-") === true) {
  await groupsNode(forked.name, forked.dir, Number(forked.kind.slice("groups-".length)));
}

/** EVENKEEL_BENCH_GROUPS=10000 is what the goal is about; a minute or two, most of it until all of them are led. */
const active = Number(process.env.EVENKEEL_BENCH_GROUPS ?? 300);
/** In all, however many groups they are spread over: of 10,000 groups each has one command under way. */
const clients = Number(process.env.EVENKEEL_BENCH_CALLERS ?? Math.max(768, active));
const demand = { what: "write", clients, ms: 1000 } as const;
/** For what is under way to end in the young generation, where it costs nothing: at 10,000 commands at a time a few megabytes are not young for long. */
const nodeFlags = ["--max-semi-space-size=64"];

function groups(count: number): Subject {
  let three: ThreeProcesses | undefined;
  return {
    note: `${count} of three replicas each, over TCP, fdatasync before each answer; ${clients} callers in all, each in the process that leads its group, going from group to group; node ${nodeFlags.join(" ")}`,
    async open() {
      three = await ThreeProcesses.open(file, `groups-${count}`, nodeFlags);
      await three.allReady();
      // Until each group has been asked a few times and the code is compiled, however many groups there are.
      await three.loadAll({ ...demand, ms: 5000 + count });
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
      cpu: { unit: "µs of processor/op, three nodes", better: "lower" },
    },
    subjects: { evenkeel: groups(active), "one group": groups(1) },
    goals: [{ metric: "throughput", against: "one group", atLeast: 0.8 }],
  },
] satisfies Bench[];
