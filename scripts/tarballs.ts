/**
 * `npm run test:tarballs`: what a user gets. Packs every published package, installs the tarballs in an empty folder, imports and requires every
 * entry, compiles a TypeScript consumer against the types, and runs the program of each README against what was installed: compiled, and as it stands there, where
 * the README does not say that it is TypeScript.
 */
import { existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { type Packed, packAll } from "./packing.js";
import { extractProgram, type ReadmeProgram } from "./readme-program.js";
import { run, runNpm, runTool } from "./run.js";
import { entriesOf, houseRoot, type Workspace } from "./workspaces.js";

const scratch = mkdtempSync(join(tmpdir(), "evenkeel-tarballs-"));
const failures: string[] = [];

function report(ok: boolean, what: string, output = ""): void {
  console.log(`${ok ? "ok    " : "FAILED"}  ${what}`);
  if (ok) return;
  failures.push(what);
  if (output.trim()) console.log(`\n${output.trim()}\n`);
}

/** An empty project with these things installed in it. */
async function install(name: string, things: readonly string[]): Promise<string> {
  const folder = join(scratch, name);
  mkdirSync(folder);
  writeFileSync(join(folder, "package.json"), JSON.stringify({ name: "consumer", private: true, type: "module" }));
  const { ok, output } = await runNpm(["install", "--no-audit", "--no-fund", ...things], folder);
  if (!ok) throw new Error(`npm install failed in an empty folder:\n${output}`);
  return folder;
}

/** Peers from outside this repository, which a user of every entry would install beside them; with their types, where those come separately. */
function outsidePeers(all: readonly Packed[]): string[] {
  const ours = new Set(all.map(({ workspace }) => workspace.manifest.name));
  return all.flatMap(({ workspace: { manifest } }) => {
    const peers = Object.entries(manifest.peerDependencies ?? {}).filter(([name]) => !ours.has(name));
    const types = Object.entries(manifest.devDependencies ?? {}).filter(([name]) =>
      peers.some(([peer]) => name === `@types/${peer}`),
    );
    return [...peers, ...types].map(([name, range]) => `${name}@${range}`);
  });
}

/** Imports and requires an entry in a process of its own; both give the same names, or it says why not. */
async function load(folder: string, entry: string, circumstances = ""): Promise<void> {
  const script = `
    import { createRequire } from "node:module";
    import { realpathSync } from "node:fs";
    import { fileURLToPath } from "node:url";
    const require = createRequire(import.meta.url);
    const here = realpathSync(process.cwd());
    for (const path of [fileURLToPath(import.meta.resolve("${entry}")), require.resolve("${entry}")]) {
      if (!realpathSync(path).startsWith(here)) throw new Error("loaded from outside: " + path);
    }
    const names = (module) => Object.keys(module).filter((name) => name !== "module.exports" && name !== "default").sort().join(" ");
    const imported = names(await import("${entry}"));
    const required = names(require("${entry}"));
    if (imported !== required) throw new Error("import gives " + imported + "\\nrequire gives " + required);
  `;
  writeFileSync(join(folder, "load.mjs"), script);
  const { ok, output } = await run(process.execPath, ["load.mjs"], folder);
  report(ok, `import and require ${entry}${circumstances}`, output);
}

/** Compiles every entry from an ES module and from a CommonJS one, and the READMEs' programs, with all of the types checked. */
async function compile(folder: string, all: readonly Packed[]): Promise<void> {
  const entries = all.flatMap(({ workspace }) => entriesOf(workspace));
  const source = join(folder, "source");
  mkdirSync(source);
  writeFileSync(join(source, "all.mts"), entries.map((entry, at) => `export * as e${at} from "${entry}";\n`).join(""));
  writeFileSync(
    join(source, "all.cts"),
    entries.map((entry, at) => `export import e${at} = require("${entry}");\n`).join(""),
  );
  for (const { workspace } of all) {
    const program = programOf(workspace);
    if (program) writeFileSync(join(source, `${workspace.name}.mts`), program.source);
  }
  const options = {
    target: "ES2022",
    lib: ["ES2023", "ESNext.Disposable"],
    module: "NodeNext",
    strict: true,
    skipLibCheck: false,
    rootDir: "source",
    outDir: "out",
    typeRoots: [join(houseRoot, "node_modules/@types")],
    types: ["node"],
  };
  writeFileSync(join(folder, "tsconfig.json"), JSON.stringify({ compilerOptions: options, include: ["source"] }));
  const { ok, output } = await runTool("typescript", "tsc", ["--project", folder], folder);
  report(ok, "compile a TypeScript consumer, ESM and CommonJS", output);
  const bundled = { ...options, module: "ESNext", moduleResolution: "bundler", noEmit: true };
  const file = join(folder, "bundler.json");
  // `import = require` is for CommonJS alone.
  writeFileSync(file, JSON.stringify({ compilerOptions: bundled, include: ["source/*.mts"] }));
  const forBundler = await runTool("typescript", "tsc", ["--project", file], folder);
  report(forBundler.ok, "compile the same as for a bundler", forBundler.output);
}

function programOf(workspace: Workspace): (ReadmeProgram & { readonly isJavaScript: boolean }) | undefined {
  const readme = join(houseRoot, workspace.folder, "README.md");
  if (!existsSync(readme)) return undefined;
  const markdown = readFileSync(readme, "utf8");
  return { ...extractProgram(markdown), isJavaScript: !markdown.includes("The program is TypeScript") };
}

/** What npm and a lawyer expect to find in each tarball. */
function papers(folder: string, { manifest }: Workspace): void {
  const missing = ["README.md", "LICENSE", "package.json"].filter(
    (file) => !existsSync(join(folder, "node_modules", manifest.name, file)),
  );
  report(missing.length === 0, `papers of ${manifest.name}`, `the tarball lacks ${missing.join(", ")}`);
}

try {
  const packFolder = join(scratch, "tarballs");
  mkdirSync(packFolder);
  const all = await packAll(packFolder);
  const consumer = await install("consumer", [...all.map(({ tarball }) => tarball), ...outsidePeers(all)]);
  for (const { workspace } of all) {
    papers(consumer, workspace);
    for (const entry of entriesOf(workspace)) await load(consumer, entry);
  }
  await compile(consumer, all);
  for (const { workspace } of all) {
    const program = programOf(workspace);
    if (!program) continue;
    const pasted = `${workspace.name}.mjs`;
    writeFileSync(join(consumer, pasted), program.source);
    for (const file of [join("out", pasted), ...(program.isJavaScript ? [pasted] : [])]) {
      const { ok, output } = await run(process.execPath, [file], consumer);
      const how = file === pasted ? "as JavaScript" : "compiled";
      report(ok && output === program.output, `run the program of ${workspace.manifest.name}'s README, ${how}`, output);
    }
  }
  for (const { workspace, tarball } of all) {
    if (!Object.values(workspace.manifest.peerDependenciesMeta ?? {}).some(({ optional }) => optional)) continue;
    const own = Object.keys(workspace.manifest.dependencies ?? {});
    const needed = all.filter((packed) => own.includes(packed.workspace.manifest.name)).map((packed) => packed.tarball);
    const alone = await install(`${workspace.name}-alone`, [tarball, ...needed]);
    await load(alone, workspace.manifest.name, ", without its optional peers");
  }
} finally {
  rmSync(scratch, { recursive: true, force: true });
}
if (failures.length > 0) {
  console.error(`\nFailed: ${failures.join("; ")}.`);
  process.exitCode = 1;
}
