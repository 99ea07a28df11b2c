import { type ChildProcess, fork } from "node:child_process";
import { existsSync } from "node:fs";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";

export const HOST = "127.0.0.1";
export const TABLE = "bench";
/** Two megabytes: how the figures change with the data's size is another bench's question. */
export const ITEMS = 2_000;

export interface Load {
  /** How many of the operations are consistent GetItems; the others are PutItems of whole items. */
  readonly readShare: number;
  /** Keep-alive connections, each with one request under way. */
  readonly clients: number;
  readonly seconds: number;
  /** Operations a second that come whether or not those before are answered; absent: a client asks when it has been answered. */
  readonly rate?: number;
  /** Of these, one in each slot of so much time. Absent: they come when they come. */
  readonly even?: boolean;
}

/** Milliseconds where it is a time; a quantile of what did not occur is 0. */
export type LoadFigures = Readonly<
  Record<
    "operations" | "throughput" | "p50" | "p99" | "p999" | "p99 of reads" | "p99 of writes" | "clientCpuUs",
    number
  >
>;

/** One answer of an open loop. */
export interface Answer {
  /** When it came, Unix ms. */
  readonly atMs: number;
  /** Since its request was due. */
  readonly tookMs: number;
  readonly isRead: boolean;
}

/** The store's folder, wherever below it this was compiled to. */
export const storeRoot = (() => {
  let dir = dirname(fileURLToPath(import.meta.url));
  while (!existsSync(join(dir, "package.json"))) dir = dirname(dir);
  return dir;
})();

/** A process that loads the server on `port`: what is measured is then the server's work and not the clients'. */
export class Loader {
  readonly #process: ChildProcess;
  readonly #port: number;
  readonly #items: number;

  constructor(port: number, items = ITEMS) {
    this.#port = port;
    this.#items = items;
    // Its garbage is no business of whom it loads: V8's helpers would take the processors that the servers answer on.
    const execArgv = ["--no-parallel-scavenge", "--no-concurrent-marking"];
    this.#process = fork(join(storeRoot, "bench/support/loader.mjs"), { execArgv });
  }

  /** Makes the table with all its items. */
  async fill(): Promise<void> {
    await this.#ask({ work: "fill" });
  }

  /** Writes each item once more. */
  async writeAll(): Promise<void> {
    await this.#ask({ work: "writeAll" });
  }

  async load(load: Load): Promise<LoadFigures> {
    return await this.#ask<LoadFigures>({ work: load.rate === undefined ? "closed" : "open", ...load });
  }

  /** The same of an open loop, for who pools the answers of many turns. */
  async answers(load: Load & { readonly rate: number }): Promise<Answer[]> {
    const { atMs, tookMs, isRead } = await this.#ask<{
      atMs: readonly number[];
      tookMs: readonly number[];
      isRead: readonly boolean[];
    }>({ work: "open", each: true, ...load });
    return atMs.map((at, i) => ({ atMs: at, tookMs: tookMs[i] as number, isRead: isRead[i] as boolean }));
  }

  stop(): void {
    this.#process.kill();
  }

  #ask<T = unknown>(message: Record<string, unknown>): Promise<T> {
    return new Promise((resolve, reject) => {
      const ended = (code: number | null) => reject(new Error(`the loader ended with ${code}`));
      this.#process.once("exit", ended);
      this.#process.once("message", (answer: { result?: T; error?: string }) => {
        this.#process.off("exit", ended);
        if (answer.result === undefined) reject(new Error(answer.error));
        else resolve(answer.result);
      });
      this.#process.send({ host: HOST, port: this.#port, table: TABLE, items: this.#items, ...message });
    });
  }
}
