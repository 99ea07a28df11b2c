import { describe, expect, it } from "vitest";
import { TokenBucket, TokenBucketError, tryTakeAll } from "../src/index.js";

function still(options: { ratePerSecond: number; capacity: number; tokens?: number }) {
  const clock = { now: 0 };
  return { clock, bucket: new TokenBucket({ ...options, now: () => clock.now }) };
}

describe("debit and refund", () => {
  it("charges below zero and pays that back before anything can be taken", () => {
    const { clock, bucket } = still({ ratePerSecond: 10, capacity: 20 });
    bucket.debit(50);
    expect(bucket.stats().tokens).toBe(-30);
    expect(bucket.tryTake(0)).toBe(false);
    expect(bucket.msUntil(1)).toBe(3100);
    clock.now = 3000;
    expect(bucket.tryTake(0)).toBe(true);
    expect(bucket.tryTake(1)).toBe(false);
    clock.now = 3100;
    expect(bucket.tryTake(1)).toBe(true);
  });

  it("carries a debt of a quadrillion tokens, many times over, to the token", () => {
    const { bucket } = still({ ratePerSecond: 1, capacity: 10 });
    for (let i = 0; i < 1000; i += 1) bucket.debit(1e15);
    for (let i = 0; i < 1000; i += 1) bucket.refund(1e15);
    expect(bucket.stats().tokens).toBe(10);
    for (let i = 0; i < 1000; i += 1) bucket.debit(1e12 + 0.5);
    for (let i = 0; i < 999; i += 1) bucket.refund(1e12 + 0.5);
    bucket.refund(1e12);
    expect(bucket.stats().tokens).toBe(9.5);
  });

  it("loses what is refunded above the capacity", () => {
    const { bucket } = still({ ratePerSecond: 1, capacity: 10 });
    expect(bucket.tryTake(4)).toBe(true);
    bucket.refund(1e9);
    expect(bucket.stats().tokens).toBe(10);
  });

  it("takes fractions", () => {
    const { bucket } = still({ ratePerSecond: 1, capacity: 2 });
    expect([0.5, 1.5, 0.5].map((n) => bucket.tryTake(n))).toEqual([true, true, false]);
  });
});

describe("reconfigure", () => {
  it("keeps what was earned at the old rate and goes on at the new one, also while throttled", () => {
    const { clock, bucket } = still({ ratePerSecond: 10, capacity: 100, tokens: 0 });
    clock.now = 1000;
    bucket.reconfigure({ ratePerSecond: 1 });
    expect(bucket.stats().tokens).toBe(10);
    clock.now = 2000;
    expect(bucket.stats().tokens).toBe(11);
    bucket.debit(20);
    bucket.reconfigure({ ratePerSecond: 9 });
    clock.now = 3000;
    expect(bucket.stats().tokens).toBe(0);
  });

  it("cuts the balance to a smaller capacity and does not fill a larger one", () => {
    const { bucket } = still({ ratePerSecond: 1, capacity: 100 });
    bucket.reconfigure({ capacity: 10 });
    expect(bucket.stats()).toMatchObject({ tokens: 10, capacity: 10, ratePerSecond: 1 });
    bucket.reconfigure({ capacity: 100 });
    expect(bucket.stats().tokens).toBe(10);
  });
});

describe("all or nothing", () => {
  it("charges nobody when the parent is empty", () => {
    const child = still({ ratePerSecond: 1, capacity: 10 }).bucket;
    const parent = still({ ratePerSecond: 1, capacity: 10, tokens: 2 }).bucket;
    expect(tryTakeAll([child, parent], 3)).toBe(false);
    expect([child.stats().tokens, parent.stats().tokens]).toEqual([10, 2]);
    expect(tryTakeAll([child, parent], 2)).toBe(true);
    expect([child.stats().tokens, parent.stats().tokens]).toEqual([8, 0]);
  });

  it("holds one parent under 100,000 children to the parent's limit", { timeout: 120_000 }, () => {
    const clock = { now: 0 };
    const parent = new TokenBucket({ ratePerSecond: 1, capacity: 50_000, now: () => clock.now });
    const children = Array.from(
      { length: 100_000 },
      () => new TokenBucket({ ratePerSecond: 1, capacity: 1, now: () => clock.now }),
    );
    expect(children.filter((child) => tryTakeAll([child, parent], 1))).toHaveLength(50_000);
    expect(children.filter((child) => child.stats().tokens === 0)).toHaveLength(50_000);
  });

  it("undoes what it took when a later bucket refuses, also for buckets of other clocks and other kinds", () => {
    const make = (now: () => number) => new TokenBucket({ ratePerSecond: 1, capacity: 10, tokens: 7, now });
    const one = () => 0;
    const other = () => 5000;
    let charged = 0;
    const foreign = {
      has: () => true,
      debit(n: number) {
        charged += n;
      },
    };
    const [a, b, c] = [make(one), make(one), make(other)];
    expect(tryTakeAll([a, b, new TokenBucket({ ratePerSecond: 1, capacity: 1, now: one })], 3)).toBe(false);
    expect(tryTakeAll([a, b, c, foreign], 8)).toBe(false);
    expect([a, b, c].map((bucket) => bucket.stats().tokens)).toEqual([7, 7, 7]);
    expect([a.stats().taken, charged]).toEqual([0, 0]);
    expect(tryTakeAll([a, b, c, foreign], 2)).toBe(true);
    expect(tryTakeAll([foreign, a], 2)).toBe(true);
    expect([a, b, c].map((bucket) => bucket.stats().tokens)).toEqual([3, 5, 5]);
    expect(charged).toBe(4);
  });

  it("asks of seventeen buckets, and of none", () => {
    const many = Array.from({ length: 17 }, () => still({ ratePerSecond: 1, capacity: 10 }).bucket);
    expect(tryTakeAll(many, 10)).toBe(true);
    expect(tryTakeAll(many, 1)).toBe(false);
    expect(() => tryTakeAll([...many, many[3] as TokenBucket])).toThrow(TokenBucketError);
    expect(tryTakeAll([])).toBe(true);
  });

  it("refuses a list that names one bucket twice", () => {
    const { bucket } = still({ ratePerSecond: 1, capacity: 10 });
    const between = still({ ratePerSecond: 1, capacity: 10 }).bucket;
    expect(() => tryTakeAll([bucket, bucket], 1)).toThrow(TokenBucketError);
    expect(() => tryTakeAll([bucket, between, bucket], 1)).toThrow(/twice/);
    expect(between.stats().tokens).toBe(10);
    expect(bucket.stats().tokens).toBe(10);
    const now = () => 0;
    const [a, b] = [1, 2].map((rate) => new TokenBucket({ ratePerSecond: rate, capacity: 10, now })) as [
      TokenBucket,
      TokenBucket,
    ];
    for (const list of [
      [a, a],
      [a, b, a],
      [b, a, a],
    ])
      expect(() => tryTakeAll(list)).toThrow(/twice/);
    expect([a, b].map((one) => one.stats())).toMatchObject([
      { tokens: 10, taken: 0 },
      { tokens: 10, taken: 0 },
    ]);
  });
});

describe("arguments", () => {
  const wrong: unknown[] = [Number.NaN, -1, Number.POSITIVE_INFINITY, Number.NEGATIVE_INFINITY, "3", null, 3n];

  it.each(wrong)("refuses %s wherever a number is wanted, naming it, and charges nothing", (value) => {
    const { bucket } = still({ ratePerSecond: 1, capacity: 10 });
    const n = value as number;
    const refusal = expect.objectContaining({
      code: "ERR_TOKEN_BUCKET_ARGUMENT",
      message: expect.stringContaining("tokens must be"),
    });
    for (const call of [
      () => bucket.tryTake(n),
      () => bucket.has(n),
      () => bucket.debit(n),
      () => bucket.refund(n),
      () => bucket.msUntil(n),
    ]) {
      expect(call).toThrow(refusal);
    }
    expect(() => new TokenBucket({ ratePerSecond: n, capacity: 1 })).toThrow(/ratePerSecond/);
    expect(() => new TokenBucket({ ratePerSecond: 1, capacity: n })).toThrow(/capacity/);
    expect(() => bucket.reconfigure({ ratePerSecond: n })).toThrow(/ratePerSecond/);
    expect(bucket.stats()).toMatchObject({ tokens: 10, ratePerSecond: 1 });
  });

  it("shows the value seen, strings as strings", () => {
    const { bucket } = still({ ratePerSecond: 1, capacity: 10 });
    expect(() => bucket.tryTake("3" as unknown as number)).toThrow(
      'tokens must be a number from 0 to 1.7976931348623157e+308, but is "3"',
    );
  });

  it("takes the ends of its ranges: rates 0, 1e-9 and 1e12", () => {
    for (const [ratePerSecond, afterADay] of [
      [0, 0],
      [1e-9, 8.64e-5],
      [1e12, 1e15],
    ] as const) {
      const { clock, bucket } = still({ ratePerSecond, capacity: 1e15, tokens: 0 });
      clock.now = 86_400_000;
      expect(bucket.stats().tokens).toBeCloseTo(afterADay, 12);
    }
  });

  it("refuses more than the capacity at once, however large", () => {
    const { bucket } = still({ ratePerSecond: 1e12, capacity: 10 });
    expect(bucket.tryTake(10.001)).toBe(false);
    expect(bucket.tryTake(1e308)).toBe(false);
    expect(bucket.tryTake(10)).toBe(true);
  });
});
