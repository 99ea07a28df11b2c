import { type ChildProcess, fork } from "node:child_process";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { type FromFailoverNode, machineMs, names, type ToFailoverNode } from "./failover-node.js";

const patienceMs = 30_000;

/** Three processes, whichever leads under writes, of which the leader is killed or relieved again and again. */
export class Failovers {
  readonly #file: string;
  readonly #dir: string;
  readonly #ports = new Map<string, number>();
  readonly #children = new Map<string, ChildProcess>();
  readonly #listeners = new Set<(name: string, message: FromFailoverNode) => void>();
  #leader = "";

  private constructor(file: string, dir: string) {
    this.#file = file;
    this.#dir = dir;
    this.#listeners.add((name, message) => {
      if (message.type === "serves") this.#leader = name;
      if (message.type === "listening") this.#ports.set(name, message.port);
    });
  }

  static async open(file: string): Promise<Failovers> {
    const three = new Failovers(file, await mkdtemp(join(tmpdir(), "evenkeel-failover-")));
    await Promise.all(names.map((name) => three.#fork(name)));
    const serves = three.#told("serves");
    for (const name of names) three.#start(name);
    await serves;
    return three;
  }

  /** Milliseconds from the kill of the leader to the next acknowledged write. The killed one comes back afterwards. */
  async kill(): Promise<number> {
    await settled();
    const leader = this.#leader;
    const serves = this.#told("serves");
    const child = this.#children.get(leader) as ChildProcess;
    const exited = new Promise((resolve) => child.once("exit", resolve));
    const killedMs = machineMs();
    child.kill("SIGKILL");
    const { atMs } = await serves;
    await exited;
    await this.#fork(leader);
    const follows = this.#told("follows", leader);
    this.#start(leader);
    await follows;
    return atMs - killedMs;
  }

  /** Milliseconds between the last write of the old leader and the first one of its heir. */
  async handOver(): Promise<number> {
    await settled();
    const leader = this.#leader;
    const to = names[(names.indexOf(leader as "a") + 1) % names.length] as string;
    const [rests, serves] = [this.#told("rests", leader), this.#told("serves")];
    this.#children.get(leader)?.send({ type: "handOver", to } satisfies ToFailoverNode);
    const [{ lastMs }, { atMs }] = await Promise.all([rests, serves]);
    return atMs - lastMs;
  }

  async close(): Promise<void> {
    const gone = [...this.#children.values()].map((child) => new Promise((resolve) => child.once("exit", resolve)));
    for (const child of this.#children.values()) child.kill("SIGKILL");
    await Promise.all(gone);
    await rm(this.#dir, { recursive: true, force: true });
  }

  async #fork(name: string): Promise<void> {
    const listening = this.#told("listening", name);
    const place = [name, join(this.#dir, name), String(this.#ports.get(name) ?? 0)];
    const child = fork(this.#file, ["evenkeel-bench-node", "failover", ...place]);
    this.#children.set(name, child);
    child.on("message", (message: FromFailoverNode) => {
      for (const listener of this.#listeners) listener(name, message);
    });
    await listening;
  }

  #start(name: string): void {
    this.#children.get(name)?.send({ type: "start", ports: Object.fromEntries(this.#ports) } satisfies ToFailoverNode);
  }

  #told<T extends FromFailoverNode["type"]>(type: T, by?: string): Promise<Extract<FromFailoverNode, { type: T }>> {
    return new Promise((resolve, reject) => {
      const timer = setTimeout(() => reject(new Error(`nobody said "${type}" within ${patienceMs} ms`)), patienceMs);
      const listener = (name: string, message: FromFailoverNode) => {
        if (message.type !== type || (by !== undefined && name !== by)) return;
        clearTimeout(timer);
        this.#listeners.delete(listener);
        resolve(message as Extract<FromFailoverNode, { type: T }>);
      };
      this.#listeners.add(listener);
    });
  }
}

/** A moment of steady work, not in step with anybody's heartbeat. */
function settled(): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, 300 + Math.random() * 200));
}
