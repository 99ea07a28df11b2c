import { forEachSeed } from "@evenkeel/simulation";
import { describe, expect, it } from "vitest";
import { type BondId, Bonds, EMPTY_STATE, type Message, PaxosCore } from "../src/core/index.js";
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

describe("who is asked to sleep", () => {
  const options = { members: ["a", "b", "c"], random: () => 0, leaseMs: 100, heartbeatMs: 10, sleepAfterMs: 0 };
  const ballot = { round: 1, node: "a" };
  const stamp = { ballot, round: 1, sentMs: 0, chosenThrough: 0 };

  /** b, which has taken over a's log and knows all of it as chosen; a's node has beaten in one life or in two. */
  function follower(lives: readonly number[]) {
    const bonds = new Bonds({ life: 7, leaseMs: 100, heartbeatMs: 10, quorumLostMs: 200 }, 0);
    const core = new PaxosCore({ nodeId: "b", ...options }, EMPTY_STATE, 0, bonds);
    const hear = (message: Message) => core.step({ type: "message", from: "a", message, nowMs: 1 });
    const entries = [{ slot: 1, ballot, kind: "noop", command: new Uint8Array(0) } as const];
    bonds.receive("a", { life: 1, sentMs: 0, released: [] }, 1);
    const bond = bonds.heardFrom("a") as BondId;
    hear({ type: "sync", ...stamp, prevSlot: 0, prevBallot: { round: 0, node: "" }, entries });
    core.step({ type: "persisted", token: 1, nowMs: 1 });
    hear({ type: "heartbeat", ...stamp, round: 2, chosenThrough: 1 });
    for (const life of lives) bonds.receive("a", { life, sentMs: 0, released: [] }, 1);
    const asked = { type: "sleep", ...stamp, round: 3, chosenThrough: 1, logEnd: 1 } as const;
    return { core, hear, asked, bond };
  }

  it("sleeps, in the bond in which it was asked", () => {
    const { core, hear, asked, bond } = follower([1]);
    expect(hear({ ...asked, bond })).toContainEqual({
      type: "send",
      to: "a",
      message: { type: "asleep", ballot, round: 3, bond },
    });
    expect(core.asleep).toBe(true);
  });

  it("stays awake when the question is from before the leader's node was reborn: nobody would release it", () => {
    const { core, hear, asked, bond } = follower([1, 2]);
    hear({ ...asked, bond });
    expect(core.asleep).toBe(false);
    hear({ ...asked, round: 4 });
    expect(core.asleep).toBe(false);
  });
});

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
