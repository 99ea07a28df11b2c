import { ApiError, type ApiErrorData } from "../api/errors.js";
import type { Condition, Item } from "../api/model.js";
import { isRefusal } from "../api/transactions.js";
import { assertCondition } from "../api/write.js";
import { itemOf } from "../item-of.js";
import type { Write } from "./command.js";
import type { Lock } from "./lock.js";
import type { NodeWriteOp } from "./node-write-op.js";
import type { Writer } from "./writer.js";

export type NodeTransactOp =
  | NodeWriteOp
  | { readonly kind: "check"; readonly condition: Condition; readonly returnOldOnConditionFailure?: boolean };

/** One of a transaction, on an item that none of its others is on. */
export interface NodeAction {
  readonly key: Uint8Array;
  readonly op: NodeTransactOp;
}

export interface ItemSizes {
  readonly beforeBytes: number;
  readonly afterBytes: number;
  /** Write units by name of the secondary index, where any changes; of a single write. */
  readonly indexUnits?: Readonly<Record<string, number>>;
  /** What the item's collection weighed before, where the table has local indexes. */
  readonly collectionBytes?: number;
}

/** What an action of a transaction comes to. */
export interface DecidedAction {
  readonly key: Uint8Array;
  readonly outcome: Lock["outcome"];
  readonly sizes: ItemSizes;
}

/** One for each action, null where nothing was against it. */
export type Refusals = readonly (ApiErrorData | null)[];

/** Decides each action, and goes on past those that are refused. */
export function decideEach(
  actions: readonly NodeAction[],
  decide: (action: NodeAction) => DecidedAction,
): { readonly decided: DecidedAction[] } | { readonly refusals: Refusals } {
  const decided: DecidedAction[] = [];
  const refusals: (ApiErrorData | null)[] = [];
  for (const action of actions) {
    try {
      decided.push(decide(action));
      refusals.push(null);
    } catch (refusal) {
      if (!(refusal instanceof ApiError) || !isRefusal(refusal.type)) throw refusal;
      refusals.push(refusal.toData());
    }
  }
  return decided.length < actions.length ? { refusals } : { decided };
}

/** Upon the newest state, as single writes are. @throws ApiError what is against it */
export function decideAction(writer: Writer, { key, op }: NodeAction): DecidedAction {
  writer.locks.assertFree(key);
  const before = writer.newest(key);
  const outcome = outcomeOf(writer, key, op, before && itemOf(before.bytes));
  return { key, outcome, sizes: sizesOf(writer, key, outcome, false) };
}

function outcomeOf(writer: Writer, key: Uint8Array, op: NodeTransactOp, before: Item | undefined): Lock["outcome"] {
  if (op.kind === "check") {
    assertCondition(op, before);
    return { op: "none" };
  }
  const { write } = writer.decide(key, op, before);
  if (write.op === "put") return { op: "put", bytes: write.bytes, itemSizeBytes: write.itemSizeBytes };
  return { op: before === undefined ? "none" : "delete" };
}

/** @throws ApiError where an index is too far behind to take a write that is not prepared yet, or its collection too large */
export function sizesOf(writer: Writer, key: Uint8Array, outcome: Lock["outcome"], isPrepared: boolean): ItemSizes {
  const beforeBytes = writer.newest(key)?.itemSizeBytes ?? 0;
  const collectionBytes = writer.collectionBytes(key);
  const collection = collectionBytes === undefined ? {} : { collectionBytes };
  const write = writeOf(key, outcome);
  if (write === undefined) return { beforeBytes, afterBytes: beforeBytes, ...collection };
  if (!isPrepared) writer.assertCollectionRoom(write);
  const units = writer.indexUnits(write, isPrepared);
  const afterBytes = write.op === "put" ? write.itemSizeBytes : 0;
  return { beforeBytes, afterBytes, ...(units && { indexUnits: units }), ...collection };
}

export function writeOf(key: Uint8Array, outcome: Lock["outcome"]): Write | undefined {
  if (outcome.op === "none") return undefined;
  return outcome.op === "put" ? { ...outcome, key } : { op: "delete", key };
}
