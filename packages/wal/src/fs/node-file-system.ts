import * as fs from "node:fs";
import { dirname, resolve } from "node:path";
import { lockDirectory } from "./directory-lock.js";
import type { WalFile, WalFileSystem } from "./file-system.js";

/** Writes up to this size only copy into the page cache and are done at once: a trip through the thread pool would cost more. */
const synchronousWriteMax = 4 * 1024 * 1024;

/** How soon it is noticed that the file was deleted. */
const askEveryMs = 100;

/**
 * What `statfs` says of the file systems of Linux that are known to carry out a write to a descriptor with `O_DSYNC` as a write and an `fdatasync` of what it wrote. With others, those in user space above
 * all, it is left to their authors (or, of overlayfs, those of what is below) whether they look at the flag; they are asked to sync.
 */
const syncingTypes: ReadonlySet<number> = new Set([
  0xef53, // ext2, ext3, ext4
  0x5846_5342, // xfs
  0x9123_683e, // btrfs
  0xf2f5_2010, // f2fs
  0x0102_1994, // tmpfs
]);

class NodeFile implements WalFile {
  readonly #fd: number;
  /** The same file, opened with `O_DSYNC`. */
  readonly #syncedFd: number | undefined;
  #askAtMs = 0;
  readonly writeSynced: WalFile["writeSynced"];

  constructor(fd: number, syncedFd?: number) {
    this.#fd = fd;
    this.#syncedFd = syncedFd;
    if (syncedFd !== undefined) this.writeSynced = (bytes, position) => this.#writeSynced(syncedFd, bytes, position);
  }

  async read(into: Uint8Array, position: number): Promise<number> {
    let done = 0;
    while (done < into.length) {
      const read = await new Promise<number>((resolve, reject) => {
        fs.read(this.#fd, into, done, into.length - done, position + done, (error, bytes) =>
          error === null ? resolve(bytes) : reject(error),
        );
      });
      if (read === 0) break;
      done += read;
    }
    return done;
  }

  write(bytes: Uint8Array, position: number): Promise<number> {
    return new Promise((resolve, reject) => {
      if (bytes.length <= synchronousWriteMax) {
        resolve(fs.writeSync(this.#fd, bytes, 0, bytes.length, position));
        return;
      }
      fs.write(this.#fd, bytes, 0, bytes.length, position, (error, written) =>
        error === null ? resolve(written) : reject(error),
      );
    });
  }

  sync(): Promise<void> {
    return new Promise((resolve, reject) => {
      fs.fdatasync(this.#fd, (error) => {
        if (error !== null) reject(error);
        else if (this.#isDeleted()) reject(deleted());
        else resolve();
      });
    });
  }

  /** One trip through the thread pool where `write` and `sync` are a call here and a trip. */
  #writeSynced(fd: number, bytes: Uint8Array, position: number): Promise<number> {
    return new Promise((resolve, reject) => {
      fs.write(fd, bytes, 0, bytes.length, position, (error, written) => {
        if (error !== null) reject(error);
        else if (this.#isDeleted()) reject(deleted());
        else resolve(written);
      });
    });
  }

  /**
   * A deleted file can still be written and synced, and nobody will ever read it again; what was acknowledged before is as lost as what is acknowledged
   * now. So it is enough to notice soon: asking for each sync cost 40 us of the 150 that one takes.
   */
  #isDeleted(): boolean {
    const now = performance.now();
    if (now < this.#askAtMs) return false;
    this.#askAtMs = now + askEveryMs;
    try {
      return fs.fstatSync(this.#fd).nlink === 0;
    } catch {
      return false;
    }
  }

  size(): Promise<number> {
    return new Promise((resolve, reject) => {
      fs.fstat(this.#fd, (error, stats) => (error === null ? resolve(stats.size) : reject(error)));
    });
  }

  async close(): Promise<void> {
    const closed = [close(this.#fd)];
    if (this.#syncedFd !== undefined) closed.push(close(this.#syncedFd));
    for (const one of await Promise.allSettled(closed)) if (one.status === "rejected") throw one.reason;
  }
}

function deleted(): Error {
  return new Error("the file was deleted while it was in use");
}

function open(path: string, flags: string | number): Promise<number> {
  return new Promise((resolve, reject) => {
    fs.open(path, flags, 0o644, (error, fd) => (error === null ? resolve(fd) : reject(error)));
  });
}

function close(fd: number): Promise<void> {
  return new Promise((resolve, reject) => {
    fs.close(fd, (error) => (error === null || error === undefined ? resolve() : reject(error)));
  });
}

/** A second descriptor of the file that was just opened, where one of this kind is to be trusted: elsewhere `O_DSYNC` may mean less than `fdatasync` does (macOS), or be unknown. */
async function openSynced(path: string): Promise<number | undefined> {
  const { O_WRONLY, O_DSYNC } = fs.constants;
  if (process.platform !== "linux" || !O_DSYNC) return undefined;
  const { type } = await fs.promises.statfs(path);
  return syncingTypes.has(type) ? open(path, O_WRONLY | O_DSYNC) : undefined;
}

const openFlags = { create: "wx+", read: "r", write: "r+" } as const;

/** The file system of the machine. */
export const nodeFileSystem: WalFileSystem = {
  async makeDirectory(path) {
    const wanted = resolve(path);
    const first = await fs.promises.mkdir(wanted, { recursive: true });
    if (first === undefined) return;
    // A new directory is an entry in its parent: it has to be synced there, level by level up to what was there before.
    for (let level = wanted; ; level = dirname(level)) {
      await this.syncDirectory(dirname(level));
      if (level === resolve(first) || level === dirname(level)) return;
    }
  },

  list(path) {
    return fs.promises.readdir(path);
  },

  async open(path, mode) {
    const fd = await open(path, openFlags[mode]);
    if (mode === "read") return new NodeFile(fd);
    try {
      return new NodeFile(fd, await openSynced(path));
    } catch (error) {
      await close(fd).catch(() => undefined);
      throw error;
    }
  },

  rename(from, to) {
    return fs.promises.rename(from, to);
  },

  remove(path) {
    return fs.promises.unlink(path);
  },

  async syncDirectory(path) {
    if (process.platform === "win32") return; // directories cannot be opened there; NTFS journals its metadata in order
    const handle = await fs.promises.open(path, "r");
    try {
      await handle.sync();
    } finally {
      await handle.close();
    }
  },

  lock(path) {
    return lockDirectory(path);
  },
};
