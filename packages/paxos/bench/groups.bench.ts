import { setTimeout as pause } from "node:timers/promises";
import { fileURLToPath } from "node:url";
import { GroupHost, inProcessNetwork, memoryStorage } from "@evenkeel/paxos";
import type { Bench, Subject } from "../../../scripts/bench-types.js";
import { groupsNode } from "./support/groups-node.js";
import { forkedAs, names, ThreeProcesses } from "./support/processes.js";

const file = fileURLToPath(import.meta.url);
const forked = forkedAs();
if (forked?.kind.startsWith("groups-") === true) {
  await groupsNode(forked.name, forked.dir, Number(forked.kind.slice("groups-".length)));
}

/** EVENKEEL_BENCH_GROUPS=10000 is what the goal is about. */
const active = Number(process.env.EVENKEEL_BENCH_GROUPS ?? 300);
/** EVENKEEL_BENCH_IDLE=20000 and more, for who has the memory. */
const idle = Number(process.env.EVENKEEL_BENCH_IDLE ?? 2000);
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

/** Three hosts in this process, so three replicas of each group; nobody asks anything of them. */
async function resting(): Promise<{ bytes: number; cores: number; messages: number }> {
  const collect = globalThis.gc ?? (() => {});
  const network = inProcessNetwork();
  const hosts = await Promise.all(
    names.map((nodeId) =>
      GroupHost.open({
        transport: network.transport(nodeId),
        storage: memoryStorage(),
        heartbeatMs: 500,
        leaseMs: 5000,
        electionJitterMs: 2000,
      }),
    ),
  );
  collect();
  const before = process.memoryUsage();
  const ids = Array.from({ length: idle }, (_, i) => `idle/${i}`);
  await Promise.all(
    hosts.flatMap((host) =>
      ids.map((id) => host.join(id, { members: names, stateMachine: { appliedThrough: 0, apply: () => 0 } })),
    ),
  );
  while (!hosts.every((host) => host.stats().groupsAsleep === idle)) await pause(100);
  await pause(1000);
  collect();
  const after = process.memoryUsage();
  const bytes = (after.heapUsed + after.external - before.heapUsed - before.external) / (3 * idle);
  const sent = () => hosts.reduce((sum, host) => sum + host.stats().messagesSent, 0);
  const [cpu, messages, started] = [process.cpuUsage(), sent(), performance.now()];
  await pause(2000);
  const { user, system } = process.cpuUsage(cpu);
  const seconds = (performance.now() - started) / 1000;
  const result = {
    bytes,
    cores: ((user + system) / 1e6 / seconds) * (1e6 / (3 * idle)),
    messages: (sent() - messages) / seconds / (3 * idle),
  };
  await Promise.all(hosts.map((host) => host.close()));
  return result;
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
  {
    name: `idle groups, ${idle} of three replicas each`,
    metrics: {
      bytes: { unit: "B/replica", better: "lower" },
      cores: { unit: "cores/million", better: "lower" },
      messages: { unit: "1/s/replica", better: "lower" },
    },
    subjects: {
      evenkeel: {
        note: "beats of the nodes each 0.5 s, logs in memory; the cost of a million is worked out from these",
        run: resting,
      },
    },
    goals: [
      { metric: "bytes", atMost: 300 },
      { metric: "cores", atMost: 0.01 },
      { metric: "messages", atMost: 0 },
    ],
  },
] satisfies Bench[];
