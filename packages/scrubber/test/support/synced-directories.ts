import { type FileHandle, open } from "node:fs/promises";
import { vi } from "vitest";

/** The directories (their inodes) that are synced during the work, in order; `onSync` is called before each is. */
export async function syncedDirectories(work: () => Promise<void>, onSync = async () => {}): Promise<number[]> {
  const synced: number[] = [];
  await using handle = await open(import.meta.dirname);
  const prototype = Object.getPrototypeOf(handle) as FileHandle;
  const { sync } = prototype;
  const spy = vi.spyOn(prototype, "sync").mockImplementation(async function (this: FileHandle) {
    const stats = await this.stat();
    if (stats.isDirectory()) {
      await onSync();
      synced.push(stats.ino);
    }
    await sync.call(this);
  });
  try {
    await work();
    return synced;
  } finally {
    spy.mockRestore();
  }
}
