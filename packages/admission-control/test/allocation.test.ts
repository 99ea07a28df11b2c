import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { allocate, maxMinFair } from "../src/core/allocation.js";
import { sum } from "./fleet.js";

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
