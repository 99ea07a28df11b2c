import type { IncomingHttpHeaders } from "node:http";
import { ApiError } from "../api/errors.js";
import { messages } from "../api/messages.js";

const PARAMETERS = ["Credential", "Signature", "SignedHeaders"].map((name) => ({ name, assigned: `${name}=` }));
const QUERY_PARAMETERS = [
  "X-Amz-Algorithm",
  "X-Amz-Credential",
  "X-Amz-Signature",
  "X-Amz-SignedHeaders",
  "X-Amz-Date",
] as const;

/** What of a request its signature is about. */
export interface SignedRequest {
  readonly headers: IncomingHttpHeaders;
  /** Path and query as they came. */
  readonly url: string;
  /** As it came, coded or not. */
  readonly body: string | Uint8Array;
}

/**
 * On loopback every key is good unless there are configured ones, but a request must be signed, as the service demands: a client that forgets to
 * sign learns it here and not in production.
 * @throws ApiError MissingAuthenticationTokenException, IncompleteSignatureException or InvalidSignatureException
 */
export function assertSigned(headers: IncomingHttpHeaders, url: string): void {
  const authorization = headers.authorization?.trim();
  if (url.includes("X-Amz-Algorithm=")) {
    if (authorization !== undefined) throw new ApiError("InvalidSignatureException", messages.signedTwice);
    return assertQuerySigned(queryOf(url));
  }
  if (!authorization?.startsWith("AWS4-")) throw new ApiError("MissingAuthenticationTokenException");
  let problem = "";
  for (const { name, assigned } of PARAMETERS) {
    if (!authorization.includes(assigned)) problem += messages.authorizationParameter(name);
  }
  if (headers["x-amz-date"] === undefined && headers.date === undefined) problem += messages.authorizationDate;
  if (problem === "") return;
  throw new ApiError("IncompleteSignatureException", problem + messages.authorizationEcho(authorization));
}

function assertQuerySigned(query: URLSearchParams): void {
  let problem = "";
  for (const parameter of QUERY_PARAMETERS) {
    if (!query.get(parameter)) problem += messages.authorizationQuery(parameter);
  }
  if (problem === "") return;
  throw new ApiError("IncompleteSignatureException", problem + messages.authorizationQueryEnd);
}

/** A request's target as it is signed. It may name the host as well, as a proxy's does; every server has to take that. */
export function inOriginForm(target = "/"): string {
  return target.replace(/^https?:\/\/[^/?]*\/?/i, "/");
}

export function queryOf(url: string): URLSearchParams {
  const at = url.indexOf("?");
  return new URLSearchParams(at < 0 ? "" : url.slice(at + 1));
}
