import { readdirSync } from "node:fs";
import { join } from "node:path";
import { runNpm } from "./run.js";
import { houseRoot, type Workspace, workspacesIn } from "./workspaces.js";

export interface Packed {
  readonly workspace: Workspace;
  /** An absolute path. */
  readonly tarball: string;
}

/** Packs every published package, as it stands built, into a folder. */
export async function packAll(folder: string): Promise<Packed[]> {
  const published = workspacesIn(houseRoot).filter((workspace) => workspace.published);
  const named = published.flatMap(({ manifest }) => ["--workspace", manifest.name]);
  const { ok, output } = await runNpm(["pack", "--pack-destination", folder, ...named], houseRoot);
  if (!ok) throw new Error(`npm pack failed:\n${output}`);
  const tarballs = readdirSync(folder);
  return published.map((workspace) => {
    const start = `${workspace.manifest.name.replace("@", "").replace("/", "-")}-`;
    const tarball = tarballs.find((name) => name.startsWith(start) && /^\d.*\.tgz$/.test(name.slice(start.length)));
    if (tarball === undefined) throw new Error(`npm pack made no tarball of ${workspace.manifest.name}`);
    return { workspace, tarball: join(folder, tarball) };
  });
}
