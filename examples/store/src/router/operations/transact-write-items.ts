import { validationError } from "../../api/errors.js";
import { assertNoEmptyIndexKeys, checkIndexKeyUpdates } from "../../api/index-key-checks.js";
import { messages } from "../../api/messages.js";
import type { TableRecord, TransactOp } from "../../api/model.js";
import { parseOfAction } from "../../api/requests/expressions.js";
import {
  type KeyAction,
  type PutAction,
  transactWriteItems as shape,
  type TransactWrite,
  type TransactWriteItemsRequest,
} from "../../api/requests/transactions.js";
import { ITEM_BYTES_MAX, itemBytes } from "../../api/size.js";
import { cancelled, TRANSACTION_BYTES_MAX } from "../../api/transactions.js";
import { writtenBytes } from "../../api/update-charge.js";
import { checkItem } from "../../api/value-check.js";
import type { TransactWriteOutcome } from "../backend.js";
import { collectionMetricsOf } from "./answers.js";
import { byTableName } from "./batch.js";
import type { Operation } from "./operation.js";
import { assertEach, fingerprintOf, located, type Target, writeCapacity } from "./transaction.js";
import { checkKeyUntouched } from "./update-item.js";

interface Parsed extends Target {
  readonly op: TransactOp;
}

export const transactWriteItems: Operation<TransactWriteItemsRequest> = {
  shape,
  async run(request, { backend }) {
    const fingerprint = fingerprintOf(request.TransactItems);
    for (const write of request.TransactItems) assertOneAction(write);
    const parsed = request.TransactItems.map(parse);
    const updatedBytes = parsed.map(({ op }) => (op.kind === "update" ? writtenBytes(op.actions) : 0));
    const bytes = parsed.reduce((sum, { value }, i) => sum + itemBytes(value) + (updatedBytes[i] as number), 0);
    if (bytes > TRANSACTION_BYTES_MAX) throw validationError(messages.transactionPayload(bytes));
    const places = await located(backend, parsed, "first");
    const actions = places.map((place, i) => ({ ...place, op: (parsed[i] as Parsed).op }));
    for (const { op, table } of actions) if (op.kind === "update") checkKeyUntouched(op.actions, table.keySchema);
    for (const { op, table } of actions) if (op.kind === "update") assertNoEmptyIndexKeys(table, op.actions);
    assertEach(actions, ({ op, table }) => {
      if (op.kind === "update") checkIndexKeyUpdates(table, op.actions);
    });
    assertUpdatesFit(updatedBytes);
    const outcome = await backend.transactWrite({
      actions,
      fingerprint,
      token: request.ClientRequestToken,
    });
    return {
      ...writeCapacity(request.ReturnConsumedCapacity, actions, outcome),
      ...collections(request.ReturnItemCollectionMetrics, actions, parsed, outcome.sizes),
    };
  },
};

/** @throws TransactionCanceledException: how large an item becomes is for its transaction to find out, even where it can be known before */
function assertUpdatesFit(updatedBytes: readonly number[]): void {
  const tooLarge = updatedBytes.map((bytes) => bytes > ITEM_BYTES_MAX);
  if (!tooLarge.includes(true)) return;
  const refusal = validationError(messages.itemTooLargeAfterUpdate).toData();
  throw cancelled(tooLarge.map((one) => (one ? refusal : undefined)));
}

/** Of each item that is written, by table. */
function collections(
  asked: string | undefined,
  actions: readonly { readonly table: TableRecord; readonly op: TransactOp }[],
  parsed: readonly Parsed[],
  sizes: TransactWriteOutcome["sizes"],
): object {
  if (asked !== "SIZE") return {};
  const metrics = byTableName<Record<string, object[]>>();
  for (const [i, { table, op }] of actions.entries()) {
    if (op.kind === "check") continue;
    const collection = collectionMetricsOf(asked, table, parsed[i]?.value ?? {}, sizes[i]?.collectionBytes);
    if (collection === undefined) continue;
    metrics[table.name] ??= [];
    metrics[table.name]?.push(collection);
  }
  return { ItemCollectionMetrics: metrics };
}

function assertOneAction({ ConditionCheck, Put, Delete, Update }: TransactWrite): void {
  const count = [ConditionCheck, Put, Delete, Update].filter((action) => action !== undefined).length;
  if (count === 0) throw validationError(messages.transactionNoAction);
  if (count > 1) throw validationError(messages.transactionActions);
}

function parse({ ConditionCheck: check, Put: put, Delete: del, Update: update }: TransactWrite): Parsed {
  if (put !== undefined) return parsePut(put);
  const action = (update ?? del ?? check) as KeyAction;
  // Of one action, what its expressions are is told before what its key is.
  const { update: actions = [], condition } = parseOfAction(
    action,
    update === undefined ? ["ConditionExpression"] : ["UpdateExpression", "ConditionExpression"],
  );
  checkItem(action.Key);
  const target = { name: action.TableName, value: action.Key, isItem: false };
  if (update !== undefined) {
    const op = { kind: "update", keyAttributes: update.Key, actions, returnValues: "NONE" } as const;
    return { ...target, op: { ...op, ...(condition && { condition }), ...onFailure(update) } };
  }
  if (check !== undefined && condition !== undefined)
    return { ...target, op: { kind: "check", condition, ...onFailure(check) } };
  const op = { kind: "delete", returnValues: "NONE" } as const;
  return { ...target, op: { ...op, ...(condition && { condition }), ...onFailure(action) } };
}

function parsePut(put: PutAction): Parsed {
  checkItem(put.Item);
  if (itemBytes(put.Item) > ITEM_BYTES_MAX) throw validationError(messages.itemTooLarge);
  const { condition } = parseOfAction(put, ["ConditionExpression"]);
  const op = { kind: "put", item: put.Item, returnValues: "NONE" } as const;
  return {
    name: put.TableName,
    value: put.Item,
    isItem: true,
    op: { ...op, ...(condition && { condition }), ...onFailure(put) },
  };
}

const onFailure = ({ ReturnValuesOnConditionCheckFailure: values }: KeyAction | PutAction) =>
  values === "ALL_OLD" ? { returnOldOnConditionFailure: true } : {};
