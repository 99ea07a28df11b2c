import { type Exploration, explore } from "@evenkeel/simulation";
import { describe, expect, it } from "vitest";
import { groupModel } from "./support/explore/group-model.js";
import { type GroupName, groups } from "./support/explore/groups.js";

/**
 * Every interleaving of small groups of the shipped core, more than a million distinct states together.
 * `npm run explore -w @evenkeel/paxos -- --group reigns --states 50000000` goes further.
 */
describe("every interleaving", { timeout: 900_000 }, () => {
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
    const explored = look("prompt", 500_000);
    expect(explored.verdict).toBe("holds");
    expect(explored.states).toBeGreaterThan(50_000);
  });

  it("of leaders that crash and come back: the nearest 70,000 states", () => {
    expect(look("comebacks", 70_000).verdict).toBe("bound");
  });

  it("of a change of members, from a storage replica to a log replica, under two leaders: all", () => {
    const explored = look("members", 2_000_000);
    expect(explored.verdict).toBe("holds");
    expect(explored.states).toBeGreaterThan(200_000);
  });

  it("of the same with a crash, and of hand-overs with refusals: the nearest 50,000 states each", () => {
    expect(look("turmoil", 50_000).verdict).toBe("bound");
    expect(look("handovers", 50_000).verdict).toBe("bound");
  });

  it("of a state handed over to who holds another log, behind logs that are let go of, with a crash and a rival: all", () => {
    const explored = look("states", 100_000);
    expect(explored.verdict).toBe("holds");
    expect(explored.states).toBeGreaterThan(10_000);
  });

  it("of the same where who asks around is told where the logs of others begin: the nearest 50,000 states", () => {
    expect(look("edges", 50_000).verdict).toBe("bound");
  });

  it("of one that has forgotten a promise to a member that leaves, and asks until it knows that it has left: the nearest 10,000 and 30,000 states", () => {
    const found = (name: GroupName, statesMax: number, goal: string) => {
      const explored = explore(groupModel(groups[name]), { statesMax });
      expect(explored.verdict === "violation" ? explored.trace : "").toBe("");
      expect(Object.keys(explored.met)).toContain(goal);
    };
    found("doubts", 10_000, "the members have changed, as often as asked");
    found("departures", 30_000, "one in doubt is in none any more without a word of who has left");
  });

  it("of a newcomer that is known by its mark, and loses its disk at any point of becoming a member or after that: the nearest 60,000 states each", () => {
    const within = (name: GroupName, ...unmet: string[]) => {
      const explored = explore(groupModel(groups[name]), { statesMax: 60_000 });
      expect(explored.verdict === "violation" ? explored.trace : "").toBe("");
      expect(explored.unmet).toEqual(unmet);
      expect(explored.verdict).toBe("bound");
    };
    // Of two founders both are asked by whoever leads next, so there are no two logs of that kind.
    const twoLogs = "two lives of one name are members in two logs";
    within("newcomers", twoLogs);
    within("namesakes", twoLogs);
    // Two entries stand in two logs, and are never chosen both.
    within("twice", "the members have changed, as often as asked");
  });

  it("of leases on clocks as fast and as slow as is allowed: the nearest 70,000 states", () => {
    expect(look("leases", 70_000).verdict).toBe("bound");
  });

  it("of a client that asks two leaders for one command, again and again, and of reads of both: the nearest 30,000 states each", () => {
    expect(look("requests", 30_000).verdict).toBe("bound");
    expect(look("reads", 30_000).verdict).toBe("bound");
  });
});
