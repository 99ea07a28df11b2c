import { describe, expect, it } from "vitest";
import { TableTop } from "./support/table-top.js";

const three = ["a1", "b1", "c1"];

/** Nobody hears a1, nor a1 anybody. */
const without =
  (node: string) =>
  ({ from, to }: { from: string; to: string }) =>
    from !== node && to !== node;

describe("clocks", () => {
  it("20 % fast on the followers, and the leader's right: its lease is over before anybody else leads", () => {
    const table = new TableTop(three, { leaseMs: 300, clockDriftMax: 0.1, electionJitterMs: 1, voteTimeoutMs: 10 });
    table.elect("a1");
    table.passes = without("a1");
    const beganMs = table.nowMs;
    const next = () => ["b1", "c1"].find((node) => table.core(node).leading);
    while (next() === undefined) {
      table.nowMs += 1;
      expect(table.nowMs).toBeLessThan(beganMs + 2000);
      // A message is judged by the hearer's own clock, which never goes back: so theirs is ahead there, too.
      const fastMs = beganMs + 1.2 * (table.nowMs - beganMs);
      for (const node of ["b1", "c1"]) table.step(node, { type: "tick", nowMs: fastMs });
    }
    // Sooner than a lease by the right clock, and later than the leader counts on.
    expect(table.nowMs - beganMs).toBeLessThan(300);
    expect(table.core("a1").leaseRemainingMs(table.nowMs)).toBe(0);
  });

  it.each([
    ["an hour ahead", 3_600_000],
    ["an hour back", -3_600_000],
  ])("%s on one node: nobody is deposed, and there is one lease", (_, byMs) => {
    const table = new TableTop(three);
    table.elect("a1");
    const { promised } = table.core("a1");
    for (let round = 0; round < 200; round++) {
      table.advance(5, ["a1", "b1"]);
      table.step("c1", { type: "tick", nowMs: table.nowMs + byMs });
    }
    expect(table.core("a1").promised).toEqual(promised);
    expect(table.core("a1").leaseRemainingMs(table.nowMs)).toBeGreaterThan(0);
    expect(three.filter((node) => table.core(node).leading)).toEqual(["a1"]);
  });

  it("that stand still on a follower depose nobody; on the leader the others have another", () => {
    const table = new TableTop(three);
    table.elect("a1");
    table.advance(2000, ["a1", "b1"]);
    expect(table.core("a1").leading).toBe(true);
    table.advance(2000, ["b1", "c1"]);
    expect(["b1", "c1"].filter((node) => table.core(node).ready).length).toBe(1);
  });

  it("of a leader that was suspended for ten leases and wakes up as if it still led: it answers nothing", () => {
    const table = new TableTop(three, { leaseMs: 300 });
    table.elect("a1");
    table.propose("a1", 1);
    // What is said to it meanwhile waits; what it says first is what it was about to say.
    table.passes = without("a1");
    table.advance(3000, ["b1", "c1"]);
    const next = ["b1", "c1"].find((node) => table.core(node).ready) as string;
    table.propose(next, 2);
    expect(table.core("a1").leading).toBe(true);
    table.read("a1", 7);
    table.propose("a1", 3);
    table.passes = () => true;
    table.advance(500);
    expect(table.of("a1", "readable").some(({ id }) => id === 7)).toBe(false);
    expect(table.of("a1", "rejected").map(({ id }) => id)).toContain(7);
    expect(table.core("a1").leading).toBe(false);
    const commands = table.of("b1", "chosen").flatMap(({ entries }) => entries.flatMap(({ command }) => [...command]));
    expect(commands).toEqual([1, 2]);
  });
});

describe("a leader that is cut off", () => {
  it("from its clients and not from its followers leads on: who asks elsewhere is told so, and a hand-over brings them together", () => {
    const table = new TableTop(three);
    table.elect("a1");
    // Clients reach b1 and c1 only.
    table.advance(3000);
    table.propose("b1", 1);
    table.read("c1", 2);
    for (const node of ["b1", "c1"]) {
      expect(table.of(node, "rejected").at(-1)).toMatchObject({ reason: "not-leader", leader: "a1" });
    }
    expect(table.core("a1").leading).toBe(true);
    table.step("a1", { type: "handOver", to: "b1", nowMs: table.nowMs });
    table.advance(100);
    expect(table.core("b1").ready).toBe(true);
    table.propose("b1", 3);
    table.read("b1", 4);
    expect(table.of("b1", "chosen").flatMap(({ entries }) => entries.flatMap(({ command }) => [...command]))).toEqual([
      3,
    ]);
    expect(table.of("b1", "readable").map(({ id }) => id)).toEqual([4]);
  });

  it("from its followers and not from its clients acknowledges nothing more, and says so before long", () => {
    const table = new TableTop(three, { leaseMs: 300, quorumLostMs: 600 });
    table.elect("a1");
    table.propose("a1", 1);
    table.passes = without("a1");
    const { chosenThrough } = table.core("a1");
    for (let id = 2; id < 200; id++) {
      table.propose("a1", id);
      table.read("a1", 1000 + id);
      const leased = table.core("a1").leaseRemainingMs(table.nowMs) > 0;
      expect(table.of("a1", "readable").some((read) => read.id === 1000 + id)).toBe(leased);
      table.advance(5);
    }
    expect(table.core("a1").chosenThrough).toBe(chosenThrough);
    expect(table.core("a1").leading).toBe(false);
    expect(table.of("a1", "leadership").at(-1)).toMatchObject({ leading: false });
    expect(["b1", "c1"].filter((node) => table.core(node).ready).length).toBe(1);
    // Back again, it takes over what was chosen without it, and what it had taken in vain is gone.
    table.passes = () => true;
    table.advance(1000);
    expect(table.core("a1").chosenThrough).toBe(table.core("b1").chosenThrough);
    expect(table.of("b1", "chosen").flatMap(({ entries }) => entries.flatMap(({ command }) => [...command]))).toEqual([
      1,
    ]);
  });
});
