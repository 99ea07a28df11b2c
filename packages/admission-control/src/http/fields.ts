import { argumentError } from "../core/errors.js";
import type { Limit, LimitStats } from "../limit.js";

/** The largest Integer of structured fields (RFC 9651). */
const INTEGER_MAX = 999_999_999_999_999;

/** What a response says about a limit: `RateLimit-Policy` and `RateLimit` of draft-ietf-httpapi-ratelimit-headers-11. */
export interface RateLimitFields {
  readonly "RateLimit-Policy": string;
  readonly RateLimit: string;
}

/**
 * The policy is the whole limit, as what a window lets through: `q` units in `w` seconds, with the window that the burst spans, or
 * the first in which a whole unit fits. What is there (`r`) is this member's part alone, a careful hint, and `t` the seconds
 * until that part is full again, or, of a refusal, those of `Retry-After`.
 */
export function rateLimitFields(
  policy: string,
  stats: LimitStats,
  options: { readonly key?: string | undefined; readonly retryAfterSeconds?: number | undefined } = {},
): RateLimitFields {
  if (typeof policy !== "string") throw argumentError("policy", "a string", policy);
  if (typeof stats?.ratePerSecond !== "number") throw argumentError("stats", "what stats() of a Limit says", stats);
  const name = sfString(policy);
  const pk = options.key === undefined ? "" : `;pk=:${Buffer.from(options.key).toString("base64")}:`;
  const { ratePerSecond, burstSeconds } = stats;
  const window = Math.max(1, Math.ceil(burstSeconds), ratePerSecond > 0 ? Math.ceil(1 / ratePerSecond) : 1);
  const held = Math.max(stats.sharePerSecond, Number.MIN_VALUE);
  const untilFull = Math.max(0, stats.sharePerSecond * burstSeconds - stats.tokens) / held;
  const seconds = options.retryAfterSeconds ?? Math.min(window, untilFull);
  return {
    "RateLimit-Policy": `${name};q=${integer(ratePerSecond * window)};w=${integer(window)}${pk}`,
    RateLimit: `${name};r=${integer(options.retryAfterSeconds === undefined ? stats.tokens : 0)};t=${Math.max(1, integer(Math.ceil(seconds)))}${pk}`,
  };
}

/** Whole seconds, rounded up, never 0; `undefined` where waiting would not help. */
export function retryAfterSeconds(limit: Limit, units: number): number | undefined {
  if (typeof limit?.msUntil !== "function") throw argumentError("limit", "a Limit", limit);
  const waitMs = limit.msUntil(units);
  return Number.isFinite(waitMs) ? Math.max(1, Math.ceil(waitMs / 1000)) : undefined;
}

function integer(value: number): number {
  return Math.min(INTEGER_MAX, Math.max(0, Math.floor(value)));
}

/** A String of structured fields: printable ASCII, quotes and backslashes escaped. What cannot stand there becomes "-". */
function sfString(text: string): string {
  return `"${text.replace(/[^\x20-\x7e]/g, "-").replace(/[\\"]/g, "\\$&")}"`;
}
