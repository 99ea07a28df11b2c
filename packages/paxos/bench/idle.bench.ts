import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as pause } from "node:timers/promises";
import { setFlagsFromString } from "node:v8";
import { runInNewContext } from "node:vm";
import { GroupHost, inProcessNetwork, type StateMachine } from "@evenkeel/paxos";
import { walStorage } from "@evenkeel/paxos/storage";
import { Wal } from "@evenkeel/wal";
import type { Bench } from "../../../scripts/bench-types.js";
import { names } from "./support/processes.js";

/** EVENKEEL_BENCH_IDLE=10000 and more, for who has the time to open them: each group takes 1.3 ms of three replicas' processor time, a million replicas (333334) seven minutes. */
const idle = Number(process.env.EVENKEEL_BENCH_IDLE ?? 500);
/** How many are opened at once: each of them asks the others who they are, and elects. */
const atOnce = 250;

/** So many may be in memory as a whole before more are opened. */
const awakeMax = 5000;

/** Nobody fails here; but all three nodes stand still where the machine has other things to do, and after a lease of that every group has to renew what binds it. */
const leaseMs = 10_000;

/** Groups that are opened before anything is measured. */
const warm = 200;

/** What lies in memory is counted after three whole collections, which are the bench's doing and leave V8 with work for seconds: nobody counts processor time until they are over. */
const settleMs = 10_000;
const restMs = 20_000;

/** The application's own: what a group would be of no use without. */
class Counter implements StateMachine<number> {
  appliedThrough = 0;
  total = 0;
  apply(): number {
    return ++this.total;
  }
}

function collected(): number {
  setFlagsFromString("--expose-gc");
  const collect = runInNewContext("gc") as () => void;
  for (let i = 0; i < 3; i++) collect();
  const { heapUsed, external } = process.memoryUsage();
  return heapUsed + external;
}

async function until(condition: () => boolean): Promise<void> {
  while (!condition()) await pause(20);
}

const opened = (dir: string) => Wal.open({ dir, streamsMax: 1 << 24, packAfterMs: 1000 });

async function measured() {
  const dirs = await Promise.all(names.map(() => mkdtemp(join(tmpdir(), "evenkeel-idle-"))));
  const rest = await sleeping(dirs);
  // What the logs by themselves take: their streams and where they are found.
  const before = collected();
  const logs = await Promise.all(dirs.map(opened));
  const log = (collected() - before) / (names.length * (idle + warm));
  await Promise.all(logs.map((wal) => wal.close()));
  await Promise.all(dirs.map((dir) => rm(dir, { recursive: true })));
  return { ...rest, log };
}

/** Three nodes in this process, each with a log of its own on disk: three replicas of each group. */
async function sleeping(dirs: readonly string[]) {
  const network = inProcessNetwork();
  const logs = await Promise.all(dirs.map(opened));
  const hosts = await Promise.all(
    names.map((nodeId, i) =>
      GroupHost.open({
        transport: network.transport(nodeId),
        storage: walStorage(logs[i] as Wal),
        heartbeatMs: 200,
        leaseMs,
        packAfterMs: 1000,
      }),
    ),
  );
  const own = (count: number, name: string) => {
    const ids = Array.from({ length: count }, (_, i) => Buffer.from(`${name}/${i}`).toString());
    return { ids, machines: hosts.map(() => ids.map(() => new Counter())) };
  };
  const open = async ({ ids, machines }: ReturnType<typeof own>) => {
    const all = (hosts[0]?.stats().groups ?? 0) + ids.length;
    for (let from = 0; from < ids.length; from += atOnce) {
      const some = ids.slice(from, from + atOnce);
      const join = (host: GroupHost, node: number) =>
        some.map((id, i) => host.join(id, { members: names, stateMachine: machines[node]?.[from + i] as Counter }));
      await Promise.all(hosts.flatMap(join));
      await until(() => hosts.every((host) => some.every((id) => host.group(id)?.leadership().leader !== undefined)));
      // One that is not packed yet takes 20 KB: a machine that is slow today is given the time.
      await until(() => hosts.every((host) => host.stats().groups - host.stats().groupsPacked <= awakeMax));
    }
    await until(() => hosts.every((host) => host.stats().groupsPacked === all));
    await until(() => logs.every((log) => log.stats().streamsPacked === log.stats().streams));
    // What was planned for groups that sleep by now (to stand, to ask again) is let go of when its time comes.
    await pause(leaseMs + 5000);
  };
  const replicas = hosts.length * idle;
  const asked = own(idle, "idle");
  // What a node takes with few groups (compiled code, buffers of the log) is no group's.
  await open(own(warm, "warm"));
  const before = collected();
  await open(asked);
  const whole = collected() - before;
  const packed = hosts.reduce((sum, host) => sum + host.stats().packedBytes, 0);
  const sent = () => hosts.reduce((sum, host) => sum + host.stats().messagesSent, 0);
  await pause(settleMs);
  const [cpu, messages, started] = [process.cpuUsage(), sent(), performance.now()];
  await pause(restMs);
  const { user, system } = process.cpuUsage(cpu);
  const seconds = (performance.now() - started) / 1000;
  const rest = { cores: (user + system) / 1e6 / seconds / hosts.length, messages: (sent() - messages) / seconds };
  await Promise.all(hosts.map((host) => host.close()));
  await Promise.all(logs.map((wal) => wal.close()));
  return { bytes: whole / replicas, packed: packed / (replicas + 3 * warm), ...rest };
}

export default {
  name: `idle groups, ${idle} of three replicas each`,
  metrics: {
    bytes: { unit: "B/replica", better: "lower" },
    packed: { unit: "B/replica, of these packed", better: "lower" },
    log: { unit: "B/replica, of these in the log's index", better: "lower" },
    cores: { unit: "cores/node", better: "lower" },
    messages: { unit: "1/s about a group", better: "lower" },
  },
  subjects: {
    evenkeel: {
      note: "three nodes in one process that beat five times a second, a log on disk for each; ids and state machines are the application's and not counted",
      run: measured,
    },
  },
  goals: [
    { metric: "bytes", atMost: 300 },
    { metric: "cores", atMost: 0.01 },
    { metric: "messages", atMost: 0 },
  ],
} satisfies Bench;
