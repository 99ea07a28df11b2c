import { ApiError, validationError } from "../../api/errors.js";
import { messages } from "../../api/messages.js";
import { isDeep } from "../../api/requests/check-request.js";

/**
 * The service renews its checks operation by operation, and its words with them. Operations that say nothing about it speak as they always
 * did (batches of writes, transactions, Scan, PartiQL).
 * - `newer`: what is said of values (GetItem, BatchGetItem, Query).
 * - `enveloped`: the same, and whatever can be seen without looking at the table is counted as one validation error (PutItem, UpdateItem,
 *   DeleteItem; of Query what its Select does not go with).
 */
export type Words = "newer" | "enveloped";

/**
 * Has a check say what is wrong in an operation's own words.
 * @param request where it is for the older checks if it is nested too deep for the newer ones: it is told as ever then
 */
export function inWords<T>(words: Words | undefined, check: () => T, request?: object): T {
  if (words === undefined) return check();
  try {
    return check();
  } catch (error) {
    if (!(error instanceof ApiError) || error.type !== "ValidationException") throw error;
    if (isDeep(request)) throw error;
    const problem = error.newer ?? error.message;
    throw validationError(words === "enveloped" ? messages.constraints([problem]) : problem);
  }
}
