import { channel } from "node:diagnostics_channel";
import { type ArchiveEntry, archiveEntryBytes, encodeArchiveObject, entryProblem } from "../core/archive-object.js";
import { crc } from "../fs/checksum.js";
import { ArchiveError, badArchiveArgument } from "./errors.js";
import {
  archivedFirsts,
  encodeManifest,
  lastManifest,
  type Manifest,
  manifestKey,
  noPrevious,
  objectKey,
  readManifest,
} from "./manifest.js";
import { describeObject, readObject, verifiedObject } from "./object.js";
import { type ObjectStore, sha256 } from "./object-store.js";

export interface ArchiverOptions {
  readonly store: ObjectStore;
  readonly stream: string;
  /** An object is closed once its entries reach this size, framing included. Default 8 MiB, at least 1. */
  readonly bytesPerObjectMax?: number;
}

type Entries = Iterable<ArchiveEntry> | AsyncIterable<ArchiveEntry>;

const diverged = channel("evenkeel:wal:archive-diverged");

/**
 * Brings a stream's final entries into an object store and vouches for them. An object is verified before it is uploaded, read back and verified
 * after, and only then gets its manifest; both are created only where nothing is. What exists already is compared: equal is done (an upload
 * that was interrupted, or another replica's), different is an alarm and never an overwrite.
 */
export class Archiver {
  readonly #store: ObjectStore;
  readonly #stream: string;
  readonly #bytesPerObjectMax: number;
  #last: Manifest | undefined;
  #working = false;

  private constructor(options: ArchiverOptions, bytesPerObjectMax: number, last: Manifest | undefined) {
    this.#store = options.store;
    this.#stream = options.stream;
    this.#bytesPerObjectMax = bytesPerObjectMax;
    this.#last = last;
  }

  static async open(options: ArchiverOptions): Promise<Archiver> {
    const size = options.bytesPerObjectMax ?? 8 * 1024 * 1024;
    if (!Number.isSafeInteger(size) || size < 1)
      throw badArchiveArgument("bytesPerObjectMax", "a whole number from 1", size);
    return new Archiver(options, size, await lastManifest(options.store, options.stream));
  }

  /** The last sequence that the archive vouches for, as far as this archiver knows; 0 when there is none. Everything up to it may be dropped elsewhere. */
  get archivedThrough(): number {
    return this.#last?.last ?? 0;
  }

  /**
   * Archives entries, which begin at `archivedThrough + 1` and have no holes. Resolves to the manifests that now vouch for them, in order. What
   * could not be archived yet (an unfinished object of another uploader reaches further than these entries) is left for the next call.
   * Entries' data must not change before this resolves. One call at a time.
   */
  async archive(entries: Entries): Promise<Manifest[]> {
    return this.#alone(async () => {
      const manifests: Manifest[] = [];
      const pending: ArchiveEntry[] = [];
      let bytes = 0;
      let wantedThrough = 0;
      let expected = this.archivedThrough + 1;
      const upload = async (): Promise<void> => {
        const result = await this.#upload(pending);
        if (typeof result === "number") {
          wantedThrough = result;
          return;
        }
        manifests.push(result);
        pending.splice(0, result.last - result.first + 1);
        bytes = sizeOf(pending);
      };
      for await (const entry of entries) {
        const problem = entryProblem(entry, expected);
        if (problem !== undefined) throw this.#gap(problem);
        expected++;
        pending.push(entry);
        bytes += archiveEntryBytes + entry.data.length;
        while (bytes >= this.#bytesPerObjectMax && expected > wantedThrough && pending.length > 0) await upload();
      }
      while (pending.length > 0 && expected > wantedThrough) await upload();
      return manifests;
    });
  }

  /**
   * Compares a replica's own entries with what is archived, without uploading anything. They may begin and end anywhere; objects that they only
   * partly cover at the end are left for a later call. Resolves to the last sequence compared and found equal, 0 if none. A difference is
   * `ERR_ARCHIVE_DIVERGED`.
   */
  async compare(entries: Entries): Promise<number> {
    return this.#alone(async () => {
      let manifest: Manifest | undefined;
      let pending: ArchiveEntry[] = [];
      let expected: number | undefined;
      let through = 0;
      for await (const entry of entries) {
        const problem = entryProblem(entry, expected ?? entry.sequence);
        if (problem !== undefined) throw this.#gap(problem);
        manifest ??= await this.#manifestOf(entry.sequence);
        if (manifest === undefined) return through;
        expected = entry.sequence + 1;
        pending.push(entry);
        if (entry.sequence < manifest.last) continue;
        await this.#compareObject(manifest, pending);
        through = manifest.last;
        manifest = undefined;
        pending = [];
      }
      return through;
    });
  }

  async #compareObject(manifest: Manifest, entries: readonly ArchiveEntry[]): Promise<void> {
    if ((entries[0] as ArchiveEntry).sequence === manifest.first) {
      const bytes = encodeArchiveObject(this.#stream, entries, manifest.previousSha256, crc);
      if (sha256(bytes) === manifest.sha256) return;
    }
    const archived = await readObject(this.#store, manifest);
    const from = (entries[0] as ArchiveEntry).sequence - manifest.first;
    for (const [at, entry] of entries.entries()) {
      const theirs = archived.entries[from + at] as ArchiveEntry;
      if (theirs.timeMs !== entry.timeMs || Buffer.compare(theirs.data, entry.data) !== 0) {
        throw this.#diverged(manifest.object, `entry ${entry.sequence} here is not the one that is archived`);
      }
    }
  }

  /** The manifest that covers `sequence`, if it is archived by now. */
  async #manifestOf(sequence: number): Promise<Manifest | undefined> {
    const exact = await readManifest(this.#store, this.#stream, sequence);
    if (exact !== undefined) return exact;
    const first = (await archivedFirsts(this.#store, this.#stream)).findLast((candidate) => candidate <= sequence);
    const manifest = first === undefined ? undefined : await readManifest(this.#store, this.#stream, first);
    return manifest !== undefined && sequence <= manifest.last ? manifest : undefined;
  }

  /** Archives `entries` or as many of them as an object that is already there holds; a number says through which sequence that one reaches. */
  async #upload(entries: readonly ArchiveEntry[]): Promise<Manifest | number> {
    const first = (entries[0] as ArchiveEntry).sequence;
    const key = objectKey(this.#stream, first);
    const previous = this.#last?.sha256 ?? noPrevious;
    let chosen = entries;
    let bytes = encodeArchiveObject(this.#stream, chosen, previous, crc);
    verifiedObject(bytes, this.#stream, first);
    if (!(await this.#create(key, bytes))) {
      const theirs = verifiedObject(await this.#mustGet(key), this.#stream, first);
      if (theirs.last > (entries.at(-1) as ArchiveEntry).sequence) return theirs.last;
      chosen = entries.slice(0, theirs.last - first + 1);
      bytes = encodeArchiveObject(this.#stream, chosen, previous, crc);
    }
    await this.#mustEqual(key, bytes);
    const manifest = describeObject(this.#stream, chosen, bytes, previous);
    const manifestBytes = encodeManifest(manifest);
    const keyOfManifest = manifestKey(this.#stream, first);
    await this.#create(keyOfManifest, manifestBytes);
    await this.#mustEqual(keyOfManifest, manifestBytes);
    this.#last = manifest;
    return manifest;
  }

  async #create(key: string, bytes: Uint8Array): Promise<boolean> {
    try {
      await this.#store.put(key, bytes, { createOnly: true, sha256: sha256(bytes) });
      return true;
    } catch (error) {
      if (error instanceof ArchiveError && error.code === "ERR_ARCHIVE_EXISTS") return false;
      throw error;
    }
  }

  async #mustGet(key: string): Promise<Uint8Array> {
    const bytes = await this.#store.get(key);
    if (bytes !== undefined) return bytes;
    throw new ArchiveError("ERR_ARCHIVE_HOLE", `${key} was stored and cannot be read back`, { key });
  }

  /** What is in the store, whoever put it there, is what we would have put there. */
  async #mustEqual(key: string, bytes: Uint8Array): Promise<void> {
    const stored = await this.#mustGet(key);
    if (Buffer.compare(stored, bytes) !== 0) throw this.#diverged(key, "what is archived is not what this replica has");
  }

  #diverged(key: string, what: string): ArchiveError {
    const message = `${key}: ${what}; nothing was overwritten. Find out which side is wrong before archiving more`;
    const error = new ArchiveError("ERR_ARCHIVE_DIVERGED", message, { key });
    if (diverged.hasSubscribers) diverged.publish({ stream: this.#stream, key, error });
    return error;
  }

  #gap(problem: string): ArchiveError {
    return new ArchiveError("ERR_ARCHIVE_GAP", `stream ${JSON.stringify(this.#stream)}: ${problem}`);
  }

  async #alone<T>(work: () => Promise<T>): Promise<T> {
    if (this.#working) throw badArchiveArgument("archiver", "used by one call at a time", "a second call");
    this.#working = true;
    try {
      return await work();
    } finally {
      this.#working = false;
    }
  }
}

function sizeOf(entries: readonly ArchiveEntry[]): number {
  return entries.reduce((sum, entry) => sum + archiveEntryBytes + entry.data.length, 0);
}
