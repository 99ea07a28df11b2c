import { describe, expect, it } from "vitest";
import { type Mutant, mutants } from "./support/mutants.js";
import { runScenario } from "./support/scenario.js";

const SEEDS_MAX = 400;

/** The first seed whose run fails, and how. */
function caught({ mutation, weather }: Mutant): { seed: number; how: string } | undefined {
  for (let seed = 1; seed <= SEEDS_MAX; seed++) {
    try {
      runScenario({ seed, mutation, ...(weather === undefined ? {} : { weather }) });
    } catch (error) {
      return { seed, how: error instanceof Error ? error.message : String(error) };
    }
  }
  return undefined;
}

describe("the simulation catches", () => {
  it.each(mutants)("a replica that $name", (mutant) => {
    const found = caught(mutant);
    expect(found, `not caught within ${SEEDS_MAX} seeds`).toBeDefined();
    if (process.env.PAXOS_MUTANTS !== undefined)
      process.stdout.write(`${mutant.name}: seed ${found?.seed}, ${found?.how.slice(0, 300)}\n`);
  });
});
