import { HASH_END, type PartitionRecord } from "../../src/metadata/records.js";
import { LeaderCalls } from "../../src/router/leader-calls.js";
import type { Store } from "../../src/store.js";
import { TABLE } from "./loader.js";

export const callsTo = ({ fleet }: Store): LeaderCalls =>
  new LeaderCalls({ callerTo: (node) => fleet.callerTo(node), deadlineMs: 600_000 });

/** Those of the table, in the order of their hashes. */
export async function partitionsOf({ router }: Store): Promise<PartitionRecord[]> {
  const { routes } = router;
  const { tableId } = await routes.table(TABLE);
  const found: PartitionRecord[] = [];
  for (let hash = 0; hash < HASH_END; ) {
    const record = await routes.partition(tableId, hash);
    if (record === undefined) throw new Error(`no partition of ${TABLE} has the hash ${hash}`);
    found.push(record);
    hash = record.hashTo;
  }
  return found;
}

/** What the logs have, and beside it the whole state of every partition, at the pace at which nodes write it unasked. */
export async function archived(store: Store): Promise<void> {
  for (const { partition, members } of await partitionsOf(store))
    await callsTo(store).call(partition, members, "snapshot", { partition, isAwaited: false });
}
