/** What one write does to one item: decided at the leader of its partition, and nowhere else. */
import { matches } from "./condition.js";
import { ApiError, validationError } from "./errors.js";
import { messages } from "./messages.js";
import type { Item, UpdateAction, WriteOp } from "./model.js";
import { project, projectionOf } from "./projection.js";
import { ITEM_BYTES_MAX, itemBytes } from "./size.js";
import { applyUpdate } from "./update.js";

export interface WriteResult {
  /** The item from now on; absent: there is none. */
  readonly after: Item | undefined;
  /** What `returnValues` asked for; absent when there is nothing to return. */
  readonly attributes?: Item;
}

/**
 * Pure, so every replica that evaluates it comes to the same result. Neither `before` nor `op` is changed; the result shares parts with both.
 * @param before the item as it is now; `undefined`: there is none
 * @throws ApiError ConditionalCheckFailedException, or ValidationException (an update that does not fit the item, an item grown too large)
 */
export function evaluateWrite(op: WriteOp, before: Item | undefined): WriteResult {
  assertCondition(op, before);
  if (op.kind === "update") return evaluateUpdate(op, before);
  const after = op.kind === "put" ? op.item : undefined;
  if (after !== undefined && itemBytes(after) > ITEM_BYTES_MAX) throw validationError(messages.itemTooLarge);
  return op.returnValues === "ALL_OLD" && before !== undefined ? { after, attributes: before } : { after };
}

/** @throws ApiError ConditionalCheckFailedException */
export function assertCondition(
  { condition, returnOldOnConditionFailure }: Pick<WriteOp, "condition" | "returnOldOnConditionFailure">,
  before: Item | undefined,
): void {
  if (condition === undefined || matches(condition, before ?? {})) return;
  const extra = returnOldOnConditionFailure && before !== undefined ? { extra: { Item: before } } : {};
  throw new ApiError("ConditionalCheckFailedException", undefined, extra);
}

function evaluateUpdate(op: WriteOp & { kind: "update" }, before: Item | undefined): WriteResult {
  // Of an item that is not there any attribute may be removed, wherever it would be.
  if (before === undefined && op.actions.length > 0 && op.actions.every(({ kind }) => kind === "remove"))
    return { after: undefined };
  const updated = applyUpdate(before ?? op.keyAttributes, op.actions);
  // Taking attributes away from an item that is not there does not bring it into being.
  const after = before === undefined && onlyTakesAway(op.actions) ? undefined : updated;
  if (after !== undefined && itemBytes(after) > ITEM_BYTES_MAX) throw validationError(messages.itemTooLargeAfterUpdate);
  const attributes = returned(op, before, after);
  return attributes === undefined ? { after } : { after, attributes };
}

function onlyTakesAway(actions: readonly UpdateAction[]): boolean {
  return actions.length > 0 && actions.every(({ kind }) => kind === "remove" || kind === "delete");
}

function returned(
  op: WriteOp & { kind: "update" },
  before: Item | undefined,
  after: Item | undefined,
): Item | undefined {
  if (op.returnValues === "NONE") return undefined;
  const item = op.returnValues.endsWith("_OLD") ? before : after;
  if (item === undefined || op.returnValues.startsWith("ALL")) return item;
  const touched = project(item, projectionOf(op.actions.map(({ path }) => path)));
  for (const _ in touched) return touched;
  return undefined;
}
