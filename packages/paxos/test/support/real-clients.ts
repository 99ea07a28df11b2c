import { assertLinearizable, History } from "@evenkeel/simulation";
import { type Answer, type Op, opKey, swapModel } from "./machine.js";
import { type RealCluster, until } from "./real-cluster.js";

/** Certainly without effect, now and ever. */
const refusals = new Set(["ERR_PAXOS_NOT_LEADER", "ERR_PAXOS_OVERLOADED", "ERR_PAXOS_STORAGE", "ERR_PAXOS_CLOSED"]);
const keys = 3;
/** Nobody answers: its outcome is unknown, and the caller goes on. */
const patienceMs = 1500;

/** Callers of a cluster of processes, one call each at a time, and the history of all of them. */
export class RealClients {
  readonly history = new History<Op, Answer>({ now: () => performance.now() });
  readonly #cluster: RealCluster;
  readonly #running: Promise<void>[];
  readonly #succeeded: number[];
  #stopped = false;
  #values = 0;
  #written = 0;

  constructor(cluster: RealCluster, count: number) {
    this.#cluster = cluster;
    this.#succeeded = Array.from({ length: count }, () => 0);
    this.#running = this.#succeeded.map((_, index) => this.#run(index));
  }

  /** Until each caller was answered so many times more. */
  async served(times: number): Promise<void> {
    const before = [...this.#succeeded];
    await until(() => this.#succeeded.every((count, index) => count >= (before[index] as number) + times));
  }

  get writesAnswered(): number {
    return this.#written;
  }

  /** Lets the calls that are under way end, and checks what was answered to all of them. */
  async stop(): Promise<void> {
    this.#stopped = true;
    await Promise.all(this.#running);
    assertLinearizable(this.history, swapModel, { partitionBy: opKey });
  }

  async #run(index: number): Promise<void> {
    const { history } = this;
    const { names, nodes } = this.#cluster;
    let target = names[index % names.length] as string;
    for (let n = 0; !this.#stopped; n++) {
      const key = (index + n) % keys;
      const op: Op = n % 3 === 0 ? { kind: "read", key } : { kind: "swap", key, value: ++this.#values };
      const call = history.invoke(`${index}/${n}`, op);
      const answer = await this.#patiently(nodes.get(target)?.ask({ type: "call", op }));
      if (answer !== undefined && answer.code === undefined) {
        history.ok(call, answer.value as Answer);
        if (op.kind === "swap") this.#written++;
        this.#succeeded[index] = (this.#succeeded[index] as number) + 1;
        // A caller that never pauses makes histories longer, and proves no more.
        await pause(2);
        continue;
      }
      if (answer?.code !== undefined && refusals.has(answer.code)) history.fail(call);
      else history.unknown(call);
      // The leader that it knows, or whoever comes next.
      target = answer?.leader ?? (names[(names.indexOf(target) + 1) % names.length] as string);
      await pause(20);
    }
  }

  async #patiently<T>(answer: Promise<T | undefined> | undefined): Promise<T | undefined> {
    let timer: NodeJS.Timeout | undefined;
    const late = new Promise<undefined>((resolve) => {
      timer = setTimeout(() => resolve(undefined), patienceMs);
    });
    try {
      return await Promise.race([answer, late]);
    } finally {
      clearTimeout(timer);
    }
  }
}

const pause = (ms: number) => new Promise((resolve) => setTimeout(resolve, ms));
