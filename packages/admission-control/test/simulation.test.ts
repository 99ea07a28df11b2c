import { describe, expect, it } from "vitest";
import { play, type Scenario, scenarios } from "../simulate/scenarios.js";
import { evenkeel, proportional } from "../simulate/systems.js";

const named = (name: string): Scenario => {
  const found = scenarios.find((scenario) => scenario.name === name);
  if (found === undefined) throw new Error(`there is no scenario "${name}"`);
  return found;
};

/** `npm run simulate -w @evenkeel/admission-control` plays all of them, for longer. */
describe("a simulated fleet", () => {
  it.each([
    ["uniform, 40 members", 25],
    ["Zipf, 40 members", 30],
    ["moving hot spot, 4 members", 75],
    ["members dying and joining, Zipf, 40", 35],
    ["coordinator restarts empty every 20 s, each of 20 wants all", 45],
    ["failovers lose the last second, moving hot spot, 40", 45],
    ["coordinator away for 30 s, Zipf, 40", 70],
  ])("%s: keeps to the limit, and to the targets that it has", async (name, seconds) => {
    const scenario = named(name);
    const seed = 7;
    const { overshoot1s, overshoot10s, use, jain } = await play({ ...scenario, seconds }, evenkeel, seed);
    expect(overshoot1s, `seed ${seed}`).toBeLessThanOrEqual(scenario.overshootMax);
    expect(overshoot10s, `seed ${seed}`).toBeLessThanOrEqual(0.001);
    expect(use, `seed ${seed}`).toBeGreaterThan(scenario.useMin ?? 0.3);
    expect(jain, `seed ${seed}`).toBeGreaterThan(scenario.jainMin ?? 0.5);
  });

  it("a plain proportional share lets much more through when its coordinator restarts", async () => {
    const scenario = named("coordinator restarts empty every 20 s, each of 20 wants all");
    const { overshoot1s } = await play({ ...scenario, seconds: 45 }, proportional, 7);
    expect(overshoot1s).toBeGreaterThan(0.2);
  });
});
