import { getEventListeners } from "node:events";
import { describe, expect, it } from "vitest";
import { BucketLevel, KeyedLevels, TokenBucket, tryTakeAll } from "../src/index.js";
import { exact, toNumber } from "./oracle.js";

const never = { code: "ERR_TOKEN_BUCKET_NEVER" };

describe("a level", () => {
  it("is charged in full in the millisecond in which it became full", () => {
    const refunded = new BucketLevel({ ratePerSecond: 1, capacity: 10, tokens: 9 }, 0);
    refunded.refund(1e9, 0);
    refunded.debit(4, 0);
    expect(refunded.tokens(0)).toBe(6);
    const cut = new BucketLevel({ ratePerSecond: 1, capacity: 100 }, 0);
    cut.reconfigure({ capacity: 10 }, 0);
    cut.debit(4, 0);
    expect(cut.tokens(0)).toBe(6);
  });

  it("forgets what it could not hold of a debt with the debt", () => {
    const level = new BucketLevel({ ratePerSecond: 1e10, capacity: 2e10 }, 0);
    level.debit(1.7e10, 0);
    for (let i = 0; i < 100_000; i += 1) level.debit(0.000_001_1, 0);
    expect(level.tokens(1700.5)).toBe(2e10);
    level.debit(1, 1700.5);
    expect(level.tokens(1700.5)).toBe(2e10 - 1);
  });

  it("begins with what it is given, to the thousandth, however large it is", () => {
    expect(new BucketLevel({ ratePerSecond: 1, capacity: 1e15, tokens: 0.3 }, 0).tokens(0)).toBeCloseTo(0.3, 9);
  });

  it("loses nothing where its anchor moves, at the largest rate and between odd moments", () => {
    const level = new BucketLevel({ ratePerSecond: 1e12, capacity: 1e15, tokens: 0 }, 0.1);
    const debt = 1e15 + 2 ** -3;
    level.debit(debt - 7, 0.1);
    level.debit(7, 0.1);
    for (const nowMs of [333_333.37, 700_000.77, 1_000_000.3]) level.tokens(nowMs);
    const earned = ((exact(1_000_000.3) - exact(0.1)) * exact(1e12)) / exact(1000);
    expect(level.tokens(1_000_000.3)).toBeCloseTo(toNumber(earned - exact(debt)), 3);
    const keys = new KeyedLevels({ ratePerSecond: 1e12, capacity: 10, keysMax: 1 }, 0.1);
    for (const tokens of [1e15, 2e8 + 7]) keys.debit(1, 1, tokens, 0.1);
    for (const nowMs of [333_333.37, 700_000.77, 1_000_000.3]) keys.tokens(1, 1, nowMs);
    expect(keys.tokens(1, 1, 1_000_000.3)).toBeCloseTo(toNumber(earned - exact(1e15 + 2e8 - 3)), 3);
  });

  it("refuses what is out of its ranges, by name", () => {
    const at = (tokens: number, nowMs = 0) => new BucketLevel({ ratePerSecond: 1, capacity: 10, tokens }, nowMs);
    expect(() => at(10.001)).toThrow(/^tokens must be a number from 0 to 10,/);
    expect(() => at(1, Number.NaN)).toThrow(/^nowMs must be/);
    expect(() => at(1).debit(1.001e15, 0)).toThrow(/^tokens must be/);
  });
});

describe("those in line", () => {
  const waitingFor = (...amounts: number[]) => {
    const bucket = new TokenBucket({ ratePerSecond: 1, capacity: 10, tokens: 4, now: () => 0, timer: () => () => {} });
    return { bucket, waiting: amounts.map((amount) => bucket.take(amount)) };
  };

  it("are not overtaken by who takes from several buckets, and hear that what comes is never there", async () => {
    const { bucket, waiting } = waitingFor(6);
    expect(tryTakeAll([bucket, new TokenBucket({ ratePerSecond: 1, capacity: 1, now: bucket.clock })])).toBe(false);
    expect(bucket.msUntil(11)).toBe(Number.POSITIVE_INFINITY);
    bucket.refund(2);
    await Promise.all(waiting);
  });

  it("are sent away wherever they stand, and served from what is there, where nothing flows in any more", async () => {
    const { bucket, waiting } = waitingFor(6, 3, 9);
    const [large, small, last] = waiting.map((one) => Promise.allSettled([one]));
    bucket.reconfigure({ capacity: 8 });
    expect(await last).toMatchObject([{ reason: never }]);
    expect(bucket.stats().waiting).toBe(2);
    bucket.reconfigure({ ratePerSecond: 0 });
    expect(await large).toMatchObject([{ reason: never }]);
    expect(await small).toMatchObject([{ status: "fulfilled" }]);
    expect(bucket.stats()).toMatchObject({ taken: 1, refused: 2, tokens: 1 });
  });

  it("leave no listener at their signal, and no taker gets in where they were closed out", async () => {
    const { bucket } = waitingFor();
    const { signal } = new AbortController();
    const waiting = [bucket.take(5, { signal }), bucket.take(9, { signal })].map((one) => Promise.allSettled([one]));
    expect(getEventListeners(signal, "abort")).toHaveLength(2);
    bucket.refund(1);
    bucket.close();
    expect(getEventListeners(signal, "abort")).toHaveLength(0);
    expect((await Promise.all(waiting)).flat().map(({ status }) => status)).toEqual(["fulfilled", "rejected"]);
    expect(bucket.tryTake(0)).toBe(false);
  });

  it("are woken by one timer, of no less than a millisecond and no more than a timer can hold", async () => {
    for (const [ratePerSecond, delayMs] of [
      [1e9, 1],
      [1e-9, 2 ** 31 - 1],
    ] as const) {
      const set = new Set<number>();
      const timer = (ms: number) => {
        set.add(ms);
        return () => set.delete(ms);
      };
      const bucket = new TokenBucket({ ratePerSecond, capacity: 10, tokens: 0, now: () => 0, timer });
      const waiting = expect(bucket.take(1)).rejects.toMatchObject({ code: "ERR_TOKEN_BUCKET_CLOSED" });
      bucket.refund(0);
      expect([...set]).toEqual([delayMs]);
      bucket.reconfigure({ ratePerSecond: 1 });
      expect([...set]).toEqual([1000]);
      bucket.close();
      expect(set.size).toBe(0);
      await waiting;
    }
  });
});

it("a key's hash is the same key as two words with and without a sign", () => {
  const levels = new KeyedLevels({ ratePerSecond: 1, capacity: 5, keysMax: 100 }, 0);
  expect(levels.tryTake(0xdeadbeef, 0xcafebabf, 5, 0)).toBe(true);
  expect(levels.tryTake(0xdeadbeef, 0xcafebabf, 1, 0)).toBe(false);
  expect(levels.tokens(0xdeadbeef | 0, 0xcafebabf | 0, 0)).toBe(0);
});
