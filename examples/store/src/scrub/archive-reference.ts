import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import {
  behind,
  type Entry,
  type KeyRange,
  Reference,
  type ReferenceApply,
  type ReferenceEntry,
  type ReplicaSnapshot,
  type ReplicaSource,
  ScratchStore,
  ScrubberError,
  sha256,
} from "@evenkeel/scrubber";
import { type ObjectStore, restore, restoreState, type SnapshotToRestore } from "@evenkeel/wal/archive";
import { decodeCommand } from "../storage-node/command.js";
import { StoreError } from "../storage-node/errors.js";
import { GentlePace, SLICE_BYTES } from "../storage-node/gentle-pace.js";
import { digestsInSlices, splitsInSlices } from "../storage-node/in-slices.js";
import { StateDecoder } from "../storage-node/partition-state.js";
import { encodeStored } from "../storage-node/stored-value.js";

/** Of keys and values in memory, of each partition whose reference is being brought forward. */
const MEMORY_BYTES_MAX = 4 * 1024 * 1024;
/** A partition's size is bounded elsewhere, and the reference lies on the disk. */
const BYTES_MAX = 2 ** 50;
/** Its name among the sources that are compared. */
export const REFERENCE = "reference";

export type Take = (bytes: number) => Promise<void> | void;

export interface ArchiveReferenceOptions {
  readonly archive: ObjectStore;
  readonly stream: string;
  /** A folder of its own, in which it is kept from pass to pass and from process to process. Without it: a temporary one, for one life. */
  readonly dir?: string;
}

/**
 * A replica that nobody serves from, built out of the archive alone through the same commands as the live ones, with another storage behind it
 * (`ScratchStore`), so that a partition may be of any size. A pass costs what was archived since the last one, however old the table is.
 *
 * It begins with the snapshot *before* the newest one, and wherever it comes past a snapshot, what the log has made of it must be what was written there: a
 * snapshot comes from a replica's B-tree, whose word is exactly what is in question, and is believed only when a pass has gone past it. So each of them is
 * proved by the one before it and the log. What it cannot go on from is thrown away; the next call begins anew.
 */
export class ArchiveReference implements ReplicaSource {
  readonly name = REFERENCE;
  readonly kind = "reference";
  readonly #options: ArchiveReferenceOptions;
  readonly #dir: string;
  #store: ScratchStore | undefined;
  #reference: Reference | undefined;
  #failure: unknown;
  #turn: Promise<void> = Promise.resolve();

  private constructor(options: ArchiveReferenceOptions, dir: string) {
    this.#options = options;
    this.#dir = dir;
  }

  static async open(options: ArchiveReferenceOptions): Promise<ArchiveReference> {
    const dir = options.dir ?? (await mkdtemp(join(tmpdir(), "evenkeel-scrub-")));
    return new ArchiveReference(options, dir);
  }

  get position(): number {
    return this.#reference?.position ?? 0;
  }

  /**
   * Brings it to a slot that is archived; without `take` as fast as it can, since somebody waits for it. Rejects with what is wrong with the archive, ERR_STORE_CORRUPT where a snapshot is not what the log says; so does
   * `snapshot` until another call succeeds.
   */
  async advance(slot: number, take?: Take): Promise<void> {
    const turn = this.#turn.then(async () => this.#advance(slot, take));
    this.#turn = turn.catch(() => {});
    return turn;
  }

  /** It takes no part until it is advanced again: what it would have been built of cannot be had. */
  fail(error: unknown): void {
    this.#failure = error;
  }

  /** What it was built of has changed: it is built anew. */
  async forget(): Promise<void> {
    const turn = this.#turn.then(async () => this.#forget());
    this.#turn = turn.catch(() => {});
    return turn;
  }

  async snapshot(at: number): Promise<ReplicaSnapshot> {
    if (this.#failure !== undefined) throw this.#failure as Error;
    if (this.#reference === undefined) throw behind(this.name, at, "it was not built yet");
    return inSlices(await this.#reference.snapshot(at));
  }

  async close(): Promise<void> {
    await this.#turn;
    await this.#store?.close();
    if (this.#options.dir === undefined) await rm(this.#dir, { recursive: true, force: true });
  }

  async #advance(slot: number, take: Take | undefined): Promise<void> {
    try {
      const kept = await this.#open();
      if (kept === undefined) await this.#build(slot, take);
      else if (kept.position > slot) throw behind(this.name, slot, `it is at ${kept.position}`);
      else {
        await this.#goOn(kept, slot, take).catch(async (error: { code?: unknown }) => {
          // Retention has let go of what lay between: the state that was kept leads nowhere any more.
          if (error.code !== "ERR_ARCHIVE_RANGE") throw error;
          await this.#forget();
          await this.#build(slot, take);
        });
      }
      if (this.position !== slot)
        throw new StoreError(
          "ERR_STORE_BEHIND",
          `the archive of ${this.#options.stream} ends at ${this.position}, not at ${slot}`,
        );
      this.#failure = undefined;
    } catch (error) {
      this.#failure = reasonOf(error);
      if (!(await this.#isWhole())) await this.#forget();
      throw this.#failure;
    }
  }

  /** What was kept, if anything was. */
  async #open(): Promise<Reference | undefined> {
    const options = { dir: this.#dir, memoryBytesMax: MEMORY_BYTES_MAX };
    if (this.#store === undefined) {
      this.#store = await ScratchStore.open(options).catch(async (error: unknown) => {
        if (!(error instanceof ScrubberError)) throw error;
        // What was kept has rotted, or a newer program wrote it: it is nobody's only copy.
        await rm(this.#dir, { recursive: true, force: true });
        return await ScratchStore.open(options);
      });
      if (this.#store.savedPosition !== undefined) this.#begin(this.#store);
    }
    return this.#reference;
  }

  #begin(store: ScratchStore): Reference {
    this.#reference = new Reference({ name: this.name, apply, store, bytesMax: BYTES_MAX }, sha256);
    return this.#reference;
  }

  async #build(slot: number, take: Take | undefined): Promise<void> {
    await this.#open();
    const reference = this.#begin(this.#store as ScratchStore);
    const { archive: store, stream } = this.#options;
    const until = { sequence: slot };
    const { snapshot: newest } = await restoreState({ store, stream, until });
    if (newest !== undefined) {
      const before = await restoreState({ store, stream, until, snapshotBefore: newest.sequence }).catch(
        (error: { code?: unknown }) => {
          // The archive begins with the newest one: retention has read it, and the log that led up to it is gone.
          if (error.code === "ERR_ARCHIVE_RANGE") return { snapshot: newest };
          throw error;
        },
      );
      if (before.snapshot !== undefined)
        await reference.load({ position: before.snapshot.sequence, entries: entriesOf(before.snapshot, take) });
    }
    await this.#goOn(reference, slot, take);
  }

  /** Through the log, past the newest snapshot where there is one on the way. */
  async #goOn(reference: Reference, slot: number, take: Take | undefined): Promise<void> {
    const { archive: store, stream } = this.#options;
    const { snapshot } = await restoreState({ store, stream, until: { sequence: slot } });
    if (snapshot !== undefined && snapshot.sequence > reference.position) {
      await this.#apply(reference, snapshot.sequence, take);
      await this.#prove(reference, snapshot, take);
    }
    await this.#apply(reference, slot, take);
  }

  async #apply(reference: Reference, through: number, take: Take | undefined): Promise<void> {
    if (reference.position >= through) return;
    const { archive: store, stream } = this.#options;
    const entries = restore({ store, stream, from: reference.position + 1, until: { sequence: through } });
    await reference.advance(take === undefined ? entries : paced(entries, take));
  }

  /** That a snapshot is what the log has made of it. */
  async #prove(reference: Reference, snapshot: SnapshotToRestore, take: Take | undefined): Promise<void> {
    const wrong = (key: Uint8Array) =>
      new StoreError(
        "ERR_STORE_CORRUPT",
        `the archive's snapshot of ${this.#options.stream} at ${snapshot.sequence} is not what the log says, at key ${Buffer.from(key).toString("hex")}`,
      );
    const own = await reference.snapshot(snapshot.sequence);
    try {
      const entries = own.entries({ from: new Uint8Array(0), to: undefined }) as Iterable<Entry>;
      const ours = entries[Symbol.iterator]();
      for await (const { key, value } of entriesOf(snapshot, take)) {
        const next = ours.next();
        if (next.done === true) throw wrong(key);
        if (Buffer.compare(next.value.key, key) !== 0 || Buffer.compare(next.value.value, value) !== 0)
          throw wrong(key);
      }
      const rest = ours.next();
      if (rest.done !== true) throw wrong(rest.value.key);
    } catch (error) {
      // One of the two is wrong, and it may be the state that was kept.
      this.#reference = undefined;
      throw error;
    } finally {
      await own.close();
    }
  }

  /** Whether it can go on from where it is when what kept it is over. */
  async #isWhole(): Promise<boolean> {
    try {
      await (await this.#reference?.snapshot(this.position))?.close();
      return this.#reference !== undefined && this.position > 0;
    } catch {
      return false;
    }
  }

  async #forget(): Promise<void> {
    this.#reference = undefined;
    await this.#store?.close();
    this.#store = undefined;
    await rm(this.#dir, { recursive: true, force: true });
  }
}

/** It is read on the thread through which all requests go. */
function inSlices(own: ReplicaSnapshot): ReplicaSnapshot {
  const entries = (range: KeyRange) => own.entries(range) as Iterable<Entry>;
  return {
    digests: (ranges) => digestsInSlices(entries, ranges, new GentlePace()),
    splits: (range, options) => splitsInSlices(entries, range, options, new GentlePace()),
    entries,
    /** Its store's checksums cover what is not there as well: what can be read is what was applied. */
    async intact(range) {
      for (const _ of entries(range));
      return true;
    },
    close: () => own.close(),
  };
}

const apply: ReferenceApply = (state, { sequence, data }) => {
  const command = data.length === 0 ? undefined : decodeCommand(data);
  if (command?.kind !== "writes") return;
  for (const write of command.writes) {
    const key = Uint8Array.from(write.key);
    if (write.op === "put") state.put(key, encodeStored(key, sequence, write.itemSizeBytes, write.bytes));
    else state.delete(key);
  }
};

/** What an entry or a store was refused for says more than that it was. */
function reasonOf(error: unknown): unknown {
  return error instanceof ScrubberError && error.cause instanceof StoreError ? error.cause : error;
}

async function* entriesOf(snapshot: SnapshotToRestore, take: Take | undefined): AsyncGenerator<Entry, void, undefined> {
  const decoder = new StateDecoder();
  const pace = new GentlePace();
  for await (const chunk of snapshot.chunks()) {
    // A part of a snapshot is some megabytes.
    for (let at = 0; at < chunk.length; at += SLICE_BYTES) {
      const slice = chunk.subarray(at, at + SLICE_BYTES);
      await take?.(slice.length);
      pace.resume();
      for (const { key, bytes } of decoder.push(slice)) yield { key, value: bytes };
      if (take !== undefined) await pace.pause();
    }
  }
  decoder.finish();
}

async function* paced(
  entries: AsyncIterable<ReferenceEntry>,
  take: Take,
): AsyncGenerator<ReferenceEntry, void, undefined> {
  const pace = new GentlePace();
  let bytes = 0;
  for await (const entry of entries) {
    yield entry;
    bytes += entry.data.length;
    if (!pace.isOver(entry.data.length)) continue;
    await pace.pause();
    await take(bytes);
    pace.resume();
    bytes = 0;
  }
}
