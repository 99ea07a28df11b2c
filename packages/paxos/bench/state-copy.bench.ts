import { randomBytes } from "node:crypto";
import { link, mkdir, mkdtemp, open, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as pause } from "node:timers/promises";
import { type Group, GroupHost } from "@evenkeel/paxos";
import { walStorage } from "@evenkeel/paxos/storage";
import { type TcpTransport, tcpTransport } from "@evenkeel/paxos/transport";
import { Wal } from "@evenkeel/wal";
import type { Bench, Subject } from "../../../scripts/bench-types.js";
import { FileState } from "./support/file-state.js";

/** EVENKEEL_BENCH_STATE_MB=1024 is what the goal is about; that takes minutes, and four gigabytes of disk. */
const stateMegabytes = Number(process.env.EVENKEEL_BENCH_STATE_MB ?? 32);
/** Log behind what every state holds. */
const tailMegabytes = 4;
const founders = ["a", "b", "c"];
const unthrottled = 2 ** 40;

interface Node {
  readonly nodeId: string;
  readonly host: GroupHost;
  readonly wal: Wal;
  readonly group: Group<number>;
  readonly state: FileState | undefined;
}

/** Founders and one spare node in this process, over TCP, each with its own log and its own file of state. */
class Cluster {
  readonly nodes = new Map<string, Node>();
  readonly #transports = new Map<string, TcpTransport>();

  constructor(
    readonly dir: string,
    readonly bytesPerSecondMax: number,
  ) {}

  async start(nodeId: string, role: "storage" | "log", stateFile?: string): Promise<Node> {
    const dir = join(this.dir, nodeId);
    await mkdir(dir, { recursive: true });
    const transport = await tcpTransport({ nodeId });
    for (const [name, other] of this.#transports) {
      transport.setPeer(name, { host: "127.0.0.1", port: other.port });
      other.setPeer(nodeId, { host: "127.0.0.1", port: transport.port });
    }
    this.#transports.set(nodeId, transport);
    const wal = await Wal.open({ dir: join(dir, "log") });
    const host = await GroupHost.open({
      transport,
      storage: walStorage(wal),
      // What is measured is the copying; a busy machine must not turn it into an election.
      leaseMs: 3000,
      snapshotBytesPerSecondMax: this.bytesPerSecondMax,
      snapshotDir: join(dir, "incoming"),
    });
    const path = join(dir, "state");
    if (stateFile !== undefined) await link(stateFile, path);
    const state = role === "log" ? undefined : new FileState(path);
    const machine = state === undefined ? { role: "log" as const } : { stateMachine: state, role: "storage" as const };
    const group = await host.join<number>("bench", { members: founders, ...machine });
    const node = { nodeId, host, wal, group, state };
    this.nodes.set(nodeId, node);
    return node;
  }

  async leader(): Promise<Node> {
    for (;;) {
      for (const node of this.nodes.values()) if (node.group.status().ready) return node;
      await pause(5);
    }
  }

  async stop({ nodeId, host, wal }: Node): Promise<void> {
    this.nodes.delete(nodeId);
    await host.close();
    await wal.close();
  }

  async close(): Promise<void> {
    for (const node of [...this.nodes.values()]) await this.stop(node);
  }
}

async function propose(group: Group<number>, megabytes: number): Promise<void> {
  const command = Buffer.alloc(1024, "x");
  let left = megabytes * 1024;
  const caller = async () => {
    while (left-- > 0) await group.propose(command);
  };
  await Promise.all(Array.from({ length: 128 }, caller));
}

/** The time from a storage replica's death until its place is taken. */
async function replaced(work: string, stateFile: string, by: "log" | "storage", bytesPerSecondMax: number) {
  const cluster = new Cluster(await mkdtemp(join(work, "turn-")), bytesPerSecondMax);
  try {
    for (const name of founders) await cluster.start(name, "storage", stateFile);
    const leader = await cluster.leader();
    await propose(leader.group, 1);
    for (const { group } of cluster.nodes.values()) await group.trim(group.status().appliedThrough);
    await propose(leader.group, tailMegabytes);
    const failed = [...cluster.nodes.values()].find((node) => node !== leader) as Node;
    await cluster.stop(failed);
    await cluster.start("spare", by);
    const startedMs = performance.now();
    if (by === "log") await leader.group.replaceWithLogReplica({ failed: failed.nodeId, by: "spare" });
    else await leader.group.addStorageReplica({ node: "spare", replaces: failed.nodeId });
    return { seconds: (performance.now() - startedMs) / 1000 };
  } finally {
    await cluster.close();
    await rm(cluster.dir, { recursive: true, force: true });
  }
}

let work: Promise<{ dir: string; stateFile: string }> | undefined;
let users = 0;

/** One file of state for all turns; each founder has a name of its own for it. */
async function prepare(): Promise<{ dir: string; stateFile: string }> {
  const dir = await mkdtemp(join(tmpdir(), "evenkeel-state-"));
  const stateFile = join(dir, "state");
  const file = await open(stateFile, "w");
  for (let i = 0; i < stateMegabytes; i++) await file.write(randomBytes(1024 * 1024));
  await file.datasync();
  await file.close();
  return { dir, stateFile };
}

function subject(note: string, by: "log" | "storage", bytesPerSecondMax: number): Subject {
  return {
    note,
    async open() {
      users++;
      work ??= prepare();
      await work;
    },
    async run() {
      if (work === undefined) throw new Error("not open");
      const { dir, stateFile } = await work;
      return replaced(dir, stateFile, by, bytesPerSecondMax);
    },
    async close() {
      if (--users > 0 || work === undefined) return;
      await rm((await work).dir, { recursive: true, force: true });
    },
  };
}

export default {
  name: `a dead storage replica's place is taken, ${stateMegabytes} MB of state, ${tailMegabytes} MB of log`,
  metrics: { seconds: { unit: "s", better: "lower" } },
  subjects: {
    evenkeel: subject("a log replica: the write quorum is whole", "log", unthrottled),
    "full copy, 64 MiB/s": subject(
      "a storage replica, the state throttled as it is by default",
      "storage",
      64 * 2 ** 20,
    ),
    "full copy, unthrottled": subject("a storage replica, as fast as it goes", "storage", unthrottled),
  },
  goals: [{ metric: "seconds", against: "full copy, 64 MiB/s", atMost: 1 }],
} satisfies Bench;
