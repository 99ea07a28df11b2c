import { ApiError, type ApiErrorType, validationError } from "../../api/errors.js";
import type { Item } from "../../api/model.js";
import { partiqlMessages } from "../../api/partiql/messages.js";
import { parseStatement } from "../../api/partiql/parse.js";
import type { Statement } from "../../api/partiql/statement.js";
import {
  type BatchExecuteStatementRequest,
  type StatementRequest,
  batchExecuteStatement as shape,
} from "../../api/requests/partiql.js";
import { checkValue } from "../../api/value-check.js";
import type { Backend, IndexUnits } from "../backend.js";
import { addIndexUnits, tableCapacity } from "./answers.js";
import type { Operation } from "./operation.js";
import { oneItemOf, runSelect } from "./partiql/select.js";
import { runWrite } from "./partiql/write.js";

/** What the errors of single statements are called within a batch. */
const CODES: Partial<Record<ApiErrorType, string>> = {
  ConditionalCheckFailedException: "ConditionalCheckFailed",
  DuplicateItemException: "DuplicateItem",
  InternalServerError: "InternalServerError",
  ItemCollectionSizeLimitExceededException: "ItemCollectionSizeLimitExceeded",
  ProvisionedThroughputExceededException: "ProvisionedThroughputExceeded",
  RequestLimitExceeded: "RequestLimitExceeded",
  ResourceNotFoundException: "ResourceNotFound",
  ThrottlingException: "ThrottlingError",
  TransactionConflictException: "TransactionConflict",
  ValidationException: "ValidationError",
};

interface Done {
  readonly table: string;
  readonly item?: Item | undefined;
  readonly units: number;
  readonly indexUnits?: IndexUnits | undefined;
}

interface Failed {
  readonly table?: string;
  readonly error: ApiError;
}

/** Each statement for itself: one that fails keeps no other from being carried out. */
export const batchExecuteStatement: Operation<BatchExecuteStatementRequest> = {
  shape,
  async run({ Statements: requests, ReturnConsumedCapacity: detail = "NONE" }, { backend }) {
    const parsed = requests.map(statementOf);
    const reads = parsed.filter((one) => !(one instanceof ApiError) && one.kind === "select").length;
    const writes = parsed.filter((one) => !(one instanceof ApiError) && one.kind !== "select").length;
    if (reads > 0 && writes > 0) throw validationError(partiqlMessages.batchMixed);
    const outcomes = await Promise.all(
      parsed.map((statement, i) => outcomeOf(statement, requests[i] as StatementRequest, backend)),
    );
    const used = new Map<string, { units: number; indexUnits: IndexUnits | undefined }>();
    for (const outcome of outcomes) {
      if ("error" in outcome) continue;
      const { units = 0, indexUnits } = used.get(outcome.table) ?? {};
      used.set(outcome.table, {
        units: units + outcome.units,
        indexUnits: addIndexUnits(indexUnits, outcome.indexUnits),
      });
    }
    return {
      Responses: outcomes.map(responseOf),
      ...(detail !== "NONE" && {
        ConsumedCapacity: [...used].map(([name, { units, indexUnits }]) =>
          tableCapacity(detail, name, units, indexUnits),
        ),
      }),
    };
  },
};

function statementOf({ Statement: text, Parameters: parameters = [] }: StatementRequest): Statement | ApiError {
  try {
    for (const parameter of parameters) checkValue(parameter);
    return parseStatement(text, parameters);
  } catch (error) {
    if (error instanceof ApiError) return error;
    throw error;
  }
}

async function outcomeOf(
  statement: Statement | ApiError,
  request: StatementRequest,
  backend: Backend,
): Promise<Done | Failed> {
  if (statement instanceof ApiError) return { error: statement };
  const { table } = statement;
  try {
    if (statement.kind === "exists") throw validationError(partiqlMessages.existsOutside);
    if (statement.kind !== "select") {
      const returnOld = request.ReturnValuesOnConditionCheckFailure === "ALL_OLD";
      const { attributes, units, indexUnits } = await runWrite(statement, returnOld, backend);
      return { table, item: attributes, units, indexUnits };
    }
    oneItemOf(statement, await backend.table(table), partiqlMessages.batchKey);
    const { items, units, indexUnits } = await runSelect(
      statement,
      { consistent: request.ConsistentRead ?? false },
      backend,
    );
    return { table, item: items[0], units, indexUnits };
  } catch (error) {
    if (error instanceof ApiError) return { table, error };
    throw error;
  }
}

function responseOf(outcome: Done | Failed): object {
  if (!("error" in outcome)) {
    return { TableName: outcome.table, ...(outcome.item && { Item: outcome.item }) };
  }
  const { table, error } = outcome;
  return {
    ...(table !== undefined && { TableName: table }),
    Error: { Code: CODES[error.type] ?? "InternalServerError", Message: error.message, ...error.extra },
  };
}
