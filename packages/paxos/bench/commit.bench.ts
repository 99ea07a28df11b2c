import { fileURLToPath } from "node:url";
import type { Bench, Subject } from "../../../scripts/bench-types.js";
import { bareNode } from "./support/bare-node.js";
import { evenkeelNode } from "./support/evenkeel-node.js";
import { forkedAs, ThreeProcesses } from "./support/processes.js";

const turnMs = 1000;

const forked = forkedAs();
if (forked?.kind === "evenkeel") await evenkeelNode(forked.name, forked.dir);
else if (forked?.kind === "bare") await bareNode(forked.name, forked.dir);

function subject(kind: "evenkeel" | "bare", what: "write" | "read", clients: number, note: string): Subject {
  let three: ThreeProcesses | undefined;
  return {
    note,
    async open() {
      three = await ThreeProcesses.open(fileURLToPath(import.meta.url), kind);
      // Until the code is compiled and the log's segments are used again instead of made: the state in which a service spends its life.
      await three.load(what, 256, 4 * turnMs);
    },
    run() {
      if (!three) throw new Error("not open");
      return three.load(what, clients, turnMs);
    },
    close: () => three?.close(),
  };
}

const metrics = {
  throughput: { unit: "ops/s", better: "higher" },
  p50: { unit: "ms", better: "lower" },
  p99: { unit: "ms", better: "lower" },
} as const;

const ours =
  "three processes over TCP, fdatasync on each before it answers, applied on the leader; callers in the leader's process";
const bare = "the same three processes without a protocol: gather, write, sync, forward, wait for two of three";

const writes = [1, 64, 512].map(
  (clients): Bench => ({
    name: `committed writes, 256 B, ${clients} at a time`,
    metrics,
    subjects: { evenkeel: subject("evenkeel", "write", clients, ours), limit: subject("bare", "write", clients, bare) },
    goals: [{ metric: "throughput", against: "limit", atLeast: 0.5 }],
  }),
);

const reads: Bench = {
  name: "linearizable reads by lease, 64 at a time",
  metrics,
  subjects: {
    evenkeel: subject(
      "evenkeel",
      "read",
      64,
      "from the leader's memory while its lease runs, no message between replicas",
    ),
  },
};

export default [...writes, reads] satisfies Bench[];
