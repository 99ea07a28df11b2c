/**
 * The walls between the rooms of this house, held mechanically: `npm run lint` fails where an import goes through one.
 *
 * Lint rules (.oxlintrc.json) keep clocks, timers, entropy and the console out of the pure parts; they see one file at a time. What stands
 * here needs the whole house in view: who may know whom.
 */
import { existsSync, readdirSync, readFileSync } from "node:fs";
import { isBuiltin } from "node:module";
import { dirname, join, relative, resolve, sep } from "node:path";
import { fileURLToPath } from "node:url";
import { firstLineBesideExports, importsOf } from "./imports.js";
import { houseRoot, type Workspace, workspacesIn } from "./workspaces.js";

/** Folders that decide and encode, and neither read nor write anything; with the few libraries whose arithmetic they may use. The first match counts. */
const pureFolders: readonly { readonly folder: RegExp; readonly libraries: readonly string[] }[] = [
  { folder: /^packages\/admission-control\/src\/core\//, libraries: ["@evenkeel/token-bucket"] },
  { folder: /^packages\/[^/]+\/src\/core\//, libraries: [] },
  { folder: /^packages\/simulation\/src\//, libraries: [] },
  { folder: /^examples\/store\/src\/api\//, libraries: ["decimal.js"] },
];

/** The only ways from one package to another. Whatever else has to meet, meets in an example. */
const arrows: readonly { readonly from: string; readonly to: string }[] = [
  { from: "packages/admission-control/src/", to: "@evenkeel/token-bucket" },
  { from: "packages/paxos/src/storage/", to: "@evenkeel/wal" },
];

/** A tool for tests, never part of what runs. */
const testWorld = "@evenkeel/simulation";

/** What a workspace's tests, benches and configurations may take from the root. */
const rootTools = /^(scripts\/(readme|bench-types|needs|free-port|redis-server)|tsup\.base|vitest\.base)\.[jt]s$/;

export interface Violation {
  readonly file: string;
  readonly line: number;
  readonly message: string;
}

/** Every breach of a wall under `root`, in the order of files. */
export function findViolations(root: string): Violation[] {
  const workspaces = workspacesIn(root);
  const byName = new Map(workspaces.map((workspace) => [workspace.manifest.name, workspace]));
  return workspaces.flatMap((workspace) => [
    ...manifestViolations(workspace, byName),
    ...sourceFiles(root, workspace.folder).flatMap((file) => fileViolations(root, workspace, byName, file)),
    ...leakedPeers(root, workspace),
  ]);
}

const passedOver = new Set(["node_modules", "dist", "coverage", "fixtures", ".turbo", ".evenkeel"]);

function sourceFiles(root: string, folder: string): string[] {
  return readdirSync(join(root, folder), { withFileTypes: true })
    .sort((a, b) => (a.name < b.name ? -1 : 1))
    .flatMap((entry) => {
      const path = `${folder}/${entry.name}`;
      if (entry.isDirectory()) return passedOver.has(entry.name) ? [] : sourceFiles(root, path);
      return /\.[cm]?[jt]sx?$/.test(entry.name) ? [path] : [];
    });
}

/** "@evenkeel/wal/archive" -> "@evenkeel/wal"; "lmdb/sub" -> "lmdb". */
function packageOf(specifier: string): string {
  return specifier
    .split("/")
    .slice(0, specifier.startsWith("@") ? 2 : 1)
    .join("/");
}

function isRelative(specifier: string): boolean {
  return /^\.{0,2}\//.test(specifier) || specifier === "." || specifier === ".." || specifier.startsWith("file:");
}

/** Where a relative import leads, as a path from the root, with the source's extension. */
function targetOf(root: string, file: string, specifier: string): string {
  const absolute = specifier.startsWith("file:") ? fileURLToPath(specifier) : resolve(root, dirname(file), specifier);
  const target = relative(root, absolute).split(sep).join("/");
  const asSource = target.replace(/\.([cm]?)js$/, ".$1ts");
  return existsSync(join(root, asSource)) ? asSource : target;
}

function fileViolations(
  root: string,
  workspace: Workspace,
  byName: ReadonlyMap<string, Workspace>,
  file: string,
): Violation[] {
  const text = readFileSync(join(root, file), "utf8");
  const inSource = file.startsWith(`${workspace.folder}/src/`);
  const pure = pureFolders.find(({ folder }) => folder.test(file));
  const found: Violation[] = [];
  for (const { specifier, line } of importsOf(file, text)) {
    const say = (message: string) => found.push({ file, line, message });
    if (specifier === undefined) {
      if (pure) say("the pure part names its imports; what is computed at run time cannot be checked");
    } else if (isRelative(specifier)) {
      const target = targetOf(root, file, specifier);
      if (pure && !pure.folder.test(target)) {
        say(`the pure part imports nothing from outside itself: "${specifier}" leads to ${target}`);
      } else if (inSource && !target.startsWith(`${workspace.folder}/src/`)) {
        say(`src/ stands on itself: "${specifier}" leads to ${target}`);
      } else if (!target.startsWith(`${workspace.folder}/`) && !rootTools.test(target)) {
        say(`"${specifier}" leads out of ${workspace.folder} to ${target}`);
      }
    } else if (pure && !pure.libraries.includes(packageOf(specifier))) {
      say(`the pure part imports nothing from outside itself: "${specifier}"`);
    } else if (!isBuiltin(specifier)) {
      const problem = byName.has(packageOf(specifier))
        ? neighbourProblem(workspace, byName, file, specifier, inSource)
        : libraryProblem(workspace, specifier, inSource);
      if (problem) say(problem);
    }
  }
  if (workspace.published && file === `${workspace.folder}/src/index.ts`) {
    const line = firstLineBesideExports(file, text);
    if (line)
      found.push({ file, line, message: "src/index.ts is the table of contents: only exports from other files" });
  }
  return found;
}

function neighbourProblem(
  workspace: Workspace,
  byName: ReadonlyMap<string, Workspace>,
  file: string,
  specifier: string,
  inSource: boolean,
): string | undefined {
  const name = packageOf(specifier);
  const entry = `.${specifier.slice(name.length)}`;
  if (!(entry in (byName.get(name)?.manifest.exports ?? { ".": true }))) {
    return `${name} does not export "${entry}": its insides are its own`;
  }
  if (name === workspace.manifest.name) return inSource ? "src/ imports its own files by relative paths" : undefined;
  if (!byName.get(name)?.published) return `${name} is not published: nothing depends on it`;
  if (name === testWorld) return inSource ? `${testWorld} is for tests alone` : undefined;
  if (!workspace.published) return undefined;
  const mine = arrows.filter((arrow) => arrow.from.startsWith(`${workspace.folder}/`) && arrow.to === name);
  if (mine.length === 0)
    return `no arrow leads from ${workspace.folder} to ${name}: declare the interface you need, and let the app hand it in`;
  if (inSource && !mine.some((arrow) => file.startsWith(arrow.from))) {
    return `only ${mine.map((arrow) => arrow.from).join(", ")} may know ${name}`;
  }
  return undefined;
}

/** A published source may need only what its users install with it. */
function libraryProblem({ published, manifest }: Workspace, specifier: string, inSource: boolean): string | undefined {
  const name = packageOf(specifier);
  if (!published || !inSource) return undefined;
  if (name in (manifest.dependencies ?? {}) || name in (manifest.peerDependencies ?? {})) return undefined;
  return `${name} is neither among the dependencies nor the peer dependencies of ${manifest.name}`;
}

function manifestViolations(
  { folder, published, manifest }: Workspace,
  byName: ReadonlyMap<string, Workspace>,
): Violation[] {
  if (!published) return [];
  const targets = arrows.filter((arrow) => arrow.from.startsWith(`${folder}/`)).map((arrow) => arrow.to);
  const run = { ...manifest.dependencies, ...manifest.optionalDependencies, ...manifest.peerDependencies };
  const wrong = [
    ...Object.keys(run).filter((name) => byName.has(name) && !targets.includes(name)),
    ...Object.keys(manifest.devDependencies ?? {}).filter(
      (name) => byName.has(name) && !targets.includes(name) && name !== testWorld,
    ),
  ];
  return wrong.map((name) => ({
    file: `${folder}/package.json`,
    line: 1,
    message: `no arrow leads from ${folder} to ${name}`,
  }));
}

/** Whoever does not install an optional peer must still be able to import the main entry, and to compile against it. */
function leakedPeers(root: string, { folder, published, manifest }: Workspace): Violation[] {
  const optional = Object.entries(manifest.peerDependenciesMeta ?? {}).flatMap(([name, meta]) =>
    meta.optional ? [name] : [],
  );
  const entry = `${folder}/src/index.ts`;
  if (!published || optional.length === 0 || !existsSync(join(root, entry))) return [];
  const found: Violation[] = [];
  const reached = new Set([entry]);
  for (const file of reached) {
    for (const { specifier, line } of importsOf(file, readFileSync(join(root, file), "utf8"))) {
      if (specifier === undefined) continue;
      if (!isRelative(specifier)) {
        const name = packageOf(specifier);
        if (optional.includes(name))
          found.push({ file, line, message: `the main entry reaches ${name}, which is an optional peer` });
        continue;
      }
      const target = targetOf(root, file, specifier);
      if (/\.[cm]?ts$/.test(target) && existsSync(join(root, target))) reached.add(target);
    }
  }
  return found;
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  const violations = findViolations(houseRoot);
  for (const { file, line, message } of violations) console.error(`${file}:${line}: ${message}`);
  if (violations.length > 0) {
    console.error(`\n${violations.length} ${violations.length === 1 ? "import goes" : "imports go"} through a wall.`);
    process.exitCode = 1;
  } else {
    console.log("Walls: every import keeps to its room.");
  }
}
