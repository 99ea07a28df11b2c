/** What a transaction is told of: why it was cancelled, and what it cost. */
import { readUnits, writeUnits } from "./capacity.js";
import { ApiError, type ApiErrorData, type ApiErrorType } from "./errors.js";
import { messages } from "./messages.js";
import type { Item } from "./model.js";

/** Of all items that a transaction puts, changes into or reads. */
export const TRANSACTION_BYTES_MAX = 4 * 1024 * 1024;

/** How long a client's token stands for the request that brought it. */
export const TOKEN_VALID_MS = 600_000;

interface CancellationReason {
  readonly Code: string;
  readonly Message?: string;
  readonly Item?: Item;
}

const CODES: Partial<Record<ApiErrorType, string>> = {
  ConditionalCheckFailedException: "ConditionalCheckFailed",
  ItemCollectionSizeLimitExceededException: "ItemCollectionSizeLimitExceeded",
  ProvisionedThroughputExceededException: "ProvisionedThroughputExceeded",
  RequestLimitExceeded: "ThrottlingError",
  ResourceNotFoundException: "ResourceNotFound",
  ThrottlingException: "ThrottlingError",
  TransactionConflictException: "TransactionConflict",
  ValidationException: "ValidationError",
};

/** Whether one action may be refused for this, which then cancels the transaction. */
export function isRefusal(type: ApiErrorType): boolean {
  return CODES[type] !== undefined;
}

function reasonOf(refusal: ApiErrorData | undefined): CancellationReason {
  if (refusal === undefined) return { Code: "None" };
  const item = refusal.extra?.Item as Item | undefined;
  return {
    Code: CODES[refusal.type] ?? refusal.type,
    Message: ApiError.fromData(refusal).message,
    ...(item && { Item: item }),
  };
}

/** @param refusals one for each action, in the request's order; undefined where there was nothing against it */
export function cancelled(refusals: readonly (ApiErrorData | undefined)[]): ApiError {
  const CancellationReasons = refusals.map(reasonOf);
  const message = messages.transactionCancelled(CancellationReasons.map(({ Code }) => Code));
  return new ApiError("TransactionCanceledException", message, { extra: { CancellationReasons } });
}

/** Two writes an item: to prepare it, and to commit it. A check costs as much; an index's entry is written once. */
export function transactWriteUnits(bytesBefore: number, bytesAfter: number): number {
  return 2 * writeUnits(bytesBefore, bytesAfter);
}

/** What a repeated request is charged for, as if it read it. */
export const largerBytes = ({
  beforeBytes = 0,
  afterBytes = 0,
}: {
  beforeBytes?: number;
  afterBytes?: number;
}): number => Math.max(beforeBytes, afterBytes);

/** Two reads an item: one to see it, one to see that it is still so. What a repeated request costs, too. */
export function transactReadUnits(bytes: number): number {
  return 2 * readUnits(bytes, true);
}

/** What is nested deeper is refused for that later on, and before that by nothing that may end the stack. */
const DEPTH_MAX = 500;

/** The same text for requests that say the same, in whatever order their names stand. */
export function canonicalText(value: unknown, depth = 0): string {
  if (typeof value !== "object" || value === null) return JSON.stringify(value) ?? "null";
  if (depth === DEPTH_MAX) return "";
  if (Array.isArray(value)) return `[${value.map((member) => canonicalText(member, depth + 1)).join(",")}]`;
  const members = Object.entries(value).sort(([a], [b]) => (a < b ? -1 : 1));
  return `{${members.map(([name, member]) => `${JSON.stringify(name)}:${canonicalText(member, depth + 1)}`).join(",")}}`;
}
