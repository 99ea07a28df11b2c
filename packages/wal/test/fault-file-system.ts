import type { WalFile, WalFileSystem } from "../src/index.js";
import { WalError } from "../src/index.js";

const pageBytes = 4096;
/** What a disk writes as one. */
const sectorBytes = 512;

interface Inode {
  /** What a reader sees now. */
  bytes: Uint8Array;
  /** What the platter holds. */
  durable: Uint8Array;
  /** Pages written since the last sync. */
  dirty: Set<number>;
}

/** Random source of a test: the same numbers for the same seed. */
export type Random = () => number;

export class CrashError extends Error {
  override readonly name = "CrashError";
}

/**
 * A file system in memory that loses what was not synced. `crash()` keeps any subset of the dirty pages and any prefix of the directory
 * operations since the directory's last sync (ext4, xfs and APFS journal them in order), and now and then tears a page between two sectors;
 * `countdown` stops the machine at any write boundary; `fail` injects errors.
 */
export class FaultFileSystem implements WalFileSystem {
  #names = new Map<string, Inode>();
  #durableNames = new Map<string, Inode>();
  #journal: ((names: Map<string, Inode>) => void)[] = [];
  readonly #locks = new Set<string>();
  #life = 0;
  /** The machine stops before this many more changes of the disk's state. */
  countdown = Number.POSITIVE_INFINITY;
  /** Asked before each operation; what it returns is thrown. */
  fail: ((operation: string, path: string) => Error | undefined) | undefined;
  /** Awaited before each operation: what holds one up while others go on. */
  before: ((operation: string, path: string) => Promise<void> | undefined) | undefined;
  /** Handles that are open in this life. */
  handles = 0;
  /** The largest read that was asked for, in bytes. */
  readBytesMax = 0;
  /** Whether its files have `writeSynced`, as those of Linux do. */
  writesSynced = true;
  /** How much of a write is done, from 1 byte to all. */
  shorten: ((length: number) => number) | undefined;

  /** Power off: what is not durable may be lost. Handles of before are dead, locks are gone. */
  crash(random: Random): void {
    this.#life++;
    this.handles = 0;
    this.#locks.clear();
    this.countdown = Number.POSITIVE_INFINITY;
    const kept = Math.floor(random() * (this.#journal.length + 1));
    for (const change of this.#journal.slice(0, kept)) change(this.#durableNames);
    this.#journal = [];
    this.#names = new Map(this.#durableNames);
    for (const inode of this.#names.values()) {
      const mode = random();
      for (const page of inode.dirty) {
        if (mode < 0.2 || (mode < 0.8 && random() < 0.5)) this.#flush(inode, page * pageBytes, pageBytes);
        else if (mode > 0.95 && random() < 0.5) {
          for (let sector = 0; sector < pageBytes; sector += sectorBytes) {
            if (random() < 0.5) this.#flush(inode, page * pageBytes + sector, sectorBytes);
          }
        }
      }
      inode.dirty.clear();
      inode.bytes = inode.durable.slice();
    }
  }

  /** The process dies and the machine lives: nothing written is lost. */
  kill(): void {
    this.#life++;
    this.handles = 0;
    this.#locks.clear();
    this.countdown = Number.POSITIVE_INFINITY;
  }

  /** The file system as one process sees it: dead, like its handles, after the next crash. */
  boot(): WalFileSystem {
    const life = this.#life;
    const alive = () => {
      if (life !== this.#life) throw new CrashError("this process is dead");
      return this;
    };
    return {
      makeDirectory: async () => alive().makeDirectory(),
      list: async (path) => alive().list(path),
      open: async (path, mode) => alive().open(path, mode),
      rename: async (from, to) => alive().rename(from, to),
      remove: async (path) => alive().remove(path),
      syncDirectory: async (path) => alive().syncDirectory(path),
      lock: async (path) => alive().lock(path),
    };
  }

  files(): string[] {
    return [...this.#names.keys()].sort();
  }

  /** The bytes of a file, for tests that damage it: both what is seen and what is durable. */
  damage(path: string, change: (bytes: Uint8Array) => void): void {
    const inode = this.#inode(path);
    change(inode.bytes);
    change(inode.durable);
  }

  /** A file with these bytes, durable. */
  put(path: string, bytes: Uint8Array): void {
    const inode: Inode = { bytes: bytes.slice(), durable: bytes.slice(), dirty: new Set() };
    this.#names.set(path, inode);
    this.#durableNames.set(path, inode);
  }

  contents(path: string): Uint8Array {
    return this.#inode(path).bytes;
  }

  /** Everything on disk, for going back to it. */
  snapshot(): () => void {
    const copy = new Map([...this.#names].map(([name, inode]) => [name, inode.bytes.slice()] as const));
    return () => {
      this.kill();
      this.#journal = [];
      this.#names = new Map(
        [...copy].map(([name, bytes]) => [
          name,
          { bytes: bytes.slice(), durable: bytes.slice(), dirty: new Set<number>() },
        ]),
      );
      this.#durableNames = new Map(this.#names);
    };
  }

  async makeDirectory(): Promise<void> {}

  async list(path: string): Promise<string[]> {
    await this.#enter("list", path, false);
    const prefix = `${path}/`;
    return this.files()
      .filter((name) => name.startsWith(prefix))
      .map((name) => name.slice(prefix.length));
  }

  async open(path: string, mode: "create" | "read" | "write"): Promise<WalFile> {
    await this.#enter(`open ${mode}`, path, mode === "create");
    if (mode === "create") {
      if (this.#names.has(path)) throw Object.assign(new Error(`EEXIST: ${path}`), { code: "EEXIST" });
      const created: Inode = { bytes: new Uint8Array(0), durable: new Uint8Array(0), dirty: new Set() };
      this.#change((names) => names.set(path, created));
    }
    return this.#handle(path, this.#inode(path));
  }

  async rename(from: string, to: string): Promise<void> {
    await this.#enter("rename", from, true);
    this.#inode(from);
    this.#change((names) => {
      const inode = names.get(from);
      names.delete(from);
      if (inode !== undefined) names.set(to, inode);
    });
  }

  async remove(path: string): Promise<void> {
    await this.#enter("remove", path, true);
    this.#inode(path);
    this.#change((names) => names.delete(path));
  }

  async syncDirectory(path: string): Promise<void> {
    await this.#enter("syncDirectory", path, true);
    for (const change of this.#journal) change(this.#durableNames);
    this.#journal = [];
  }

  async lock(path: string): Promise<() => Promise<void>> {
    await this.#enter("lock", path, false);
    if (this.#locks.has(path)) throw new WalError("ERR_WAL_LOCKED", `${path} is open`);
    this.#locks.add(path);
    const life = this.#life;
    return async () => {
      if (life === this.#life) this.#locks.delete(path);
    };
  }

  #handle(path: string, inode: Inode): WalFile {
    const life = this.#life;
    const alive = () => {
      if (life !== this.#life) throw new CrashError("this process is dead");
    };
    this.handles++;
    const write: WalFile["write"] = async (bytes, position) => {
      alive();
      await this.#enter("write", path, true);
      alive();
      const length = this.shorten === undefined ? bytes.length : this.shorten(bytes.length);
      const end = position + length;
      if (end > inode.bytes.length) inode.bytes = grown(inode.bytes, end);
      inode.bytes.set(bytes.subarray(0, length), position);
      for (let page = Math.floor(position / pageBytes); page * pageBytes < end; page++) inode.dirty.add(page);
      return length;
    };
    /** Of the dirty pages those that are `meant`. */
    const sync = async (meant: (page: number) => boolean) => {
      alive();
      const pages = () => [...inode.dirty].filter(meant);
      try {
        await this.#enter("sync", path, true);
      } catch (error) {
        // As Linux does: pages that could not be written count as clean from now on. The next sync succeeds, and they are lost all the same.
        if (!(error instanceof CrashError)) for (const page of pages()) inode.dirty.delete(page);
        throw error;
      }
      alive();
      const synced = pages();
      const end = Math.min((Math.max(-1, ...synced) + 1) * pageBytes, inode.bytes.length);
      if (end > inode.durable.length) inode.durable = grown(inode.durable, end);
      for (const page of synced) {
        this.#flush(inode, page * pageBytes, pageBytes);
        inode.dirty.delete(page);
      }
    };
    return {
      read: async (into, position) => {
        alive();
        this.readBytesMax = Math.max(this.readBytesMax, into.length);
        await this.#enter("read", path, false);
        const bytes = inode.bytes.subarray(position, position + into.length);
        into.set(bytes);
        return bytes.length;
      },
      write,
      sync: () => sync(() => true),
      ...(this.writesSynced && {
        writeSynced: async (bytes: Uint8Array, position: number) => {
          const written = await write(bytes, position);
          await sync((page) => page * pageBytes < position + written && (page + 1) * pageBytes > position);
          return written;
        },
      }),
      size: async () => {
        alive();
        return inode.bytes.length;
      },
      close: async () => {
        if (life === this.#life) this.handles--;
        await this.#enter("close", path, false);
      },
    };
  }

  #flush(inode: Inode, from: number, length: number): void {
    const bytes = inode.bytes.subarray(from, from + length);
    if (bytes.length === 0) return;
    if (from + bytes.length > inode.durable.length) inode.durable = grown(inode.durable, from + bytes.length);
    inode.durable.set(bytes, from);
  }

  async #enter(operation: string, path: string, changes: boolean): Promise<void> {
    const life = this.#life;
    await this.before?.(operation, path);
    if (life !== this.#life) throw new CrashError("this process is dead");
    if (changes && this.countdown-- <= 0) throw new CrashError("the machine stopped");
    const error = this.fail?.(operation, path);
    if (error !== undefined) throw error;
  }

  #inode(path: string): Inode {
    const inode = this.#names.get(path);
    if (inode === undefined) throw Object.assign(new Error(`ENOENT: ${path}`), { code: "ENOENT" });
    return inode;
  }

  #change(change: (names: Map<string, Inode>) => void): void {
    change(this.#names);
    this.#journal.push(change);
  }
}

function grown(bytes: Uint8Array, length: number): Uint8Array {
  const larger = new Uint8Array(length);
  larger.set(bytes);
  return larger;
}

/** A small generator of random numbers (mulberry32): enough for choosing faults. */
export function seeded(seed: number): Random {
  let state = seed >>> 0;
  return () => {
    state = (state + 0x6d2b79f5) >>> 0;
    let value = Math.imul(state ^ (state >>> 15), state | 1);
    value ^= value + Math.imul(value ^ (value >>> 7), value | 61);
    return ((value ^ (value >>> 14)) >>> 0) / 4_294_967_296;
  };
}
