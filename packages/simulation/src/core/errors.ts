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
  const shown = typeof seen === "string" ? JSON.stringify(seen) : String(seen);
  return new SimulationError("ERR_SIMULATION_ARGUMENT", `${name} must be ${expected}, got ${shown}`);
}

/** A finite number of at least `min` (and at most `max`), or an error that names the argument. */
export function checkedNumber(name: string, value: unknown, min: number, max = Number.MAX_VALUE): number {
  if (typeof value !== "number" || !(value >= min && value <= max)) {
    const range = max === Number.MAX_VALUE ? `at least ${min}` : `between ${min} and ${max}`;
    throw badArgument(name, `a number ${range}`, value);
  }
  return value;
}
