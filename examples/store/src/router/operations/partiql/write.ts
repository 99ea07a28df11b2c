import { getAttribute, typeOf } from "../../../api/attributes.js";
import { ApiError, validationError } from "../../../api/errors.js";
import { checkIndexKeys } from "../../../api/index-key-checks.js";
import { joinConditions } from "../../../api/join-conditions.js";
import { keyAttributes } from "../../../api/key-schema.js";
import { exactKey, itemKey } from "../../../api/keys.js";
import { messages } from "../../../api/messages.js";
import type { Condition, Item, KeySchema, TableRecord, WriteOp } from "../../../api/model.js";
import { partiqlMessages } from "../../../api/partiql/messages.js";
import { KeyProblem, writtenKey } from "../../../api/partiql/plan.js";
import type { Statement } from "../../../api/partiql/statement.js";
import { ITEM_BYTES_MAX, itemBytes } from "../../../api/size.js";
import { checkItem } from "../../../api/value-check.js";
import type { Backend, WriteOutcome } from "../../backend.js";

export type Write = Exclude<Statement, { kind: "select" | "exists" }>;

interface Prepared {
  /** The item, or its key alone. */
  readonly item: Item;
  readonly op: WriteOp;
}

/** @throws ApiError */
export async function runWrite(
  statement: Write,
  returnOld: boolean,
  backend: Backend,
): Promise<WriteOutcome & { readonly table: TableRecord }> {
  const table = await backend.table(statement.table);
  const { op, item } = writeOf(statement, table);
  const key = statement.kind === "insert" ? itemKey(table.keySchema, item) : exactKey(table.keySchema, item);
  const options = returnOld ? { returnOldOnConditionFailure: true } : {};
  const outcome = await backend.write(table, key, { ...op, ...options }).catch((error: unknown) => {
    const duplicate = statement.kind === "insert" && error instanceof ApiError;
    if (!duplicate || error.type !== "ConditionalCheckFailedException") throw error;
    throw new ApiError("DuplicateItemException", undefined, error.extra === undefined ? {} : { extra: error.extra });
  });
  return { ...outcome, table };
}

/**
 * What a statement comes to, upon a table that is there.
 * @param keyOfItem unseen: somebody else looks at the keys of an item that is inserted
 * @throws ValidationException
 */
export function writeOf(statement: Write, table: TableRecord, keyOfItem: "seen" | "unseen" = "seen"): Prepared {
  const { keySchema } = table;
  // An item that is there has its partition key.
  const path = [keySchema.partition.name];
  if (statement.kind === "insert") {
    const { item } = statement;
    checkItem(item);
    if (itemBytes(item) > ITEM_BYTES_MAX) throw validationError(messages.itemTooLarge);
    if (keyOfItem === "seen") {
      assertKey(item, keySchema);
      checkIndexKeys(table, item);
    }
    const op = { kind: "put", item, condition: { kind: "not-exists", path }, returnValues: "NONE" } as const;
    return { item, op };
  }
  const { key: keyAttributes, rest } = writtenKey(statement.where, keySchema);
  const { returning: returnValues } = statement;
  if (statement.kind === "delete") {
    // What is not there is deleted already, whatever else was asked of it.
    const asked = joinConditions(rest, "and");
    const condition: Condition | undefined = asked && {
      kind: "or",
      left: { kind: "not-exists", path },
      right: asked,
    };
    return { item: keyAttributes, op: { kind: "delete", returnValues, ...(condition && { condition }) } };
  }
  const { actions } = statement;
  for (const { path: of } of actions) {
    const name = of[0] as string;
    if (getAttribute(keyAttributes, name) !== undefined) throw validationError(messages.keyUpdate(name));
  }
  const condition = joinConditions([{ kind: "exists", path }, ...rest], "and") as Condition;
  return { item: keyAttributes, op: { kind: "update", keyAttributes, actions, condition, returnValues } };
}

function assertKey(item: Item, schema: KeySchema): void {
  for (const { name, type } of keyAttributes(schema)) {
    const value = getAttribute(item, name);
    if (value === undefined) throw new KeyProblem(partiqlMessages.keyAbsent(name));
    if (typeOf(value) !== type) throw new KeyProblem(partiqlMessages.keyType(name));
  }
}
