import { describe, expect, it } from "vitest";
import type { Coordinator } from "../src/index.js";
import { Fleet, sum } from "./fleet.js";

const LIMIT = { ratePerSecond: 1000, burstSeconds: 1 };

describe("leases", () => {
  it("come back when their member was killed", async () => {
    const fleet = new Fleet(LIMIT, 1, { learnForMs: 0, leaseMs: 10_000 });
    const killed = fleet.join();
    const other = fleet.join();
    await fleet.load(6000, (router) => (router === 0 ? 2000 : 0));
    expect(killed.limit.stats().sharePerSecond).toBeGreaterThan(900);
    killed.line.mode = "down";
    await fleet.load(13_000, (router) => (router === 1 ? 2000 : 0));
    expect(other.limit.stats().sharePerSecond).toBe(1000);
  });

  it("come back at once when their member closes, saved tokens included", async () => {
    const fleet = new Fleet(LIMIT);
    const leaving = fleet.join();
    const staying = fleet.join();
    await fleet.time.pass(10_000);
    await leaving.admission.close();
    expect(fleet.coordinator.inspect("orders:write")).toMatchObject({ members: 1 });
    await staying.admission.settle();
    expect(staying.limit.stats()).toMatchObject({ sharePerSecond: 1000 });
    expect(staying.limit.stats().tokens).toBeCloseTo(1000, 6);
    expect(leaving.limit.tryTake(1)).toBe(false);
  });

  it("are gone for a member that was frozen past their end: it spends nothing until it has settled", async () => {
    const fleet = new Fleet(LIMIT);
    const frozen = fleet.join();
    await fleet.time.pass(5000);
    expect(frozen.limit.tryTake(1)).toBe(true);
    // SIGSTOP: the clock goes on, its timers do not fire.
    fleet.time.nowMs += 60_000;
    expect(frozen.limit.stats().mode).toBe("lapsed");
    expect(frozen.limit.tryTake(1)).toBe(false);
    expect(frozen.limit.has(0.001)).toBe(false);
    frozen.limit.refund(100);
    expect(frozen.limit.tryTake(1)).toBe(false);
    await frozen.admission.settle();
    expect(frozen.limit.stats().mode).toBe("lease");
    expect(frozen.limit.tryTake(1)).toBe(true);
  });

  it("are not taken up when their answer comes after their end", async () => {
    const fleet = new Fleet(LIMIT, 1, { learnForMs: 0, leaseMs: 1000 });
    const slow = fleet.join({ whenAway: "deny", settleEveryMs: 60_000, settleTimeoutMs: 60_000 });
    await fleet.time.pass(1);
    const settle = slow.line.settle.bind(slow.line);
    slow.line.settle = async (...args) => {
      const grants = await settle(...args);
      await new Promise<void>((resolve) => fleet.time.timer(5000, resolve));
      return grants;
    };
    await fleet.time.pass(30_000);
    expect(slow.admission.stats().failures).toBeGreaterThan(0);
    expect(slow.limit.tryTake(1)).toBe(false);
  });

  it("last no longer when the member's clock steps back an hour, and no shorter", async () => {
    const fleet = new Fleet(LIMIT);
    let aheadMs = 3_600_000;
    const router = fleet.join({ now: () => fleet.time.nowMs + aheadMs });
    await fleet.time.pass(1000);
    router.line.mode = "down";
    const remainingMs = router.limit.stats().leaseRemainingMs;
    aheadMs = 0;
    expect(router.limit.stats().leaseRemainingMs).toBeCloseTo(remainingMs, 3);
    await fleet.time.pass(remainingMs - 1);
    expect(router.limit.stats().mode).toBe("lease");
    await fleet.time.pass(2);
    expect(router.limit.stats().mode).toBe("policy");
  });

  it("are followed by the policy, and demand is measured, as if the member's clock had not stepped back an hour", async () => {
    const fleet = new Fleet(LIMIT);
    let aheadMs = 3_600_000;
    let isAway = false;
    const coordinator: Coordinator = {
      settle: async (settlements) => {
        if (isAway) throw new Error("away");
        const share = {
          lease: "1",
          ratePerSecond: 10,
          tokensTotal: 0,
          leaseMs: 10_000,
          evenPerSecond: 500,
          short: false,
        };
        return settlements.map(({ limit, sequence }) => ({ limit, sequence, ...share }));
      },
    };
    const { limit, admission } = fleet.join({ coordinator, now: () => fleet.time.nowMs + aheadMs });
    await fleet.time.pass(5000);
    aheadMs = 0;
    for (let i = 0; i < 8; i += 1) {
      expect(limit.tryTake(1)).toBe(true);
      await fleet.time.pass(125);
    }
    await admission.settle();
    expect(limit.stats().wantedPerSecond).toBeGreaterThan(2);
    isAway = true;
    while (limit.stats().mode === "lease") await fleet.time.pass(100);
    aheadMs = -3_600_000;
    const earnedInASecond = async () => {
      while (limit.tryTake(1)) {}
      const before = limit.stats().tokens;
      await fleet.time.pass(1000);
      return limit.stats().tokens - before;
    };
    // No more than the lease was for as long as other leases may last; then what the policy says.
    expect(await earnedInASecond()).toBeCloseTo(10, 3);
    await fleet.time.pass(12_000);
    expect(await earnedInASecond()).toBeCloseTo(50, 3);
  });

  it("are no longer where the member's clock steps back while they are on the way", async () => {
    const fleet = new Fleet(LIMIT);
    let aheadMs = 3_600_000;
    const router = fleet.join({ now: () => fleet.time.nowMs + aheadMs });
    const settle = router.line.settle.bind(router.line);
    router.line.settle = async (...args) => {
      const grants = await settle(...args);
      aheadMs = 0;
      return grants;
    };
    await fleet.time.pass(1);
    expect(router.limit.stats().leaseRemainingMs).toBeLessThanOrEqual(10_000);
  });

  it("hand over what was saved when they shrink", async () => {
    const fleet = new Fleet({ ratePerSecond: 1, burstSeconds: 1000 });
    const first = fleet.join();
    await fleet.time.pass(1);
    expect(first.limit.stats().tokens).toBeCloseTo(1000, 1);
    const second = fleet.join();
    await fleet.time.pass(10_000);
    expect(second.limit.stats().tokens).toBeGreaterThan(100);
  });

  it("bring what was saved, less what was spent without one, and not less what was spent before", async () => {
    const fleet = new Fleet(LIMIT);
    let lease: string | undefined = "1";
    let holdsPerSecond = 0;
    const coordinator: Coordinator = {
      settle: async (settlements) => {
        if (lease === undefined) throw new Error("away");
        holdsPerSecond = settlements[0]?.holdsPerSecond ?? 0;
        const share = {
          lease,
          ratePerSecond: 100,
          tokensTotal: 100,
          leaseMs: 10_000,
          evenPerSecond: 500,
          short: false,
        };
        return settlements.map(({ limit, sequence }) => ({ limit, sequence, ...share }));
      },
    };
    const { limit, admission } = fleet.join({ coordinator });
    await fleet.time.pass(1);
    expect(limit.tryTake(60)).toBe(true);
    lease = undefined;
    await fleet.time.pass(20_000);
    expect(limit.stats().mode).toBe("policy");
    expect(limit.tryTake(5)).toBe(true);
    lease = "2";
    await admission.settle();
    expect(limit.stats().tokens).toBeCloseTo(95, 6);
    expect(holdsPerSecond, "what the policy went on spending is nobody else's yet").toBe(50);
  });

  it("are charged with what was spent while the first answer was on its way", async () => {
    const fleet = new Fleet(LIMIT);
    const share = { lease: "1", ratePerSecond: 100, tokensTotal: 20, leaseMs: 10_000, evenPerSecond: 1, short: false };
    const coordinator: Coordinator = {
      settle: async (settlements) => settlements.map(({ limit, sequence }) => ({ limit, sequence, ...share })),
    };
    const { limit } = fleet.join({ coordinator });
    expect(limit.tryTake(50)).toBe(true);
    await fleet.time.pass(0);
    expect(limit.stats()).toMatchObject({ mode: "lease", tokens: -30 });
  });

  it("give no more than the whole limit as the member knows it, whatever is granted", async () => {
    const fleet = new Fleet(LIMIT);
    const share = {
      lease: "1",
      ratePerSecond: 5000,
      tokensTotal: 5000,
      leaseMs: 10_000,
      evenPerSecond: 1,
      short: false,
    };
    const coordinator: Coordinator = {
      settle: async (settlements) => settlements.map(({ limit, sequence }) => ({ limit, sequence, ...share })),
    };
    const { limit } = fleet.join({ coordinator });
    await fleet.time.pass(1);
    expect(limit.stats()).toMatchObject({ mode: "lease", sharePerSecond: 1000, tokens: 1000 });
  });

  it("agree between clocks that are five seconds, or a year, apart", async () => {
    const fleet = new Fleet(LIMIT);
    for (const apartMs of [-5000, 0, 5000, 3.2e10]) fleet.join({ now: () => fleet.time.nowMs + apartMs });
    await fleet.load(5000, () => 1000);
    const admitted = await fleet.load(5000, () => 1000);
    for (const counts of admitted) expect(sum(counts) / 5).toBeCloseTo(250, -1);
  });

  it("are two when two members have one name", async () => {
    const fleet = new Fleet(LIMIT);
    fleet.join({ member: "twin" });
    fleet.join({ member: "twin" });
    await fleet.load(5000, () => 2000);
    const admitted = await fleet.load(5000, () => 2000);
    for (const counts of admitted) expect(sum(counts) / 5).toBeCloseTo(500, -1);
  });
});

describe("settlement is idempotent", () => {
  const settlement = {
    limit: "l",
    member: "m",
    incarnation: "1",
    sequence: 5,
    weight: 1,
    guaranteedPerSecond: 0,
    ...LIMIT,
    wantedPerSecond: 100,
    holdsPerSecond: 0,
    usedTotal: 0,
    returnedTotal: 0,
    closing: false,
  };

  it("answers a settlement that comes twice, or late, as before, and changes nothing", () => {
    const { coordinator } = new Fleet(LIMIT);
    const [first] = coordinator.settleNow([settlement]);
    expect(first).toMatchObject({ sequence: 5, ratePerSecond: 1000, tokensTotal: 1000 });
    expect(coordinator.settleNow([settlement])).toEqual([first]);
    expect(coordinator.settleNow([{ ...settlement, sequence: 4, wantedPerSecond: 7, returnedTotal: 900 }])).toEqual([
      first,
    ]);
    expect(coordinator.inspect("l")).toEqual({ members: 1, outstandingPerSecond: 1000 });
  });

  it("hands saved tokens over once, however many answers are lost", async () => {
    const fleet = new Fleet(LIMIT);
    const router = fleet.join({ whenAway: "deny" });
    router.line.mode = "lose-replies";
    await fleet.time.pass(9000);
    expect(router.line.settlements).toBeGreaterThan(3);
    expect(router.limit.tryTake(1)).toBe(false);
    router.line.mode = "up";
    await router.admission.settle();
    expect(router.limit.stats().tokens).toBeCloseTo(1000, 6);
    expect(router.limit.tryTake(1000)).toBe(true);
    await fleet.time.pass(0);
    await router.admission.settle();
    expect(router.limit.tryTake(1)).toBe(false);
  });

  it("does not bring back a share that a settlement older than the last one asked for", () => {
    const { coordinator } = new Fleet(LIMIT);
    coordinator.settleNow([settlement]);
    coordinator.settleNow([{ ...settlement, incarnation: "2" }]);
    coordinator.settleNow([{ ...settlement, sequence: 6, closing: true }]);
    expect(coordinator.inspect("l")?.members).toBe(1);
    // The old one, delayed on its way, looks like a new member; its lease ends by itself.
    coordinator.settleNow([settlement]);
    expect(coordinator.inspect("l")?.outstandingPerSecond).toBeLessThanOrEqual(1000);
  });
});
