/** A snapshot of counters since the cache was made, and of what it holds now. */
export interface CacheStats {
  readonly gets: number;
  readonly peeks: number;
  /** Answered from memory, negative entries included. */
  readonly hits: number;
  readonly misses: number;
  /** Keys sent to the source. */
  readonly lookups: number;
  /** Calls of the source. */
  readonly frames: number;
  /**
   * `lookups / (gets + peeks - those not sent yet)`: 1 while nothing is dropped, whatever the hit rate; below 1 by what was dropped; never above.
   * 1 as long as nothing was asked.
   */
  readonly amplification: number;
  /** Refreshes for hits that found no free call of the source and were not sent. */
  readonly refreshesDropped: number;
  /** Misses never sent: rejected at a full queue, waited longer than `timeoutMs`, abandoned by their caller, or closed. */
  readonly missesDropped: number;
  /** Calls that failed, timed out included. */
  readonly framesFailed: number;
  readonly framesTimedOut: number;
  /** Keys that an answer left out, or answered with something that has no version. */
  readonly unanswered: number;
  /** Answers older than what was held, not taken. */
  readonly staleAnswers: number;
  readonly entries: number;
  readonly negativeEntries: number;
  readonly evictions: number;
  /** Calls of the source now running. */
  readonly inFlight: number;
  /** Misses now waiting for their call to begin. */
  readonly queued: number;
  /** Age of the oldest entry served in the latest turn that served one, in milliseconds since the source last confirmed it. */
  readonly servedAgeMs: number;
}
