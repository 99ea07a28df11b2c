import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { pathToFileURL } from "node:url";
import { gunzipSync } from "node:zlib";
import { GroupHost } from "../../src/index.js";
import { walStorage } from "../../src/storage/index.js";
import { tcpTransport } from "../../src/transport/index.js";

/** What a node runs. */
export interface Release {
  readonly GroupHost: { open: typeof GroupHost.open };
  readonly walStorage: typeof walStorage;
  readonly tcpTransport: typeof tcpTransport;
}

export const thisRelease: Release = { GroupHost, walStorage, tcpTransport };

/**
 * An earlier release as it was built then, in one file (`test/fixtures/releases`): not this one told to behave like it. Made by bundling these three exports
 * of that release; never regenerated.
 */
export async function earlierRelease(name: string): Promise<Release> {
  const packed = readFileSync(new URL(`../fixtures/releases/${name}.mjs.gz`, import.meta.url));
  const dir = mkdtempSync(join(tmpdir(), "evenkeel-paxos-release-"));
  try {
    const file = join(dir, `${name}.mjs`);
    writeFileSync(file, gunzipSync(packed));
    return (await import(/* @vite-ignore */ pathToFileURL(file).href)) as Release;
  } finally {
    rmSync(dir, { recursive: true, force: true });
  }
}
