// For node:http.

export { rateLimit } from "./node.js";

// For frameworks that have no middleware here.

export { type Admitted, Gate, type RateLimitOptions, type Refused, type ServedResponse } from "./gate.js";
export { type RateLimitFields, rateLimitFields, retryAfterSeconds } from "./fields.js";
