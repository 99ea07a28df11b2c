import { describe, expect, it } from "vitest";
import { forEachSeed, forEachSeedAsync, History } from "../src/index.js";

describe("seeds", () => {
  it("are as many as were asked for, from the first", async () => {
    const seen: number[] = [];
    forEachSeed({ first: 7, count: 3 }, (seed) => void seen.push(seed));
    await forEachSeedAsync({ first: -1, count: 2 }, async (seed) => void seen.push(seed));
    expect(seen).toEqual([7, 8, 9, -1, 0]);
  });

  // Each of these would have run no seed at all and failed nothing, run others than were meant, or never ended.
  it("are refused where no test would be run", async () => {
    for (const first of [Number(undefined), "3", 1.5, Number.POSITIVE_INFINITY, 2 ** 53, null]) {
      const seeds = { first: first as number, count: 1 };
      const refusal = { code: "ERR_SIMULATION_ARGUMENT", message: expect.stringMatching(/^first must be/) };
      expect(() => forEachSeed(seeds, () => undefined)).toThrow(expect.objectContaining(refusal));
      await expect(forEachSeedAsync(seeds, async () => undefined)).rejects.toMatchObject(refusal);
    }
    // One that awaits would have failed after all seeds had passed.
    const late = async () => {
      throw new Error("late");
    };
    expect(() => forEachSeed({ count: 2 }, late as () => void)).toThrow(
      expect.objectContaining({ code: "ERR_SIMULATION_ARGUMENT", message: expect.stringMatching(/forEachSeedAsync/) }),
    );
    const refusal = { code: "ERR_SIMULATION_ARGUMENT", message: expect.stringMatching(/^count must be/) };
    for (const count of [0, Number.NaN, Number.POSITIVE_INFINITY, 2 ** 53]) {
      expect(() => forEachSeed({ count }, () => undefined)).toThrow(expect.objectContaining(refusal));
    }
  });
});

it("a history without a clock is refused before its first call", () => {
  for (const now of [undefined, 5, {}]) {
    expect(() => new History({ now } as never)).toThrow(
      expect.objectContaining({ code: "ERR_SIMULATION_ARGUMENT", message: expect.stringMatching(/^now must be/) }),
    );
  }
});
