import { createHash } from "node:crypto";
import { createReadStream } from "node:fs";
import { lstat, readdir, readlink } from "node:fs/promises";
import { join } from "node:path";
import type { Entry, ReplicaSource } from "../core/source.js";
import { iterableReplica } from "../iterable-replica.js";

/** The files under a folder as a replica: under each path the hash of what is in it. Archives of objects are compared so, and copies of anything. */
export function directory(name: string, root: string, onBytes: (bytes: number) => void): ReplicaSource {
  return iterableReplica({
    name,
    open: async () => {
      const paths: string[] = [];
      await walk(root, "", paths);
      const sorted = paths
        .map((path) => ({ path, key: Buffer.from(path) }))
        .sort((a, b) => Buffer.compare(a.key, b.key));
      return {
        from: async function* (from): AsyncIterable<Entry> {
          for (const { path, key } of sorted)
            if (Buffer.compare(key, from) >= 0) yield { key, value: await contentsOf(join(root, path), onBytes) };
        },
      };
    },
  });
}

/** Bytes of all files: how much there is to do. */
export async function directoryBytes(root: string): Promise<number> {
  const paths: string[] = [];
  await walk(root, "", paths);
  let bytes = 0;
  for (const path of paths) bytes += (await lstat(join(root, path))).size;
  return bytes;
}

async function walk(root: string, under: string, paths: string[]): Promise<void> {
  for (const entry of await readdir(join(root, under), { withFileTypes: true })) {
    const path = under === "" ? entry.name : `${under}/${entry.name}`;
    if (entry.isDirectory()) await walk(root, path, paths);
    else paths.push(path);
  }
}

async function contentsOf(path: string, onBytes: (bytes: number) => void): Promise<Uint8Array> {
  const found = await lstat(path);
  if (found.isSymbolicLink()) return Buffer.from(`link to ${await readlink(path)}`);
  if (!found.isFile()) return Buffer.from("neither file nor link");
  const hash = createHash("sha256");
  let bytes = 0;
  for await (const chunk of createReadStream(path, { highWaterMark: 1024 * 1024 })) {
    hash.update(chunk as Buffer);
    bytes += (chunk as Buffer).length;
    onBytes((chunk as Buffer).length);
  }
  return Buffer.from(`${bytes} bytes, sha256 ${hash.digest("hex")}`);
}
