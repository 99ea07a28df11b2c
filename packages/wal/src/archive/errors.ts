import { checkOptions } from "../errors.js";

/** Codes are stable; messages are for people and may change. */
export type ArchiveErrorCode =
  | "ERR_ARCHIVE_ARGUMENT"
  | "ERR_ARCHIVE_CORRUPT"
  | "ERR_ARCHIVE_DENIED"
  | "ERR_ARCHIVE_DIVERGED"
  | "ERR_ARCHIVE_EXISTS"
  | "ERR_ARCHIVE_FULL"
  | "ERR_ARCHIVE_GAP"
  | "ERR_ARCHIVE_HOLE"
  | "ERR_ARCHIVE_OVERLOADED"
  | "ERR_ARCHIVE_OVERLAP"
  | "ERR_ARCHIVE_RANGE"
  | "ERR_ARCHIVE_STORE"
  | "ERR_ARCHIVE_UNSUPPORTED";

/** Everything that the archive and its stores throw or reject with, apart from the reason of a caller's own `AbortSignal`. Tell the cases apart by `code`. */
export class ArchiveError extends Error {
  override readonly name = "ArchiveError";
  readonly code: ArchiveErrorCode;
  /** The object concerned, where there is one. */
  readonly key: string | undefined;
  /** Whether the same call may succeed later without anybody doing anything: the way to the store failed, or it was busy. */
  readonly retryable: boolean;

  constructor(
    code: ArchiveErrorCode,
    message: string,
    details: { readonly key?: string; readonly cause?: unknown; readonly retryable?: boolean } = {},
  ) {
    super(message, details.cause === undefined ? undefined : { cause: details.cause });
    this.code = code;
    this.key = details.key;
    this.retryable = details.retryable ?? false;
  }
}

export function badArchiveArgument(argument: string, expected: string, seen: unknown): ArchiveError {
  const shown = typeof seen === "string" ? JSON.stringify(seen) : String(seen);
  return new ArchiveError("ERR_ARCHIVE_ARGUMENT", `${argument} must be ${expected}, got ${shown}`);
}

/** As the log's own, with this part's error. */
export function checkArchiveOptions<T extends object>(
  of: string,
  options: T,
  names: Readonly<Record<keyof T, unknown>>,
): T {
  return checkOptions(of, options, names, badArchiveArgument);
}
