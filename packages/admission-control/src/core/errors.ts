export type AdmissionErrorCode =
  /** An argument is not what it must be; the message names it and the value seen. */
  | "ERR_ADMISSION_ARGUMENT"
  /** `limitsMax` limits are open already. */
  | "ERR_ADMISSION_LIMITS"
  /** A limit was asked for after `close()`. */
  | "ERR_ADMISSION_CLOSED"
  /**
   * The coordinator did not answer in `settleTimeoutMs`. Never thrown at a request; seen in `stats().lastError` and in
   * the `degraded` event. Thrown by `CoordinatorServer.listen` where the ring cannot be looked up in `ringTtlMs`.
   */
  | "ERR_ADMISSION_TIMEOUT"
  /** The coordinator cannot be asked now: its connection is down, Redis answers with an error, or too much waits for it already. Seen where a timeout is. */
  | "ERR_ADMISSION_AWAY"
  /** The coordinator's answer leaves a limit out, or makes no sense. Seen where a timeout is. */
  | "ERR_ADMISSION_ANSWER";

/** The one error class of this package; tell the cases apart by `code`. */
export class AdmissionError extends Error {
  override readonly name = "AdmissionError";
  readonly code: AdmissionErrorCode;

  constructor(code: AdmissionErrorCode, message: string, options?: ErrorOptions) {
    super(message, options);
    this.code = code;
  }
}

export function argumentError(name: string, wanted: string, seen: unknown): AdmissionError {
  return new AdmissionError("ERR_ADMISSION_ARGUMENT", `${name} must be ${wanted}, but is ${shown(seen)}`);
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

export function checkName(name: string, value: unknown): string {
  if (typeof value !== "string" || value.length === 0 || value.length > 1024) {
    throw argumentError(name, "a string of 1 to 1024 characters", value);
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
