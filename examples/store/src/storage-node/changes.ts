import type { Group } from "@evenkeel/paxos";
import { Archiver, type ObjectStore, restore } from "@evenkeel/wal/archive";
import { INDEX_END, type StreamPosition, slotEnd } from "../api/streams/sequence-numbers.js";
import { groupId } from "../metadata/records.js";
import { decodeCommand, type Image } from "./command.js";
import { StoreError } from "./errors.js";
import type { Replica } from "./replica.js";

/** Before the first change there can be. */
export const CHANGES_BEGIN: StreamPosition = slotEnd(0);

/** One item became another, came into being or went. */
export interface Change extends StreamPosition {
  /** The leader's clock, Unix ms; never goes back along the log. */
  readonly timeMs: number;
  readonly key: Uint8Array;
  readonly before?: Image;
  readonly after?: Image;
  /** Nobody asked for it: the item's time was up. */
  readonly expired: boolean;
}

export interface ChangeLimits {
  /** Default 1,000. */
  readonly changesMax?: number;
  /** Images and keys; the change that crosses the bound is still taken. Default 1 MiB. */
  readonly bytesMax?: number;
  /** Entries looked at, with changes or without. Default 10,000. */
  readonly entriesMax?: number;
  /** Not beyond this slot. Default: what is applied here. */
  readonly throughSlot?: number;
}

export interface ChangePage {
  /** In the log's order. Their bytes are the reader's own. */
  readonly changes: readonly Change[];
  /** Everything through here was looked at: go on from there. */
  readonly through: StreamPosition;
  /** There was nothing more, as of now. */
  readonly atEnd: boolean;
}

export interface LoggedEntry {
  readonly slot: number;
  readonly command: Uint8Array | undefined;
}

/**
 * A partition's changes, read from its log: of whatever replica, after whatever change of leader or restart, the same, because a change is what an entry
 * says, and entries that are chosen never change. Where the log was trimmed, the archive is read. Only what was written while the partition's description said
 * `recordsChanges` has changes.
 */
export class Changes {
  readonly #group: Group<number>;
  readonly #replica: Replica;
  readonly #archive: ObjectStore;

  constructor(group: Group<number>, replica: Replica, archive: ObjectStore) {
    this.#group = group;
    this.#replica = replica;
    this.#archive = archive;
  }

  /**
   * The next changes behind a position, as far as this replica has applied them. Any position will do, also one before the first change.
   * Rejects with ERR_STORE_TRIMMED where neither log nor archive reach back so far, ERR_STORE_BEHIND where the archive does not reach the log yet.
   */
  async after(position: StreamPosition, limits: ChangeLimits = {}): Promise<ChangePage> {
    const { appliedThrough } = this.#group.status();
    const end = Math.min(appliedThrough, limits.throughSlot ?? appliedThrough);
    return await pageOf(position, limits, end, (from) => this.entries(from, end));
  }

  /** Behind which slot reading can begin, if not behind this one: behind what the archive has lost, where this log does not go back so far. */
  async beginning(slot: number): Promise<number> {
    if (slot >= this.#group.status().trimmedThrough) return slot;
    return await archivedBeginning(this.#archive, this.#replica.partition, slot);
  }

  /** Every entry from one slot through another that is applied here; what was trimmed, from the archive. */
  async *entries(from: number, through: number): AsyncGenerator<LoggedEntry, void, undefined> {
    let next = from;
    while (next <= through) {
      const { trimmedThrough } = this.#group.status();
      if (next <= trimmedThrough) {
        const stream = groupId(this.#replica.partition);
        for await (const entry of archivedEntries(this.#archive, stream, next, Math.min(through, trimmedThrough))) {
          yield entry;
          next = entry.slot + 1;
        }
        continue;
      }
      try {
        for await (const { slot, kind, command } of this.#group.entries({ from: next, through })) {
          yield { slot, command: kind === "command" ? command : undefined };
          next = slot + 1;
        }
      } catch (error) {
        // Trimmed under our hands: what is gone here is in the archive.
        if (this.#group.status().trimmedThrough < next) throw error;
      }
    }
  }
}

/** As `Changes.beginning`, of a partition that is no more. */
export async function archivedBeginning(store: ObjectStore, partition: number, slot: number): Promise<number> {
  const { beganAnewAt } = await Archiver.open({ store, stream: groupId(partition) });
  return Math.max(slot, beganAnewAt - 1);
}

/** As `Changes.after`, of a partition that is no more. */
export async function archivedChanges(
  store: ObjectStore,
  partition: number,
  position: StreamPosition,
  throughSlot: number,
  limits: ChangeLimits = {},
): Promise<ChangePage> {
  const end = Math.min(throughSlot, limits.throughSlot ?? throughSlot);
  return await pageOf(position, limits, end, (from) => archivedEntries(store, groupId(partition), from, end));
}

async function pageOf(
  position: StreamPosition,
  { changesMax = 1_000, bytesMax = 1024 * 1024, entriesMax = 10_000 }: ChangeLimits,
  end: number,
  entriesFrom: (slot: number) => AsyncIterable<LoggedEntry>,
): Promise<ChangePage> {
  const from = position.index >= INDEX_END ? position.slot + 1 : Math.max(1, position.slot);
  const changes: Change[] = [];
  let through = position;
  let bytes = 0;
  let entries = 0;
  if (from > end) return { changes, through, atEnd: true };
  try {
    for await (const { slot, command } of entriesFrom(from)) {
      if (entries++ >= entriesMax) return { changes, through, atEnd: false };
      for (const change of changesOf(slot, command)) {
        if (slot === position.slot && change.index <= position.index) continue;
        if (changes.length >= changesMax || bytes >= bytesMax) return { changes, through, atEnd: false };
        changes.push(change);
        through = { slot, index: change.index };
        bytes += change.key.length + (change.before?.bytes.length ?? 0) + (change.after?.bytes.length ?? 0);
      }
      through = slotEnd(slot);
    }
  } catch (error) {
    // What comes before it is told; who goes on from there is told that there is no way on.
    const isTrimmed = error instanceof StoreError && error.code === "ERR_STORE_TRIMMED";
    if (!isTrimmed || through === position) throw error;
    return { changes, through, atEnd: false };
  }
  return { changes, through, atEnd: true };
}

/** The changes that one entry of a log records. */
function* changesOf(slot: number, entry: Uint8Array | undefined): Generator<Change, void, undefined> {
  const command = entry === undefined || entry.length === 0 ? undefined : decodeCommand(entry);
  if (command?.kind !== "writes") return;
  for (const [index, write] of command.writes.entries()) {
    if (write.change === undefined) continue;
    const { before, expired = false } = write.change;
    const after = write.op === "put" ? { bytes: write.bytes, itemSizeBytes: write.itemSizeBytes } : undefined;
    yield {
      slot,
      index,
      timeMs: command.timeMs,
      key: write.key,
      expired,
      ...(before && { before }),
      ...(after && { after }),
    };
  }
}

/** Every entry `from` through `through`, in order. Rejects with ERR_STORE_TRIMMED or ERR_STORE_BEHIND where the archive has not all of them. */
async function* archivedEntries(
  store: ObjectStore,
  stream: string,
  from: number,
  through: number,
): AsyncGenerator<LoggedEntry, void, undefined> {
  let next = from;
  try {
    for await (const { sequence, data } of restore({ store, stream, from })) {
      if (sequence > through) return;
      yield { slot: sequence, command: data };
      next = sequence + 1;
    }
  } catch (error) {
    const { code } = error as { readonly code?: unknown };
    if (code !== "ERR_ARCHIVE_RANGE" && code !== "ERR_ARCHIVE_HOLE") throw error;
    const { archivedThrough, beganAnewAt } = await Archiver.open({ store, stream });
    // What is missing and was not given up may come back: a repair has it made anew.
    if (code === "ERR_ARCHIVE_HOLE" && next >= beganAnewAt) throw error;
    const isGone = next <= archivedThrough && archivedThrough >= beganAnewAt;
    const message = `the archive of ${stream} does not hold slot ${next}: ${(error as Error).message}`;
    throw new StoreError(isGone ? "ERR_STORE_TRIMMED" : "ERR_STORE_BEHIND", message, { cause: error });
  }
  if (next <= through) throw new StoreError("ERR_STORE_BEHIND", `the archive of ${stream} ends before slot ${next}`);
}
