import type { Random } from "@evenkeel/simulation";
import { HASH_END, METADATA_PARTITION, type PartitionRecord } from "../../src/metadata/records.js";
import { LeaderCalls } from "../../src/router/leader-calls.js";
import type { Store } from "../../src/store.js";
import { eventually } from "./store.js";

const DEADLINE_MS = 20_000;
/** Where it does not have to be. */
const AT_ONCE_MS = 3_000;

function callsOf({ fleet }: Store, deadlineMs = DEADLINE_MS): LeaderCalls {
  return new LeaderCalls({ callerTo: (node) => fleet.callerTo(node), deadlineMs });
}

/** The partitions of a table, or of one of its global indexes, as routers find them, by their hashes. */
export async function partitionsOf({ router }: Store, name: string, index?: string): Promise<PartitionRecord[]> {
  const found: PartitionRecord[] = [];
  const table = await router.routes.table(name);
  const tableId =
    index === undefined ? table.tableId : (table.globalIndexes?.find((one) => one.name === index)?.indexId as string);
  for (let hash = 0; hash < HASH_END; ) {
    const record = await router.routes.partition(tableId, hash);
    if (record === undefined) throw new Error(`no partition of ${name} has the hash ${hash}`);
    found.push(record);
    hash = record.hashTo;
  }
  return found;
}

/** Has a partition split, without waiting for it. */
export async function beginSplit(
  store: Store,
  partition: number,
  at?: number,
  deadlineMs?: number,
): Promise<PartitionRecord> {
  const members = store.fleet.nodeIds();
  const params = { partition, ...(at !== undefined && { at }) };
  for (;;) {
    const { splitting } = await callsOf(store, deadlineMs).call(METADATA_PARTITION, members, "splitPartition", params);
    if (splitting !== undefined) return splitting;
  }
}

/** Resolves when routers find the parts instead of the whole. */
export async function splitDone(store: Store, name: string, partition: number, index?: string): Promise<void> {
  await eventually(`partition ${partition} is split`, async () => {
    const found = await partitionsOf(store, name, index);
    return found.every((record) => record.partition !== partition);
  });
}

/** Has any one partition of a table or index split in the middle of its hashes, and says which; nothing where that cannot be begun now. */
export async function beginAnySplit(
  store: Store,
  random: Random,
  name: string,
  index?: string,
): Promise<number | undefined> {
  try {
    const { partition, hashFrom, hashTo } = random.pick(await partitionsOf(store, name, index));
    await beginSplit(store, partition, Math.floor((hashFrom + hashTo) / 2), AT_ONCE_MS);
    return partition;
  } catch {
    return undefined;
  }
}

export async function split(store: Store, name: string, partition: number, at?: number): Promise<void> {
  await beginSplit(store, partition, at);
  await splitDone(store, name, partition);
}

/** Resolves when no node has anything of the partition any more. */
export async function letGo({ fleet }: Store, partition: number): Promise<void> {
  await eventually(`the nodes let go of partition ${partition}`, async () => {
    const statuses = await Promise.all(
      fleet.nodeIds().map((node) =>
        fleet
          .callerTo(node)
          .call("status", {}, { timeoutMs: 2_000 })
          .catch(() => undefined),
      ),
    );
    return statuses.every((status) => status?.partitions.every((one) => one.partition !== partition) ?? false);
  });
}
