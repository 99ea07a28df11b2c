import { fork } from "node:child_process";
import { existsSync, readdirSync, rmSync } from "node:fs";
import { basename, join } from "node:path";
import { pathToFileURL } from "node:url";
import { build } from "tsup";
import type { FromBenchFile } from "./bench-file.js";
import type { BenchResult } from "./bench-turns.js";
import { houseRoot, workspacesIn } from "./workspaces.js";

export interface BenchFile {
  /** "wal". */
  readonly package: string;
  readonly folder: string;
  readonly path: string;
}

export function benchFiles(root: string): BenchFile[] {
  return workspacesIn(root).flatMap(({ name, folder: from }) => {
    const folder = join(root, from);
    const benches = join(folder, "bench");
    if (!existsSync(benches)) return [];
    return readdirSync(benches)
      .filter((file) => file.endsWith(".bench.ts"))
      .sort()
      .map((file) => ({ package: name, folder, path: join(benches, file) }));
  });
}

/**
 * Runs the benches of one file, in a process of their own. Gives what came out before anything went wrong, and what went wrong: a peer that
 * falls over takes nobody else's figures with it.
 */
export async function runBenchFile(
  bench: BenchFile,
  onTurn: (turn: string) => void,
): Promise<{ results: BenchResult[]; failures: string[] }> {
  const results: BenchResult[] = [];
  const failures: string[] = [];
  let file: string | undefined;
  try {
    const runner = await compiled(join(houseRoot, "scripts/bench-file.ts"), join(houseRoot, "scripts/.evenkeel"));
    file = await compiled(bench.path, join(bench.folder, ".evenkeel"));
    const ended = await inItsOwnProcess(runner, file, bench, (message) => {
      if ("turn" in message) onTurn(message.turn);
      else if ("result" in message) results.push(message.result);
      else failures.push(message.failure);
    });
    if (ended !== "exit code 0" && failures.length === 0) failures.push(`ended with ${ended}`);
  } catch (error) {
    failures.push(error instanceof Error ? error.message : String(error));
  } finally {
    if (file) rmSync(file, { force: true });
  }
  return { results, failures };
}

/** Compiles one file for Node as the packages are compiled, beside it so that relative URLs in it still hold; returns where it went. */
async function compiled(entry: string, outDir: string): Promise<string> {
  const name = basename(entry, ".ts");
  await build({
    entry: { [name]: entry },
    outDir,
    format: ["esm"],
    outExtension: () => ({ js: ".mjs" }),
    target: "node20",
    config: false,
    dts: false,
    clean: false,
    silent: true,
    // What is wrong is thrown, and told by who runs this.
    esbuildOptions: (options) => {
      options.logLevel = "silent";
    },
    skipNodeModulesBundle: true,
    sourcemap: "inline",
  });
  return join(outDir, `${name}.mjs`);
}

function inItsOwnProcess(
  runner: string,
  file: string,
  bench: BenchFile,
  onMessage: (message: FromBenchFile) => void,
): Promise<string> {
  return new Promise((resolve, reject) => {
    const child = fork(runner, [pathToFileURL(file).href, bench.package], {
      cwd: bench.folder,
      execArgv: ["--enable-source-maps"],
      stdio: ["ignore", "inherit", "inherit", "ipc"],
    });
    child.on("message", onMessage);
    child.on("error", reject);
    child.on("close", (code, signal) => resolve(signal ? `signal ${signal}` : `exit code ${code}`));
  });
}
