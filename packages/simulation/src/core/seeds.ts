import { badArgument, checkedNumber, checkOptions, SimulationError } from "./errors.js";

export interface SeedRun {
  readonly first?: number;
  readonly count: number;
  /** The command that replays one seed; it is printed with a failure. */
  readonly replay?: (seed: number) => string;
}

const runNames: Record<keyof SeedRun, 0> = { first: 0, count: 0, replay: 0 };

/** Runs `body` for each seed in turn. What it throws comes back as ERR_SIMULATION_SEED, with the seed in the message and the cause kept. */
export function forEachSeed(run: SeedRun, body: (seed: number) => void): void {
  const { first = 1, count, replay } = checkOptions("forEachSeed", run, runNames);
  checkSeeds(first, count);
  for (let seed = first; seed < first + count; seed++) {
    let result: unknown;
    try {
      result = body(seed);
    } catch (error) {
      throw seedFailure(seed, error, replay);
    }
    if (result instanceof Promise) {
      // What it fails with would come after all seeds had passed.
      result.catch(() => {});
      throw badArgument("body", "a function that does not await (for one that does: forEachSeedAsync)", body);
    }
  }
}

/** As `forEachSeed`, for a body that returns a promise; one seed after the other. */
export async function forEachSeedAsync(run: SeedRun, body: (seed: number) => Promise<void>): Promise<void> {
  const { first = 1, count, replay } = checkOptions("forEachSeedAsync", run, runNames);
  checkSeeds(first, count);
  for (let seed = first; seed < first + count; seed++) {
    try {
      await body(seed);
    } catch (error) {
      throw seedFailure(seed, error, replay);
    }
  }
}

/** With a `first` such as `Number(process.env.SEED)` where there is none, no seed would run, and nothing fail. */
function checkSeeds(first: number, count: number): void {
  if (!Number.isSafeInteger(first)) throw badArgument("first", "an integer", first);
  checkedNumber("count", count, 1, Number.MAX_SAFE_INTEGER - Math.max(0, first));
}

function seedFailure(seed: number, cause: unknown, replay: SeedRun["replay"]): SimulationError {
  const reason = cause instanceof Error ? cause.message : String(cause);
  const how = replay === undefined ? "" : `\nreplay: ${replay(seed)}`;
  return new SimulationError("ERR_SIMULATION_SEED", `seed ${seed}: ${reason}${how}`, { cause });
}
