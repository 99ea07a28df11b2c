/** What Query and Scan have in common: which attributes to answer with, where to go on, and how a page becomes an answer. */
import { ApiError, validationError } from "../../api/errors.js";
import { decodeKey, exactKey } from "../../api/keys.js";
import { messages } from "../../api/messages.js";
import type { DocumentPath, Item, KeySchema, PageRequest, TableRecord } from "../../api/model.js";
import { project, projectionOf } from "../../api/projection.js";
import type { QueryRequest, ScanRequest } from "../../api/requests/items.js";
import { tableCalled } from "../../api/requests/table-called.js";
import { checkItem } from "../../api/value-check.js";
import type { PageOutcome } from "../backend.js";
import { consumedCapacity } from "./answers.js";

/** How much one Query or Scan reads before it answers, found or not. */
export const PAGE_BYTES_MAX = 1024 * 1024;

/** Whether what is asked for goes together. Needs no table, as `checkStartItem` needs none. @throws ValidationException */
export function checkSelect(request: QueryRequest | ScanRequest): void {
  const { Select: select, ProjectionExpression: expression, AttributesToGet: names } = request;
  const projection = expression ?? names;
  if (projection !== undefined && select !== undefined && select !== "SPECIFIC_ATTRIBUTES") {
    throw validationError(messages.projectionWithSelect(select, names && "AttributesToGet"));
  }
  if (select === "SPECIFIC_ATTRIBUTES" && projection === undefined) {
    throw validationError(messages.specificWithoutProjection);
  }
  if (select === "ALL_PROJECTED_ATTRIBUTES" && request.IndexName === undefined) {
    throw validationError(messages.projectedOnTable);
  }
}

/** @throws ValidationException */
export function checkStartItem({ ExclusiveStartKey: key }: QueryRequest | ScanRequest): void {
  if (key === undefined) return;
  try {
    checkItem(key);
  } catch (error) {
    if (!(error instanceof ApiError) || error.type !== "ValidationException") throw error;
    throw validationError(messages.startKeyInvalidBecause(error.message), error.newer ?? error.message);
  }
}

export function startKey(schema: KeySchema, key: Item): Uint8Array {
  try {
    return exactKey(schema, key).bytes;
  } catch (error) {
    throw error instanceof ApiError ? validationError(messages.startKeyInvalid) : error;
  }
}

/** The part of a page request that the client's parameters give. */
export function pageBounds(
  request: QueryRequest | ScanRequest,
): Pick<PageRequest, "consistent" | "bytesMax" | "itemsMax"> {
  return {
    consistent: request.ConsistentRead ?? false,
    bytesMax: PAGE_BYTES_MAX,
    ...(request.Limit !== undefined && { itemsMax: request.Limit }),
  };
}

export function pageAnswer(
  request: QueryRequest | ScanRequest,
  table: TableRecord,
  page: PageOutcome,
  projection: readonly DocumentPath[] | undefined,
): Record<string, unknown> {
  const answer: Record<string, unknown> = { Count: page.items.length, ScannedCount: page.scannedCount };
  if (request.Select !== "COUNT") answer.Items = projected(page.items, projection);
  if (page.lastKey !== undefined) answer.LastEvaluatedKey = page.lastItem ?? decodeKey(table.keySchema, page.lastKey);
  const { units, indexUnits } = page;
  return Object.assign(
    answer,
    consumedCapacity(request.ReturnConsumedCapacity, tableCalled(request), units, indexUnits),
  );
}

function projected(items: readonly Item[], paths: readonly DocumentPath[] | undefined): readonly Item[] {
  if (paths === undefined) return items;
  const projection = projectionOf(paths);
  return items.map((item) => project(item, projection));
}
