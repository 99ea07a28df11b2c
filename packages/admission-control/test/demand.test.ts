import { describe, expect, it } from "vitest";
import { Fleet, sum } from "./fleet.js";

const LIMIT = { ratePerSecond: 10_000, burstSeconds: 1 };

describe("shares follow demand", () => {
  it("gives the member with all the traffic nearly all of the limit", async () => {
    const fleet = new Fleet(LIMIT);
    for (let i = 0; i < 4; i += 1) fleet.join();
    await fleet.load(6000, (router) => (router === 2 ? 9500 : 0));
    const [admitted] = [(await fleet.load(4000, (router) => (router === 2 ? 9500 : 0)))[2] as number[]];
    expect(sum(admitted)).toBeGreaterThanOrEqual(4 * 9500 - 1);
    expect(fleet.routers[2]?.limit.stats().sharePerSecond).toBeGreaterThan(9500);
  });

  it("hands over within about a settlement when another member becomes the hot one", async () => {
    const fleet = new Fleet(LIMIT);
    for (let i = 0; i < 4; i += 1) fleet.join();
    await fleet.load(6000, (router) => (router === 0 ? 20_000 : 0));
    const admitted = await fleet.load(6000, (router) => (router === 3 ? 20_000 : 0));
    // A settlement of the old one (2.4 s at most), and one of the new one right after.
    const afterHandover = (admitted[3] as number[]).slice(30);
    expect(sum(afterHandover)).toBeGreaterThan(3 * 10_000 * 0.85);
  });

  it("is even among members that all want more than there is, and lets the modest have what they want", async () => {
    const fleet = new Fleet(LIMIT);
    for (let i = 0; i < 5; i += 1) fleet.join();
    const perSecond = (router: number) => (router === 0 ? 400 : 20_000);
    await fleet.load(10_000, perSecond);
    const admitted = (await fleet.load(10_000, perSecond)).map((counts) => sum(counts) / 10);
    expect(admitted[0]).toBeGreaterThan(396);
    for (const perSecondSeen of admitted.slice(1)) expect(perSecondSeen).toBeCloseTo(2400, -2);
  });

  it("keeps up with a hot spot that moves every five seconds", async () => {
    const fleet = new Fleet(LIMIT);
    for (let i = 0; i < 6; i += 1) fleet.join();
    const admitted = await fleet.load(60_000, (router, nowMs) =>
      Math.floor(nowMs / 5000) % 6 === router ? 9000 : 100,
    );
    expect(sum(admitted.map(sum))).toBeGreaterThan(60 * 9500 * 0.7);
    expect(sum(admitted.map(sum))).toBeLessThanOrEqual(60 * 10_000 + 10_000);
  });

  it("holds four members, then four hundred", async () => {
    const fleet = new Fleet({ ratePerSecond: 4000, burstSeconds: 1 });
    for (let i = 0; i < 4; i += 1) fleet.join();
    await fleet.load(3000, () => 2000);
    while (fleet.routers.length < 400) fleet.join({ whenAway: "deny" });
    const admitted = await fleet.load(15_000, () => 20);
    const each = fleet.routers.map((_, i) => sum((admitted[i] as number[]).slice(100)) / 5);
    expect(sum(each)).toBeGreaterThan(4000 * 0.9);
    expect(sum(each)).toBeLessThanOrEqual(4000 * 1.01);
    expect(Math.min(...each)).toBeGreaterThan(5);
  });

  it("takes demands that make no sense for what they can at most mean", async () => {
    const { coordinator } = new Fleet(LIMIT);
    const settlement = {
      weight: 1,
      guaranteedPerSecond: 0,
      member: "m",
      sequence: 1,
      ...LIMIT,
      holdsPerSecond: 0,
      usedTotal: 0,
      returnedTotal: 0,
      closing: false,
    };
    const wishes = [Number.NaN, -1, 1e308, Number.POSITIVE_INFINITY, 0];
    const grants = wishes.map(
      (wantedPerSecond, i) =>
        coordinator.settleNow([{ ...settlement, limit: "l", incarnation: `${i}`, wantedPerSecond }])[0],
    );
    expect(sum(grants.map((grant) => grant?.ratePerSecond ?? Number.NaN))).toBeLessThanOrEqual(10_000);
    expect(
      coordinator.settleNow([
        { ...settlement, limit: "x", incarnation: "a", wantedPerSecond: 1, ratePerSecond: Number.NaN },
      ]),
    ).toEqual([]);
    expect(
      coordinator.settleNow([
        { ...settlement, limit: "x", incarnation: "a", wantedPerSecond: 1, returnedTotal: Number.NaN },
      ]),
    ).toEqual([]);
  });
});

describe("the limit changes while leases are out", () => {
  it("is cut to a tenth: at once where it was changed, everywhere within a settlement or two", async () => {
    const fleet = new Fleet(LIMIT);
    for (let i = 0; i < 4; i += 1) fleet.join();
    await fleet.load(6000, () => 5000);
    fleet.routers[0]?.limit.reconfigure({ ratePerSecond: 1000 });
    expect(fleet.routers[0]?.limit.stats().sharePerSecond).toBeCloseTo(250, 0);
    await fleet.load(5000, () => 5000);
    const admitted = await fleet.load(10_000, () => 5000);
    expect(sum(admitted.map(sum))).toBeLessThanOrEqual(10 * 1000 * 1.01 + 4);
    expect(sum(admitted.map(sum))).toBeGreaterThan(10 * 1000 * 0.95);
  });

  it("is raised: all of it can be used soon, and members that still know the old limit do not undo that", async () => {
    const fleet = new Fleet({ ratePerSecond: 1000, burstSeconds: 1 });
    for (let i = 0; i < 3; i += 1) fleet.join();
    await fleet.load(4000, () => 5000);
    for (const { limit } of fleet.routers.slice(0, 2)) limit.reconfigure({ ratePerSecond: 6000 });
    await fleet.load(5000, () => 5000);
    const admitted = await fleet.load(5000, () => 5000);
    expect(sum(admitted.map(sum))).toBeGreaterThan(5 * 4900);
  });
});
