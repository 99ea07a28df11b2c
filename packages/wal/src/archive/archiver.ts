import { type ArchiveEntry, ArchiveObjectBuilder, type EntryToArchive, entryProblem } from "../core/archive-object.js";
import type { Compression } from "../core/stored-body.js";
import { crc } from "../fs/checksum.js";
import { archiveEnd, manifestChain } from "./chain.js";
import { checkedCompression } from "./codec.js";
import { compareEntries } from "./compare.js";
import { type Draft, draftOf, noTip, packDraft, type Tip } from "./draft.js";
import { ArchiveError, badArchiveArgument, checkArchiveOptions } from "./errors.js";
import { type Floor, type Gap, readFloor } from "./floor.js";
import { objectKey } from "./keys.js";
import { type Manifest, noPrevious } from "./manifest.js";
import { readObject, verifyCanonical } from "./object.js";
import type { ObjectStore } from "./object-store.js";
import { type Settled, storeObject, vouchFor } from "./upload.js";

export interface ArchiverOptions {
  /** Where the archive is kept: `FileObjectStore`, `S3ObjectStore`, one of them behind a `PatientObjectStore`, or your own. */
  readonly store: ObjectStore;
  /** The stream's name in the archive. */
  readonly stream: string;
  /** An object is closed once its entries reach this size, framing included. Default 8 MiB, from 1 to 1 GiB. */
  readonly bytesPerObjectMax?: number;
  /**
   * How objects are stored where that leaves at most nine tenths of their bytes; elsewhere, and with "none", they are stored as they are. Replicas and
   * versions may differ in it. "zstd" needs Node 22.15, also to read. Default "brotli".
   */
  readonly compression?: Compression;
  /** Ends the opening, with its reason; `archive` and `compare` have signals of their own. */
  readonly signal?: AbortSignal;
}

const optionNames: Record<keyof ArchiverOptions, 0> = {
  store: 0,
  stream: 0,
  bytesPerObjectMax: 0,
  compression: 0,
  signal: 0,
};

export type EntriesToArchive = Iterable<EntryToArchive> | AsyncIterable<EntryToArchive>;

/**
 * Brings a stream's final entries into an object store and vouches for them. An object is verified before it is uploaded, read back, unpacked and
 * compared after, and only then gets its manifest; both are created only where nothing is. What exists already is compared: equal is done (an upload
 * that was interrupted, or another replica's), different is an alarm and never an overwrite.
 *
 * Three objects are under way at most: one is gathered or packed, one is stored and read back, one gets its manifest. The next one is stored only once the one
 * before it was read back: what an interruption leaves behind is always whole up to its end, so whoever goes on takes it over.
 */
export class Archiver {
  readonly #store: ObjectStore;
  readonly #stream: string;
  readonly #bytesPerObjectMax: number;
  readonly #compression: Compression;
  readonly #floor: Floor;
  #tip: Tip;
  #unfinishedThrough = 0;
  #working = false;

  private constructor(options: Required<Omit<ArchiverOptions, "signal">>, floor: Floor, tip: Tip) {
    this.#store = options.store;
    this.#stream = options.stream;
    this.#bytesPerObjectMax = options.bytesPerObjectMax;
    this.#compression = options.compression;
    this.#floor = floor;
    this.#tip = tip;
  }

  /** Finds where the archive ends, and goes on from there. @throws ArchiveError `ERR_ARCHIVE_ARGUMENT`, and what the store says. */
  static async open(options: ArchiverOptions): Promise<Archiver> {
    options = checkArchiveOptions("Archiver.open", options, optionNames);
    const { store, stream, bytesPerObjectMax = 8 * 1024 * 1024, signal } = options;
    checkObjectBytes(bytesPerObjectMax);
    const compression = checkedCompression(options.compression ?? "brotli");
    const floor = await readFloor(store, stream, signal);
    const end = await archiveEnd(store, stream, floor, signal);
    const tip = end === undefined ? noTip : await tipAt(store, end, floor, signal);
    return new Archiver({ store, stream, bytesPerObjectMax, compression }, floor, tip);
  }

  get stream(): string {
    return this.#stream;
  }

  /** The last sequence that the archive vouches for, as far as this archiver knows; 0 when there is none. Everything up to it may be dropped elsewhere. */
  get archivedThrough(): number {
    return this.#tip.last;
  }

  /** The entry with which the archive goes on behind the last gap (`leaveGap`): a snapshot before it does not lead on to what comes now. 0 where there is none. */
  get beganAnewAt(): number {
    return this.#floor.gaps.at(-1)?.first ?? 0;
  }

  /**
   * How far an object reaches that another uploader, or an interrupted one, left without a manifest, where the last call of `archive` had too few entries
   * to take it over: the next call needs them through here, from `archivedThrough + 1` again. 0 when there is none.
   */
  get unfinishedThrough(): number {
    return this.#unfinishedThrough;
  }

  /**
   * Archives entries, which begin at `archivedThrough + 1` and have no holes. Resolves to the manifests that now vouch for them, in order. What
   * could not be archived yet (an unfinished object of another uploader reaches further than these entries) is left for the next call.
   * Data are copied as they come. One call at a time. Whatever it rejects with, nothing of it goes on afterwards, and the same call may be made
   * again for what is not archived yet.
   */
  async archive(entries: EntriesToArchive, options: { readonly signal?: AbortSignal } = {}): Promise<Manifest[]> {
    const { signal } = checkArchiveOptions("archive", options, { signal: 0 });
    return this.#alone(async () => {
      const run = new ArchiveRun(
        this.#store,
        this.#stream,
        this.#bytesPerObjectMax,
        this.#compression,
        this.#tip,
        (tip) => {
          this.#tip = tip;
        },
        signal,
      );
      try {
        await addAll(run, entries);
        const manifests = await run.finish();
        this.#unfinishedThrough = run.leftThrough;
        return manifests;
      } finally {
        await run.settled();
      }
    });
  }

  /**
   * Compares a replica's own entries with what is archived, without uploading anything. They may begin and end anywhere; objects that they only
   * partly cover at the end are left for a later call, and what retention has let go is passed over. Resolves to the last sequence compared and
   * found equal, 0 if none. A difference is `ERR_ARCHIVE_DIVERGED`. Holds one object, or two where the first one is covered in part.
   */
  async compare(entries: EntriesToArchive, options: { readonly signal?: AbortSignal } = {}): Promise<number> {
    const { signal } = checkArchiveOptions("compare", options, { signal: 0 });
    return this.#alone(() => compareEntries(this.#store, this.#stream, this.#floor, entries, signal));
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

/** So much is gathered before others get a turn: whoever else lives on this thread, and the object that is being stored. */
const bytesPerTurn = 256 * 1024;

async function addAll(run: ArchiveRun, entries: EntriesToArchive): Promise<void> {
  if (Symbol.iterator in entries) {
    for (const entry of entries) {
      run.add(entry);
      if (run.isDue) await run.advance();
    }
  } else {
    for await (const entry of entries) {
      run.add(entry);
      if (run.isDue) await run.advance();
    }
  }
}

/** What follows the last manifest, or the gap behind it. Format 1 did not say how late its entries reach: they are read once. */
async function tipAt(
  store: ObjectStore,
  last: Manifest | Gap,
  floor: Floor,
  signal: AbortSignal | undefined,
): Promise<Tip> {
  if ("from" in last) return { last: last.first - 1, sha256: noPrevious, timeMaxMs: last.timeMaxMs };
  let timeMaxMs = last.timeMaxMs;
  if (timeMaxMs === undefined) {
    timeMaxMs = 0;
    for await (const manifest of manifestChain(store, last.stream, floor.first, last.last, floor, signal)) {
      const known = manifest.timeMaxMs ?? (await readObject(store, manifest, undefined, signal)).object.timeMaxMs;
      timeMaxMs = Math.max(timeMaxMs, known);
    }
  }
  return { last: last.last, sha256: last.sha256, timeMaxMs };
}

/** One call of `archive`. */
class ArchiveRun {
  readonly #store: ObjectStore;
  readonly #stream: string;
  readonly #bytesPerObjectMax: number;
  readonly #compression: Compression;
  readonly #signal: AbortSignal | undefined;
  readonly #vouched: (tip: Tip) => void;
  readonly #manifests: Manifest[] = [];
  #gathered: ArchiveObjectBuilder;
  /** What the gathered entries follow from: the object in flight, if there is one. */
  #tip: Tip;
  #expected: number;
  /** An object that is there and has no manifest reaches this far: with fewer entries than that there is nothing to do. */
  #wantedThrough = 0;
  #inFlight: { readonly draft: Draft; readonly settled: Promise<Settled> } | undefined;
  #vouching: Promise<void> = Promise.resolve();
  #nextTurnAt = bytesPerTurn;
  /** Of the object in flight, last, and of the one before it, which nobody reads any more. */
  readonly #memory: Uint8Array[] = [];

  constructor(
    store: ObjectStore,
    stream: string,
    bytesPerObjectMax: number,
    compression: Compression,
    tip: Tip,
    vouched: (tip: Tip) => void,
    signal: AbortSignal | undefined,
  ) {
    this.#store = store;
    this.#stream = stream;
    this.#bytesPerObjectMax = bytesPerObjectMax;
    this.#compression = compression;
    this.#tip = tip;
    this.#vouched = vouched;
    this.#signal = signal;
    this.#expected = tip.last + 1;
    this.#gathered = new ArchiveObjectBuilder(stream, crc);
  }

  add(entry: EntryToArchive): void {
    const problem = entryProblem(entry, this.#stream, this.#expected, crc);
    if (problem !== undefined) {
      throw new ArchiveError("ERR_ARCHIVE_GAP", `stream ${JSON.stringify(this.#stream)}: ${problem}`);
    }
    this.#expected++;
    this.#gathered.add(entry, this.#bytesPerObjectMax);
  }

  /** An object's worth is gathered, or somebody else's turn has come. */
  get isDue(): boolean {
    return this.#isWhole || this.#gathered.entriesBytes >= this.#nextTurnAt;
  }

  async advance(): Promise<void> {
    if (!this.#isWhole) await new Promise(setImmediate);
    while (this.#isWhole) await this.#upload();
    this.#nextTurnAt = this.#gathered.entriesBytes + bytesPerTurn;
  }

  get #isWhole(): boolean {
    return this.#gathered.entriesBytes >= this.#bytesPerObjectMax && this.#expected > this.#wantedThrough;
  }

  async finish(): Promise<Manifest[]> {
    do {
      while (this.#gathered.count > 0 && this.#expected > this.#wantedThrough) await this.#upload();
      await this.#land();
    } while (this.#gathered.count > 0 && this.#expected > this.#wantedThrough);
    await this.#vouching;
    return this.#manifests;
  }

  /** Once finished: how far the object reaches that was in the way of what is left. */
  get leftThrough(): number {
    return this.#gathered.count > 0 ? this.#wantedThrough : 0;
  }

  /** Nothing of this call is under way any more. */
  async settled(): Promise<void> {
    await this.#inFlight?.settled.catch(() => undefined);
    await this.#vouching.catch(() => undefined);
  }

  /** Sends what is gathered on its way, once what is before it has arrived. */
  async #upload(): Promise<void> {
    this.#signal?.throwIfAborted();
    const gathered = this.#gathered;
    const draft = await draftOf(gathered, this.#stream, this.#tip);
    // On another thread, while what is before it is stored.
    const packing = packDraft(draft, this.#compression);
    packing.catch(() => undefined);
    try {
      await this.#land();
    } catch (error) {
      await packing.catch(() => undefined);
      throw error;
    }
    // What was in flight turned out to be another's object with another end: then this one begins elsewhere too.
    if (this.#gathered !== gathered) return;
    const settled = storeObject(this.#store, draft, packing, this.#signal);
    settled.catch(() => undefined);
    this.#inFlight = { draft, settled };
    this.#tip = draft.after;
    this.#memory.push(gathered.memory);
    const spare = this.#memory.length > 2 ? this.#memory.shift() : undefined;
    this.#gathered = new ArchiveObjectBuilder(this.#stream, crc, spare);
  }

  /** Waits for the object in flight and has its manifest written behind those before it. */
  async #land(): Promise<void> {
    if (this.#inFlight === undefined) return;
    const { draft, settled } = this.#inFlight;
    const result = await settled;
    this.#inFlight = undefined;
    const through = result.kind === "stored" ? draft.object.last : result.through;
    if (result.kind === "stored") await this.#vouch(draft.after, result);
    else if (through > draft.object.last) this.#wantedThrough = through;
    if (through === draft.object.last) return;
    // Another uploader's object begins here and ends elsewhere: its range is taken over.
    const entries: ArchiveEntry[] = [];
    await verifyCanonical(draft.bytes, this.#stream, draft.object.first, (entry) => entries.push(entry));
    if (this.#gathered.count > 0) {
      const { bytes, object } = this.#gathered.finish(draft.sha256);
      await verifyCanonical(bytes, this.#stream, object.first, (entry) => entries.push(entry));
    }
    this.#tip = draft.before;
    if (through < draft.object.last) await this.#takeOver(entries.splice(0, through - draft.object.first + 1));
    this.#gathered = builderOf(this.#stream, entries, this.#bytesPerObjectMax);
  }

  /** `entries` are what the other's object holds, if it is right. */
  async #takeOver(entries: readonly ArchiveEntry[]): Promise<void> {
    const builder = builderOf(this.#stream, entries, this.#bytesPerObjectMax);
    const draft = await draftOf(builder, this.#stream, this.#tip);
    const result = await storeObject(this.#store, draft, packDraft(draft, "none"), this.#signal);
    if (result.kind !== "stored") {
      const key = objectKey(this.#stream, draft.object.first);
      throw new ArchiveError("ERR_ARCHIVE_CORRUPT", `${key} ends elsewhere each time it is read`, { key });
    }
    this.#tip = draft.after;
    await this.#vouch(draft.after, result);
  }

  /** Begins with the manifest once the one before it is there. */
  async #vouch(after: Tip, { manifest, isVouchedFor }: Extract<Settled, { kind: "stored" }>): Promise<void> {
    await this.#vouching;
    const vouching = isVouchedFor ? Promise.resolve() : vouchFor(this.#store, manifest, this.#signal);
    this.#vouching = vouching.then(() => {
      this.#manifests.push(manifest);
      this.#vouched(after);
    });
    this.#vouching.catch(() => undefined);
  }
}

function builderOf(stream: string, entries: readonly ArchiveEntry[], hint: number): ArchiveObjectBuilder {
  const builder = new ArchiveObjectBuilder(stream, crc);
  for (const entry of entries) builder.add(entry, hint);
  return builder;
}

/** @throws ArchiveError ERR_ARCHIVE_ARGUMENT */
export function checkObjectBytes(bytesPerObjectMax: number): void {
  if (Number.isSafeInteger(bytesPerObjectMax) && bytesPerObjectMax >= 1 && bytesPerObjectMax <= 2 ** 30) return;
  throw badArchiveArgument("bytesPerObjectMax", "a whole number from 1 to 1,073,741,824", bytesPerObjectMax);
}
