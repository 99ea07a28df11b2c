import { type ChildProcess, fork } from "node:child_process";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { Demand, Load } from "./load.js";

export const names = ["a", "b", "c"] as const;

export type ToNode =
  | { readonly type: "start"; readonly ports: Readonly<Record<string, number>> }
  | { readonly type: "load"; readonly demand: Demand }
  | { readonly type: "rest" };

export type FromNode =
  | { readonly type: "listening"; readonly port: number }
  | { readonly type: "leading" }
  | { readonly type: "load"; readonly load: Load; readonly cpuMs?: number; readonly answered?: number }
  | Resting;

/** How a node stands of which nothing is asked. */
export interface Resting {
  readonly type: "resting";
  readonly led: number;
  readonly messages: number;
  readonly cpuMs: number;
}

/** Three processes of one kind; the file that forks them runs `kind` when it finds itself forked (see `forkedAs`). */
export class ThreeProcesses {
  readonly #children: ChildProcess[];
  readonly #dir: string;
  #leader: ChildProcess | undefined;
  #ready: Promise<unknown> | undefined;

  private constructor(children: ChildProcess[], dir: string) {
    this.#children = children;
    this.#dir = dir;
  }

  /** `execArgv`: what each node is given for Node itself. */
  static async open(file: string, kind: string, execArgv: readonly string[] = []): Promise<ThreeProcesses> {
    const dir = await mkdtemp(join(tmpdir(), "evenkeel-bench-"));
    // A CPU profile of each node, when somebody wants to know where the time goes.
    const profiled = process.env.EVENKEEL_BENCH_PROF
      ? ["--cpu-prof", `--cpu-prof-dir=${process.env.EVENKEEL_BENCH_PROF}`]
      : [];
    const children = names.map((name) =>
      fork(file, ["evenkeel-bench-node", kind, name, join(dir, name)], { execArgv: [...execArgv, ...profiled] }),
    );
    const three = new ThreeProcesses(children, dir);
    const listening = await Promise.all(children.map((child) => told(child, "listening")));
    const ports = Object.fromEntries(names.map((name, index) => [name, listening[index]?.port ?? 0]));
    const ready = children.map((child) => told(child, "leading").then(() => child));
    const leading = Promise.race(ready);
    three.#ready = Promise.all(ready);
    // In a single group nobody but the leader ever says so, until it ends.
    three.#ready.catch(() => {});
    for (const child of children) child.send({ type: "start", ports } satisfies ToNode);
    three.#leader = await leading;
    return three;
  }

  async load(demand: Demand): Promise<Load> {
    const leader = this.#leader as ChildProcess;
    const answer = told(leader, "load");
    leader.send({ type: "load", demand } satisfies ToNode);
    return (await answer).load;
  }

  /**
   * All three at once, wherever each group is led; the sum of what they came to, the worst of the rest, and the processor time that all three together spent on a command. `clients` is how many there
   * are in all.
   */
  async loadAll(demand: Demand): Promise<Load & { readonly cpu: number }> {
    const answers = this.#children.map((child) => told(child, "load"));
    for (const child of this.#children) child.send({ type: "load", demand } satisfies ToNode);
    const answered = await Promise.all(answers);
    const loads = answered.map(({ load }) => load);
    const worst = (metric: "p50" | "p99") => Math.max(...loads.map((load) => load[metric]));
    const throughput = loads.reduce((sum, load) => sum + load.throughput, 0);
    const all = (what: "cpuMs" | "answered") => answered.reduce((sum, one) => sum + (one[what] ?? 0), 0);
    const cpu = (all("cpuMs") * 1000) / all("answered");
    return { throughput, p50: worst("p50"), p99: worst("p99"), cpu };
  }

  /** What those who live say of themselves. */
  resting(): Promise<readonly Resting[]> {
    return Promise.all(
      this.#children
        .filter((child) => child.connected)
        .map((child) => {
          const answer = told(child, "resting");
          child.send({ type: "rest" } satisfies ToNode);
          return answer;
        }),
    );
  }

  async kill(index: number): Promise<void> {
    const child = this.#children[index] as ChildProcess;
    const gone = new Promise((resolve) => child.once("exit", resolve));
    child.kill("SIGKILL");
    await gone;
  }

  /** Until each of the three has said that it is ready: `open` waits for the first. */
  async allReady(): Promise<void> {
    await this.#ready;
  }

  async close(): Promise<void> {
    const alive = this.#children.filter((child) => child.connected);
    const gone = alive.map((child) => new Promise((resolve) => child.once("exit", resolve)));
    for (const child of alive) child.disconnect();
    await Promise.all(gone);
    await rm(this.#dir, { recursive: true, force: true });
  }
}

function told<T extends FromNode["type"]>(child: ChildProcess, type: T): Promise<Extract<FromNode, { type: T }>> {
  return new Promise((resolve, reject) => {
    const exited = () => reject(new Error(`a node ended before it said "${type}"`));
    const listen = (message: FromNode) => {
      if (message.type !== type) return;
      child.off("message", listen);
      child.off("exit", exited);
      resolve(message as Extract<FromNode, { type: T }>);
    };
    child.on("message", listen);
    child.once("exit", exited);
  });
}

/** Which node of which kind this process was forked as, if it was. */
export function forkedAs(): { kind: string; name: string; dir: string } | undefined {
  const [mark, kind = "", name = "", dir = ""] = process.argv.slice(2);
  return mark === "evenkeel-bench-node" ? { kind, name, dir } : undefined;
}

export function tell(message: FromNode): void {
  process.send?.(message);
}

export function onTold(listener: (message: ToNode) => Promise<void>): void {
  // Whatever goes wrong in a node ends it, and its parent says so.
  process.on("message", (message: ToNode) => void listener(message));
  process.once("disconnect", () => process.exit());
}
