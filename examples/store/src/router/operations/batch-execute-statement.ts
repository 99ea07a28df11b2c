import { writeUnits } from "../../api/capacity.js";
import { ApiError, type ApiErrorType, validationError } from "../../api/errors.js";
import { exactKey, itemKey } from "../../api/keys.js";
import { messages } from "../../api/messages.js";
import type { Item } from "../../api/model.js";
import { partiqlMessages } from "../../api/partiql/messages.js";
import { parseStatement } from "../../api/partiql/parse.js";
import type { Statement } from "../../api/partiql/statement.js";
import {
  type BatchExecuteStatementRequest,
  type StatementRequest,
  batchExecuteStatement as shape,
} from "../../api/requests/partiql.js";
import { itemBytes } from "../../api/size.js";
import { checkValue } from "../../api/value-check.js";
import type { Backend, IndexUnits } from "../backend.js";
import { addIndexUnits, tableCapacity } from "./answers.js";
import type { Operation } from "./operation.js";
import { oneItemOf, runSelect } from "./partiql/select.js";
import { runWrite, writeOf } from "./partiql/write.js";

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
  /** Of what a condition was asked of. */
  readonly units?: number;
}

/** Each statement for itself: one that fails keeps no other from being carried out. */
export const batchExecuteStatement: Operation<BatchExecuteStatementRequest> = {
  shape,
  async run({ Statements: requests, ReturnConsumedCapacity: detail = "NONE" }, { backend }) {
    const parsed = requests.map(statementOf);
    const reads = parsed.filter((one) => !(one instanceof ApiError) && one.kind === "select").length;
    const writes = parsed.filter((one) => !(one instanceof ApiError) && one.kind !== "select").length;
    if (reads > 0 && writes > 0) throw validationError(partiqlMessages.batchMixed);
    await assertDistinct(parsed, backend);
    const isMetered = detail !== "NONE";
    const outcomes = await Promise.all(
      parsed.map((statement, i) => outcomeOf(statement, requests[i] as StatementRequest, isMetered, backend)),
    );
    const used = new Map<string, { units: number; indexUnits: IndexUnits | undefined }>();
    const inVain = new Map<string, number>();
    for (const outcome of outcomes) {
      if ("error" in outcome) {
        const { table = "", units = 0 } = outcome;
        inVain.set(table, (inVain.get(table) ?? 0) + units);
        continue;
      }
      const { units = 0, indexUnits } = used.get(outcome.table) ?? {};
      used.set(outcome.table, {
        units: units + outcome.units,
        indexUnits: addIndexUnits(indexUnits, outcome.indexUnits),
      });
    }
    return {
      Responses: outcomes.map(responseOf),
      // As the service has it: what failed is in the sum of a table that something was done to, and nowhere else.
      ...(isMetered &&
        used.size > 0 && {
          ConsumedCapacity: [...used].map(([name, { units, indexUnits }]) => ({
            ...tableCapacity(detail, name, units, indexUnits),
            CapacityUnits: units + (inVain.get(name) ?? 0),
          })),
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

/** @throws ValidationException where two are about one item. What else is wrong with a statement is its own. */
async function assertDistinct(parsed: readonly (Statement | ApiError)[], backend: Backend): Promise<void> {
  if (parsed.length === 1) return;
  const keys = await Promise.all(parsed.map((one) => keyOf(one, backend)));
  const known = keys.filter((key) => key !== undefined);
  if (new Set(known).size < known.length) throw validationError(messages.batchDuplicates);
}

async function keyOf(statement: Statement | ApiError, backend: Backend): Promise<string | undefined> {
  if (statement instanceof ApiError || statement.kind === "exists") return undefined;
  try {
    const table = await backend.table(statement.table);
    const { keySchema } = table;
    const { bytes } =
      statement.kind === "insert"
        ? itemKey(keySchema, statement.item)
        : exactKey(
            keySchema,
            statement.kind === "select"
              ? oneItemOf(statement, table, partiqlMessages.batchKey)
              : writeOf(statement, table).item,
          );
    return `${statement.table} ${Buffer.from(bytes).toString("latin1")}`;
  } catch (error) {
    if (error instanceof ApiError) return undefined;
    throw error;
  }
}

async function outcomeOf(
  statement: Statement | ApiError,
  request: StatementRequest,
  isMetered: boolean,
  backend: Backend,
): Promise<Done | Failed> {
  if (statement instanceof ApiError) return { error: statement };
  const { table } = statement;
  try {
    if (statement.kind === "exists") throw validationError(partiqlMessages.existsOutside);
    if (statement.kind !== "select") {
      const { attributes, units, indexUnits } = await runWrite(statement, isMetered, backend);
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
    if (error instanceof ApiError) return { table, error, units: unitsInVain(error) };
    throw error;
  }
}

function unitsInVain({ type, extra }: ApiError): number {
  if (type !== "ConditionalCheckFailedException" && type !== "DuplicateItemException") return 0;
  const item = extra?.Item as Item | undefined;
  return writeUnits(item === undefined ? 0 : itemBytes(item), 0);
}

/** Whatever was asked to be returned where a condition does not hold: the service returns it of single statements and of transactions. */
function responseOf(outcome: Done | Failed): object {
  if (!("error" in outcome)) {
    return { TableName: outcome.table, ...(outcome.item && { Item: outcome.item }) };
  }
  const { table, error } = outcome;
  return {
    ...(table !== undefined && { TableName: table }),
    Error: { Code: CODES[error.type] ?? "InternalServerError", Message: error.message },
  };
}
