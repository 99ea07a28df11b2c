export type SimulationErrorCode =
  | "ERR_SIMULATION_ARGUMENT"
  | "ERR_SIMULATION_SEED"
  | "ERR_SIMULATION_DISK_FULL"
  | "ERR_SIMULATION_DISK_IO"
  | "ERR_SIMULATION_DISK_DAMAGED"
  | "ERR_SIMULATION_NO_FILE"
  | "ERR_SIMULATION_HISTORY"
  | "ERR_SIMULATION_MODEL";

/** Everything that this package throws or hands to a callback. `code` is stable; the message says what to do. */
export class SimulationError extends Error {
  override readonly name = "SimulationError";

  constructor(
    readonly code: SimulationErrorCode,
    message: string,
    options?: { readonly cause?: unknown },
  ) {
    super(message, options);
  }
}

export function badArgument(name: string, expected: string, seen: unknown): SimulationError {
  return new SimulationError("ERR_SIMULATION_ARGUMENT", `${name} must be ${expected}, got ${shown(seen)}`);
}

/** What was given, in a few characters. Never throws, whatever it is: what has no text of its own, or is long, is given by strangers. */
function shown(seen: unknown): string {
  if (typeof seen === "string") return JSON.stringify(seen.length > 64 ? `${seen.slice(0, 64)}…` : seen);
  return Object(seen) === seen ? Object.prototype.toString.call(seen) : String(seen);
}

/** A finite number of at least `min` (and at most `max`), or an error that names the argument. */
export function checkedNumber(name: string, value: unknown, min: number, max = Number.MAX_VALUE): number {
  if (typeof value !== "number" || !(value >= min && value <= max)) {
    const range = max === Number.MAX_VALUE ? `at least ${min}` : `between ${min} and ${max}`;
    throw badArgument(name, `a number ${range}`, value);
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
