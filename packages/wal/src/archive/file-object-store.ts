import { randomUUID } from "node:crypto";
import { link, mkdir, open, readdir, readFile, rename, rm, stat } from "node:fs/promises";
import { dirname, join } from "node:path";
import { ArchiveError, type ArchiveErrorCode, badArchiveArgument, checkArchiveOptions } from "./errors.js";
import { sha256InTurns } from "./hashing.js";
import { checkKey, checkSum, isKey, type ObjectStore, type PutOptions } from "./object-store.js";

/** Begins with a dot, as no part of a key does. */
const scratchDir = ".incoming";
/** What was being written when its process died. No upload of an object lasts a day. */
const abandonedAfterMs = 24 * 60 * 60 * 1000;

/**
 * An object store in a directory, one file an object. An object is written under another name, synced, and then linked into place: it is there
 * whole or not at all, and of two that create one key at once the second is told. The file system needs hard links and must tell `a` from `A`.
 */
export class FileObjectStore implements ObjectStore {
  readonly #dir: string;
  #swept: Promise<void> | undefined;

  constructor(options: { readonly dir: string }) {
    const { dir } = checkArchiveOptions("FileObjectStore", options, { dir: 0 });
    if (typeof dir !== "string" || dir === "") throw badArchiveArgument("dir", "a path", dir);
    this.#dir = dir;
  }

  async put(key: string, bytes: Uint8Array, options: PutOptions): Promise<void> {
    options.signal?.throwIfAborted();
    checkKey(key);
    checkSum(key, await sha256InTurns(bytes), options);
    const path = join(this.#dir, key);
    const scratch = join(this.#dir, scratchDir, randomUUID());
    try {
      await makeDirectory(dirname(scratch));
      this.#swept ??= sweep(dirname(scratch));
      await this.#swept;
      await makeFolder(dirname(path), key);
      await writeSynced(scratch, bytes, options.signal);
      options.signal?.throwIfAborted();
      if (options.createOnly === true) await this.#create(scratch, path, key);
      else await rename(scratch, path);
      await syncDirectory(dirname(path));
    } catch (cause) {
      options.signal?.throwIfAborted();
      throw storeError("write", key, cause);
    } finally {
      await rm(scratch, { force: true }).catch(() => {
        // The next process sweeps it away.
      });
    }
  }

  async get(key: string, options?: { readonly signal?: AbortSignal }): Promise<Uint8Array | undefined> {
    options?.signal?.throwIfAborted();
    checkKey(key);
    try {
      return await readFile(join(this.#dir, key), options?.signal === undefined ? {} : { signal: options.signal });
    } catch (cause) {
      options?.signal?.throwIfAborted();
      if (isNoFile(cause)) return undefined;
      throw storeError("read", key, cause);
    }
  }

  async *list(
    prefix: string,
    options?: { readonly after?: string; readonly signal?: AbortSignal },
  ): AsyncGenerator<string, void, undefined> {
    options?.signal?.throwIfAborted();
    const folder = prefix.slice(0, Math.max(0, prefix.lastIndexOf("/")));
    // What is no key is no folder of keys either, and ".." would lead out of the store.
    if (prefix.startsWith("/") || (folder !== "" && !isKey(folder))) return;
    const keys: string[] = [];
    for (const key of await this.#walk(folder, options?.signal)) {
      if (key.startsWith(prefix) && (options?.after === undefined || key > options.after)) keys.push(key);
    }
    for (const key of keys.sort()) {
      yield key;
      options?.signal?.throwIfAborted();
    }
  }

  async delete(key: string, options?: { readonly signal?: AbortSignal }): Promise<void> {
    options?.signal?.throwIfAborted();
    checkKey(key);
    const path = join(this.#dir, key);
    try {
      await rm(path, { force: true });
      await syncDirectory(dirname(path));
    } catch (cause) {
      if (!isNoFile(cause)) throw storeError("delete", key, cause);
    }
  }

  async #create(scratch: string, path: string, key: string): Promise<void> {
    try {
      await link(scratch, path);
    } catch (cause) {
      const { code } = cause as NodeJS.ErrnoException;
      if (code === "EPERM" || code === "ENOTSUP" || code === "ENOSYS") {
        const message = `the file system of ${this.#dir} has no hard links: nothing can be created there without overwriting`;
        throw new ArchiveError("ERR_ARCHIVE_UNSUPPORTED", message, { key, cause });
      }
      if (code !== "EEXIST") throw cause;
      if ((await stat(path)).isDirectory()) throw isFolder(key, cause);
      // Somebody else's link may not be durable yet; whoever builds on finding it must be able to.
      await syncDirectory(dirname(path));
      throw new ArchiveError("ERR_ARCHIVE_EXISTS", `${key} exists already`, { key, cause });
    }
  }

  async #walk(below: string, signal: AbortSignal | undefined): Promise<string[]> {
    let entries: Awaited<ReturnType<typeof readEntries>>;
    try {
      entries = await readEntries(join(this.#dir, below));
    } catch (cause) {
      if (isNoFile(cause)) return [];
      throw storeError("list", below, cause);
    }
    const keys: string[] = [];
    for (const entry of entries) {
      signal?.throwIfAborted();
      const key = below === "" ? entry.name : `${below}/${entry.name}`;
      if (!isKey(key)) continue;
      if (entry.isDirectory()) for (const inside of await this.#walk(key, signal)) keys.push(inside);
      else keys.push(key);
    }
    return keys;
  }
}

function readEntries(path: string) {
  return readdir(path, { withFileTypes: true });
}

/** There is no file of that name: nothing, a folder, or a name below another file. */
function isNoFile(cause: unknown): boolean {
  const { code } = cause as NodeJS.ErrnoException;
  return code === "ENOENT" || code === "ENOTDIR" || code === "EISDIR" || code === "ERR_FS_EISDIR";
}

function isFolder(key: string, cause: unknown): ArchiveError {
  const message = `${key} is the folder of other keys, or lies below one: files cannot be both`;
  return new ArchiveError("ERR_ARCHIVE_ARGUMENT", message, { key, cause });
}

const codes: Readonly<Record<string, ArchiveErrorCode>> = {
  EACCES: "ERR_ARCHIVE_DENIED",
  EDQUOT: "ERR_ARCHIVE_FULL",
  ENOSPC: "ERR_ARCHIVE_FULL",
  EPERM: "ERR_ARCHIVE_DENIED",
  EROFS: "ERR_ARCHIVE_DENIED",
};
/** Out of something that comes back by itself, or a mount that is away for a while. After EIO nobody knows; a person has to look. */
const transient = new Set(["EAGAIN", "EBUSY", "EMFILE", "ENFILE", "ENOMEM", "ESTALE", "ETIMEDOUT"]);

function storeError(doing: string, key: string, cause: unknown): ArchiveError {
  if (cause instanceof ArchiveError) return cause;
  const code = String((cause as NodeJS.ErrnoException).code);
  const message = cause instanceof Error ? cause.message : String(cause);
  if (code === "EISDIR" || code === "ENOTDIR") return isFolder(key, cause);
  const retryable = transient.has(code);
  return new ArchiveError(codes[code] ?? "ERR_ARCHIVE_STORE", `cannot ${doing} ${key}: ${message}`, {
    key,
    cause,
    retryable,
  });
}

async function writeSynced(path: string, bytes: Uint8Array, signal: AbortSignal | undefined): Promise<void> {
  const file = await open(path, "wx");
  try {
    await file.writeFile(bytes, signal === undefined ? {} : { signal });
    await file.sync();
  } finally {
    await file.close();
  }
}

async function makeFolder(path: string, key: string): Promise<void> {
  try {
    await makeDirectory(path);
  } catch (cause) {
    // That is how `mkdir` calls a file in the way.
    if ((cause as NodeJS.ErrnoException).code === "EEXIST") throw isFolder(key, cause);
    throw cause;
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

/** Best effort: what cannot be swept costs space and nothing else. Wall-clock time against the file's own, both for people. */
async function sweep(path: string): Promise<void> {
  try {
    for (const name of await readdir(path)) {
      const { mtimeMs } = await stat(join(path, name));
      if (Date.now() - mtimeMs > abandonedAfterMs) await rm(join(path, name), { force: true });
    }
  } catch {
    // Another process swept the same file, or may and we may not.
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
