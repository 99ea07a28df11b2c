import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { BucketLevel } from "../src/index.js";
import { amount, rate, stepsMs } from "./arbitraries.js";
import { exact, Oracle, toNumber } from "./oracle.js";

const stepMs = stepsMs(-3_600_000, -0.001, 600_000, 31_536_000_000);
const operation = fc.oneof(
  { weight: 6, arbitrary: fc.record({ kind: fc.constant("take" as const), stepMs, amount }) },
  { weight: 2, arbitrary: fc.record({ kind: fc.constant("debit" as const), stepMs, amount }) },
  { weight: 2, arbitrary: fc.record({ kind: fc.constant("refund" as const), stepMs, amount }) },
  { weight: 1, arbitrary: fc.record({ kind: fc.constant("change" as const), stepMs, amount, rate }) },
);

describe("a bucket against exact arithmetic", () => {
  it("never differs by a thousandth of a token, whatever is done to it and whatever the clock does", () => {
    fc.assert(
      fc.property(
        rate,
        fc.double({ min: 1, max: 1e9, noNaN: true }),
        fc.array(operation, { maxLength: 150 }),
        (ratePerSecond, capacity, operations) => {
          let now = 5_000_000.25;
          const bucket = new BucketLevel({ ratePerSecond, capacity }, now);
          const oracle = new Oracle(ratePerSecond, capacity, now);
          for (const op of operations) {
            now += op.stepMs;
            const truth = oracle.at(now);
            if (op.kind === "take") {
              const missing = toNumber(truth - exact(op.amount) * 1000n);
              const taken = bucket.tryTake(op.amount, now);
              if (Math.abs(missing) > 1) expect(taken).toBe(missing >= 0);
              if (taken) oracle.spend(op.amount);
            } else if (op.kind === "debit") {
              bucket.debit(op.amount, now);
              oracle.spend(op.amount);
            } else if (op.kind === "refund") {
              bucket.refund(op.amount, now);
              oracle.refund(op.amount);
            } else {
              bucket.reconfigure({ ratePerSecond: op.rate, capacity: 1 + op.amount }, now);
              oracle.reconfigure(op.rate, 1 + op.amount);
            }
            expect(Math.abs(bucket.tokens(now) * 1000 - toNumber(oracle.level))).toBeLessThan(1);
          }
        },
      ),
      { numRuns: 400 },
    );
  });

  it.each([1e-9, 1e-3, 0.1, 1 / 3, 7, 99.9, 12_345.678, 1e6, 1e9, 1e12])(
    "at %d tokens a second, a greedy taker gets what thirty days are worth, to the token",
    (ratePerSecond) => {
      const days30Ms = 30 * 86_400_000;
      const steps = 200_000;
      const capacity = Math.max(10, ratePerSecond * 300);
      const start = 1234.567;
      const bucket = new BucketLevel({ ratePerSecond, capacity }, start);
      const oracle = new Oracle(ratePerSecond, capacity, start);
      // An irrational-looking share of what flows in, so that no rounding cancels out. Never full after the first
      // steps.
      const cost = Math.max(1e-3, (((days30Ms / steps) * ratePerSecond) / 1000) * 0.618);
      let now = start;
      for (let i = 0; i < steps; i += 1) {
        now += (days30Ms / steps) * (i % 2 === 0 ? 0.3 : 1.7);
        oracle.at(now);
        while (bucket.tryTake(cost, now)) oracle.spend(cost);
      }
      // One token, where a balance may be 3e14: relative to what flowed through, one part in 1e18.
      expect(Math.abs(bucket.tokens(now) - toNumber(oracle.at(now)) / 1000)).toBeLessThan(
        ratePerSecond > 1e9 ? 1 : 1e-3,
      );
    },
  );

  it("does not lose the same bit of the same odd cost a hundred thousand times", () => {
    const cost = 4e12 + 2 ** -10;
    const bucket = new BucketLevel({ ratePerSecond: 1e12, capacity: 1e15 }, 0);
    const oracle = new Oracle(1e12, 1e15, 0);
    for (let i = 1; i <= 100_000; i += 1) {
      oracle.at(i * 4000);
      expect(bucket.tryTake(cost, i * 4000)).toBe(true);
      oracle.spend(cost);
    }
    expect(Math.abs(bucket.tokens(4e8) - toNumber(oracle.level) / 1000)).toBeLessThan(1);
  });

  it("admits a million requests in one millisecond if they are there, and not one more", () => {
    const bucket = new BucketLevel({ ratePerSecond: 1000, capacity: 1_000_000 }, 0);
    let taken = 0;
    for (let i = 0; i < 1_000_500; i += 1) if (bucket.tryTake(1, 0)) taken += 1;
    expect(taken).toBe(1_000_000);
    expect(bucket.tryTake(1, 1)).toBe(true);
    expect(bucket.tryTake(1, 1)).toBe(false);
  });

  it("does not lose a refill that is asked for a million times before it is whole", () => {
    const bucket = new BucketLevel({ ratePerSecond: 0.1, capacity: 100, tokens: 0 }, 0);
    let early = 0;
    for (let i = 1; i < 1_000_000; i += 1) if (bucket.tryTake(1, i / 100)) early += 1;
    expect(early).toBe(0);
    expect(bucket.tryTake(1, 10_000)).toBe(true);
  });
});

describe("msUntil", () => {
  it("is never short, and hardly long", () => {
    fc.assert(
      fc.property(
        rate,
        fc.double({ min: 1e-3, max: 1e9, noNaN: true }),
        fc.double({ min: 0, max: 1, noNaN: true }),
        fc.double({ min: 0, max: 1e12, noNaN: true }),
        fc.double({ min: 0, max: 1e10, noNaN: true }),
        (ratePerSecond, capacity, share, debt, now) => {
          const bucket = new BucketLevel({ ratePerSecond, capacity, tokens: 0 }, now);
          bucket.debit(debt, now);
          const tokens = capacity * share;
          const waitMs = bucket.msUntil(tokens, now);
          const idealMs = ((debt + tokens) / ratePerSecond) * 1000;
          // A double cannot name a moment more finely than its own last digit.
          expect(waitMs).toBeLessThanOrEqual(idealMs * (1 + 1e-12) + now * 2 ** -50 + 1e-9);
          expect(bucket.tryTake(tokens, now + waitMs)).toBe(true);
        },
      ),
      { numRuns: 1000 },
    );
  });

  it("is 0 when they are there and Infinity when they never will be", () => {
    const bucket = new BucketLevel({ ratePerSecond: 2, capacity: 10, tokens: 4 }, 0);
    expect(bucket.msUntil(4, 0)).toBe(0);
    expect(bucket.msUntil(5, 0)).toBe(500);
    expect(bucket.msUntil(11, 0)).toBe(Number.POSITIVE_INFINITY);
    bucket.reconfigure({ ratePerSecond: 0 }, 0);
    expect(bucket.msUntil(5, 0)).toBe(Number.POSITIVE_INFINITY);
  });
});
