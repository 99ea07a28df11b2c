import type { IncomingHttpHeaders } from "node:http";
import { ApiError } from "../api/errors.js";
import { messages } from "../api/messages.js";

const PARAMETERS = ["Credential", "Signature", "SignedHeaders"] as const;

/**
 * On loopback every key is good, but a request must be signed, as the service demands: a client that forgets to sign learns it here and not
 * in production. Signatures in the query string are the service's for other protocols and are not looked at.
 * @throws ApiError MissingAuthenticationTokenException or IncompleteSignatureException
 */
export function authenticate(headers: IncomingHttpHeaders): void {
  const authorization = headers.authorization?.trim();
  if (!authorization?.startsWith("AWS4-")) throw new ApiError("MissingAuthenticationTokenException");
  let problem = "";
  for (const parameter of PARAMETERS) {
    if (!authorization.includes(`${parameter}=`)) problem += messages.authorizationParameter(parameter);
  }
  if (headers["x-amz-date"] === undefined && headers.date === undefined) problem += messages.authorizationDate;
  if (problem === "") return;
  throw new ApiError("IncompleteSignatureException", problem + messages.authorizationEcho(authorization));
}
