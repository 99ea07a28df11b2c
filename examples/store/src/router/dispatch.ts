/** From a request's headers and body to its answer, without sockets. */
import { channel } from "node:diagnostics_channel";
import type { IncomingHttpHeaders } from "node:http";
import { ApiError } from "../api/errors.js";
import { checkTogether } from "../api/legacy/parameters.js";
import { checkRequest } from "../api/requests/shapes.js";
import { assertSigned } from "./authentication.js";
import { operations } from "./operations/index.js";
import type { AnyOperation, OperationContext } from "./operations/operation.js";
import { inWords } from "./operations/words.js";
import type { Signatures } from "./signatures.js";
import { streamOperations } from "./streams/operations.js";

/** The services of the protocol, and what each of them can do. */
const SERVICES: ReadonlyMap<string, ReadonlyMap<string, AnyOperation>> = new Map([
  ["DynamoDB_20120810", operations],
  ["DynamoDBStreams_20120810", streamOperations],
]);
/** Published with `{ operation, error }` when an operation fails for a reason that is no client's doing. */
const internalErrors = channel("evenkeel:store:internal-error");

export interface DispatchContext extends OperationContext {
  /** Absent: every key is good. */
  readonly signatures?: Signatures;
}

export interface Answer {
  readonly status: number;
  readonly body: string | Buffer;
}

/** Never rejects: whatever goes wrong is an answer. */
export async function dispatch(
  headers: IncomingHttpHeaders,
  body: string,
  context: DispatchContext,
  url = "/",
): Promise<Answer> {
  const target = headers["x-amz-target"];
  const dot = typeof target === "string" ? target.indexOf(".") : -1;
  const [service, name] = dot < 0 ? ["", ""] : [(target as string).slice(0, dot), (target as string).slice(dot + 1)];
  try {
    const json = parse(body);
    const operation = SERVICES.get(service)?.get(name);
    if (operation === undefined) throw new ApiError("UnknownOperationException");
    if (context.signatures === undefined) assertSigned(headers, url);
    else await context.signatures.verify({ headers, url, body });
    const request = checkRequest(operation.shape, json);
    inWords(operation.words, () => checkTogether(request));
    const result = await operation.run(request as never, context);
    return { status: 200, body: Buffer.isBuffer(result) ? result : JSON.stringify(result) };
  } catch (error) {
    if (error instanceof ApiError) return { status: error.status, body: JSON.stringify(error.body()) };
    if (internalErrors.hasSubscribers) internalErrors.publish({ operation: name, error });
    return { status: 500, body: JSON.stringify(new ApiError("InternalServerError").body()) };
  }
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
