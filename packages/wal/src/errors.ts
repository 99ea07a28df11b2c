/** What went wrong, for programs. Codes are stable; messages are for people and may change. */
export type WalErrorCode =
  | "ERR_WAL_ARGUMENT"
  | "ERR_WAL_CLOSED"
  | "ERR_WAL_CORRUPT"
  | "ERR_WAL_IO"
  | "ERR_WAL_LOCKED"
  | "ERR_WAL_OVERLOADED"
  | "ERR_WAL_POISONED"
  | "ERR_WAL_TOO_LARGE"
  | "ERR_WAL_TRUNCATED"
  | "ERR_WAL_UNSUPPORTED";

/** Where damage was found. Offsets are bytes from the start of the file. */
export interface WalErrorDetails {
  readonly file?: string;
  readonly offset?: number;
  readonly batch?: number;
  readonly stream?: string;
}

export class WalError extends Error {
  override readonly name = "WalError";
  readonly code: WalErrorCode;
  /** The damaged or failing file, where there is one. */
  readonly file: string | undefined;
  readonly offset: number | undefined;
  /** Number of the batch concerned, where it is known. */
  readonly batch: number | undefined;
  readonly stream: string | undefined;

  constructor(code: WalErrorCode, message: string, details: WalErrorDetails & { readonly cause?: unknown } = {}) {
    super(message, details.cause === undefined ? undefined : { cause: details.cause });
    this.code = code;
    this.file = details.file;
    this.offset = details.offset;
    this.batch = details.batch;
    this.stream = details.stream;
  }
}

/** Errors of the system become this package's, with the cause kept: `doing` says what could not be done. */
export async function asIo<T>(doing: string, file: string, work: Promise<T>): Promise<T> {
  try {
    return await work;
  } catch (cause) {
    if (cause instanceof WalError) throw cause;
    const message = `${doing}: ${cause instanceof Error ? cause.message : String(cause)}`;
    throw new WalError("ERR_WAL_IO", message, { file, cause });
  }
}

/** A bad argument: names it and shows the value seen. */
export function badArgument(argument: string, expected: string, seen: unknown): WalError {
  const shown = typeof seen === "string" || Array.isArray(seen) ? JSON.stringify(seen) : String(seen);
  return new WalError("ERR_WAL_ARGUMENT", `${argument} must be ${expected}, got ${shown}`);
}
