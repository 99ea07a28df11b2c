import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { Redis, type RedisOptions } from "ioredis";
import { freePort } from "./free-port.js";

const SERVER = "redis-server";
const ATTEMPTS_MAX = 5;

/** A Redis of a test's own: on a free port, in a folder of its own, gone with its test. */
export class RedisServer {
  readonly port: number;
  readonly #dir: string;
  readonly #args: readonly string[];
  #process: ChildProcess | undefined;

  private constructor(port: number, args: readonly string[]) {
    this.port = port;
    this.#args = args;
    this.#dir = mkdtempSync(join(tmpdir(), "evenkeel-redis-"));
  }

  static async start(...args: string[]): Promise<RedisServer> {
    for (let attempt = 1; ; attempt += 1) {
      const server = new RedisServer(await freePort(), args);
      try {
        await server.start();
        return server;
      } catch (error) {
        await server.stop();
        // Another one may have been quicker to take the port.
        if (attempt === ATTEMPTS_MAX) throw error;
      }
    }
  }

  async start(...more: string[]): Promise<void> {
    const own = [
      "--port",
      String(this.port),
      "--bind",
      "127.0.0.1",
      "--dir",
      this.#dir,
      "--save",
      "",
      "--repl-diskless-sync-delay",
      "0",
    ];
    const child = spawn(SERVER, [...own, ...this.#args, ...more], { stdio: "ignore" });
    this.#process = child;
    process.once("exit", this.#atExit);
    const ended = once(child, "exit").then(([code]) => {
      throw new Error(`${SERVER} ended with ${code} on port ${this.port}`);
    });
    ended.catch(() => {});
    const probe = this.client({ retryStrategy: () => 30, maxRetriesPerRequest: null });
    try {
      await Promise.race([probe.ping(), ended]);
    } finally {
      probe.disconnect();
    }
  }

  readonly #atExit = () => {
    this.#process?.kill("SIGKILL");
  };

  client(options: RedisOptions = {}): Redis {
    const own = { host: "127.0.0.1", port: this.port, maxRetriesPerRequest: 0, retryStrategy: () => 50 };
    const redis = new Redis({ ...own, ...options });
    // Connection errors are what half of these tests are about.
    redis.on("error", () => {});
    return redis;
  }

  signal(name: "SIGSTOP" | "SIGCONT"): void {
    this.#process?.kill(name);
  }

  async kill(): Promise<void> {
    const child = this.#process;
    this.#process = undefined;
    process.off("exit", this.#atExit);
    if (child === undefined || child.exitCode !== null) return;
    const gone = new Promise((resolve) => child.once("exit", resolve));
    child.kill("SIGKILL");
    await gone;
  }

  async stop(): Promise<void> {
    await this.kill();
    rmSync(this.#dir, { recursive: true, force: true });
  }
}

/** Asks until it holds; what it never holds, the test's time-out tells. */
export async function until(condition: () => boolean | Promise<boolean>): Promise<void> {
  while (!(await condition())) await new Promise((resolve) => setTimeout(resolve, 20));
}
