/**
 * `npm run bench [-- NAME...] [--json FILE]`: the benchmarks of every package, or of those named, in one table.
 *
 * A bench file is compiled as the packages are, and imports them by name as their users do: what is measured is what is published. Each file
 * runs in a process of its own; within a file the subjects take turns (see bench-turns.ts).
 */
import { fork } from "node:child_process";
import { existsSync, mkdirSync, readdirSync, rmSync, writeFileSync } from "node:fs";
import { availableParallelism, cpus } from "node:os";
import { basename, dirname, join, relative, resolve } from "node:path";
import { pathToFileURL } from "node:url";
import { parseArgs } from "node:util";
import { build } from "tsup";
import type { FromBenchFile } from "./bench-file.js";
import { benchTable } from "./bench-table.js";
import type { BenchResult, Row } from "./bench-turns.js";
import { houseRoot, workspacesIn } from "./workspaces.js";

interface BenchFile {
  readonly package: string;
  readonly folder: string;
  readonly path: string;
}

function benchFiles(): BenchFile[] {
  return workspacesIn(houseRoot).flatMap(({ name, folder: from }) => {
    const folder = join(houseRoot, from);
    const benches = join(folder, "bench");
    if (!existsSync(benches)) return [];
    return readdirSync(benches)
      .filter((file) => file.endsWith(".bench.ts"))
      .sort()
      .map((file) => ({ package: name, folder, path: join(benches, file) }));
  });
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
    skipNodeModulesBundle: true,
    sourcemap: "inline",
  });
  return join(outDir, `${name}.mjs`);
}

/** Runs one file to its end; results come in through `onResult`, and what went wrong is returned. */
function runFile(
  runner: string,
  file: string,
  bench: BenchFile,
  onResult: (result: BenchResult) => void,
): Promise<string[]> {
  return new Promise((resolveRun, reject) => {
    const failures: string[] = [];
    const child = fork(runner, [pathToFileURL(file).href, bench.package], {
      cwd: bench.folder,
      execArgv: ["--enable-source-maps"],
      stdio: ["ignore", "inherit", "inherit", "ipc"],
    });
    child.on("message", (message: FromBenchFile) => {
      if ("turn" in message) progress(message.turn);
      else if ("result" in message) onResult(message.result);
      else failures.push(message.failure);
    });
    child.on("error", reject);
    child.on("close", (code, signal) => {
      if (code !== 0 && failures.length === 0) failures.push(`ended with ${signal ?? `exit code ${code}`}`);
      resolveRun(failures);
    });
  });
}

/** One line that is written over, where somebody looks; nothing in a log. */
function progress(text: string): void {
  if (!process.stderr.isTTY) return;
  process.stderr.write(`\r\u001b[K${text.slice(0, (process.stderr.columns ?? 80) - 1)}`);
}

async function main(): Promise<number> {
  const { values, positionals } = parseArgs({ allowPositionals: true, options: { json: { type: "string" } } });
  const all = benchFiles();
  const known = [...new Set(all.map((bench) => bench.package))];
  const unknown = positionals.filter((name) => !known.includes(name));
  if (unknown.length > 0) {
    console.error(`No benchmarks under the name ${unknown.join(", ")}. There are: ${known.join(", ") || "none"}.`);
    return 1;
  }
  const chosen = positionals.length === 0 ? all : all.filter((bench) => positionals.includes(bench.package));
  const rows: Row[] = [];
  const asides: string[] = [];
  const failures: string[] = [];
  const runner = await compiled(join(houseRoot, "scripts/bench-file.ts"), join(houseRoot, "scripts/.evenkeel"));
  for (const bench of chosen) {
    const outDir = join(bench.folder, ".evenkeel");
    const file = await compiled(bench.path, outDir);
    const wrong = await runFile(runner, file, bench, (result) => {
      rows.push(...result.rows);
      asides.push(...result.notes.map((note) => `${bench.package}: ${note}`));
      asides.push(...result.skips.map((skip) => `${bench.package}: not run: ${skip}`));
    });
    failures.push(...wrong.map((text) => `${relative(houseRoot, bench.path)}: ${text}`));
    rmSync(file, { force: true });
  }
  progress("");

  console.log(
    `Node ${process.version}, ${availableParallelism()} x ${cpus()[0]?.model.trim() ?? "unknown processor"}\n`,
  );
  console.log(benchTable(rows));
  if (asides.length > 0) console.log(`\n${[...new Set(asides)].join("\n")}`);
  if (failures.length > 0) console.error(`\nFailed:\n${failures.join("\n")}`);
  if (values.json !== undefined) {
    const target = resolve(process.env.INIT_CWD ?? process.cwd(), values.json);
    mkdirSync(dirname(target), { recursive: true });
    writeFileSync(target, `${JSON.stringify(rows, null, 2)}\n`);
  }
  return failures.length === 0 ? 0 : 1;
}

process.exitCode = await main();
