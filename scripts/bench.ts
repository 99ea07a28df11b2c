/**
 * `npm run bench [-- NAME...] [--json FILE]`: the benchmarks of every package, or of those named, in one table.
 *
 * A bench file is compiled as the packages are, and what it imports by name is their build: what is measured is what is published. Each file runs
 * in a process of its own; within a file the subjects take turns (see bench-turns.ts).
 */
import { mkdirSync, writeFileSync } from "node:fs";
import { availableParallelism, cpus } from "node:os";
import { dirname, relative, resolve } from "node:path";
import { parseArgs } from "node:util";
import { benchFiles, runBenchFile } from "./bench-run.js";
import { benchTable } from "./bench-table.js";
import type { Row } from "./bench-turns.js";
import { houseRoot } from "./workspaces.js";

/** One line that is written over, where somebody looks; nothing in a log. */
function progress(text: string): void {
  if (!process.stderr.isTTY) return;
  process.stderr.write(`\r\u001b[K${text.slice(0, (process.stderr.columns ?? 80) - 1)}`);
}

async function main(): Promise<number> {
  const { values, positionals } = parseArgs({ allowPositionals: true, options: { json: { type: "string" } } });
  const all = benchFiles(houseRoot);
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
  for (const bench of chosen) {
    const path = relative(houseRoot, bench.path);
    if (!process.stderr.isTTY) console.error(path);
    const { results, failures: wrong } = await runBenchFile(bench, progress);
    for (const result of results) {
      rows.push(...result.rows);
      const about = [...result.notes, ...result.skips.map((skip) => `not run: ${skip}`)];
      if (about.length > 0)
        asides.push(`${bench.package}: ${result.name}\n${about.map((line) => `  ${line}`).join("\n")}`);
    }
    failures.push(...wrong.map((text) => `${path}: ${text}`));
  }
  progress("");

  console.log(
    `Node ${process.version}, ${availableParallelism()} x ${cpus()[0]?.model.trim() ?? "unknown processor"}\n`,
  );
  console.log(benchTable(rows));
  if (asides.length > 0) console.log(`\n${asides.join("\n")}`);
  if (failures.length > 0) console.error(`\nFailed:\n${failures.join("\n")}`);
  if (values.json !== undefined) {
    const target = resolve(process.env.INIT_CWD ?? process.cwd(), values.json);
    mkdirSync(dirname(target), { recursive: true });
    writeFileSync(target, `${JSON.stringify(rows, null, 2)}\n`);
  }
  return failures.length === 0 ? 0 : 1;
}

process.exitCode = await main();
