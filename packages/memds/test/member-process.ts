import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { build } from "tsup";

/** The command as users run it, built once for a test file. */
export interface Program {
  readonly path: string;
  readonly dir: string;
  close(): Promise<void>;
}

export async function buildProgram(): Promise<Program> {
  const dir = await mkdtemp(join(tmpdir(), "evenkeel-memds-"));
  await build({
    entry: { "evenkeel-memds": fileURLToPath(new URL("../src/evenkeel-memds.ts", import.meta.url)) },
    outDir: dir,
    format: ["esm"],
    outExtension: () => ({ js: ".mjs" }),
    platform: "node",
    target: "node20",
    config: false,
    silent: true,
  });
  return { path: join(dir, "evenkeel-memds.mjs"), dir, close: () => rm(dir, { recursive: true, force: true }) };
}

/** A member in a process of its own. */
export class MemberProcess {
  readonly child: ChildProcess;
  readonly exited: Promise<unknown[]>;
  #said = "";
  #heard: () => void = () => {};

  constructor(program: Program, args: readonly string[], env: Record<string, string> = {}) {
    this.child = spawn(process.execPath, [program.path, ...args], {
      stdio: ["ignore", "pipe", "pipe"],
      env: { ...process.env, ...env },
    });
    this.exited = once(this.child, "exit");
    for (const stream of [this.child.stdout!, this.child.stderr!]) {
      stream.on("data", (text: Buffer) => {
        this.#said += text.toString();
        this.#heard();
      });
    }
    void this.exited.then(() => this.#heard());
  }

  get said(): string {
    return this.#said;
  }

  /** What it says, once it matches; throws if it ends before. */
  async says(pattern: RegExp): Promise<RegExpMatchArray> {
    for (;;) {
      const match = this.#said.match(pattern);
      if (match !== null) return match;
      if (this.child.exitCode !== null || this.child.signalCode !== null) {
        throw new Error(`ended without ${pattern}: ${this.#said}`);
      }
      await new Promise<void>((resolve) => {
        this.#heard = resolve;
      });
    }
  }

  async port(): Promise<number> {
    return Number((await this.says(/listening on .*:(\d+)\n/))[1]);
  }

  async kill(): Promise<void> {
    this.child.kill("SIGKILL");
    await this.exited;
  }
}
