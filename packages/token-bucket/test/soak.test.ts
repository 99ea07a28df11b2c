import { describe, expect, it } from "vitest";
import { soak } from "./soak-lanes.js";

describe("thirty days in a second", () => {
  it.each([1, 20_261_121])("leave no bucket off by a token, at any rate, whatever the clock does; seed %d", (seed) => {
    const lanes = [...soak(72_000, seed)];
    expect(lanes).toHaveLength(36);
    for (const { name, operations, days, worstTokens } of lanes) {
      expect(operations).toBe(2000);
      expect(days).toBeGreaterThan(25);
      expect(worstTokens, name).toBeLessThan(1);
    }
  });
});
