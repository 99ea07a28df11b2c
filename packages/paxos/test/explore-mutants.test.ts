import { explore } from "@evenkeel/simulation";
import { describe, expect, it } from "vitest";
import { groupModel } from "./support/explore/group-model.js";
import { explorerMutants } from "./support/explore/mutants.js";

describe("the explorer catches a replica that", () => {
  for (const { name, caughtBy, group } of explorerMutants) {
    it(`${name}, by "${caughtBy}"`, { timeout: 600_000 }, () => {
      const explored = explore(groupModel(group), { statesMax: 200_000 });
      if (explored.verdict !== "violation")
        throw new Error(`not caught: ${explored.verdict}, ${explored.states} states`);
      expect(explored.invariant).toBe(caughtBy);
      if (process.env.PAXOS_MUTANTS !== undefined) process.stdout.write(`${name}: ${explored.trace}\n`);
    });
  }
});
