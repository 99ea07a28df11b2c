import { ApiError } from "../api/errors.js";
import type { ItemKey, TableRecord } from "../api/model.js";
import { cancelled } from "../api/transactions.js";
import type { VersionedItems } from "../storage-node/participant.js";
import type { Reach } from "./coordinator.js";

type Reached = Pick<Reach, "atPartition" | "call">;

interface Get {
  readonly table: TableRecord;
  readonly key: ItemKey;
}

type ReadItem = VersionedItems["items"][number];

interface Round {
  readonly partition: number;
  readonly read: VersionedItems;
  /** Positions among the gets. */
  readonly at: readonly number[];
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
  let last: Round[] | undefined;
  let conflicts = new Set<number>();
  for (let i = 0; i < ROUNDS_MAX; i++) {
    const round = await readAll(reach, gets);
    conflicts = conflictsOf(round, last);
    const isWhole = last !== undefined || round.length === 1;
    if (isWhole && conflicts.size === 0) return inOrder(round, gets.length);
    last = round;
    if (i > 0 || conflicts.size > 0) await new Promise<void>((resolve) => setTimeout(resolve, PAUSE_MS * 2 ** i));
  }
  const refusal = new ApiError("TransactionConflictException").toData();
  throw cancelled(gets.map((_, i) => (conflicts.has(i) ? refusal : undefined)));
}

async function readAll(reach: Reached, gets: readonly Get[]): Promise<Round[]> {
  const parts = new Map<number, { table: TableRecord; hash: number; at: number[] }>();
  for (const [i, { table, key }] of gets.entries()) {
    const { partition } = await reach.atPartition(table, key.hash, async (record) => record);
    const part = parts.get(partition) ?? { table, hash: key.hash, at: [] };
    part.at.push(i);
    parts.set(partition, part);
  }
  return await Promise.all(
    [...parts.values()].map(({ table, hash, at }) =>
      reach.atPartition(table, hash, async (record) => {
        const keys = at.map((i) => (gets[i] as Get).key.bytes);
        const { partition } = record;
        return { partition, at, read: await reach.call(record, "getVersioned", { partition, keys }) };
      }),
    ),
  );
}

/** Which items are prepared now, or have changed since the last round. */
function conflictsOf(round: readonly Round[], last: readonly Round[] | undefined): Set<number> {
  const conflicts = new Set<number>();
  for (const [r, { partition, read, at }] of round.entries()) {
    const before = last?.[r];
    for (const [i, position] of at.entries()) {
      const item = read.items[i] as ReadItem;
      const was = before?.read.items[i];
      const moved = before !== undefined && before.partition !== partition;
      if (item.prepared || moved || (before !== undefined && was !== undefined && hasChanged(was, item, before, read)))
        conflicts.add(position);
    }
  }
  return conflicts;
}

function hasChanged(was: ReadItem, is: ReadItem, before: Round, now: VersionedItems): boolean {
  if (was.slot !== is.slot) return true;
  // There was none and there is none: one may have come and gone.
  return is.json === undefined && now.lastDeleteSlot > before.read.slot;
}

function inOrder(round: readonly Round[], count: number): ReadItem[] {
  const items = new Array<ReadItem>(count);
  for (const { read, at } of round)
    for (const [i, position] of at.entries()) items[position] = read.items[i] as ReadItem;
  return items;
}
