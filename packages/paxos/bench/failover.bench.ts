import { fileURLToPath } from "node:url";
import type { Bench } from "../../../scripts/bench-types.js";
import { Failovers } from "./support/failover.js";
import { failoverNode } from "./support/failover-node.js";
import { forkedAs } from "./support/processes.js";

const file = fileURLToPath(import.meta.url);
const forked = forkedAs();
if (forked?.kind === "failover") await failoverNode(forked.name, forked.dir, Number(process.argv.at(-1)));

/** In each of three turns; EVENKEEL_BENCH_KILLS=34 makes a hundred of it. */
const times = Number(process.env.EVENKEEL_BENCH_KILLS ?? 2);

function repeated(name: string, goals: Bench["goals"], act: (three: Failovers) => Promise<number>): Bench {
  let three: Failovers | undefined;
  /** Of all turns so far: the last turn's figures are those of all. */
  const pauses: number[] = [];
  return {
    name,
    metrics: {
      median: { unit: "ms", better: "lower" },
      p99: { unit: "ms", better: "lower" },
      longest: { unit: "ms", better: "lower" },
    },
    subjects: {
      evenkeel: {
        note: `three processes, lease of 300 ms, 8 clients that write all the time; ${3 * times} times in all`,
        async open() {
          three = await Failovers.open(file);
          // The first one finds code that was never run.
          await act(three);
        },
        async run() {
          for (let i = 0; i < times; i++) pauses.push(await act(three as Failovers));
          pauses.sort((a, b) => a - b);
          const at = (share: number) =>
            pauses[Math.min(pauses.length - 1, Math.floor(pauses.length * share))] as number;
          return { median: at(0.5), p99: at(0.99), longest: at(1) };
        },
        close: () => three?.close(),
      },
    },
    ...(goals && { goals }),
  };
}

export default [
  repeated(
    "no writes after SIGKILL of the leader",
    [
      { metric: "median", atMost: 400 },
      { metric: "p99", atMost: 700 },
    ],
    (three) => three.kill(),
  ),
  repeated("no writes during a planned hand-over", [{ metric: "longest", atMost: 50 }], (three) => three.handOver()),
] satisfies Bench[];
