import * as fs from "node:fs";
import { dirname, resolve } from "node:path";
import { lockDirectory } from "./directory-lock.js";
import type { WalFile, WalFileSystem } from "./file-system.js";

/** Writes up to this size only copy into the page cache and are done at once: a trip through the thread pool would cost more. */
const synchronousWriteMax = 4 * 1024 * 1024;

/** How soon it is noticed that the file was deleted. */
const askEveryMs = 100;

class NodeFile implements WalFile {
  readonly #fd: number;
  #askAtMs = 0;

  constructor(fd: number) {
    this.#fd = fd;
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
        else if (this.#isDeleted()) reject(new Error("the file was deleted while it was in use"));
        else resolve();
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

  close(): Promise<void> {
    return new Promise((resolve, reject) => {
      fs.close(this.#fd, (error) => (error === null || error === undefined ? resolve() : reject(error)));
    });
  }
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

  open(path, mode) {
    return new Promise((resolve, reject) => {
      fs.open(path, openFlags[mode], 0o644, (error, fd) =>
        error === null ? resolve(new NodeFile(fd)) : reject(error),
      );
    });
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
