import { explore } from "@evenkeel/simulation";
import { describe, expect, it } from "vitest";
import { nightModel } from "./support/explore/night-model.js";
import { nightMutants } from "./support/explore/night-mutants.js";
import { type NightName, nights } from "./support/explore/nights.js";

/**
 * Every interleaving of a group that sleeps, on the shipped core and the shipped bonds. `npm run explore -w @evenkeel/paxos -- --night links --states 10000000` goes further.
 */
describe("every interleaving of a night", { timeout: 900_000 }, () => {
  const look = (name: NightName, statesMax: number) => {
    const explored = explore(nightModel(nights[name]), { statesMax });
    expect(explored.verdict === "violation" ? explored.trace : "").toBe("");
    return explored;
  };

  it.each([
    ["links", 15_000],
    ["woken", 20_000],
    ["deaths", 8000],
    ["reopened", 6000],
    ["handover", 6000],
  ] as const)("%s: the nearest %i states", (name, statesMax) => {
    expect(look(name, statesMax)).toMatchObject({ verdict: "bound", unmet: [] });
  });

  it("reads of a leader that is deposed, and of the next one: the nearest 6,000 states", () => {
    expect(look("reads", 6000).met).toHaveProperty("another holds a lease");
  });

  it("a group that is closed on its leader's node, which lives on: all", () => {
    expect(look("closed", 200_000)).toMatchObject({ verdict: "holds", unmet: [] });
  });

  it("what was said before it slept comes late: all, and nobody else leads", () => {
    expect(look("late", 200_000)).toMatchObject({
      verdict: "holds",
      unmet: ["another leads", "another holds a lease"],
    });
  });
});

describe("the explorer catches a replica that", () => {
  for (const { name, caughtBy, night } of nightMutants) {
    it(`${name}, by "${caughtBy}"`, { timeout: 600_000 }, () => {
      const explored = explore(nightModel(night), { statesMax: 100_000 });
      if (explored.verdict !== "violation") {
        throw new Error(`not caught: ${explored.verdict}, ${explored.states} states`);
      }
      expect(explored.invariant).toBe(caughtBy);
      if (process.env.PAXOS_MUTANTS !== undefined) process.stdout.write(`${name}: ${explored.trace}\n`);
    });
  }
});
