import { ApiError } from "../api/errors.js";
import type { Condition, Item, UpdateAction } from "../api/model.js";
import { itemBytes } from "../api/size.js";
import { StoreError } from "../storage-node/errors.js";
import type { NodeWriteOp } from "../storage-node/node-write-op.js";
import type { WriteResult } from "../storage-node/writer.js";
import { type LedgerRecord, ledgerItem, ledgerRecord, stateText } from "./ledger-record.js";

/** One write of the ledger's item, at the leader of its partition. */
export type WriteLedger = (op: NodeWriteOp) => Promise<WriteResult>;

/** Tries of a write whose outcome got lost: each finds what the one before has done. */
const TRIES_MAX = 3;

const is = (name: string, value: string): Condition => ({
  kind: "compare",
  op: "=",
  left: { kind: "path", path: [name] },
  right: { kind: "value", value: { S: value } },
});
const both = (left: Condition, right: Condition): Condition => ({ kind: "and", left, right });
const isPreparing = (transaction: string): Condition =>
  both(is("txn", transaction), is("state", stateText("preparing")));
const set = (name: string, item: Item): UpdateAction => ({
  kind: "set",
  path: [name],
  value: { kind: "value", value: item[name] as Item[string] },
});

/** The record that stands where the write would have gone; `null`: there is none. Undefined: the write was made. */
async function refusedBy(write: WriteLedger, op: NodeWriteOp): Promise<LedgerRecord | null | undefined> {
  for (let tries = 1; ; tries++) {
    try {
      await write({ ...op, returnOldOnConditionFailure: true });
      return undefined;
    } catch (error) {
      if (error instanceof ApiError && error.type === "ConditionalCheckFailedException") {
        const item = error.extra?.Item as Item | undefined;
        return item === undefined ? null : ledgerRecord(item);
      }
      const lost = error instanceof StoreError && error.code === "ERR_STORE_UNKNOWN_OUTCOME";
      if (!lost || tries === TRIES_MAX) throw error;
    }
  }
}

/** Writes a new attempt down. Returns what stands under its token already, if anything does. */
export async function begin(write: WriteLedger, record: LedgerRecord): Promise<LedgerRecord | undefined> {
  const item = ledgerItem(record);
  const there = await refusedBy(write, {
    kind: "put",
    json: Buffer.from(JSON.stringify(item)),
    itemSizeBytes: itemBytes(item),
    condition: { kind: "not-exists", path: ["id"] },
    returnValues: "NONE",
  });
  return there?.transaction === record.transaction ? undefined : (there ?? undefined);
}

/** The one moment that decides. False: it was cancelled before, by somebody who took its coordinator for lost. */
export async function commit(write: WriteLedger, record: LedgerRecord): Promise<boolean> {
  const item = ledgerItem({ ...record, state: "committed" });
  const there = await refusedBy(write, {
    kind: "update",
    keyAttributes: { id: { S: record.id } },
    actions: [set("state", item), set("at", item), set("time", item), set("sizes", item)],
    condition: isPreparing(record.transaction),
    returnValues: "NONE",
  });
  return there === undefined || (there?.transaction === record.transaction && there.state === "committed");
}

/** Cancels an attempt, unless it is committed: then its record is returned, and it is to be finished. */
export async function cancel(write: WriteLedger, transaction: string): Promise<LedgerRecord | undefined> {
  const there = await refusedBy(write, { kind: "delete", condition: isPreparing(transaction), returnValues: "NONE" });
  return there?.transaction === transaction && there.state === "committed" ? there : undefined;
}

/** Forgets an attempt that nobody needs to know of any more: one that all its partitions have made so, or one at once that has ended without an effect. */
export async function forget(write: WriteLedger, transaction: string): Promise<void> {
  await refusedBy(write, { kind: "delete", condition: is("txn", transaction), returnValues: "NONE" });
}
