import fc from "fast-check";
import { expect, test } from "vitest";
import { Usage } from "../src/storage-node/usage.js";

const HALF = { hashFrom: 2 ** 31, hashTo: 2 ** 32 };
const LIMITS = { seconds: 60, readUnits: 3_000, writeUnits: 1_000 };

const keyOf = (hash: number): Uint8Array => {
  const key = Buffer.alloc(9);
  key.writeUInt32BE(hash);
  return key;
};

/** A minute and a bit of writes: each second so many units, at hashes that `hashAt` says. */
function used(unitsASecond: number, hashAt: (second: number, i: number) => number, seconds = 62): Usage {
  let nowMs = 5_000;
  const usage = new Usage(HALF, LIMITS, () => nowMs);
  for (let second = 0; second < seconds; second++, nowMs += 1_000)
    for (let i = 0; i < 100; i++) usage.spent("write", keyOf(hashAt(second, i)), unitsASecond / 100);
  return usage;
}

const at = (fraction: number): number => Math.floor(HALF.hashFrom + fraction * (HALF.hashTo - HALF.hashFrom));

test("use near the limit, at hashes anywhere, is split in the middle; where more of it lies in one place, there", () => {
  expect(used(900, (_, i) => at((i * 0.37) % 1)).splitPoint()).toBeCloseTo(at(0.5), -8);
  const point = used(900, (_, i) =>
    at(i % 10 < 8 ? 0.1 * ((i * 0.37) % 1) : 0.1 + 0.9 * ((i * 0.37) % 1)),
  ).splitPoint();
  expect(point).toBeGreaterThan(at(0.03));
  expect(point).toBeLessThan(at(0.09));
});

test("one key, whatever is spent on it, splits nothing", () => {
  expect(used(5_000, () => at(0.4)).splitPoint()).toBeUndefined();
  expect(used(5_000, (_, i) => (i % 10 < 8 ? at(0.4) : at((i * 0.37) % 1))).splitPoint()).toBeUndefined();
});

test("what goes through the keys one after another splits nothing", () => {
  expect(used(5_000, (second, i) => at((second + i / 100) / 62)).splitPoint()).toBeUndefined();
});

test("a burst, and use far from the limit, split nothing", () => {
  expect(used(5_000, (_, i) => at((i * 0.37) % 1), 40).splitPoint()).toBeUndefined();
  expect(used(700, (_, i) => at((i * 0.37) % 1)).splitPoint()).toBeUndefined();
});

test("two hot keys are told apart wherever they lie, if not side by side", () => {
  const fraction = fc.double({ min: 0, max: 0.999, noNaN: true });
  fc.assert(
    fc.property(fraction, fraction, (a, b) => {
      fc.pre(Math.abs(a - b) > 1 / 128);
      const point = used(1_200, (_, i) => at(i % 2 === 0 ? a : b)).splitPoint() as number;
      expect(point).toBeGreaterThan(at(Math.min(a, b)));
      expect(point).toBeLessThanOrEqual(at(Math.max(a, b)));
    }),
    { numRuns: 50 },
  );
});
