import { ApiError } from "../api/errors.js";
import type { ItemKey, TableRecord } from "../api/model.js";
import { cancelled } from "../api/transactions.js";
import type { VersionedItems } from "../storage-node/participant.js";
import type { Reach } from "./coordinator.js";
import { atPartitions, type Place } from "./places.js";

type Reached = Pick<Reach, "atPartition" | "call">;

interface Get {
  readonly table: TableRecord;
  readonly key: ItemKey;
}

type ReadItem = VersionedItems["items"][number];

/** One of the items as it was in one round, with what its partition said of itself. */
interface Seen extends Pick<VersionedItems, "slot" | "lastDeleteSlot"> {
  readonly partition: number;
  readonly item: ReadItem;
}

interface Round {
  /** One for each of the gets. */
  readonly seen: readonly Seen[];
  /** All of it as of one slot of one partition. */
  readonly isOneMoment: boolean;
}

/** Rounds of reading before those who write are said to be in the way; the pauses between them add up to about a quarter of a second. */
const ROUNDS_MAX = 8;
const PAUSE_MS = 2;

/**
 * Items as they were at one moment, without locks and without a write: read twice, until nothing has changed between two rounds and nothing is prepared in
 * the second. Then the moment between the two is one at which all that was read was there, and nothing of it was half of a transaction: of one that was
 * committed at some of the items by then, the others were prepared, and would still be, or would have changed. Where one partition has all of them, one
 * round is one moment.
 * @throws ApiError TransactionCanceledException where that does not come about
 */
export async function readTogether(reach: Reached, gets: readonly Get[]): Promise<ReadItem[]> {
  let last: Round | undefined;
  let conflicts = new Set<number>();
  for (let i = 0; i < ROUNDS_MAX; i++) {
    const round = await readAll(reach, gets);
    conflicts = conflictsOf(round, round.isOneMoment ? undefined : last);
    const isWhole = last !== undefined || round.isOneMoment;
    if (isWhole && conflicts.size === 0) return round.seen.map(({ item }) => item);
    last = round;
    // Behind the last round nobody looks again.
    if (i < ROUNDS_MAX - 1 && (i > 0 || conflicts.size > 0))
      await new Promise<void>((resolve) => setTimeout(resolve, PAUSE_MS * 2 ** i));
  }
  const refusal = new ApiError("TransactionConflictException").toData();
  throw cancelled(gets.map((_, i) => (conflicts.has(i) ? refusal : undefined)));
}

async function readAll(reach: Reached, gets: readonly Get[]): Promise<Round> {
  const parts = new Map<number, { table: TableRecord; places: Place[] }>();
  for (const [i, { table, key }] of gets.entries()) {
    const { partition } = await reach.atPartition(table, key.hash, async (record) => record);
    const part = parts.get(partition) ?? { table, places: [] };
    part.places.push({ hash: key.hash, at: i });
    parts.set(partition, part);
  }
  const read = await Promise.all(
    [...parts.values()].map(({ table, places }) =>
      atPartitions(reach, table, places, async (record, at) => {
        const keys = at.map((i) => (gets[i] as Get).key.bytes);
        const { partition } = record;
        return { partition, read: await reach.call(record, "getVersioned", { partition, keys }) };
      }),
    ),
  );
  const seen = new Array<Seen>(gets.length);
  const all = read.flat();
  for (const { at, result } of all) {
    const { partition, read } = result;
    for (const [i, position] of at.entries()) seen[position] = { ...read, partition, item: read.items[i] as ReadItem };
  }
  return { seen, isOneMoment: all.length === 1 };
}

/** Which items are prepared now, or have changed since the last round, or lie elsewhere. */
function conflictsOf({ seen }: Round, last: Round | undefined): Set<number> {
  const conflicts = new Set<number>();
  for (const [position, now] of seen.entries()) {
    const before = last?.seen[position];
    if (now.item.prepared || (before !== undefined && hasChanged(before, now))) conflicts.add(position);
  }
  return conflicts;
}

function hasChanged(was: Seen, is: Seen): boolean {
  // Slots are those of one log.
  if (was.partition !== is.partition || was.item.slot !== is.item.slot) return true;
  // There was none and there is none: one may have come and gone.
  return is.item.json === undefined && is.lastDeleteSlot > was.slot;
}
