import type { IncomingMessage, ServerResponse } from "node:http";
import { type Admitted, Gate, type RateLimitOptions } from "./gate.js";

/**
 * For `node:http`, and whatever passes its request and response on: calls `next` for a request that is let in, and answers one
 * that is not.
 */
export function rateLimit<Request extends IncomingMessage = IncomingMessage>(
  options: RateLimitOptions<Request>,
): (request: Request, response: ServerResponse, next: () => void) => void {
  const gate = new Gate(options);
  return (request, response, next) => {
    const decision = gate.decide(request);
    for (const [name, value] of Object.entries(decision.headers)) response.setHeader(name, value);
    if (!decision.admitted) {
      response.statusCode = decision.status;
      response.end(decision.body);
      return;
    }
    chargeWhenServed(response, decision);
    next();
  };
}

/** Counts what is written as the body, and tells it once when the response has ended or its client has left. */
export function chargeWhenServed(response: ServerResponse, { served }: Admitted): void {
  if (served === undefined) return;
  let bytes = 0;
  const count = (chunk: unknown, encoding: unknown) => {
    if (typeof chunk === "string") bytes += Buffer.byteLength(chunk, isEncoding(encoding) ? encoding : "utf8");
    else if (chunk instanceof Uint8Array) bytes += chunk.byteLength;
  };
  const { write, end } = response;
  // Nothing in node:http tells the size of a body whose end writes the last of it; these two are where all of it passes.
  response.write = function counted(this: ServerResponse, ...args: unknown[]) {
    count(args[0], args[1]);
    return Reflect.apply(write, this, args) as boolean;
  } as typeof write;
  response.end = function counted(this: ServerResponse, ...args: unknown[]) {
    // `end` passes what it is given to `write` in some versions of Node, and to neither in others.
    response.write = write;
    count(args[0], args[1]);
    return Reflect.apply(end, this, args) as ServerResponse;
  } as typeof end;
  response.once("close", () => served({ status: response.statusCode, bytes }));
}

function isEncoding(encoding: unknown): encoding is BufferEncoding {
  return typeof encoding === "string" && Buffer.isEncoding(encoding);
}
