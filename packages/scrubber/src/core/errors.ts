export type ScrubberErrorCode =
  | "ERR_SCRUBBER_ARGUMENT"
  | "ERR_SCRUBBER_BEHIND"
  | "ERR_SCRUBBER_BUSY"
  | "ERR_SCRUBBER_CLOSED"
  | "ERR_SCRUBBER_LMDB"
  | "ERR_SCRUBBER_ORDER"
  | "ERR_SCRUBBER_REFERENCE_HOLE"
  | "ERR_SCRUBBER_REFERENCE_APPLY"
  | "ERR_SCRUBBER_REFERENCE_FULL"
  | "ERR_SCRUBBER_SCRATCH"
  | "ERR_SCRUBBER_TIMEOUT";

/** Everything that this package throws. `code` is stable; the message says what to do. */
export class ScrubberError extends Error {
  override readonly name = "ScrubberError";

  constructor(
    readonly code: ScrubberErrorCode,
    message: string,
    options?: { readonly cause?: unknown },
  ) {
    super(message, options);
  }
}

/**
 * What a source throws (or rejects with) when it cannot answer at a position: it has not applied that far yet, or not any more. Any
 * error whose `code` is ERR_SCRUBBER_BEHIND counts, so that it may come over a wire.
 */
export function behind(name: string, at: number, hasMessage: string): ScrubberError {
  return new ScrubberError("ERR_SCRUBBER_BEHIND", `${name} cannot answer at position ${at}: ${hasMessage}`);
}

/** Why a source takes no part any more that says nothing about its data: it cannot answer at the position, or does not answer at all. Undefined: it failed, which is a finding. */
export function whyGone(error: unknown): "behind" | "unreachable" | undefined {
  const code = typeof error === "object" && error !== null ? (error as { code?: unknown }).code : undefined;
  return code === "ERR_SCRUBBER_BEHIND" ? "behind" : code === "ERR_SCRUBBER_TIMEOUT" ? "unreachable" : undefined;
}

export function badArgument(name: string, expected: string, seen: unknown): ScrubberError {
  return new ScrubberError("ERR_SCRUBBER_ARGUMENT", `${name} must be ${expected}, got ${shown(seen)}`);
}

/** What was given, in a few characters. Never throws, whatever it is: what has no text of its own, or is long, is given by strangers. */
function shown(seen: unknown): string {
  if (typeof seen === "string") return JSON.stringify(seen.length > 64 ? `${seen.slice(0, 64)}…` : seen);
  return Object(seen) === seen ? Object.prototype.toString.call(seen) : String(seen);
}

/** An integer of at least `min`, or an error that names the argument. */
export function checkedInteger(name: string, value: unknown, min: number): number {
  if (typeof value !== "number" || !Number.isSafeInteger(value) || value < min) {
    throw badArgument(name, `an integer of at least ${min}`, value);
  }
  return value;
}

/** A name, for findings to say, or an error that names the argument. */
export function checkedName(name: string, value: unknown): string {
  if (typeof value !== "string" || value === "") throw badArgument(name, "a name", value);
  return value;
}

/** An option that may be left out and is a function otherwise. */
export function checkedFunction(name: string, value: unknown): void {
  if (value !== undefined && typeof value !== "function") throw badArgument(name, "a function", value);
}

/** Where something is kept from one life to the next, or nothing. */
export function checkedState(state: { readonly load: unknown; readonly save: unknown } | undefined): void {
  if (state !== undefined && (typeof state?.load !== "function" || typeof state.save !== "function"))
    throw badArgument("state", "an object with load and save", state);
}

/**
 * The options as they are: none where nothing was given, so that what is needed is asked for by its name. A name that there is not would be a typo that is taken
 * for a default, and so would null. `names` has all of them, and its type sees to that.
 */
export function checkOptions<T extends object>(of: string, options: T, names: Readonly<Record<keyof T, unknown>>): T {
  const given: unknown = options === undefined ? {} : options;
  if (typeof given !== "object" || given === null)
    throw badArgument("options", `an object with options of ${of}`, given);
  // Also what is inherited: so a signal given in the place of { signal } is found out.
  for (const name in given) {
    if (!Object.hasOwn(names, name)) {
      const known = Object.keys(names);
      const near = known.filter((one) => one.slice(0, 3) === name.slice(0, 3));
      throw badArgument(`an option of ${of}`, (near.length > 0 ? near : known).join(" or "), name);
    }
    if (given[name as keyof typeof given] === null)
      throw badArgument(name, "left out, or something else than null", null);
  }
  return given as T;
}
