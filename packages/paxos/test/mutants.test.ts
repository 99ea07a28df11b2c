import { describe, expect, it, vi } from "vitest";
import { BALLOT_ZERO, type Standing } from "../src/core/index.js";
import type { Membership } from "../src/core/quorum.js";
import type { CoreHooks } from "./support/core-hooks.js";
import { forgottenPromise } from "./support/forgotten-promise.js";
import { firstSeeds, type Mutant, mutants } from "./support/mutants.js";
import { rivalChanges, staleCandidate } from "./support/rival-changes.js";
import { runScenario } from "./support/scenario.js";

const SEEDS_MAX = Number(process.env.PAXOS_SEEDS ?? 1500);

/** What the mutant at hand has broken inside the core. */
const broken = vi.hoisted(() => ({ hooks: {} as Partial<CoreHooks> }));

vi.mock("../src/core/members.js", async (original) => {
  const shipped = await original<typeof import("../src/core/members.js")>();
  return {
    ...shipped,
    refusal: (change: Parameters<typeof shipped.refusal>[0]) =>
      broken.hooks.refusal === undefined ? shipped.refusal(change) : broken.hooks.refusal(change, shipped.refusal),
  };
});

vi.mock("../src/core/quorum.js", async (original) => {
  const shipped = await original<typeof import("../src/core/quorum.js")>();
  let counted: ReadonlySet<string> | undefined;
  return {
    ...shipped,
    quorumsMeet: (...pair: Parameters<typeof shipped.quorumsMeet>) =>
      (broken.hooks.quorumsMeet ?? shipped.quorumsMeet)(...pair),
    membership: (...given: Parameters<typeof shipped.membership>): Membership => {
      const one = shipped.membership(...given);
      return broken.hooks.everybodyLeads ? { ...one, mayLead: one.members.includes(one.self) } : one;
    },
    isQuorum: (members: Membership, nodes: ReadonlySet<string>) => {
      // A candidate counts the same promises twice: under its own log, then under the one that it adopts. Who asks around counts one growing set.
      const same = counted?.size === nodes.size && [...nodes].every((node) => counted?.has(node));
      const again = same && counted !== nodes && nodes.size > 1;
      counted = again ? undefined : nodes;
      return (broken.hooks.countsAgain === false && again) || shipped.isQuorum(members, nodes);
    },
  };
});

vi.mock("../src/core/replica.js", async (original) => {
  const shipped = await original<typeof import("../src/core/replica.js")>();
  class Replica extends shipped.Replica {
    override shedTail(bytesMax: number): number {
      // Its own bound it keeps to as it should.
      if (broken.hooks.shedsUnchosen === true && bytesMax !== this.tailBytesMax) this.log.shed(this.log.end, bytesMax);
      return super.shedTail(bytesMax);
    }
  }
  return { ...shipped, Replica };
});

vi.mock("../src/core/doubt.js", async (original) => {
  const shipped = await original<typeof import("../src/core/doubt.js")>();
  class Doubt extends shipped.Doubt {
    override get over() {
      return (broken.hooks.doubt === "helps anybody" && !this.open) || super.over;
    }

    override get raised() {
      return broken.hooks.doubt === "promises nothing" ? BALLOT_ZERO : super.raised;
    }

    override onStanding(from: string, message: Standing) {
      super.onStanding(from, message);
      if (broken.hooks.doubt !== "asks a quorum" || !this.open) return;
      // Of three: who is not asked any more has nothing to say.
      const nothing = { ...message, promised: BALLOT_ZERO, accepted: BALLOT_ZERO, logEnd: 0 };
      for (const other of message.members) if (other !== from) super.onStanding(other, nothing);
    }
  }
  return { ...shipped, Doubt };
});

vi.mock("../src/core/configurations.js", async (original) => {
  const shipped = await original<typeof import("../src/core/configurations.js")>();
  class Configurations extends shipped.Configurations {
    override since(slot: number) {
      return broken.hooks.asksNewest === true ? [this.current] : super.since(slot);
    }
  }
  return { ...shipped, Configurations };
});

/** The first seed whose run fails, of those that are worth a look, and how. */
function caught({ name, mutation, hooks, ...scenario }: Mutant): { seed: number; how: string } | undefined {
  broken.hooks = hooks ?? {};
  for (let seed = firstSeeds[name] ?? 1; seed <= SEEDS_MAX; seed++) {
    try {
      runScenario({ seed, mutation, ...scenario });
    } catch (error) {
      return { seed, how: error instanceof Error ? error.message : String(error) };
    }
  }
  return undefined;
}

describe("the simulation catches", { timeout: 600_000 }, () => {
  it.each(mutants)("a replica that $name", (mutant) => {
    const found = caught(mutant);
    expect(found, `not caught within ${SEEDS_MAX} seeds`).toBeDefined();
    if (process.env.PAXOS_MUTANTS !== undefined)
      process.stdout.write(`${mutant.name}: seed ${found?.seed}, ${found?.how.slice(0, 300)}\n`);
  });
});

describe("a staged encounter catches", () => {
  it("a replica that 'does not count again under the log that it adopts'", () => {
    broken.hooks = { countsAgain: false };
    expect(staleCandidate().length).toBeGreaterThan(0);
    broken.hooks = {};
    expect(staleCandidate()).toEqual([]);
  });

  it("an acceptor in doubt that 'asks only whom the newest configurations name'", () => {
    broken.hooks = { asksNewest: true };
    expect(forgottenPromise().length).toBeGreaterThan(0);
    broken.hooks = {};
    expect(forgottenPromise()).toEqual([]);
  });

  it("a replica that 'changes members before anything of its own reign is chosen (no G2)'", () => {
    broken.hooks = { refusal: (change, shipped) => shipped({ ...change, reignBegun: true }) };
    expect(rivalChanges().contradictions.length).toBeGreaterThan(0);
    broken.hooks = {};
    expect(rivalChanges()).toEqual({ refusals: ["unchosen"], contradictions: [] });
  });
});
