import type { MemdsMember } from "./members.js";

export interface MemdsClientOptions {
  /** At least one. */
  readonly servers: readonly MemdsMember[];
  /** How long one `lookup` may take, all servers together. Default 1,000. */
  readonly timeoutMs?: number;
  /**
   * A look-up that has no answer after so long is asked of one more server too, and the first answer counts. At most one look-up in twenty, so
   * that a fleet that is slow as a whole is not asked for twice the work. Default 20.
   */
  readonly hedgeAfterMs?: number;
  /** How long a server that failed is asked only after all others. Default 1,000. */
  readonly retryAfterMs?: number;
  /** Requests to one server that may wait for an answer; past it another server is asked, then `ERR_MEMDS_OVERLOADED`. Default 1,024. */
  readonly outstandingMax?: number;
  /** The largest frame sent or taken; as the servers have it. Default 8 MiB. */
  readonly frameBytesMax?: number;
  /** As the servers have it. */
  readonly secret?: string | undefined;
  /** Milliseconds on a clock that does not go back. Default `performance.now`. */
  readonly now?: () => number;
}

export const clientNames: Record<keyof MemdsClientOptions, 0> = {
  servers: 0,
  timeoutMs: 0,
  hedgeAfterMs: 0,
  retryAfterMs: 0,
  outstandingMax: 0,
  frameBytesMax: 0,
  secret: 0,
  now: 0,
};

export interface MemdsClientStats {
  /** The highest version seen; no answer is ever below it. -1 before the first. */
  readonly version: number;
  readonly lookups: number;
  readonly queries: number;
  /** Look-ups that failed. */
  readonly failed: number;
  /** Requests sent to a server. */
  readonly asked: number;
  /** Look-ups that were asked of a second server because the first one was slow. */
  readonly hedged: number;
  /** Requests that another server had to answer, by why. */
  readonly passedOver: {
    readonly unavailable: number;
    readonly timedOut: number;
    readonly notReady: number;
    readonly stale: number;
  };
}
