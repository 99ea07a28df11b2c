import { existsSync, readdirSync, readFileSync } from "node:fs";
import { dirname, join, resolve } from "node:path";
import { fileURLToPath } from "node:url";

/** The folder of the whole repository. */
export const houseRoot = resolve(dirname(fileURLToPath(import.meta.url)), "..");

/** What the scripts read of a package.json. */
export interface Manifest {
  readonly name: string;
  readonly private?: boolean;
  readonly exports?: Readonly<Record<string, unknown>>;
  /** Commands, each with its file. */
  readonly bin?: Readonly<Record<string, string>>;
  readonly dependencies?: Readonly<Record<string, string>>;
  readonly devDependencies?: Readonly<Record<string, string>>;
  readonly optionalDependencies?: Readonly<Record<string, string>>;
  readonly peerDependencies?: Readonly<Record<string, string>>;
  readonly peerDependenciesMeta?: Readonly<Record<string, { readonly optional?: boolean }>>;
}

export interface Workspace {
  /** "wal". */
  readonly name: string;
  /** From the root, with forward slashes: "packages/wal". */
  readonly folder: string;
  readonly published: boolean;
  readonly manifest: Manifest;
}

/** Every workspace under `root`, packages before examples, each by name. */
export function workspacesIn(root: string): Workspace[] {
  return ["packages", "examples"].flatMap((group) => {
    if (!existsSync(join(root, group))) return [];
    return readdirSync(join(root, group))
      .filter((name) => existsSync(join(root, group, name, "package.json")))
      .sort()
      .map((name) => {
        const folder = `${group}/${name}`;
        const manifest = JSON.parse(readFileSync(join(root, folder, "package.json"), "utf8")) as Manifest;
        return { name, folder, published: manifest.private !== true, manifest };
      });
  });
}

/** The names under which a package can be imported: "@evenkeel/wal", "@evenkeel/wal/archive". */
export function entriesOf({ manifest }: Workspace): string[] {
  return Object.keys(manifest.exports ?? { ".": true })
    .filter((entry) => !entry.endsWith(".json"))
    .map((entry) => manifest.name + entry.slice(1));
}
