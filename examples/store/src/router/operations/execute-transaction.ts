import { createHash } from "node:crypto";
import { ApiError, validationError } from "../../api/errors.js";
import { joinConditions } from "../../api/join-conditions.js";
import { messages } from "../../api/messages.js";
import type { Item, TableRecord, TransactOp } from "../../api/model.js";
import { partiqlMessages } from "../../api/partiql/messages.js";
import { parseStatement } from "../../api/partiql/parse.js";
import { writtenKey } from "../../api/partiql/plan.js";
import type { Statement } from "../../api/partiql/statement.js";
import { type ExecuteTransactionRequest, executeTransaction as shape } from "../../api/requests/partiql.js";
import { itemBytes } from "../../api/size.js";
import { canonicalText, TRANSACTION_BYTES_MAX, transactReadUnits, transactWriteUnits } from "../../api/transactions.js";
import { checkValue } from "../../api/value-check.js";
import type { Backend } from "../backend.js";
import { itemOf } from "./answers.js";
import type { Operation } from "./operation.js";
import { namesOf, oneItemOf, renamed, type Select } from "./partiql/select.js";
import { type Write, writeOf } from "./partiql/write.js";
import { located, type Target, transactCapacity } from "./transaction.js";

type Check = Statement & { kind: "exists" };

export const executeTransaction: Operation<ExecuteTransactionRequest> = {
  shape,
  async run(request, { backend }) {
    // Before values are normalized: the same request has the same text.
    const fingerprint = createHash("sha256").update(canonicalText(request.TransactStatements)).digest("base64");
    for (const { Parameters: parameters = [] } of request.TransactStatements)
      for (const parameter of parameters) checkValue(parameter);
    const statements = request.TransactStatements.map(({ Statement: text, Parameters: parameters = [] }, i) => {
      try {
        return parseStatement(text, parameters);
      } catch (error) {
        throw ofStatement(i, error);
      }
    });
    const selects = statements.filter((statement) => statement.kind === "select");
    if (selects.length === statements.length) return await readAll(selects as Select[], request, backend);
    if (selects.length > 0) throw validationError(partiqlMessages.transactionMixed);
    return await writeAll(statements as (Write | Check)[], fingerprint, request, backend);
  },
};

async function readAll(
  selects: readonly Select[],
  request: ExecuteTransactionRequest,
  backend: Backend,
): Promise<Record<string, unknown>> {
  const targets: Target[] = [];
  for (const [i, select] of selects.entries()) {
    const { table: name, index } = select;
    try {
      if (index !== undefined) throw validationError(partiqlMessages.transactionIndex);
      const value = await oneItemOf(select, backend, partiqlMessages.transactionKey);
      targets.push({ name, value, isItem: false });
    } catch (error) {
      throw ofStatement(i, error);
    }
  }
  const gets = await located(backend, targets);
  const outcomes = await backend.transactGet(gets);
  const bytes = outcomes.reduce((sum, outcome) => sum + outcome.bytes, 0);
  if (bytes > TRANSACTION_BYTES_MAX) throw validationError(messages.transactionTooLarge);
  return {
    Responses: outcomes.map((outcome, i) => {
      const item = itemOf(outcome);
      if (item === undefined) return {};
      const { paths } = selects[i] as Select;
      return { Item: paths === undefined ? item : renamed(item, namesOf(paths)) };
    }),
    ...transactCapacity(
      request.ReturnConsumedCapacity,
      gets.map(({ table: { name } }, i) => ({ name, units: outcomes[i]?.units ?? 0 })),
      "ReadCapacityUnits",
    ),
  };
}

async function writeAll(
  statements: readonly (Write | Check)[],
  fingerprint: string,
  request: ExecuteTransactionRequest,
  backend: Backend,
): Promise<Record<string, unknown>> {
  for (const [i, statement] of statements.entries()) assertSilent(statement, i);
  const targets: Target[] = [];
  const ops: TransactOp[] = [];
  for (const [i, statement] of statements.entries()) {
    const table = await backend.table(statement.table);
    const { item, op } = preparedOf(statement, table, i);
    const returnOld = request.TransactStatements[i]?.ReturnValuesOnConditionCheckFailure === "ALL_OLD";
    targets.push({ name: statement.table, value: item, isItem: statement.kind === "insert" });
    ops.push(returnOld ? { ...op, returnOldOnConditionFailure: true } : op);
  }
  const bytes = targets.reduce((sum, { value }) => sum + itemBytes(value), 0);
  if (bytes > TRANSACTION_BYTES_MAX) throw validationError(messages.transactionTooLarge);
  const places = await located(backend, targets);
  const { sizes, repeated } = await backend
    .transactWrite({
      actions: places.map((place, i) => ({ ...place, op: ops[i] as TransactOp })),
      fingerprint,
      token: request.ClientRequestToken,
    })
    .catch((error: unknown) => {
      throw error instanceof ApiError ? duplicatesNamed(error, statements) : error;
    });
  const used = places.map(({ table: { name } }, i) => {
    const { beforeBytes = 0, afterBytes = 0, indexUnits } = sizes[i] ?? {};
    if (repeated) return { name, units: transactReadUnits(afterBytes) };
    return { name, units: transactWriteUnits(beforeBytes, afterBytes), indexUnits };
  });
  const kind = repeated ? "ReadCapacityUnits" : "WriteCapacityUnits";
  return { Responses: [], ...transactCapacity(request.ReturnConsumedCapacity, used, kind) };
}

function preparedOf(statement: Write | Check, table: TableRecord, at: number): { item: Item; op: TransactOp } {
  try {
    return statement.kind === "exists" ? checkOf(statement, table) : writeOf(statement, table);
  } catch (error) {
    throw statement.kind === "exists" ? ofStatement(at, error) : error;
  }
}

/** What is wrong with a read says of which statement it speaks. */
function ofStatement(at: number, error: unknown): unknown {
  if (!(error instanceof ApiError) || error.type !== "ValidationException") return error;
  const { keyIncomplete, transactionKey } = partiqlMessages;
  const problem = error.message === keyIncomplete ? transactionKey : error.message;
  return validationError(partiqlMessages.inTransaction(at, problem));
}

/** @throws ValidationException: nothing is returned by the writes of a transaction */
function assertSilent(statement: Write | Check, at: number): void {
  if (statement.kind !== "insert" && statement.kind !== "exists" && statement.returning !== "NONE") {
    throw ofStatement(at, validationError(partiqlMessages.transactionReturning));
  }
}

function checkOf({ where }: Check, table: TableRecord) {
  const { key, rest } = writtenKey(where, table.keySchema, "asked");
  const condition = joinConditions(rest, "and");
  if (condition === undefined) throw validationError(partiqlMessages.existsMore);
  return { item: key, op: { kind: "check", condition } satisfies TransactOp };
}

/** What failed an INSERT's condition has a name of its own. */
function duplicatesNamed(error: ApiError, statements: readonly Statement[]): ApiError {
  const reasons = error.extra?.CancellationReasons as { Code: string }[] | undefined;
  if (error.type !== "TransactionCanceledException" || reasons === undefined) return error;
  const CancellationReasons = reasons.map((reason, i) => {
    if (statements[i]?.kind !== "insert" || reason.Code !== "ConditionalCheckFailed") return reason;
    return { ...reason, Code: "DuplicateItem", Message: partiqlMessages.duplicateItem };
  });
  const message = messages.transactionCancelled(CancellationReasons.map(({ Code }) => Code));
  return new ApiError(error.type, message, { extra: { CancellationReasons } });
}
