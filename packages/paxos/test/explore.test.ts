import { type Exploration, explore } from "@evenkeel/simulation";
import { describe, expect, it } from "vitest";
import { groupModel } from "./support/explore/group-model.js";
import { type GroupName, groups } from "./support/explore/groups.js";

/**
 * Every interleaving of small groups of the shipped core. The counts are pinned: they change with the protocol, and a change that nobody meant shows.
 * `npm run explore -w @evenkeel/paxos -- --group reigns --states 50000000` goes further.
 */
describe("every interleaving", { timeout: 120_000 }, () => {
  const look = (name: GroupName, statesMax: number): Exploration<readonly number[], number> => {
    const explored = explore(groupModel(groups[name]), { statesMax });
    expect(explored.verdict === "violation" ? explored.trace : "").toBe("");
    expect(explored.unmet).toEqual([]);
    return explored;
  };

  it("of two that compete to lead, slow disks, lost, doubled and reordered messages and a crash: the nearest 500,000 states", () => {
    const explored = look("reigns", 500_000);
    expect(explored.verdict).toBe("bound");
    expect(explored.depth).toBeGreaterThanOrEqual(17);
  });

  it("of the same with prompt disks: all", () => {
    expect(look("prompt", 500_000)).toMatchObject({ verdict: "holds", states: 96_520 });
  });

  it("of leaders that crash and come back: the nearest 150,000 states", () => {
    expect(look("comebacks", 150_000).verdict).toBe("bound");
  });

  it("of a change of members, from a storage replica to a log replica, under two leaders: all", () => {
    expect(look("members", 500_000)).toMatchObject({ verdict: "holds", states: 309_306 });
  });

  it("of the same with a crash, and of hand-overs with refusals: the nearest 100,000 states each", () => {
    expect(look("turmoil", 100_000).verdict).toBe("bound");
    expect(look("handovers", 100_000).verdict).toBe("bound");
  });

  it("of leases on clocks as fast and as slow as is allowed: the nearest 150,000 states", () => {
    expect(look("leases", 150_000).verdict).toBe("bound");
  });
});
