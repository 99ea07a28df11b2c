import type { Request, RequestHandler } from "express";
import type { RateLimitOptions } from "./gate.js";
import { rateLimit as forNode } from "./node.js";

export type { RateLimitOptions, ServedResponse } from "./gate.js";

/** Middleware for Express 4 and 5: `app.use(rateLimit({ ... }))`. An error of `key` or `cost` goes to the error handler. */
export function rateLimit(options: RateLimitOptions<Request>): RequestHandler {
  const handle = forNode(options);
  return (request, response, next) => handle(request, response, () => next());
}
