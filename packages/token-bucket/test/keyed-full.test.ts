import { describe, expect, it } from "vitest";
import { KeyedLevels } from "../src/index.js";

/** Sixteen slots, in two sets, and sixteen cells: a table that is full soon. */
const small = (ratePerSecond: number, capacity = 10) => new KeyedLevels({ ratePerSecond, capacity, keysMax: 1 }, 0);
const hash = (i: number): readonly [number, number] => {
  const low = Math.imul(i + 1, 0x9e3779b1);
  return [low, Math.imul(low ^ (low >>> 15), 0x85ebca6b) | 1];
};
const keys = (from: number, to: number) => Array.from({ length: to - from }, (_, i) => hash(from + i));

describe("a table of keys that is full", () => {
  it("has room for those of one set in the other one, and forgets none of them", () => {
    const levels = small(0);
    const last = Array.from({ length: 12 }, (_, i) => [(1 << 31) | (i * 8), (1 << 31) | (i * 2) | 1] as const);
    for (const [low, high] of last) expect(levels.tryTake(low, high, 10, 0)).toBe(true);
    for (const [low, high] of last) expect(levels.tryTake(low, high, 1, 0)).toBe(false);
    expect([levels.shared, levels.keys(0)]).toEqual([0, 12]);
  });

  it("has those share who have spent least", () => {
    const levels = small(0);
    for (const [low, high] of keys(0, 16)) levels.debit(low, high, 5, 0);
    expect(levels.shared).toBe(0);
    for (const [low, high] of keys(16, 20)) levels.debit(low, high, 1, 0);
    expect(levels.shared).toBe(4);
    for (const [low, high] of keys(20, 300)) expect(levels.tokens(low, high, 0)).toBeGreaterThanOrEqual(6);
  });

  it("forgives nobody who shares because somebody comes to share who owes less", () => {
    const levels = small(0);
    for (const [low, high] of keys(0, 16)) levels.debit(low, high, 8, 0);
    // Each cell once.
    for (const key of keys(16, 300)) if (levels.tokens(...key, 0) === 10) levels.debit(...key, 3, 0);
    levels.refund(...hash(0), 7, 0);
    levels.debit(...hash(300), 5, 0);
    for (const key of keys(301, 600)) expect(levels.tokens(...key, 0)).toBeLessThanOrEqual(7);
  });

  it("is filled for nobody by a capacity that grows, and grows again", () => {
    const levels = small(1, 5);
    for (const capacity of [8, 10]) levels.reconfigure({ capacity }, 1000);
    expect(levels.tokens(...hash(0), 1000)).toBe(5);
  });

  it("is full for everybody after a time that fills it, also where so much has flowed that all is counted anew", () => {
    const levels = small(1e12, 5);
    levels.reconfigure({ capacity: 10 }, 1);
    for (const [low, high] of keys(0, 40)) levels.debit(low, high, 5, 1);
    expect(levels.shared).toBeGreaterThan(0);
    const laterMs = 2 ** 52 / 1e9 + 1000;
    for (const [low, high] of keys(0, 80)) expect(levels.tokens(low, high, laterMs)).toBe(10);
    for (const [low, high] of keys(0, 3)) {
      levels.debit(low, high, 10.5, laterMs);
      expect(levels.tokens(low, high, laterMs)).toBe(-0.5);
    }
  });

  it("refuses a charge that is out of its range, by name", () => {
    expect(() => small(1).debit(...hash(0), 1.001e15, 0)).toThrow(
      /^tokens must be a number from 0 to 1000000000000000,/,
    );
  });
});
