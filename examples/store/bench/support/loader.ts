import { type ChildProcess, fork } from "node:child_process";
import { existsSync } from "node:fs";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";

export const HOST = "127.0.0.1";
const TABLE = "bench";
export const ITEMS = 2_000;

export interface Load {
  readonly operation: "PutItem" | "GetItem";
  readonly clients: number;
  readonly seconds: number;
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

  constructor(port: number) {
    this.#port = port;
    this.#process = fork(join(storeRoot, "bench/support/loader.mjs"), { execArgv: [] });
  }

  /** Makes the table with its `ITEMS` items. */
  async fill(): Promise<void> {
    await this.#ask({ work: "fill" });
  }

  /** Answers with throughput (ops/s), p50 and p99 (ms). */
  load(load: Load): Promise<Record<string, number>> {
    return this.#ask({ work: "load", ...load });
  }

  stop(): void {
    this.#process.kill();
  }

  #ask(message: Record<string, unknown>): Promise<Record<string, number>> {
    return new Promise((resolve, reject) => {
      const ended = (code: number | null) => reject(new Error(`the loader ended with ${code}`));
      this.#process.once("exit", ended);
      this.#process.once("message", (answer: { result?: Record<string, number>; error?: string }) => {
        this.#process.off("exit", ended);
        if (answer.result === undefined) reject(new Error(answer.error));
        else resolve(answer.result);
      });
      this.#process.send({ host: HOST, port: this.#port, table: TABLE, items: ITEMS, ...message });
    });
  }
}
