import { type ChildProcess, fork } from "node:child_process";
import { once } from "node:events";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { afterEach, describe, expect, it } from "vitest";
import { freePort } from "../../../scripts/free-port.js";
import type { GroupStatus } from "../src/index.js";
import type { Answer, Ask } from "./support/node-process.js";

const names = ["a", "b", "c"];
const program = fileURLToPath(new URL("./support/node-process.ts", import.meta.url));

class NodeProcess {
  readonly name: string;
  readonly child: ChildProcess;
  readonly #waiting = new Map<number, (answer: Answer | undefined) => void>();
  #asked = 0;

  constructor(name: string, dir: string, port: number, leaseMs = 300) {
    this.name = name;
    this.child = fork(program, [name, join(dir, name), String(port), String(leaseMs)], {
      execArgv: ["--conditions=@evenkeel/source", "--import", "tsx"],
    });
    this.child.on("message", (answer: Answer) => this.#settle(answer.ask, answer));
    this.child.on("exit", () => {
      for (const ask of [...this.#waiting.keys()]) this.#settle(ask, undefined);
    });
  }

  /** The port, once it listens. */
  async listening(): Promise<number> {
    const answer = await new Promise<Answer | undefined>((resolve) => this.#waiting.set(0, resolve));
    if (typeof answer?.value !== "number") throw new Error(`${this.name} did not start`);
    return answer.value;
  }

  /** Undefined when the process died before it answered. */
  ask(ask: Ask): Promise<Answer | undefined> {
    if (this.child.exitCode !== null || this.child.signalCode !== null || !this.child.connected)
      return Promise.resolve(undefined);
    const id = ++this.#asked;
    return new Promise((resolve) => {
      this.#waiting.set(id, resolve);
      this.child.send({ ask: id, ...ask }, (error) => {
        if (error) this.#settle(id, undefined);
      });
    });
  }

  async kill(): Promise<void> {
    const gone = once(this.child, "exit");
    this.child.kill("SIGKILL");
    await gone;
  }

  #settle(ask: number, answer: Answer | undefined): void {
    this.#waiting.get(ask)?.(answer);
    this.#waiting.delete(ask);
  }
}

const running = new Map<string, NodeProcess>();
let dir = "";
afterEach(async () => {
  for (const node of running.values()) await node.kill();
  running.clear();
  await rm(dir, { recursive: true, force: true });
});

describe("three processes whose leader is killed again and again", () => {
  it("lose no acknowledged write, carry out none twice, and agree on all of them", { timeout: 300_000 }, async () => {
    dir = await mkdtemp(join(tmpdir(), "evenkeel-paxos-kill-"));
    const ports: Record<string, number> = {};
    const start = async (name: string) => {
      const node = new NodeProcess(name, dir, ports[name] ?? (await freePort()));
      running.set(name, node);
      ports[name] = await node.listening();
      return node;
    };
    await Promise.all(names.map(start));
    for (const node of running.values()) await node.ask({ type: "start", ports });

    const findLeader = async (): Promise<NodeProcess> => {
      for (;;) {
        for (const node of running.values()) {
          const status = (await node.ask({ type: "status" }))?.value as GroupStatus | undefined;
          if (status?.ready) return node;
        }
        await new Promise((resolve) => setTimeout(resolve, 20));
      }
    };

    const acknowledged: string[] = [];
    let writing = true;
    let written = 0;
    const writer = async (id: number) => {
      let leader = await findLeader();
      while (writing) {
        const command = `${id}:${written++}`;
        const answer = await leader.ask({ type: "propose", command });
        if (answer && answer.code === undefined) acknowledged.push(command);
        else if (writing) leader = await findLeader();
      }
    };
    const writers = Promise.all([1, 2, 3, 4].map(writer));
    for (let round = 0; round < 3; round++) {
      const leader = await findLeader();
      const enough = acknowledged.length + 200;
      while (acknowledged.length < enough) await new Promise((resolve) => setTimeout(resolve, 5));
      await leader.kill();
      const next = await findLeader();
      expect(next.name).not.toBe(leader.name);
      const again = await start(leader.name);
      await again.ask({ type: "start", ports });
    }
    writing = false;
    await writers;
    expect(acknowledged.length).toBeGreaterThanOrEqual(600);

    const seen = (await (await findLeader()).ask({ type: "read" }))?.value as string[];
    expect(new Set(seen).size).toBe(seen.length);
    expect(acknowledged.filter((command) => !seen.includes(command))).toEqual([]);
    for (const node of running.values()) {
      let journal: string[] = [];
      while (journal.length < seen.length) {
        await new Promise((resolve) => setTimeout(resolve, 5));
        journal = ((await node.ask({ type: "journal" }))?.value as string[] | undefined) ?? [];
      }
      expect(journal.slice(0, seen.length)).toEqual(seen);
    }
  });
});

describe("three processes whose leader is suspended (SIGSTOP) for many leases", () => {
  it("elect another, and the one that wakes up never answers from what it believed", { timeout: 300_000 }, async () => {
    dir = await mkdtemp(join(tmpdir(), "evenkeel-paxos-stop-"));
    const ports: Record<string, number> = {};
    for (const name of names) {
      // Long enough for a busy machine not to suspend others as well.
      const node = new NodeProcess(name, dir, 0, 1000);
      running.set(name, node);
      ports[name] = await node.listening();
    }
    for (const node of running.values()) await node.ask({ type: "start", ports });
    const ready = async (nodes: readonly NodeProcess[]): Promise<NodeProcess> => {
      for (;;) {
        for (const node of nodes) {
          if (((await node.ask({ type: "status" }))?.value as GroupStatus | undefined)?.ready) return node;
        }
        await new Promise((resolve) => setTimeout(resolve, 20));
      }
    };
    /** Asks until it is carried out; what is refused or in doubt is another command the next time. */
    const write = async (nodes: readonly NodeProcess[], what: string): Promise<string> => {
      for (let n = 0; ; n++) {
        const command = `${what} ${n}`;
        const answer = await (await ready(nodes)).ask({ type: "propose", command });
        if (answer && answer.code === undefined) return command;
      }
    };
    const all = [...running.values()];
    const before = await write(all, "before");
    const asleep = await ready(all);
    const others = all.filter((node) => node !== asleep);
    asleep.child.kill("SIGSTOP");
    // These wait for it in its pipe: the first things that it finds when it wakes up, with a lease that it has no reason to doubt but its clock.
    const reads = [1, 2, 3].map(() => asleep.ask({ type: "read" }));
    const proposal = asleep.ask({ type: "propose", command: "asleep" });
    const meanwhile = await write(others, "meanwhile");
    asleep.child.kill("SIGCONT");
    for (const answer of await Promise.all(reads)) {
      if (answer?.code === undefined) expect(answer?.value).toEqual(expect.arrayContaining([before, meanwhile]));
      else expect(["ERR_PAXOS_NOT_LEADER", "ERR_PAXOS_UNKNOWN_OUTCOME"]).toContain(answer.code);
    }
    const outcome = await proposal;
    const after = await write(all, "after");
    const seen = (await (await ready(all)).ask({ type: "read" }))?.value as string[];
    expect(seen).toEqual(expect.arrayContaining([before, meanwhile, after]));
    expect(new Set(seen).size).toBe(seen.length);
    if (outcome?.code === undefined) expect(seen).toContain("asleep");
  });
});
