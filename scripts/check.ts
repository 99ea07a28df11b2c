/** `npm run check`: everything that can be said about the sources and the packages without running them. */
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { type Packed, packAll } from "./packing.js";
import { type Ran, runTool } from "./run.js";

const steps: readonly { readonly name: string; readonly run: () => Promise<Ran> }[] = [
  { name: "format", run: () => runTool("@biomejs/biome", "biome", ["check", "--error-on-warnings", "."]) },
  { name: "lint", run: () => runTool("oxlint", "oxlint", ["--format", "unix"]) },
  { name: "walls", run: () => runTool("tsx", "tsx", ["scripts/walls.ts"]) },
  { name: "types", run: () => turbo("typecheck", "typecheck:scripts") },
  { name: "build", run: () => turbo("build") },
  { name: "publint", run: () => eachTarball(({ tarball }) => runTool("publint", "publint", [tarball, "--strict"])) },
  {
    name: "attw",
    run: () => eachTarball(({ tarball }) => runTool("@arethetypeswrong/cli", "attw", [tarball, "--profile", "node16"])),
  },
  { name: "knip", run: () => runTool("knip", "knip", ["--no-config-hints"]) },
];

function turbo(...tasks: string[]): Promise<Ran> {
  return runTool("turbo", "turbo", ["run", ...tasks, "--output-logs=errors-only"]);
}

const packFolder = mkdtempSync(join(tmpdir(), "evenkeel-check-"));
let packing: Promise<Packed[]> | undefined;

async function eachTarball(tool: (packed: Packed) => Promise<Ran>): Promise<Ran> {
  packing ??= packAll(packFolder);
  const wrong: string[] = [];
  for (const packed of await packing) {
    const { ok, output } = await tool(packed);
    if (!ok) wrong.push(`${packed.workspace.manifest.name}:\n${output}`);
  }
  return { ok: wrong.length === 0, output: wrong.join("\n") };
}

const failed: string[] = [];
try {
  for (const { name, run } of steps) {
    const start = performance.now();
    const { ok, output } = await run().catch((error: unknown): Ran => ({ ok: false, output: String(error) }));
    console.log(
      `${ok ? "ok    " : "FAILED"}  ${name.padEnd(8)}  ${((performance.now() - start) / 1000).toFixed(1).padStart(5)} s`,
    );
    if (!ok) {
      failed.push(name);
      console.log(`\n${output.trim()}\n`);
    }
  }
} finally {
  rmSync(packFolder, { recursive: true, force: true });
}
if (failed.length > 0) {
  console.error(`\nFailed: ${failed.join(", ")}.`);
  process.exitCode = 1;
}
