import { nodeFileSystem, type WalFile, type WalFileSystem } from "@evenkeel/wal";

/** How long each sync of a node took, so that the reader can tell the disk's share of a latency in the very seconds in which that was measured. */
export class Syncs {
  #tookMs: number[] = [];

  /** From now on. */
  begin(): void {
    this.#tookMs = [];
  }

  /** Milliseconds within which 99 of 100 were done, since `begin`. */
  get p99(): number {
    const sorted = this.#tookMs.sort((a, b) => a - b);
    return sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * 0.99))] ?? 0;
  }

  async timed<T>(sync: Promise<T>): Promise<T> {
    const before = performance.now();
    const result = await sync;
    this.#tookMs.push(performance.now() - before);
    return result;
  }
}

/** The file system of the machine, each sync timed. */
export function timedFileSystem(syncs: Syncs): WalFileSystem {
  return {
    makeDirectory: (path) => nodeFileSystem.makeDirectory(path),
    list: (path) => nodeFileSystem.list(path),
    open: async (path, mode) => timedFile(await nodeFileSystem.open(path, mode), syncs),
    rename: (from, to) => nodeFileSystem.rename(from, to),
    remove: (path) => nodeFileSystem.remove(path),
    syncDirectory: (path) => nodeFileSystem.syncDirectory(path),
    lock: (path) => nodeFileSystem.lock(path),
  };
}

function timedFile(file: WalFile, syncs: Syncs): WalFile {
  const { writeSynced } = file;
  return {
    read: (into, position) => file.read(into, position),
    write: (bytes, position) => file.write(bytes, position),
    sync: () => syncs.timed(file.sync()),
    ...(writeSynced && { writeSynced: (bytes, position) => syncs.timed(writeSynced.call(file, bytes, position)) }),
    size: () => file.size(),
    close: () => file.close(),
  };
}
