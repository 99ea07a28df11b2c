import { forEachSeed } from "@evenkeel/simulation";
import { describe, expect, it } from "vitest";
import { Violation } from "./support/observer.js";
import { sleepMutants } from "./support/sleep-mutants.js";
import { Sleepers, type SleepMutation } from "./support/sleepers.js";
import { Tally } from "./support/tally.js";

const only = process.env.PAXOS_SEED;
const count = Number(process.env.PAXOS_SEEDS ?? 150);
const mutantSeedsMax = 3000;
const replay = (seed: number) => `PAXOS_SEED=${seed} npx vitest run test/sleep.test.ts`;

const expected = [
  "leaders fell asleep",
  "followers fell asleep",
  "moments of leases while all sleep",
  "woken by propose",
  "woken by accept",
  "woken by heartbeat",
  "woken by preVote",
  "woken by resign",
  "woken by wake",
  "woken by read",
  "bonds lost in sleep",
  "bonds changed under a sleeping leader",
  "sleepers told that a reign is over",
];

function night(seed: number, tally: Tally, mutation?: SleepMutation): void {
  new Sleepers(seed, tally, mutation).run(6000);
}

describe("a group that sleeps", () => {
  it.runIf(only !== undefined)(`replay of seed ${only}`, () => {
    expect(() => night(Number(only), new Tally())).not.toThrow();
  });

  it.skipIf(only !== undefined)(
    `${count} nights: one lease at a time, everybody sleeps in the end, and wakes when the leader dies`,
    () => {
      const tally = new Tally();
      forEachSeed({ count, replay }, (seed) => night(seed, tally));
      expect(expected.filter((what) => !((tally.counts[what] as number) > 0))).toEqual([]);
    },
    60_000,
  );

  it.skipIf(only !== undefined).each(sleepMutants)(
    "a replica that $name is caught",
    (mutant) => {
      let caught: { seed: number; how: string } | undefined;
      for (let seed = mutant.firstSeed ?? 1; seed <= mutantSeedsMax && caught === undefined; seed++) {
        try {
          night(seed, new Tally(), mutant);
        } catch (error) {
          if (!(error instanceof Violation)) throw error;
          caught = { seed, how: error.message };
        }
      }
      expect(caught, `not caught within ${mutantSeedsMax} seeds`).toBeDefined();
      if (process.env.PAXOS_MUTANTS !== undefined)
        process.stdout.write(`${mutant.name}: seed ${caught?.seed}, ${caught?.how}\n`);
    },
    60_000,
  );
});
