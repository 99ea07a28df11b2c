import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { allocate as allocateWishes, maxMinFair as maxMinFairWishes, type Wish } from "../src/core/allocation.js";
import { sum } from "./fleet.js";

const plain = (wants: readonly number[]): Wish[] =>
  wants.map((wantedPerSecond) => ({ wantedPerSecond, weight: 1, guaranteedPerSecond: 0 }));
const maxMinFair = (rate: number, wants: readonly number[]) => maxMinFairWishes(rate, plain(wants));
const allocate = (rate: number, wants: readonly number[]) => allocateWishes(rate, plain(wants));

const wanted = fc.array(fc.oneof(fc.double({ min: 0, max: 1e6, noNaN: true }), fc.constant(0)), {
  minLength: 1,
  maxLength: 60,
});
const available = fc.double({ min: 0, max: 1e6, noNaN: true });

describe("max-min fairness", () => {
  it("gives nobody more than wanted, and leaves nothing over while somebody wants more", () => {
    fc.assert(
      fc.property(available, wanted, (rate, wants) => {
        const parts = maxMinFair(rate, wants);
        for (const [i, part] of parts.entries()) expect(part).toBeLessThanOrEqual(wants[i] as number);
        expect(sum(parts)).toBeCloseTo(Math.min(rate, sum(wants)), 4);
      }),
    );
  });

  it("keeps nobody short who has less than somebody else", () => {
    fc.assert(
      fc.property(available, wanted, (rate, wants) => {
        const parts = maxMinFair(rate, wants);
        const most = Math.max(...parts);
        parts.forEach((part, i) => {
          if (part < (wants[i] as number) - 1e-6) expect(part).toBeCloseTo(most, 4);
        });
      }),
    );
  });

  it.each([
    [10, [2, 2.6, 4, 5], [2, 2.6, 2.7, 2.7]],
    [10, [20, 20], [5, 5]],
    [10, [1, 1], [1, 1]],
    [0, [1, 2], [0, 0]],
  ])("shares %d among %j as %j", (rate, wants, parts) => {
    for (const [i, part] of maxMinFair(rate, wants).entries()) expect(part).toBeCloseTo(parts[i] as number, 12);
  });
});

describe("weights and guarantees", () => {
  const wish = fc.record({
    wantedPerSecond: fc.oneof(fc.double({ min: 0, max: 1e6, noNaN: true }), fc.constant(0)),
    weight: fc.double({ min: 0.001, max: 1000, noNaN: true }),
    guaranteedPerSecond: fc.oneof(fc.double({ min: 0, max: 1e4, noNaN: true }), fc.constant(0)),
  });
  const wishes = fc.array(wish, { minLength: 1, maxLength: 40 });

  it("hands out all that is wanted or guaranteed, up to what there is, and keeps every guarantee it can", () => {
    fc.assert(
      fc.property(available, wishes, (rate, all) => {
        const parts = maxMinFairWishes(rate, all);
        const most = sum(all.map((one) => Math.max(one.wantedPerSecond, one.guaranteedPerSecond)));
        expect(sum(parts) / (1 + rate)).toBeCloseTo(Math.min(rate, most) / (1 + rate), 6);
        const guaranteed = sum(all.map((one) => one.guaranteedPerSecond));
        const cut = guaranteed > rate ? rate / guaranteed : 1;
        for (const [i, part] of parts.entries()) {
          const { wantedPerSecond, guaranteedPerSecond } = all[i] as Wish;
          expect(part).toBeGreaterThanOrEqual(guaranteedPerSecond * cut * (1 - 1e-9));
          expect(part).toBeLessThanOrEqual(Math.max(wantedPerSecond, guaranteedPerSecond) * (1 + 1e-9));
        }
      }),
    );
  });

  it("keeps nobody short who has less for its weight than somebody above the guarantee", () => {
    fc.assert(
      fc.property(available, wishes, (rate, all) => {
        const parts = maxMinFairWishes(rate, all);
        const level = (i: number) => (parts[i] as number) / (all[i] as Wish).weight;
        const free = all.flatMap((one, i) => ((parts[i] as number) > one.guaranteedPerSecond * (1 + 1e-6) ? [i] : []));
        const highest = Math.max(0, ...free.map(level));
        all.forEach((one, i) => {
          const short = (parts[i] as number) < one.wantedPerSecond * (1 - 1e-6) - 1e-6;
          if (short) expect(level(i)).toBeGreaterThanOrEqual(highest * (1 - 1e-6) - 1e-6);
        });
      }),
    );
  });

  it("starves nobody beside a wish that is above its guarantee by less than a division can say", () => {
    const hair = { wantedPerSecond: 5e-324, weight: 1000, guaranteedPerSecond: 0 };
    const other = { wantedPerSecond: 7, weight: 0.001, guaranteedPerSecond: 0 };
    expect(maxMinFairWishes(5, [hair, other])[1]).toBeCloseTo(5, 9);
    // The next double above 10,000; a third of either is the same.
    const barely = { wantedPerSecond: 10_000 + 2 ** -39, weight: 3, guaranteedPerSecond: 10_000 };
    expect(barely.wantedPerSecond).toBeGreaterThan(10_000);
    expect(maxMinFairWishes(10_005, [barely, other])[1]).toBeCloseTo(5, 6);
  });

  it("divides what is contested by weight, after the guarantees", () => {
    const all = [
      { wantedPerSecond: 100, weight: 1, guaranteedPerSecond: 0 },
      { wantedPerSecond: 100, weight: 3, guaranteedPerSecond: 0 },
      { wantedPerSecond: 0, weight: 1, guaranteedPerSecond: 20 },
    ];
    expect(maxMinFairWishes(100, all)).toEqual([20, 60, 20]);
    expect(maxMinFairWishes(10, all)).toEqual([0, 0, 10]);
  });
});

describe("allocation", () => {
  it("never hands out more than there is, gives each at least its fair part, and keeps the order of wishes", () => {
    fc.assert(
      fc.property(available, wanted, (rate, wants) => {
        const parts = allocate(rate, wants);
        expect(sum(parts)).toBeLessThanOrEqual(rate * (1 + 1e-9) + 1e-9);
        const fair = maxMinFair(rate, wants);
        parts.forEach((part, i) => {
          expect(part).toBeGreaterThanOrEqual((fair[i] as number) * (1 - 1e-9));
        });
      }),
    );
  });

  it("gives a member that is alone everything, whether or not it wants it", () => {
    expect(allocate(100, [0])).toEqual([100]);
    expect(allocate(100, [1e9])).toEqual([100]);
  });

  it("gives a member with all the traffic nearly all, and keeps something ready for the next", () => {
    const parts = allocate(100, [70, 0, 0, 0]);
    expect(parts[0]).toBeGreaterThan(85);
    expect(parts[1]).toBeGreaterThan(0);
    expect(sum(parts)).toBeLessThan(98);
  });
});
