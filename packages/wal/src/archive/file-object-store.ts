import { randomUUID } from "node:crypto";
import { link, mkdir, open, readdir, readFile, rename, rm } from "node:fs/promises";
import { dirname, join } from "node:path";
import { ArchiveError, badArchiveArgument } from "./errors.js";
import { checkKey, checkPut, type ObjectStore, type PutOptions } from "./object-store.js";

const scratchDir = ".incoming";

/**
 * An object store in a directory, one file an object. An object is written under another name, synced, and then linked into place: it is there
 * whole or not at all, and of two that create one key at once the second is told.
 */
export class FileObjectStore implements ObjectStore {
  readonly #dir: string;

  constructor(options: { readonly dir: string }) {
    if (typeof options?.dir !== "string" || options.dir === "") throw badArchiveArgument("dir", "a path", options?.dir);
    this.#dir = options.dir;
  }

  async put(key: string, bytes: Uint8Array, options: PutOptions): Promise<void> {
    options.signal?.throwIfAborted();
    checkPut(key, bytes, options);
    const path = join(this.#dir, key);
    const scratch = join(this.#dir, scratchDir, randomUUID());
    try {
      await makeDirectory(dirname(scratch));
      await makeDirectory(dirname(path));
      await writeSynced(scratch, bytes);
      if (options.createOnly === true) await link(scratch, path);
      else await rename(scratch, path);
      await syncDirectory(dirname(path));
    } catch (cause) {
      if ((cause as NodeJS.ErrnoException).code !== "EEXIST") throw storeError("write", key, cause);
      // Somebody else's link may not be durable yet; whoever builds on finding it must be able to.
      await syncDirectory(dirname(path));
      throw new ArchiveError("ERR_ARCHIVE_EXISTS", `${key} exists already`, { key, cause });
    } finally {
      await rm(scratch, { force: true });
    }
  }

  async get(key: string, options?: { readonly signal?: AbortSignal }): Promise<Uint8Array | undefined> {
    checkKey(key);
    try {
      return await readFile(join(this.#dir, key), options?.signal === undefined ? {} : { signal: options.signal });
    } catch (cause) {
      options?.signal?.throwIfAborted();
      if ((cause as NodeJS.ErrnoException).code === "ENOENT") return undefined;
      throw storeError("read", key, cause);
    }
  }

  async *list(
    prefix: string,
    options?: { readonly after?: string; readonly signal?: AbortSignal },
  ): AsyncGenerator<string, void, undefined> {
    const slash = prefix.lastIndexOf("/");
    const keys: string[] = [];
    for (const key of await this.#walk(slash < 0 ? "" : prefix.slice(0, slash))) {
      if (key.startsWith(prefix) && (options?.after === undefined || key > options.after)) keys.push(key);
    }
    for (const key of keys.sort()) {
      options?.signal?.throwIfAborted();
      yield key;
    }
  }

  async delete(key: string, options?: { readonly signal?: AbortSignal }): Promise<void> {
    options?.signal?.throwIfAborted();
    checkKey(key);
    try {
      await rm(join(this.#dir, key), { force: true });
      await syncDirectory(dirname(join(this.#dir, key))).catch((error: NodeJS.ErrnoException) => {
        if (error.code !== "ENOENT") throw error;
      });
    } catch (cause) {
      throw storeError("delete", key, cause);
    }
  }

  async #walk(below: string): Promise<string[]> {
    let entries: Awaited<ReturnType<typeof readEntries>>;
    try {
      entries = await readEntries(join(this.#dir, below));
    } catch (cause) {
      if ((cause as NodeJS.ErrnoException).code === "ENOENT") return [];
      throw storeError("list", below, cause);
    }
    const keys: string[] = [];
    for (const entry of entries) {
      if (entry.name.startsWith(".")) continue;
      const key = below === "" ? entry.name : `${below}/${entry.name}`;
      if (entry.isDirectory()) keys.push(...(await this.#walk(key)));
      else keys.push(key);
    }
    return keys;
  }
}

function readEntries(path: string) {
  return readdir(path, { withFileTypes: true });
}

function storeError(doing: string, key: string, cause: unknown): ArchiveError {
  const reason = cause instanceof Error ? cause.message : String(cause);
  return new ArchiveError("ERR_ARCHIVE_STORE", `cannot ${doing} ${key}: ${reason}`, { key, cause });
}

async function writeSynced(path: string, bytes: Uint8Array): Promise<void> {
  const file = await open(path, "wx");
  try {
    await file.writeFile(bytes);
    await file.sync();
  } finally {
    await file.close();
  }
}

async function makeDirectory(path: string): Promise<void> {
  const first = await mkdir(path, { recursive: true });
  if (first === undefined) return;
  for (let level = path; ; level = dirname(level)) {
    await syncDirectory(dirname(level));
    if (level === first || level === dirname(level)) return;
  }
}

async function syncDirectory(path: string): Promise<void> {
  if (process.platform === "win32") return;
  const directory = await open(path, "r");
  try {
    await directory.sync();
  } finally {
    await directory.close();
  }
}
