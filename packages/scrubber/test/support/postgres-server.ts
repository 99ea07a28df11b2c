import { type ChildProcess, spawn, spawnSync } from "node:child_process";
import { chownSync, existsSync, mkdtempSync, readdirSync, rmSync } from "node:fs";
import { join } from "node:path";
import { createInterface } from "node:readline";
import type { PostgresSession } from "../../src/postgres/index.js";

/** Debian keeps a server's programs out of the PATH, one folder for each version. */
function binDir(): string | undefined {
  const debian = "/usr/lib/postgresql";
  const versions = existsSync(debian) ? readdirSync(debian).sort().reverse() : [];
  const folders = [...(process.env.PATH ?? "").split(":"), ...versions.map((version) => join(debian, version, "bin"))];
  return folders.find((folder) => ["initdb", "postgres"].every((program) => existsSync(join(folder, program))));
}

export const missingPostgres =
  binDir() !== undefined && spawnSync("psql", ["--version"], { stdio: "ignore" }).status === 0
    ? undefined
    : "initdb, postgres and psql are not installed (Debian: postgresql)";

/** The server refuses to run as root: then it runs as nobody. */
const NOBODY = 65_534;
const asUser = process.getuid?.() === 0 ? { uid: NOBODY, gid: NOBODY } : {};

/** A PostgreSQL of our own: reached through a socket in a folder of its own, gone with its test. */
export class PostgresServer {
  readonly #dir: string;
  readonly #child: ChildProcess;
  readonly #sessions = new Set<ChildProcess>();

  private constructor(dir: string, child: ChildProcess) {
    this.#dir = dir;
    this.#child = child;
    process.once("exit", this.#kill);
  }

  static async start(): Promise<PostgresServer> {
    // Directly in /tmp: the path of a socket is short, and nobody has to reach it.
    const dir = mkdtempSync("/tmp/evenkeel-pg-");
    if (asUser.uid !== undefined) chownSync(dir, asUser.uid, asUser.gid);
    const bin = binDir() as string;
    const options = { cwd: dir, env: { PATH: process.env.PATH }, ...asUser };
    const initdb = spawn(
      join(bin, "initdb"),
      ["-D", join(dir, "data"), "-U", "evenkeel", "-A", "trust", "-E", "UTF8", "--locale=C", "--no-sync"],
      {
        ...options,
        stdio: "ignore",
      },
    );
    const code = await new Promise((resolve) => initdb.once("exit", resolve));
    if (code !== 0) throw new Error(`initdb ended with ${code}`);
    const args = ["-D", join(dir, "data"), "-k", dir, "-c", "listen_addresses=", "-c", "fsync=off"];
    const child = spawn(join(bin, "postgres"), args, { ...options, stdio: "ignore" });
    const server = new PostgresServer(dir, child);
    for (let tries = 0; ; tries++) {
      try {
        await server.run("SELECT 1");
        return server;
      } catch (error) {
        if (tries > 2_000 || child.exitCode !== null) throw error;
        await new Promise((resolve) => setTimeout(resolve, 25));
      }
    }
  }

  async run(statements: string): Promise<void> {
    const psql = this.#psql(["-c", statements], "ignore");
    const code = await new Promise((resolve) => psql.once("exit", resolve));
    if (code !== 0) throw new Error(`psql ended with ${code}: ${statements.slice(0, 200)}`);
  }

  /** A connection of its own, as a client gives it; of what comes, bytes and texts alone are told apart. */
  async connect(): Promise<PostgresSession> {
    const psql = this.#psql(["-A", "-t", "-F", "\t", "-P", "null=\\N"], "pipe");
    const lines = createInterface({ input: psql.stdout as NodeJS.ReadableStream })[Symbol.asyncIterator]();
    const cell = (text: string): unknown => {
      if (text === "\\N") return null;
      return text.startsWith("\\x") ? Buffer.from(text.slice(2), "hex") : text;
    };
    return {
      async query({ text }) {
        psql.stdin?.write(`${text};\n\\echo .\n`);
        const rows: unknown[][] = [];
        for (;;) {
          const { value, done } = await lines.next();
          if (done === true) throw new Error(`psql ended at: ${text.slice(0, 200)}`);
          if (value === ".") return { rows };
          rows.push(value.split("\t").map(cell));
        }
      },
      release: () => void psql.kill("SIGKILL"),
    };
  }

  async close(): Promise<void> {
    process.off("exit", this.#kill);
    for (const session of this.#sessions) session.kill("SIGKILL");
    if (this.#child.exitCode === null) {
      const gone = new Promise((resolve) => this.#child.once("exit", resolve));
      this.#child.kill("SIGQUIT");
      await gone;
    }
    rmSync(this.#dir, { recursive: true, force: true });
  }

  #psql(args: readonly string[], stdin: "ignore" | "pipe"): ChildProcess {
    const psql = spawn(
      "psql",
      ["-X", "-q", "-v", "ON_ERROR_STOP=1", "-h", this.#dir, "-U", "evenkeel", "-d", "postgres", ...args],
      {
        stdio: [stdin, stdin === "pipe" ? "pipe" : "ignore", "ignore"],
      },
    );
    this.#sessions.add(psql);
    psql.once("exit", () => this.#sessions.delete(psql));
    return psql;
  }

  readonly #kill = () => {
    this.#child.kill("SIGQUIT");
  };
}
