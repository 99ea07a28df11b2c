import { COLLECTION_BYTES_MAX } from "../storage-node/tally.js";
import { COORDINATOR_LOST_MS } from "../transactions/ledger-record.js";
import { spreadPays } from "./default-partitions.js";

/** What happens unasked, and how often. Durations in milliseconds. */
export interface Upkeep {
  /** Slots that stay in a partition's log though they are archived: who was away no longer than that goes on from the log, everybody else from a copy of the state. */
  readonly slotsKept: number;
  /** An entry waits at most so long for its archive object: any older moment can be restored without asking the log. */
  readonly archiveAfterMs: number;
  /** A snapshot is written beside the archived log when it has grown by this many bytes, and by as many as the last snapshot has. */
  readonly snapshotAfterBytes: number;
  /** How far back a table can be restored at least. */
  readonly restorableMs: number;
  /** A node that has not answered for so long is replaced, where there is a node that can take its place. */
  readonly replaceAfterMs: number;
  /** What a transaction has prepared for so long has lost its coordinator, and is finished or cancelled by the nodes. */
  readonly recoverTransactionsAfterMs: number;
  /** A table's time to live is changed once in this time. */
  readonly timeToLiveCooldownMs: number;
  /** A partition whose items take so much is split. */
  readonly splitBytes: number;
  /** One that has been near so many units a second is split, where that helps: by the service's count, at its leader. By default never where it would be slower for it. */
  readonly splitReadUnits: number;
  readonly splitWriteUnits: number;
  /** For so many seconds. */
  readonly splitAfterSeconds: number;
  /** An item collection of a table with local indexes grows no further than this. */
  readonly collectionBytesMax: number;
}

const DAY_MS = 86_400_000;

export const UPKEEP: Upkeep = {
  slotsKept: 10_000,
  archiveAfterMs: 30_000,
  snapshotAfterBytes: 16 * 1024 * 1024,
  restorableMs: 35 * DAY_MS,
  replaceAfterMs: 60_000,
  recoverTransactionsAfterMs: COORDINATOR_LOST_MS,
  timeToLiveCooldownMs: 1_800_000,
  splitBytes: 10 * 1024 ** 3,
  splitReadUnits: spreadPays() ? 3_000 : Number.MAX_SAFE_INTEGER,
  splitWriteUnits: spreadPays() ? 1_000 : Number.MAX_SAFE_INTEGER,
  splitAfterSeconds: 60,
  collectionBytesMax: COLLECTION_BYTES_MAX,
};

/** @throws RangeError */
export function checkedUpkeep(given: Partial<Upkeep>): Upkeep {
  const upkeep = { ...UPKEEP, ...given };
  for (const [name, value] of Object.entries(upkeep)) {
    // One that is misspelt would leave the default in force, which nobody notices before a bad day.
    if (!Object.hasOwn(UPKEEP, name))
      throw new RangeError(`upkeep knows no ${name}; it has ${Object.keys(UPKEEP).join(", ")}`);
    if (!Number.isSafeInteger(value) || value < 1)
      throw new RangeError(`${name} must be a whole number from 1; got ${value}`);
  }
  return upkeep;
}
