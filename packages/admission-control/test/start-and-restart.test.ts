import { describe, expect, it } from "vitest";
import { Admission, memoryCoordinator } from "../src/index.js";
import { Fleet, StagedTime, sum } from "./fleet.js";

const LIMIT = { ratePerSecond: 1000, burstSeconds: 1 };

describe("a fresh start", () => {
  it("serves its first requests in the same turn, also while the coordinator learns", () => {
    const admission = new Admission({ coordinator: memoryCoordinator(), member: "only" });
    const limit = admission.limit("orders:write", LIMIT);
    expect(limit.stats().mode).toBe("lease");
    for (let i = 0; i < 50; i += 1) expect(limit.tryTake(1)).toBe(true);
    const tiny = admission.limit("tiny:read", { ratePerSecond: 1, burstSeconds: 1 });
    expect(tiny.tryTake(1)).toBe(true);
  });

  it("has all of the limit at once where nobody can hold an older lease", () => {
    const admission = new Admission({ coordinator: memoryCoordinator({ learnForMs: 0 }), member: "only" });
    const limit = admission.limit("orders:write", LIMIT);
    expect(limit.stats()).toMatchObject({ sharePerSecond: 1000, mode: "lease" });
    expect(limit.tryTake(1000)).toBe(true);
    expect(limit.tryTake(10)).toBe(false);
  });

  it("serves before the first answer of a coordinator that is far away, and charges that to the lease", async () => {
    const fleet = new Fleet(LIMIT);
    const { limit, admission } = fleet.join();
    expect(limit.stats().mode).toBe("policy");
    expect(limit.tryTake(30)).toBe(true);
    await admission.settle();
    expect(limit.stats().tokens).toBeCloseTo(970, 6);
  });

  it("has the whole limit after one lease of learning", async () => {
    const time = new StagedTime();
    const coordinator = memoryCoordinator({ now: time.now, leaseMs: 10_000 });
    const admission = new Admission({ coordinator, member: "only", now: time.now, timer: time.timer });
    const limit = admission.limit("orders:write", LIMIT);
    expect(limit.stats().sharePerSecond).toBe(50);
    await time.pass(9000);
    expect(limit.stats().sharePerSecond).toBe(50);
    await time.pass(4000);
    expect(limit.stats().sharePerSecond).toBe(1000);
  });

  it("is shared by all who start in the same second", async () => {
    const fleet = new Fleet(LIMIT, 1, {});
    for (let i = 0; i < 10; i += 1) fleet.join({ whenAway: "deny" });
    const learning = await fleet.load(5000, () => 1000);
    expect(sum(learning.map(sum))).toBeLessThanOrEqual(5 * 50 + 50);
    expect(sum(learning.map(sum))).toBeGreaterThan(100);
    await fleet.load(10_000, () => 1000);
    const after = await fleet.load(5000, () => 1000);
    expect(sum(after.map(sum))).toBeGreaterThan(5 * 990);
  });
});

describe("a fleet that starts again under a running coordinator", () => {
  it("finds its own old leases in the way, and has the whole limit when they have ended", async () => {
    const fleet = new Fleet(LIMIT);
    for (let i = 0; i < 4; i += 1) fleet.join();
    await fleet.load(6000, () => 1000);
    // Killed, all in one second, and started again under the same names.
    for (const { line } of fleet.routers) line.mode = "down";
    fleet.routers.length = 0;
    for (let i = 0; i < 4; i += 1) fleet.join({ member: `router-${i + 1}`, whenAway: "deny" });
    const inTheWay = await fleet.load(9000, () => 1000);
    expect(sum(inTheWay.map(sum))).toBeLessThanOrEqual(9 * 1000 + 1000);
    await fleet.load(5000, () => 1000);
    const after = await fleet.load(5000, () => 1000);
    expect(sum(after.map(sum))).toBeGreaterThan(5 * 990);
    expect(sum(after.map(sum))).toBeLessThanOrEqual(5 * 1000 + 10);
  });

  it("is remembered for a while after its last lease: members may be on their policies, and come back", () => {
    let nowMs = 0;
    const coordinator = memoryCoordinator({ now: () => nowMs, leaseMs: 1000, learnForMs: 1000 });
    const settlement = { member: "m", incarnation: "1", sequence: 1, wantedPerSecond: 1, weight: 1, closing: false };
    const totals = { guaranteedPerSecond: 0, holdsPerSecond: 0, usedTotal: 0, returnedTotal: 0 };
    const settle = (name: string, at: number) => {
      nowMs = at;
      const limit = { limit: name, ratePerSecond: 1000, burstSeconds: 0.1 };
      for (let i = 0; i < 3; i += 1) coordinator.settleNow([{ ...settlement, ...totals, ...limit }]);
    };
    settle("orders", 0);
    settle("others", 1999);
    expect(coordinator.inspect("orders")).toBeDefined();
    settle("others", 2001);
    expect(coordinator.inspect("orders")).toBeUndefined();
  });

  it("serves at once after its process was stopped for a minute, coordinator and all", async () => {
    const time = new StagedTime();
    const coordinator = memoryCoordinator({ now: time.now, learnForMs: 0 });
    const admission = new Admission({ coordinator, member: "only", now: time.now, timer: time.timer });
    const limit = admission.limit("orders:write", LIMIT);
    expect(limit.tryTake(1000)).toBe(true);
    time.nowMs += 60_000;
    expect(limit.tryTake(1000)).toBe(true);
    expect(limit.tryTake(1)).toBe(false);
  });
});

describe("a coordinator that starts empty under a running fleet", () => {
  it("lets nobody overshoot, and nobody starve", async () => {
    const fleet = new Fleet(LIMIT);
    for (let i = 0; i < 4; i += 1) fleet.join();
    const perSecond = (router: number) => [900, 300, 30, 0][router] as number;
    await fleet.load(10_000, perSecond);
    for (let restart = 0; restart < 3; restart += 1) {
      fleet.restartCoordinator();
      const admitted = await fleet.load(8000, perSecond);
      for (let second = 0; second < 8; second += 1) {
        const inSecond = sum(admitted.map((counts) => sum(counts.slice(second * 10, second * 10 + 10))));
        expect(inSecond).toBeLessThanOrEqual(1000 * 1.01);
        expect(inSecond).toBeGreaterThan(900);
      }
    }
  });

  it("grants newcomers a small part only, until all older leases must have ended", async () => {
    const fleet = new Fleet(LIMIT);
    const old = fleet.join();
    await fleet.load(5000, () => 2000);
    fleet.restartCoordinator();
    // The newcomer settles first: the coordinator has not heard of the old lease yet.
    const newcomer = fleet.join({ whenAway: "deny" });
    await newcomer.admission.settle();
    expect(newcomer.limit.stats().sharePerSecond).toBe(50);
    await fleet.load(5000, () => 2000);
    expect(newcomer.limit.stats().sharePerSecond).toBe(50);
    expect(old.limit.stats().sharePerSecond).toBeGreaterThan(900);
    await fleet.load(15_000, () => 2000);
    expect(newcomer.limit.stats().sharePerSecond).toBeCloseTo(500, -1);
  });

  it("adds no more than its small part when two coordinators own one limit for a while", async () => {
    const fleet = new Fleet(LIMIT);
    for (let i = 0; i < 4; i += 1) fleet.join();
    await fleet.load(6000, () => 1000);
    const second = memoryCoordinator({ now: fleet.time.now });
    for (const { line } of fleet.routers.slice(2)) line.behind = second;
    const split = await fleet.load(8000, () => 1000);
    expect(sum(split.map(sum))).toBeLessThanOrEqual(8 * 1000 * 1.01);
    for (const { line } of fleet.routers) line.behind = second;
    const after = await fleet.load(8000, () => 1000);
    expect(sum(after.map(sum))).toBeLessThanOrEqual(8 * 1000 * 1.01);
    expect(sum(after.map(sum))).toBeGreaterThan(8 * 1000 * 0.9);
  });
});
