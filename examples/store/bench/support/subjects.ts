import { type ChildProcess, type SpawnOptions, spawn } from "node:child_process";
import { existsSync, rmSync } from "node:fs";
import { mkdtemp, rm } from "node:fs/promises";
import { createRequire } from "node:module";
import { createServer } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { type ProcessCpu, processTree, totalUs, usedBetween } from "./cpu.js";
import { type Answer, HOST, ITEMS, type Load, Loader, type LoadFigures, storeRoot } from "./loader.js";

/**
 * For so long a server is loaded with what is to be measured before its first turn, the same for all: until its code is compiled. A store in Node.js does less than
 * half of what it can in its first seconds, and a figure from then tells of the compiler.
 */
export const WARM_SECONDS = 8;

/** A server under test: starts on a free port, holds so many items, stops. */
export interface ServerUnderTest {
  readonly note: string;
  readonly skip?: string;
  /** One more bench of this file will start it and stop it. All of them load the same processes, which end with the last one. */
  expectUser(): void;
  /** Resolves when it has answered `WARM_SECONDS` of this workload, now or for an earlier bench. */
  start(workload: Pick<Load, "readShare" | "clients">): Promise<void>;
  /** `cpu`: what the server's processes used of the processors, in microseconds an operation; 0 where there is no /proc. */
  load(load: Load): Promise<LoadFigures & { readonly cpu: number; readonly processes: readonly ProcessCpu[] }>;
  answers(load: Load & { readonly rate: number }): Promise<Answer[]>;
  /** Its processes, the first one first; empty where there is no /proc. */
  processes(): ProcessCpu[];
  stop(): Promise<void>;
}

type Launch = (port: number, dir: string) => ChildProcess;

const require = createRequire(import.meta.url);

function resolved(resolve: () => string): string | undefined {
  try {
    return resolve();
  } catch {
    return undefined;
  }
}

function server(note: string, launch: Launch | undefined, missing: string, items: number): ServerUnderTest {
  let users = 0;
  let opening: Promise<void> | undefined;
  const warmed = new Set<number>();
  let child: ChildProcess | undefined;
  let loader: Loader | undefined;
  let dir = "";

  async function open(): Promise<void> {
    dir = await mkdtemp(join(tmpdir(), "evenkeel-bench-"));
    const port = await freePort();
    child = launch?.(port, dir);
    process.once("exit", leaveNothing);
    await answers(port, child);
    loader = new Loader(port, items);
    await loader.fill();
  }

  /** Where a bench fails, nobody comes to stop it. */
  function leaveNothing(): void {
    child?.kill("SIGKILL");
    rmSync(dir, { recursive: true, force: true });
  }

  return {
    note,
    ...(launch === undefined ? { skip: missing } : {}),
    expectUser() {
      users++;
    },
    async start({ readShare, clients }) {
      opening ??= open();
      await opening;
      if (warmed.has(readShare)) return;
      warmed.add(readShare);
      await (loader as Loader).load({ readShare, clients, seconds: WARM_SECONDS });
    },
    async load(load) {
      const pid = child?.pid ?? 0;
      const before = processTree(pid);
      const figures = await (loader as Loader).load(load);
      const processes = usedBetween(before, processTree(pid));
      return { ...figures, cpu: totalUs(processes) / figures.operations, processes };
    },
    answers: (load) => (loader as Loader).answers(load),
    processes: () => processTree(child?.pid ?? 0),
    async stop() {
      if (--users > 0) return;
      process.off("exit", leaveNothing);
      loader?.stop();
      if (child !== undefined) {
        const gone = new Promise((resolve) => child?.once("exit", resolve));
        child.kill("SIGTERM");
        await gone;
      }
      await rm(dir, { recursive: true, force: true });
    },
  };
}

async function freePort(): Promise<number> {
  const probe = createServer();
  await new Promise<void>((resolve) => probe.listen(0, HOST, resolve));
  const address = probe.address();
  await new Promise((resolve) => probe.close(resolve));
  return typeof address === "object" && address !== null ? address.port : 0;
}

async function answers(port: number, child: ChildProcess | undefined): Promise<void> {
  const giveUpAt = performance.now() + 20_000;
  for (;;) {
    try {
      await fetch(`http://${HOST}:${port}/`);
      return;
    } catch (error) {
      if (child?.exitCode !== null || performance.now() > giveUpAt) throw error;
      await new Promise((resolve) => setTimeout(resolve, 50));
    }
  }
}

const cli = join(storeRoot, "dist/cli.js");
const dynalite = resolved(() => require.resolve("dynalite/cli.js"));
const dynoxide = resolved(() => require.resolve("@dynoxide/linux-x64/package.json"))?.replace(
  "package.json",
  "dynoxide",
);
const quiet: SpawnOptions = { stdio: "ignore" };

/** This store, with so many partitions a table, or as many as it takes by itself. Where EVENKEEL_CPU_PROFILES names a directory, each process leaves its profile there. */
export function storeServer(partitions?: number, items = ITEMS): ServerUnderTest {
  const profiles = process.env.EVENKEEL_CPU_PROFILES;
  const node = profiles === undefined ? [] : ["--cpu-prof", `--cpu-prof-dir=${profiles}`];
  const options = partitions === undefined ? [] : ["--partitions", String(partitions)];
  return server(
    "three replicas in three processes, two of which sync (fdatasync) before the answer",
    existsSync(cli)
      ? (port, dir) => spawn(process.execPath, [...node, cli, "--port", String(port), "--data", dir, ...options], quiet)
      : undefined,
    "not built: run `npm run build` first",
    items,
  );
}

/** This store and its peers, each with so many items. */
export const serversOf = (items: number): Readonly<Record<string, ServerUnderTest>> => ({
  evenkeel: storeServer(undefined, items),
  "dynalite (memory)": server(
    "one copy, in memory, nothing on disk",
    dynalite === undefined
      ? undefined
      : (port) =>
          spawn(process.execPath, [dynalite, "--host", HOST, "--port", String(port), "--createTableMs", "0"], quiet),
    "dynalite is not installed",
    items,
  ),
  "dynalite (disk)": server(
    "one copy, LevelDB on disk, no sync before the answer",
    dynalite === undefined
      ? undefined
      : (port, dir) =>
          spawn(
            process.execPath,
            [dynalite, "--host", HOST, "--port", String(port), "--createTableMs", "0", "--path", join(dir, "level")],
            quiet,
          ),
    "dynalite is not installed",
    items,
  ),
  "dynoxide (disk)": server(
    "one copy, SQLite on disk, fsync before the answer",
    dynoxide === undefined || !existsSync(dynoxide)
      ? undefined
      : (port, dir) =>
          spawn(dynoxide, ["--host", HOST, "--port", String(port), "--db-path", join(dir, "dynoxide.db")], quiet),
    "@dynoxide/linux-x64 is for Linux on x64",
    items,
  ),
});

export const servers = serversOf(ITEMS);

/** What the load and the machine do without any server to speak of. */
export const bareServer = server(
  "one process that keeps nothing and answers at once",
  (port) => spawn(process.execPath, [join(storeRoot, "bench/support/bare-server.mjs"), String(port)], quiet),
  "",
  ITEMS,
);
