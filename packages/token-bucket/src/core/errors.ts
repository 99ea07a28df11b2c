export type TokenBucketErrorCode =
  /** An argument is not what it must be; the message names it and the value seen. */
  | "ERR_TOKEN_BUCKET_ARGUMENT"
  /** The bucket can never hold that much at its present capacity, or nothing flows into it. */
  | "ERR_TOKEN_BUCKET_NEVER"
  /** `waitersMax` callers wait already. */
  | "ERR_TOKEN_BUCKET_QUEUE_FULL"
  /** The bucket was closed while the caller waited, or before. */
  | "ERR_TOKEN_BUCKET_CLOSED";

/** The one error class of this package; tell the cases apart by `code`. */
export class TokenBucketError extends Error {
  override readonly name = "TokenBucketError";
  readonly code: TokenBucketErrorCode;

  constructor(code: TokenBucketErrorCode, message: string, options?: ErrorOptions) {
    super(message, options);
    this.code = code;
  }
}

export function argumentError(name: string, wanted: string, seen: unknown): TokenBucketError {
  return new TokenBucketError("ERR_TOKEN_BUCKET_ARGUMENT", `${name} must be ${wanted}, but is ${shown(seen)}`);
}

/** What was given, in a few characters. Never throws, whatever it is: what has no text of its own, or is long, is given by strangers. */
function shown(seen: unknown): string {
  if (typeof seen === "string") return JSON.stringify(seen.length > 64 ? `${seen.slice(0, 64)}…` : seen);
  return Object(seen) === seen ? Object.prototype.toString.call(seen) : String(seen);
}

/** A finite number from `min` to `max`; anything else, "3" included, is an error that names the argument. */
export function checkNumber(name: string, value: unknown, min: number, max: number): number {
  if (typeof value !== "number" || !(value >= min && value <= max)) {
    throw argumentError(name, `a number from ${min} to ${max}`, value);
  }
  return value;
}

/**
 * The options as they are: none where nothing was given, so that what is needed is asked for by its name. A name that there is not would be a typo that is taken
 * for a default, and so would null. `names` has all of them, and its type sees to that.
 */
export function checkOptions<T extends object>(of: string, options: T, names: Readonly<Record<keyof T, unknown>>): T {
  const given: unknown = options === undefined ? {} : options;
  if (typeof given !== "object" || given === null)
    throw argumentError("options", `an object with options of ${of}`, given);
  // Also what is inherited: so a signal given in the place of { signal } is found out.
  for (const name in given) {
    if (!Object.hasOwn(names, name)) {
      const known = Object.keys(names);
      const near = known.filter((one) => one.slice(0, 3) === name.slice(0, 3));
      throw argumentError(`an option of ${of}`, (near.length > 0 ? near : known).join(" or "), name);
    }
    if (given[name as keyof typeof given] === null)
      throw argumentError(name, "left out, or something else than null", null);
  }
  return given as T;
}
