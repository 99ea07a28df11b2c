/** `npm run check`: everything that can be said about the sources and the packages without running them. */
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { type Packed, packAll } from "./packing.js";
import { type Ran, runTool } from "./run.js";

interface Step {
  readonly name: string;
  readonly run: () => Promise<Ran>;
  /** Without this other step it says nothing new. */
  readonly after?: string;
  /** Said when it fails. */
  readonly remedy?: string;
}

const steps: readonly Step[] = [
  {
    name: "format",
    run: () => runTool("@biomejs/biome", "biome", ["check", "--error-on-warnings", "."]),
    remedy: "`npm run format` puts into shape what has one.",
  },
  { name: "lint", run: () => runTool("oxlint", "oxlint", ["--format", "unix"]) },
  { name: "walls", run: () => runTool("tsx", "tsx", ["scripts/walls.ts"]) },
  { name: "words", run: () => runTool("tsx", "tsx", ["scripts/words.ts"]) },
  { name: "types", run: () => turbo("typecheck", "typecheck:scripts") },
  { name: "build", run: () => turbo("build") },
  {
    name: "publint",
    after: "build",
    run: () => eachTarball(({ tarball }) => runTool("publint", "publint", [tarball, "--strict"])),
  },
  {
    name: "attw",
    after: "build",
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
  for (const { name, run, after, remedy } of steps) {
    if (after !== undefined && failed.includes(after)) {
      console.log(`skipped ${name}: it needs ${after}`);
      continue;
    }
    const start = performance.now();
    const { ok, output } = await run().catch((error: unknown): Ran => ({ ok: false, output: String(error) }));
    const seconds = ((performance.now() - start) / 1000).toFixed(1);
    console.log(`${ok ? "ok     " : "FAILED "} ${name.padEnd(8)} ${seconds.padStart(5)} s`);
    if (ok) continue;
    failed.push(name);
    console.log(`\n${[output.trim(), remedy].filter(Boolean).join("\n")}\n`);
  }
} finally {
  rmSync(packFolder, { recursive: true, force: true });
}
if (failed.length > 0) {
  console.error(`\nFailed: ${failed.join(", ")}.`);
  process.exitCode = 1;
}
