/** From a request's headers and body to its answer, without sockets. */
import { channel } from "node:diagnostics_channel";
import type { IncomingHttpHeaders } from "node:http";
import { ApiError } from "../api/errors.js";
import { checkTogether } from "../api/legacy/parameters.js";
import { assertReadableValues, checkRequest } from "../api/requests/check-request.js";
import type { Body } from "./answer-room.js";
import { assertSigned } from "./authentication.js";
import { operations } from "./operations/index.js";
import type { AnyOperation, OperationContext } from "./operations/operation.js";
import { inWords } from "./operations/words.js";
import type { Signatures } from "./signatures.js";
import { streamOperations } from "./streams/operations.js";
import { told } from "./told-error.js";

/** The services of the protocol, and what each of them can do. */
const SERVICES: readonly (readonly [string, ReadonlyMap<string, AnyOperation>])[] = [
  ["DynamoDB_20120810", operations],
  ["DynamoDBStreams_20120810", streamOperations],
];
/** By what a request's target says: service and name. */
const OPERATIONS: ReadonlyMap<string, AnyOperation> = new Map(
  SERVICES.flatMap(([service, its]) => [...its].map(([name, operation]) => [`${service}.${name}`, operation])),
);
/** Published with `{ operation, error }` when an operation fails for a reason that is no client's doing. */
const internalErrors = channel("evenkeel:store:internal-error");

export interface DispatchContext extends OperationContext {
  /** Absent: every key is good. */
  readonly signatures?: Signatures;
}

export interface Answer {
  readonly status: number;
  readonly body: Body;
}

/**
 * Never rejects: whatever goes wrong is an answer.
 * @param sent what came for the body, where that was something else
 */
export async function dispatch(
  headers: IncomingHttpHeaders,
  body: string,
  context: DispatchContext,
  url = "/",
  sent: string | Uint8Array = body,
): Promise<Answer> {
  const target = headers["x-amz-target"];
  const operation = typeof target === "string" ? OPERATIONS.get(target) : undefined;
  let json: unknown;
  try {
    json = parse(body);
    if (operation === undefined) throw new ApiError("UnknownOperationException");
    if (context.signatures === undefined) assertSigned(headers, url);
    else await context.signatures.verify({ headers, url, body: sent });
    const request = checkRequest(operation.shape, json);
    const deepAsEver = operation.shape.olderWhereDeep && request;
    inWords(operation.words, () => checkTogether(request), deepAsEver);
    const result = await operation.run(request as never, context);
    return { status: 200, body: isJson(result) ? result : JSON.stringify(result) };
  } catch (thrown) {
    const error = toldFirst(thrown, operation, json);
    if (error instanceof ApiError) return { status: error.status, body: JSON.stringify(error.body()) };
    if (internalErrors.hasSubscribers) internalErrors.publish({ operation: nameIn(target), error });
    const answer = told(error);
    const internal = answer instanceof ApiError ? answer : new ApiError("InternalServerError");
    return { status: internal.status, body: JSON.stringify(internal.body()) };
  }
}

const isJson = (result: object): result is readonly Uint8Array[] => Array.isArray(result);

/** What stands behind the service's name. */
const nameIn = (target: unknown): string => (typeof target === "string" ? target.slice(target.indexOf(".") + 1) : "");

/** Of a request that is refused for what it says: what cannot be read in it, if there is that. */
function toldFirst(error: unknown, operation: AnyOperation | undefined, json: unknown): unknown {
  if (operation === undefined || !(error instanceof ApiError)) return error;
  if (error.type !== "ValidationException" && error.type !== "ResourceNotFoundException") return error;
  try {
    assertReadableValues(operation.shape, json);
  } catch (unreadable) {
    return unreadable;
  }
  return error;
}

function parse(body: string): unknown {
  let json: unknown;
  try {
    json = JSON.parse(body);
  } catch {
    throw new ApiError("SerializationException");
  }
  if (typeof json !== "object" || json === null || Array.isArray(json)) throw new ApiError("SerializationException");
  return json;
}
