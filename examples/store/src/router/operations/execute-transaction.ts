import { ApiError, validationError } from "../../api/errors.js";
import { joinConditions } from "../../api/join-conditions.js";
import { messages } from "../../api/messages.js";
import type { Item, TableRecord, TransactOp } from "../../api/model.js";
import { partiqlMessages } from "../../api/partiql/messages.js";
import { parseStatement } from "../../api/partiql/parse.js";
import { KeyProblem, writtenKey } from "../../api/partiql/plan.js";
import type { Statement } from "../../api/partiql/statement.js";
import { type ExecuteTransactionRequest, executeTransaction as shape } from "../../api/requests/partiql.js";
import { itemBytes } from "../../api/size.js";
import { TRANSACTION_BYTES_MAX } from "../../api/transactions.js";
import { checkValue } from "../../api/value-check.js";
import type { Backend } from "../backend.js";
import { itemOf } from "./answers.js";
import type { Operation } from "./operation.js";
import { namesOf, oneItemOf, renamed, type Select } from "./partiql/select.js";
import { type Write, writeOf } from "./partiql/write.js";
import { fingerprintOf, located, type Target, transactCapacity, writeCapacity } from "./transaction.js";

type Check = Statement & { kind: "exists" };

export const executeTransaction: Operation<ExecuteTransactionRequest> = {
  shape,
  async run(request, { backend }) {
    const fingerprint = fingerprintOf(request.TransactStatements);
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
  const targets = await preparedAll(selects, backend, (select, table): Target => {
    if (select.index !== undefined) throw validationError(partiqlMessages.transactionIndex);
    return { name: select.table, value: oneItemOf(select, table, partiqlMessages.transactionKey), isItem: false };
  });
  const gets = await located(backend, targets, "all");
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

type Prepared = Target & { readonly op: TransactOp };

async function writeAll(
  statements: readonly (Write | Check)[],
  fingerprint: string,
  request: ExecuteTransactionRequest,
  backend: Backend,
): Promise<Record<string, unknown>> {
  const prepared = await preparedAll(statements, backend, preparedOf);
  const wanted = prepared.filter((one): one is Prepared => !(one instanceof ApiError));
  const bytes = wanted.reduce((sum, { value }) => sum + itemBytes(value), 0);
  if (bytes > TRANSACTION_BYTES_MAX) throw validationError(messages.transactionPayload(bytes));
  const places = await located(backend, prepared, "all");
  const actions = places.map((place, i) => {
    const { op } = wanted[i] as Prepared;
    const returnOld = request.TransactStatements[i]?.ReturnValuesOnConditionCheckFailure === "ALL_OLD";
    return { ...place, op: returnOld ? { ...op, returnOldOnConditionFailure: true } : op };
  });
  const outcome = await backend
    .transactWrite({ actions, fingerprint, token: request.ClientRequestToken })
    .catch((error: unknown) => {
      throw error instanceof ApiError ? duplicatesNamed(error, statements) : error;
    });
  return { Responses: [], ...writeCapacity(request.ReturnConsumedCapacity, places, outcome) };
}

/**
 * What each statement comes to, or what the transaction is cancelled for on its account: that its table is not there, or that its key is none of its table's.
 * @throws ApiError for what else is wrong with the first statement whose table is there
 */
async function preparedAll<S extends Statement, T extends Target>(
  statements: readonly S[],
  backend: Backend,
  prepare: (statement: S, table: TableRecord, at: number) => T,
): Promise<(T | ApiError)[]> {
  const prepared: (T | ApiError)[] = [];
  for (const [i, statement] of statements.entries()) {
    try {
      prepared.push(prepare(statement, await backend.table(statement.table), i));
    } catch (error) {
      if (error instanceof KeyProblem) prepared.push(validationError(messages.keyMismatch));
      else if (error instanceof ApiError && error.type === "ResourceNotFoundException") prepared.push(error);
      else throw statement.kind === "select" || statement.kind === "exists" ? ofStatement(i, error) : error;
    }
  }
  return prepared;
}

function preparedOf(statement: Write | Check, table: TableRecord, at: number): Prepared {
  const { table: name, kind } = statement;
  if (kind === "exists") return { name, isItem: false, ...checkOf(statement, table) };
  assertSilent(statement, at);
  // An item's key is looked at where it is put: what is wrong with it is told as TransactWriteItems tells it.
  const { item: value, op } = writeOf(statement, table, kind === "insert" ? "unseen" : "seen");
  return { name, isItem: kind === "insert", value, op };
}

/** What is wrong with a read says of which statement it speaks. */
function ofStatement(at: number, error: unknown): unknown {
  if (!(error instanceof ApiError) || error.type !== "ValidationException") return error;
  return validationError(partiqlMessages.inTransaction(at, error.message));
}

/** @throws ValidationException: nothing is returned by the writes of a transaction */
function assertSilent(statement: Write, at: number): void {
  if (statement.kind !== "insert" && statement.returning !== "NONE") {
    throw ofStatement(at, validationError(partiqlMessages.transactionReturning));
  }
}

function checkOf({ where }: Check, { keySchema }: TableRecord): { value: Item; op: TransactOp } {
  const { key: value, rest } = writtenKey(where, keySchema, "asked");
  const condition = joinConditions(rest, "and");
  if (condition === undefined) throw validationError(partiqlMessages.existsMore);
  return { value, op: { kind: "check", condition } };
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
