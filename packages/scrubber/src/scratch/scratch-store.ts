import { mkdir, open, readdir, readFile, rename, unlink } from "node:fs/promises";
import { join } from "node:path";
import { crc32 } from "node:zlib";
import { compareBytes, NO_BYTES } from "../core/bytes.js";
import { badArgument, checkedInteger, checkOptions, ScrubberError } from "../core/errors.js";
import type { ReferenceStore, ReferenceView } from "../core/reference-store.js";
import { SortedTree } from "../core/sorted-tree.js";
import type { Entry } from "../core/source.js";
import { syncDirectory } from "../sync-directory.js";
import { merge } from "./merge.js";
import { corrupt, type Kept, SortedFile } from "./sorted-file.js";

export interface ScratchStoreOptions {
  /** A folder of its own; made where it is missing. One process at a time. */
  readonly dir: string;
  /** Bytes of keys and values that are held in memory before they are written out. 32 MiB by default. */
  readonly memoryBytesMax?: number;
  /** Files that a look-up may have to go through; beyond, they are merged into one. 8 by default. */
  readonly filesMax?: number;
}

const optionNames: Record<keyof ScratchStoreOptions, 0> = { dir: 0, memoryBytesMax: 0, filesMax: 0 };

const MANIFEST = "manifest";
const MEMORY_BYTES_MAX = 32 * 1024 * 1024;
const FILES_MAX = 8;

/**
 * A reference's state on disk: what is written gathers in memory, goes out as files in order of keys, and these are merged when there are many.
 * Nothing of a live store's code has a part in it. In memory are `memoryBytesMax`, and of the files the first key of each 16 KiB.
 */
export class ScratchStore implements ReferenceStore {
  readonly #dir: string;
  readonly #memoryBytesMax: number;
  readonly #filesMax: number;
  #memory = new SortedTree<Kept>();
  #memoryBytes = 0;
  /** The newest first. */
  #files: SortedFile[] = [];
  /** What the manifest names, and of that what has been merged into other files since. */
  #named = new Set<string>();
  #outdated: string[] = [];
  #number = 0;
  #saved: number | undefined;

  private constructor({ dir, memoryBytesMax = MEMORY_BYTES_MAX, filesMax = FILES_MAX }: ScratchStoreOptions) {
    this.#dir = dir;
    this.#memoryBytesMax = checkedInteger("memoryBytesMax", memoryBytesMax, 1);
    this.#filesMax = checkedInteger("filesMax", filesMax, 1);
  }

  /** With what was saved in the folder, if anything was. Rejects with ERR_SCRUBBER_SCRATCH where that is damaged. */
  static async open(options: ScratchStoreOptions): Promise<ScratchStore> {
    options = checkOptions("ScratchStore.open", options, optionNames);
    if (typeof options.dir !== "string" || options.dir === "") throw badArgument("dir", "a path", options.dir);
    const store = new ScratchStore(options);
    await mkdir(options.dir, { recursive: true });
    await store.#restore();
    return store;
  }

  get savedPosition(): number | undefined {
    return this.#saved;
  }

  get bytes(): number {
    return this.#files.reduce((sum, file) => sum + file.bytes, this.#memoryBytes);
  }

  stats(): { readonly memoryBytes: number; readonly files: number; readonly fileBytes: number } {
    return { memoryBytes: this.#memoryBytes, files: this.#files.length, fileBytes: this.bytes - this.#memoryBytes };
  }

  get(key: Uint8Array): Uint8Array | undefined {
    const inMemory = this.#memory.peek().get(key);
    if (inMemory !== undefined) return inMemory.value;
    for (const file of this.#files) {
      const kept = file.get(key);
      if (kept !== undefined) return kept.value;
    }
    return undefined;
  }

  put(key: Uint8Array, value: Uint8Array): void {
    this.#write({ key, value });
  }

  delete(key: Uint8Array): void {
    this.#write({ key, value: undefined });
  }

  view(): ReferenceView {
    const memory = this.#memory.snapshot();
    const files = [...this.#files];
    for (const file of files) file.use();
    return {
      range: function* (from, to): IterableIterator<Entry> {
        for (const { key, value } of merge([memory.range(from, to), ...files.map((file) => file.range(from))])) {
          if (to !== undefined && compareBytes(key, to) >= 0) return;
          if (value !== undefined) yield { key, value };
        }
      },
      close: () => {
        for (const file of files.splice(0)) file.release();
      },
    };
  }

  /** Writes out what is in memory when that is much, and merges the files when they are many. */
  async settle(): Promise<void> {
    if (this.#memoryBytes <= this.#memoryBytesMax) return;
    await this.#spill();
    if (this.#files.length <= this.#filesMax) return;
    const merged = this.#files;
    // What was deleted need not be remembered any more: nothing older is left.
    const kept = filter(merge(merged.map((file) => file.range(NO_BYTES))));
    this.#files = [await SortedFile.write(this.#nextPath(), kept)];
    for (const file of merged) {
      file.release();
      if (this.#named.has(file.path)) this.#outdated.push(file.path);
      else await remove(file.path);
    }
  }

  /** Keeps the state for the next process. */
  async save(position: number): Promise<void> {
    checkedInteger("position", position, 0);
    if (this.#memoryBytes > 0) await this.#spill();
    const names = this.#files.map(({ path }) => path.slice(this.#dir.length + 1));
    const text = JSON.stringify({ version: 1, position, files: names, next: this.#number });
    const temporary = join(this.#dir, `${MANIFEST}.new`);
    const file = await open(temporary, "w");
    try {
      await file.writeFile(`${text}\n${crc32(text).toString(16)}\n`);
      await file.datasync();
    } finally {
      await file.close();
    }
    // The names of the files before the name of what speaks of them, and that before those that it speaks of no more go.
    await syncDirectory(this.#dir);
    await rename(temporary, join(this.#dir, MANIFEST));
    await syncDirectory(this.#dir);
    this.#saved = position;
    this.#named = new Set(this.#files.map(({ path }) => path));
    for (const path of this.#outdated.splice(0)) await remove(path);
  }

  /** Lets go of the files. What was saved stays. */
  async close(): Promise<void> {
    for (const file of this.#files.splice(0)) file.release();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.close();
  }

  #write(kept: Kept): void {
    const before = this.#memory.set(kept);
    if (before !== undefined) this.#memoryBytes -= before.key.length + (before.value?.length ?? 0);
    this.#memoryBytes += kept.key.length + (kept.value?.length ?? 0);
  }

  async #spill(): Promise<void> {
    const entries = this.#memory.snapshot().range(NO_BYTES, undefined);
    this.#files = [await SortedFile.write(this.#nextPath(), entries), ...this.#files];
    this.#memory = new SortedTree();
    this.#memoryBytes = 0;
  }

  #nextPath(): string {
    this.#number++;
    return join(this.#dir, `${String(this.#number).padStart(8, "0")}.sorted`);
  }

  async #restore(): Promise<void> {
    const path = join(this.#dir, MANIFEST);
    const text = await readFile(path, "utf8").catch((error: NodeJS.ErrnoException) => {
      if (error.code === "ENOENT") return undefined;
      throw error;
    });
    if (text !== undefined) {
      const manifest = parseManifest(text, path);
      for (const name of manifest.files) {
        this.#named.add(join(this.#dir, name));
        try {
          this.#files.push(SortedFile.open(join(this.#dir, name)));
        } catch (cause) {
          await this.close();
          if (cause instanceof ScrubberError) throw cause;
          throw new ScrubberError(
            "ERR_SCRUBBER_SCRATCH",
            `${join(this.#dir, name)} cannot be opened; delete the folder, and the reference is built anew`,
            { cause },
          );
        }
      }
      this.#number = manifest.next;
      this.#saved = manifest.position;
    }
    // Written after the last save: their entries are applied again.
    for (const name of await readdir(this.#dir))
      if (name.endsWith(".sorted") && !this.#named.has(join(this.#dir, name))) await unlink(join(this.#dir, name));
  }
}

interface Manifest {
  readonly position: number;
  readonly files: readonly string[];
  readonly next: number;
}

function parseManifest(text: string, path: string): Manifest {
  const [line = "", sum] = text.split("\n");
  if (crc32(line).toString(16) !== sum) throw corrupt(path, 0, "the manifest");
  const manifest = JSON.parse(line) as Manifest & { readonly version: number };
  if (manifest.version !== 1)
    throw new ScrubberError(
      "ERR_SCRUBBER_SCRATCH",
      `${path} has version ${manifest.version}, which this release does not know; delete the folder, and the reference is built anew`,
    );
  return manifest;
}

/** What cannot be removed costs space until the next opening, and nothing else. */
async function remove(path: string): Promise<void> {
  await unlink(path).catch(() => undefined);
}

function* filter(entries: Iterable<Kept>): IterableIterator<Kept> {
  for (const kept of entries) if (kept.value !== undefined) yield kept;
}
