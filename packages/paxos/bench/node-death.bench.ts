import { fileURLToPath } from "node:url";
import type { Bench } from "../../../scripts/bench-types.js";
import { forkedAs, ThreeProcesses } from "./support/processes.js";
import { restingNode } from "./support/resting-node.js";

const file = fileURLToPath(import.meta.url);
const forked = forkedAs();
if (forked?.kind.startsWith("resting-") === true) {
  await restingNode(forked.name, forked.dir, Number(forked.kind.slice("resting-".length)));
}

/** EVENKEEL_BENCH_GROUPS=10000 is what the goal is about. */
const count = Number(process.env.EVENKEEL_BENCH_GROUPS ?? 1000);
const sum = (numbers: readonly number[]) => numbers.reduce((all, one) => all + one, 0);
const pause = (ms: number) => new Promise((resolve) => setTimeout(resolve, ms));

/** From SIGKILL of the node that leads most until each group has a leader that is ready, as the two others say themselves. */
async function death(): Promise<{ led: number; orphans: number; cores: number; messages: number }> {
  const three = await ThreeProcesses.open(file, `resting-${count}`);
  try {
    await three.allReady();
    const before = await three.resting();
    const started = performance.now();
    await pause(2000);
    const rested = await three.resting();
    const seconds = (performance.now() - started) / 1000;
    const messages = sum(rested.map((one) => one.messages)) - sum(before.map((one) => one.messages));
    const cores = (sum(rested.map((one) => one.cpuMs)) - sum(before.map((one) => one.cpuMs))) / 1000 / seconds / 3;
    const orphans = Math.max(...rested.map(({ led }) => led));
    await three.kill(rested.findIndex(({ led }) => led === orphans));
    const killed = performance.now();
    while (sum((await three.resting()).map(({ led }) => led)) < count) {
      if (performance.now() - killed > 60_000) throw new Error("a minute, and not all groups are led");
      // Each of ten thousand groups is looked at for the answer: asked every 10 ms, that would be a good part of what is measured.
      await pause(Math.max(10, count / 200));
    }
    return { led: performance.now() - killed, orphans, cores, messages: messages / seconds / 3 };
  } finally {
    await three.close();
  }
}

export default {
  name: `a node dies that leads most of ${count} groups`,
  metrics: {
    led: { unit: "ms", better: "lower" },
    orphans: { unit: "groups", better: "higher" },
    cores: { unit: "cores/node at rest", better: "lower" },
    messages: { unit: "1/s at rest", better: "lower" },
  },
  subjects: {
    evenkeel: {
      note: `three processes over TCP, fdatasync before each promise; until the other two lead all ${count} groups`,
      run: death,
    },
  },
  goals: [
    { metric: "led", atMost: 5000 },
    { metric: "messages", atMost: 0 },
  ],
} satisfies Bench;
