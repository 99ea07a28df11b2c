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

/** Everything that the log throws or rejects with, apart from the reason of a caller's own `AbortSignal`. Tell the cases apart by `code`. */
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

/**
 * The options as they are: none where nothing was given, so that what is needed is asked for by its name. A name that there is not would be a typo that is taken
 * for a default, and so would null. `names` has all of them, and its type sees to that.
 */
export function checkOptions<T extends object>(
  of: string,
  options: T,
  names: Readonly<Record<keyof T, unknown>>,
  bad: (argument: string, expected: string, seen: unknown) => Error = badArgument,
): T {
  const given: unknown = options === undefined ? {} : options;
  if (typeof given !== "object" || given === null) throw bad("options", `an object with options of ${of}`, given);
  // Also what is inherited: so a signal given in the place of { signal } is found out.
  for (const name in given) {
    if (!Object.hasOwn(names, name)) {
      const known = Object.keys(names);
      const near = known.filter((one) => one.slice(0, 3) === name.slice(0, 3));
      throw bad(`an option of ${of}`, (near.length > 0 ? near : known).join(" or "), name);
    }
    if (given[name as keyof typeof given] === null) throw bad(name, "left out, or something else than null", null);
  }
  return given as T;
}
