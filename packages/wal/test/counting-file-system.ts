import type { WalFileSystem } from "../src/index.js";

/** Another file system, whose reads are counted: into how much memory, and how many at once; and what one sync has to write. */
export class CountingFileSystem implements WalFileSystem {
  readonly #inner: WalFileSystem;
  /** What was read into. Held on to here, so that no two of them can be one after the other in the same place. */
  readonly buffers = new Set<ArrayBufferLike>();
  largestReadBytes = 0;
  readBytes = 0;
  atOnceMax = 0;
  openFiles = 0;
  /** Of one file at most, when it was synced. */
  syncedAtOnceBytes = 0;
  #reading = 0;

  constructor(inner: WalFileSystem) {
    this.#inner = inner;
  }

  get bufferBytes(): number {
    return [...this.buffers].reduce((sum, { byteLength }) => sum + byteLength, 0);
  }

  makeDirectory(path: string): Promise<void> {
    return this.#inner.makeDirectory(path);
  }
  list(path: string): Promise<string[]> {
    return this.#inner.list(path);
  }
  async open(path: string, mode: "create" | "read" | "write"): ReturnType<WalFileSystem["open"]> {
    const file = await this.#inner.open(path, mode);
    this.openFiles++;
    let unsyncedBytes = 0;
    return {
      read: async (into, position) => {
        this.buffers.add(into.buffer);
        this.largestReadBytes = Math.max(this.largestReadBytes, into.length);
        this.atOnceMax = Math.max(this.atOnceMax, ++this.#reading);
        const bytes = await file.read(into, position);
        this.#reading--;
        this.readBytes += bytes;
        return bytes;
      },
      write: async (bytes, position) => {
        const written = await file.write(bytes, position);
        unsyncedBytes += written;
        return written;
      },
      sync: async () => {
        this.syncedAtOnceBytes = Math.max(this.syncedAtOnceBytes, unsyncedBytes);
        unsyncedBytes = 0;
        await file.sync();
      },
      ...(file.writeSynced && { writeSynced: file.writeSynced }),
      size: () => file.size(),
      close: () => {
        this.openFiles--;
        return file.close();
      },
    };
  }
  rename(from: string, to: string): Promise<void> {
    return this.#inner.rename(from, to);
  }
  remove(path: string): Promise<void> {
    return this.#inner.remove(path);
  }
  syncDirectory(path: string): Promise<void> {
    return this.#inner.syncDirectory(path);
  }
  lock(path: string): Promise<() => Promise<void>> {
    return this.#inner.lock(path);
  }
}
