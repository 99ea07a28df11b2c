import { type ChildProcess, fork } from "node:child_process";
import { once } from "node:events";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { build } from "tsup";
import type { GroupStatus } from "../../src/index.js";
import type { Answer, Ask } from "../programs/register-node.js";
import type { RealNetwork } from "./networks.js";

export type NodeStatus = Omit<GroupStatus, "failure"> & { readonly failed: string | undefined };

const program = fileURLToPath(new URL("../programs/register-node.ts", import.meta.url));

/** One file, so that a node takes as little time to start as can be. */
async function built(work: string): Promise<string> {
  await build({
    entry: { node: program },
    outDir: work,
    format: ["esm"],
    outExtension: () => ({ js: ".mjs" }),
    platform: "node",
    target: "node20",
    esbuildOptions: (options) => {
      options.alias = { "@evenkeel/wal": fileURLToPath(new URL("../../../wal/src/index.ts", import.meta.url)) };
    },
    noExternal: [/./],
    config: false,
    silent: true,
    clean: false,
  });
  return join(work, "node.mjs");
}

/** A node in a process of its own. Questions that it can no longer answer are answered with undefined. */
export class RealNode {
  readonly name: string;
  readonly child: ChildProcess;
  readonly #waiting = new Map<number, (answer: Answer | undefined) => void>();
  readonly #listening: Promise<Answer | undefined>;
  #asked = 0;

  constructor(name: string, child: ChildProcess) {
    this.name = name;
    this.child = child;
    this.#listening = new Promise((resolve) => this.#waiting.set(0, resolve));
    child.on("message", (answer: Answer) => this.#settle(answer.ask, answer));
    child.on("exit", () => {
      for (const ask of [...this.#waiting.keys()]) this.#settle(ask, undefined);
    });
  }

  async port(): Promise<number> {
    const answer = await this.#listening;
    if (typeof answer?.value !== "number") throw new Error(`${this.name} did not start`);
    return answer.value;
  }

  get alive(): boolean {
    return this.child.exitCode === null && this.child.signalCode === null && this.child.connected;
  }

  ask(ask: Ask): Promise<Answer | undefined> {
    if (!this.alive) return Promise.resolve(undefined);
    const id = ++this.#asked;
    return new Promise((resolve) => {
      this.#waiting.set(id, resolve);
      this.child.send({ ask: id, ...ask }, (error) => {
        if (error) this.#settle(id, undefined);
      });
    });
  }

  async status(): Promise<NodeStatus | undefined> {
    return (await this.ask({ type: "status" }))?.value as NodeStatus | undefined;
  }

  async kill(): Promise<void> {
    if (this.child.exitCode !== null || this.child.signalCode !== null) return;
    const gone = once(this.child, "exit");
    this.child.kill("SIGKILL");
    await gone;
  }

  #settle(ask: number, answer: Answer | undefined): void {
    this.#waiting.get(ask)?.(answer);
    this.#waiting.delete(ask);
  }
}

export interface RealClusterParts {
  readonly names: readonly string[];
  readonly network: RealNetwork;
  readonly leaseMs: number;
  /** What a node's process finds in its environment. */
  readonly environment?: (name: string, dir: string) => NodeJS.ProcessEnv;
}

/** Nodes in processes of their own, with real logs, over a network that can be cut. */
export class RealCluster {
  readonly nodes = new Map<string, RealNode>();
  readonly #parts: RealClusterParts;
  readonly #ports = new Map<string, number>();
  #work = "";
  #file = "";

  constructor(parts: RealClusterParts) {
    this.#parts = parts;
  }

  get names(): readonly string[] {
    return this.#parts.names;
  }

  async open(): Promise<this> {
    this.#work = await mkdtemp(join(tmpdir(), "evenkeel-paxos-real-"));
    this.#file = await built(this.#work);
    for (const name of this.names) await this.#spawn(name);
    await Promise.all([...this.nodes.values()].map((node) => this.#introduce(node)));
    for (const node of this.nodes.values()) await until(async () => (await node.status())?.voting === true);
    return this;
  }

  dirOf(name: string): string {
    return join(this.#work, name);
  }

  node(name: string): RealNode {
    const node = this.nodes.get(name);
    if (node === undefined) throw new Error(`${name} does not run`);
    return node;
  }

  /** After `kill`: the same node, from its log. */
  async restart(name: string): Promise<void> {
    await this.#spawn(name);
    await Promise.all([...this.nodes.values()].map((node) => this.#introduce(node)));
  }

  /** Who can serve, among these. */
  async leader(among: readonly string[] = this.names): Promise<RealNode> {
    let found: RealNode | undefined;
    await until(async () => {
      for (const name of among) {
        const node = this.nodes.get(name);
        if (node?.alive && (await answered(node.status()))?.ready) found = node;
      }
      return found !== undefined;
    });
    return found as RealNode;
  }

  /** Waits until all have applied as much, and throws unless they hold the same then. */
  async agree(): Promise<void> {
    const nodes = [...this.nodes.values()];
    await until(async () => {
      const applied = await Promise.all(nodes.map(async (node) => (await node.status())?.appliedThrough));
      return applied[0] !== undefined && applied.every((through) => through === applied[0]);
    });
    const states = await Promise.all(nodes.map(async (node) => (await node.ask({ type: "state" }))?.value));
    if (new Set(states).size !== 1) throw new Error(`the replicas differ: ${states.join(" | ")}`);
  }

  async close(): Promise<void> {
    for (const node of this.nodes.values()) await node.kill();
    this.#parts.network.close();
    if (this.#work !== "") await rm(this.#work, { recursive: true, force: true });
  }

  async #spawn(name: string): Promise<void> {
    const { network, leaseMs, environment } = this.#parts;
    const [execPath, ...execArgv] = network.launch(name) as [string, ...string[]];
    const dir = this.dirOf(name);
    const env = { ...process.env, NODE_OPTIONS: "", UV_USE_IO_URING: "0", ...environment?.(name, dir) };
    const child = fork(this.#file, [name, dir, network.hostOf(name), String(leaseMs)], { execPath, execArgv, env });
    const node = new RealNode(name, child);
    this.nodes.set(name, node);
    this.#ports.set(name, await node.port());
  }

  async #introduce(node: RealNode): Promise<void> {
    const peers: Record<string, { host: string; port: number }> = {};
    for (const [name, port] of this.#ports) {
      peers[name] = await this.#parts.network.route(node.name, name, port);
    }
    const answer = await answered(node.ask({ type: "start", peers }));
    if (answer?.code !== undefined) throw new Error(`${node.name}: ${answer.code}`);
  }
}

/** Undefined when a node that is suspended does not answer. */
async function answered<T>(answer: Promise<T | undefined>): Promise<T | undefined> {
  let timer: NodeJS.Timeout | undefined;
  const late = new Promise<undefined>((resolve) => {
    timer = setTimeout(() => resolve(undefined), 1000);
  });
  try {
    return await Promise.race([answer, late]);
  } finally {
    clearTimeout(timer);
  }
}

export async function until(condition: () => boolean | Promise<boolean>): Promise<void> {
  while (!(await condition())) await new Promise((resolve) => setTimeout(resolve, 10));
}
