import type { Group } from "@evenkeel/paxos";
import {
  type ArchiveEntry,
  ArchiveError,
  Archiver,
  type LeftGap,
  leaveGap,
  type ObjectStore,
  type RetentionReport,
  restoreState,
  retain,
  type VouchAgainOptions,
  vouchAgain,
  writeSnapshot,
} from "@evenkeel/wal/archive";
import { archiveAgain, firstOf, mendArchive } from "./archive-mending.js";
import { decodeCommand } from "./command.js";
import { StoreError } from "./errors.js";
import { GentlePace, type GentlePaceOptions, type Pace, slicesOf } from "./gentle-pace.js";
import { halfPace } from "./half-pace.js";
import { encodeState } from "./partition-state.js";
import { notLeader } from "./paxos-errors.js";
import type { Replica } from "./replica.js";
import { decodeTally, TALLY_KEY } from "./tally-record.js";

const BYTES_PER_OBJECT_MAX = 4 * 1024 * 1024;
const ENTRIES_PER_RUN_MAX = 50_000;
/** Of a state: read and encoded in one turn. */
const PAGE_BYTES = 64 * 1024;
/** Nobody waits for an upload, as long as it keeps up with what is written: it has a quarter of the time of the thread that requests are answered on. */
const PACE = { slices: 2, pauses: 3 };
/**
 * A state that nobody waits for is written evenly in half a minute: each part that is packed, synced and read back is noticed for a moment, and such moments are to be far apart. No longer, since lmdb takes
 * no page again that it can still see; and no slower than this where there is little of it.
 */
const STATE_MS = 30_000;
const STATE_BYTES_PER_SECOND_MIN = 2 * 1024 * 1024;
/** Entries past which it does not keep up: two of the schedule's uploads. A log that nobody archives is a log that grows. */
const BEHIND_ENTRIES = 40_000;
/** Then it has half of the time, in turns that are longer: where a loop is busy, each turn of it comes late. */
const BEHIND_TURN_BYTES = 128 * 1024;
/** A pause is no longer, however long the disk took. */
const PAUSE_MS_MAX = 50;

const DAMAGED = ["ERR_ARCHIVE_CORRUPT", "ERR_ARCHIVE_HOLE"] as const;
const IS_DAMAGED: ReadonlySet<unknown> = new Set(DAMAGED);
/** What `archive` says where an archive's end is damaged or gone, and not where it is away or full. */
export const IS_LOST: ReadonlySet<unknown> = new Set([...DAMAGED, "ERR_STORE_BEHIND"]);

export interface ArchivedSnapshot {
  /** 0: there is none. */
  readonly slot: number;
  readonly bytes: number;
  /** Latest time of any entry in it, Unix ms. */
  readonly timeMs: number;
}

/**
 * A partition's log on its way to the archive. The leader uploads; the other replicas compare what is there with what they have, and only
 * then let go of their own log. Canonical entries: slot, the leader's time (0 for a no-op), the command's bytes.
 *
 * Not `archiveStream`, which owns its log from end to end: here who uploads changes with the leadership, entries lie inside the group's own records,
 * and what may be let go of depends on the B-tree as well.
 */
export class Archiving {
  readonly #group: Group<number>;
  readonly #store: ObjectStore;
  readonly #stream: string;
  #run: Promise<unknown> = Promise.resolve();
  #archivedThrough = 0;
  #vouchedThrough = 0;
  #archivedBytes = 0;
  #beganAnewAt = 0;
  readonly #closing = new AbortController();

  constructor(group: Group<number>, store: ObjectStore, stream: string) {
    this.#group = group;
    this.#store = store;
    this.#stream = stream;
  }

  /** Slot through which the archive is known to vouch for the log. */
  get archivedThrough(): number {
    return this.#archivedThrough;
  }

  /** Slot through which it vouches for the log of this very replica: uploaded from here, or compared with what is here. */
  get vouchedThrough(): number {
    return this.#vouchedThrough;
  }

  /** Bytes of entries uploaded from here in this life. */
  get archivedBytes(): number {
    return this.#archivedBytes;
  }

  /** Slot with which the archive goes on behind what is lost of it; 0: nothing is. A snapshot before it does not lead on to what is archived now. */
  get beganAnewAt(): number {
    return this.#beganAnewAt;
  }

  /** Leader only: uploads what is chosen and not yet archived, through `throughSlot` at least. Resolves with how far the archive reaches. */
  async archive(throughSlot?: number): Promise<number> {
    return await this.#exclusively(async () => {
      const status = this.#group.status();
      if (!status.ready) throw notLeader(status.leader);
      // Another leader may have been here since: what the archive holds is read from the archive, always.
      const archiver = await this.#open();
      const began = archiver.archivedThrough;
      if (began < status.trimmedThrough)
        throw new StoreError(
          "ERR_STORE_BEHIND",
          `${this.#stream}: the archive ends at slot ${began} and the log begins behind ${status.trimmedThrough}${began === 0 ? ": is the archive's directory there?" : ""}`,
        );
      let done = began;
      const target = Math.min(throughSlot ?? status.appliedThrough, status.appliedThrough);
      while (done < target) {
        const signal = this.#closing.signal;
        const run = (from: number, through: number) => archiver.archive(this.#entries(from, through, true), { signal });
        await run(done + 1, Math.min(target, done + ENTRIES_PER_RUN_MAX));
        // No further: another leader died between an object and its manifest, and the object reaches past what was asked for.
        if (archiver.archivedThrough === done) await run(done + 1, status.appliedThrough);
        if (archiver.archivedThrough === done) {
          throw new StoreError(
            "ERR_STORE_BEHIND",
            `the archive's next object reaches past slot ${status.appliedThrough}`,
          );
        }
        done = archiver.archivedThrough;
      }
      this.#archivedThrough = done;
      // Uploaded from here, or compared on the way: nothing of it needs to be read once more.
      if (this.#vouchedThrough >= began) this.#vouchedThrough = done;
      return done;
    });
  }

  /** Any replica: compares its own log with the archive, from where it last was. Resolves with how far both agree. */
  async compare(throughSlot: number): Promise<number> {
    return await this.#exclusively(async () => {
      if (this.#vouchedThrough >= throughSlot) return this.#vouchedThrough;
      const archiver = await this.#open();
      const status = this.#group.status();
      this.#archivedThrough = Math.max(this.#archivedThrough, archiver.archivedThrough);
      const from = Math.max(this.#vouchedThrough, status.trimmedThrough) + 1;
      const through = Math.min(throughSlot, archiver.archivedThrough, status.appliedThrough);
      if (from > through) return this.#vouchedThrough;
      const { signal } = this.#closing;
      // 0 where no whole object lies in what was compared.
      const compared = await archiver.compare(this.#entries(from, through, false), { signal });
      this.#vouchedThrough = Math.max(this.#vouchedThrough, compared);
      return this.#vouchedThrough;
    });
  }

  /** The newest snapshot in the archive. */
  async lastSnapshot(): Promise<ArchivedSnapshot> {
    const { signal } = this.#closing;
    const { snapshot } = await restoreState({ store: this.#store, stream: this.#stream, signal });
    if (snapshot === undefined) return { slot: 0, bytes: 0, timeMs: 0 };
    return { slot: snapshot.sequence, bytes: snapshot.bytes, timeMs: snapshot.timeMaxMs };
  }

  /**
   * Leader only: writes the partition's state beside its archived log, at a pace of its own where nobody waits for it. A value that has rotted in the B-tree is not written but thrown
   * (ERR_STORE_CORRUPT).
   */
  async snapshot(replica: Replica, { isAwaited = true } = {}): Promise<ArchivedSnapshot> {
    const state = replica.state();
    try {
      const { slot } = state;
      if (slot === 0) return { slot: 0, bytes: 0, timeMs: 0 };
      await this.archive(slot);
      const { bytes, timeMaxMs } = await writeSnapshot({
        store: this.#store,
        stream: this.#stream,
        sequence: slot,
        // The time is the archive's to say; two replicas that know it from different sources must not differ in a state that is the same.
        chunks: this.#gently(
          encodeState({ slot, timeMs: 0 }, state.pages(PAGE_BYTES)),
          isAwaited ? PACE : { ...PACE, bytesPerSecondMax: evenly(replica) },
        ),
        bytesPerObjectMax: BYTES_PER_OBJECT_MAX,
        signal: this.#closing.signal,
      });
      return { slot, bytes, timeMs: timeMaxMs };
    } finally {
      state.close();
    }
  }

  /** Leader only: makes a damaged object of the archive anew out of this replica's log, if that still reaches. Resolves with its key. */
  async mend(first: number, next: number | undefined): Promise<{ key: string }> {
    return await this.#exclusively(async () => {
      const through = this.#reach(first);
      return await mendArchive({ ...this.#logAndArchive(), first, next, through });
    });
  }

  /** Leader only: has the archive say what this replica's log says, from the object that begins with `first` to its end, which is `through`. */
  async again(first: number, through: number): Promise<{ objects: number }> {
    return await this.#exclusively(async () => {
      const reach = this.#reach(first);
      if (reach < through)
        throw new StoreError("ERR_STORE_BEHIND", `the log of ${this.#stream} ends at ${reach}, not at ${through}`);
      return await archiveAgain({ ...this.#logAndArchive(), first, through });
    });
  }

  /**
   * The first slot that the archive does not vouch for and this replica's log has no more, so that nothing can be archived from here; undefined: there is none, or the archive has nothing of this
   * partition at all: then it may be away, such as a disk that is not mounted, and come back.
   */
  async lostFrom(): Promise<number | undefined> {
    const { trimmedThrough } = this.#group.status();
    const from = await this.#open().then(
      ({ archivedThrough }) => (archivedThrough === 0 ? undefined : archivedThrough + 1),
      (error: unknown) => {
        if (!(error instanceof ArchiveError) || !IS_DAMAGED.has(error.code)) throw error;
        return error.key === undefined ? undefined : firstOf(this.#stream, error.key);
      },
    );
    return from !== undefined && from <= trimmedThrough ? from : undefined;
  }

  /** Where no log has what is lost (`lostFrom`): whether the object there is whole after all. Then it is vouched for again. */
  async vouchAgain(first: number): Promise<boolean> {
    return await this.#exclusively(async () => {
      const { signal } = this.#closing;
      return await isVouchedForAgain({ store: this.#store, stream: this.#stream, first, signal });
    });
  }

  /** Leader only, where no log has what is lost (`lostFrom`), nor the archive: it goes on behind it, and has moments again from the next snapshot on. `timeMs`: nothing in the log is later so far. */
  async beginAnew(timeMs: number): Promise<LeftGap> {
    return await this.#exclusively(async () => {
      const { ready, leader, trimmedThrough } = this.#group.status();
      if (!ready) throw notLeader(leader);
      const { signal } = this.#closing;
      return await leaveGap({
        store: this.#store,
        stream: this.#stream,
        first: trimmedThrough + 1,
        timeMaxMs: timeMs,
        signal,
      });
    });
  }

  /** Lets go of what is archived and not needed for any moment since then. */
  async retain(sinceMs: number): Promise<RetentionReport> {
    const { signal } = this.#closing;
    return await retain({ store: this.#store, stream: this.#stream, promise: { sinceMs }, signal });
  }

  /** Breaks off what is under way: whoever goes on finds it as a crash would have left it. */
  async close(): Promise<void> {
    this.#closing.abort(new StoreError("ERR_STORE_CLOSED", `the node of ${this.#stream} closes`));
    await this.#run;
  }

  /** How far the log reaches that begins with `first` or before. */
  #reach(first: number): number {
    const { ready, leader, trimmedThrough, appliedThrough } = this.#group.status();
    // Nobody else archives meanwhile.
    if (!ready) throw notLeader(leader);
    if (trimmedThrough >= first)
      throw new StoreError(
        "ERR_STORE_BEHIND",
        `the log of ${this.#stream} begins behind ${trimmedThrough}; entry ${first} is in the archive alone`,
      );
    return appliedThrough;
  }

  #logAndArchive() {
    return {
      store: this.#store,
      stream: this.#stream,
      entries: (from: number, through: number) => this.#entries(from, through, false),
      signal: this.#closing.signal,
    };
  }

  async #open(): Promise<Archiver> {
    const { signal } = this.#closing;
    const [store, stream] = [this.#store, this.#stream];
    const archiver = await Archiver.open({ store, stream, bytesPerObjectMax: BYTES_PER_OBJECT_MAX, signal });
    this.#beganAnewAt = archiver.beganAnewAt;
    return archiver;
  }

  async *#entries(from: number, through: number, counted: boolean): AsyncIterable<ArchiveEntry> {
    const pace = paceFor(through - from);
    for await (const entry of this.#group.entries({ from, through })) {
      const isCommand = entry.kind === "command";
      if (counted) this.#archivedBytes += entry.command.length;
      yield {
        sequence: entry.slot,
        timeMs: isCommand ? decodeCommand(entry.command).timeMs : 0,
        data: isCommand ? entry.command : new Uint8Array(0),
      };
      if (pace.isOver(entry.command.length)) await pace.pause();
    }
  }

  /** A page, then everybody else's turn. */
  async *#gently(pieces: Iterable<Uint8Array>, options: GentlePaceOptions): AsyncGenerator<Uint8Array> {
    const pace = new GentlePace(options);
    for (const piece of pieces) {
      yield piece;
      void pace.isOver(piece.length);
      await pace.pause();
      this.#closing.signal.throwIfAborted();
    }
  }

  async #exclusively<T>(work: () => Promise<T>): Promise<T> {
    const mine = this.#run.then(work);
    this.#run = mine.catch(() => undefined);
    return await mine;
  }
}

/** Whether the manifest of the object that begins with `first` is right, or was made anew from it. */
export async function isVouchedForAgain(options: VouchAgainOptions): Promise<boolean> {
  try {
    await vouchAgain(options);
    return true;
  } catch (error) {
    // An argument: it lies in a gap.
    const { code } = error as { readonly code?: unknown };
    if (IS_DAMAGED.has(code) || code === "ERR_ARCHIVE_ARGUMENT") return false;
    throw error;
  }
}

const paceFor = (entries: number): Pace =>
  entries < BEHIND_ENTRIES ? new GentlePace(PACE) : slicesOf(BEHIND_TURN_BYTES, halfPace({ msMax: PAUSE_MS_MAX }));

/** How many bytes a second it takes; without a bound where nobody has counted them yet. */
function evenly(replica: Replica): number {
  const stored = replica.get(TALLY_KEY);
  const tally = stored && decodeTally(stored.json);
  if (tally === undefined || tally.through !== undefined) return Number.POSITIVE_INFINITY;
  return Math.max(STATE_BYTES_PER_SECOND_MIN, (tally.bytes * 1000) / STATE_MS);
}
