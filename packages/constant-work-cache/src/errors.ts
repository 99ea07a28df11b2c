export type CacheErrorCode =
  /** An option or argument that cannot be used; thrown at once. */
  | "ERR_CACHE_ARGUMENT"
  /** The cache was closed before, or while the caller waited. */
  | "ERR_CACHE_CLOSED"
  /** A miss found the queue of misses full. */
  | "ERR_CACHE_OVERLOADED"
  /** The source did not answer in `timeoutMs`, or the miss could not be sent for so long. */
  | "ERR_CACHE_TIMEOUT"
  /** The source failed, or answered something that is not an answer; `cause` says what. */
  | "ERR_CACHE_SOURCE"
  /** The source answered, but left this key out. */
  | "ERR_CACHE_UNANSWERED";

/** Everything that this package throws or rejects with, apart from the reason of a caller's own `AbortSignal`. */
export class CacheError extends Error {
  readonly code: CacheErrorCode;

  constructor(code: CacheErrorCode, message: string, options?: ErrorOptions) {
    super(message, options);
    this.name = "CacheError";
    this.code = code;
  }
}

export function closedError(): CacheError {
  return new CacheError("ERR_CACHE_CLOSED", "the cache is closed");
}
