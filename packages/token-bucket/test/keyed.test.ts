import { subscribe, unsubscribe } from "node:diagnostics_channel";
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import {
  BurstBucket,
  KeyedBuckets,
  type KeyedBucketsOptions,
  KeyedLevels,
  TokenBucket,
  tryTakeAll,
} from "../src/index.js";
import { amount, rate, stepsMs } from "./arbitraries.js";
import { exact, Oracle, toNumber } from "./oracle.js";

function staged(options: Partial<KeyedBucketsOptions> = {}) {
  const clock = { now: 0 };
  const now = () => clock.now;
  return {
    clock,
    now,
    buckets: new KeyedBuckets({ ratePerSecond: 10, capacity: 5, keysMax: 1000, seed: [1, 2], now, ...options }),
  };
}

describe("a bucket for each key", () => {
  it("is full at first, empties and fills again, each by itself", () => {
    const { clock, buckets } = staged();
    expect(Array.from({ length: 6 }, () => buckets.tryTake("a"))).toEqual([true, true, true, true, true, false]);
    expect(buckets.tryTake("b", 5)).toBe(true);
    expect(buckets.tokens("a")).toBe(0);
    expect(buckets.msUntil("a", 2)).toBe(200);
    clock.now = 199;
    expect(buckets.has("a", 2)).toBe(false);
    clock.now = 200;
    expect(buckets.has("a", 2)).toBe(true);
    expect(buckets.tryTake("a", 2)).toBe(true);
    expect(buckets.tokens("b")).toBe(2);
    expect(buckets.keys()).toBe(2);
    clock.now = 10_000;
    expect(buckets.keys()).toBe(0);
    expect(buckets.stats()).toMatchObject({ taken: 7, refused: 1, shared: 0, keysMax: 1000 });
  });

  it("takes any string for a key", () => {
    const { buckets } = staged();
    const keys = ["", "\0", "__proto__", "constructor", "x".repeat(1_000_000), "\ud800", "\udc00\ud800", "日本", "é"];
    for (const key of keys) expect(buckets.tryTake(key, 5)).toBe(true);
    for (const key of keys) expect(buckets.tryTake(key)).toBe(false);
    expect(buckets.keys()).toBe(keys.length);
    for (const key of [1, undefined, null, {}, ["a"]])
      expect(() => buckets.tryTake(key as string)).toThrow(/key must be a string/);
  });

  it("is charged after the fact, below zero, and pays that back first; a refund goes up to the capacity", () => {
    const { clock, buckets } = staged();
    buckets.debit("a", 25);
    expect(buckets.tokens("a")).toBe(-20);
    expect(buckets.msUntil("a", 1)).toBe(2100);
    clock.now = 2000;
    expect(buckets.tryTake("a", 0)).toBe(true);
    expect(buckets.tryTake("a", 0.5)).toBe(false);
    buckets.refund("a", 2.25);
    expect(buckets.tokens("a")).toBe(2.25);
    buckets.refund("a", 1e300);
    expect(buckets.tokens("a")).toBe(5);
    buckets.refund("never seen", 3);
    expect(buckets.tokens("never seen")).toBe(5);
    expect(buckets.keys()).toBe(0);
  });

  it("refuses more than the capacity at once, and says that it will never be there", () => {
    const { buckets } = staged();
    expect(buckets.tryTake("a", 5.001)).toBe(false);
    expect(buckets.msUntil("a", 5.001)).toBe(Number.POSITIVE_INFINITY);
    const dry = staged({ ratePerSecond: 0 }).buckets;
    expect(dry.tryTake("a", 5)).toBe(true);
    expect(dry.msUntil("a")).toBe(Number.POSITIVE_INFINITY);
  });

  it("changes rate and capacity for all, seen or not; a larger one is filled for nobody", () => {
    const { clock, buckets } = staged();
    buckets.tryTake("a", 4);
    buckets.reconfigure({ capacity: 8 });
    expect([buckets.tokens("a"), buckets.tokens("new")]).toEqual([1, 5]);
    buckets.reconfigure({ ratePerSecond: 1 });
    clock.now = 1000;
    expect([buckets.tokens("a"), buckets.tokens("new")]).toEqual([2, 6]);
    expect(buckets.tryTake("new", 6)).toBe(true);
    buckets.reconfigure({ capacity: 1.5 });
    expect([buckets.tokens("a"), buckets.tokens("new"), buckets.tokens("other")]).toEqual([1.5, 0, 1.5]);
    buckets.debit("a", 3);
    buckets.reconfigure({ ratePerSecond: 100, capacity: 2 });
    expect(buckets.tokens("a")).toBe(-1.5);
    clock.now = 1020;
    expect(buckets.tokens("a")).toBe(0.5);
  });

  it("names the argument that is wrong, and charges nothing", () => {
    const { buckets } = staged();
    for (const value of [Number.NaN, -1, Number.POSITIVE_INFINITY, "3", null, 3n]) {
      const n = value as number;
      for (const call of [
        () => buckets.tryTake("a", n),
        () => buckets.has("a", n),
        () => buckets.debit("a", n),
        () => buckets.refund("a", n),
        () => buckets.msUntil("a", n),
      ])
        expect(call).toThrow(/tokens must be/);
      expect(() => staged({ ratePerSecond: n })).toThrow(/ratePerSecond/);
      expect(() => staged({ capacity: n })).toThrow(/capacity/);
      expect(() => staged({ keysMax: n })).toThrow(/keysMax/);
      for (const seed of [
        [n, 1],
        [1, n],
      ] as const)
        expect(() => staged({ seed })).toThrow(/seed/);
      expect(() => buckets.reconfigure({ capacity: n })).toThrow(/capacity/);
    }
    expect(() => staged({ keysMax: 0 })).toThrow(/keysMax/);
    expect(() => staged({ keysMax: 1e9 })).toThrow(/keysMax/);
    expect(buckets.keys()).toBe(0);
  });

  it("has secrets of its own, and the system's clock", () => {
    const buckets = new KeyedBuckets({ ratePerSecond: 1e-9, capacity: 2, keysMax: 10 });
    expect([buckets.tryTake("a"), buckets.tryTake("a"), buckets.tryTake("a")]).toEqual([true, true, false]);
  });
});

describe("one key's bucket", () => {
  it("stands in tryTakeAll, and is the node of a burst", () => {
    const { clock, now, buckets } = staged();
    const tenant = buckets.bucket("tenant");
    const table = new TokenBucket({ ratePerSecond: 1, capacity: 4, now });
    expect(tryTakeAll([tenant, table], 5)).toBe(false);
    expect(buckets.tokens("tenant")).toBe(5);
    expect(tryTakeAll([tenant, table], 4)).toBe(true);
    expect([buckets.tokens("tenant"), table.stats().tokens]).toEqual([1, 0]);
    const burst = new BurstBucket({ ratePerSecond: 1, saved: 10, node: tenant, now });
    expect(burst.tryTake(3)).toBe(false);
    expect(burst.msUntil(3)).toBe(200);
    clock.now = 200;
    expect(burst.tryTake(3)).toBe(true);
    expect(buckets.tokens("tenant")).toBe(0);
    burst.refund(2);
    expect(buckets.tokens("tenant")).toBe(2);
  });
});

describe("more keys than there is room for", () => {
  it("never changes the memory, and is told once", () => {
    const told: unknown[] = [];
    const listen = (message: unknown) => told.push(message);
    subscribe("evenkeel:token-bucket:keys-full", listen);
    try {
      const { clock, buckets } = staged({ keysMax: 1000 });
      const { bytes } = buckets.stats();
      expect(bytes).toBeLessThanOrEqual(48 * 1000);
      for (let i = 0; i < 1000; i += 1) buckets.tryTake(`key ${i}`);
      expect(buckets.keys()).toBe(1000);
      expect(buckets.stats().shared).toBe(0);
      for (let i = 1000; i < 100_000; i += 1) buckets.tryTake(`key ${i}`);
      expect(told).toEqual([{ keysMax: 1000, shared: 1 }]);
      clock.now = 60_000;
      for (let i = 0; i < 10_000; i += 1) buckets.tryTake(`again ${i}`);
      expect(told).toHaveLength(2);
      expect(buckets.stats().bytes).toBe(bytes);
      expect(buckets.keys()).toBeLessThanOrEqual(1512);
    } finally {
      unsubscribe("evenkeel:token-bucket:keys-full", listen);
    }
  });

  it("survives ten million of them in a minute, without a byte more and without forgiving anybody", {
    timeout: 180_000,
  }, () => {
    const levels = new KeyedLevels({ ratePerSecond: 0.01, capacity: 10, keysMax: 10_000 }, 0);
    const { bytes } = levels;
    levels.debit(-1, -1, 25, 0);
    let admitted = 0;
    for (let i = 0; i < 10_000_000; i += 1) {
      const low = Math.imul(i + 1, 0x9e3779b1);
      if (levels.tryTake(low, Math.imul(low ^ (low >>> 15), 0x85ebca6b) | 1, 1, i * 0.006)) admitted += 1;
    }
    expect(levels.bytes).toBe(bytes);
    expect(levels.tokens(-1, -1, 60_000)).toBeCloseTo(-14.4, 6);
    // Twice what all slots and cells hold, a minute's flow for each included; not ten tokens for each key.
    expect(admitted).toBeLessThanOrEqual(2 * (15_000 + 8 + 2500) * 10.6);
    expect(admitted).toBeGreaterThan(15_000);
  });

  it("does not hand tokens back to a throttled key, however many come between", () => {
    const { buckets } = staged({ ratePerSecond: 1e-9, capacity: 10, keysMax: 100 });
    for (let i = 0; i < 10; i += 1) expect(buckets.tryTake("greedy")).toBe(true);
    const modest = Array.from({ length: 50 }, (_, i) => `modest ${i}`);
    for (const key of modest) expect(buckets.tryTake(key, 3)).toBe(true);
    for (let i = 0; i < 20_000; i += 1) buckets.tryTake(`flood ${i}`);
    expect(buckets.tryTake("greedy")).toBe(false);
    for (const key of modest) expect(buckets.tokens(key)).toBeLessThanOrEqual(7);
  });

  it("lets a flood of keys have what the shared buckets have, not a bucket for each", () => {
    const { buckets } = staged({ ratePerSecond: 1e-9, capacity: 10, keysMax: 100 });
    let admitted = 0;
    for (let i = 0; i < 50_000; i += 1) if (buckets.tryTake(`flood ${i}`)) admitted += 1;
    const { bytes } = buckets.stats();
    expect(bytes).toBeLessThanOrEqual(4800);
    // Slots for 152 and cells for 25, of ten tokens each.
    expect(admitted).toBeLessThanOrEqual((152 + 25) * 10);
    expect(admitted).toBeGreaterThan(152);
  });

  it("is over when they have gone idle: then each has a bucket of its own again", () => {
    const { clock, buckets } = staged({ keysMax: 50 });
    for (let i = 0; i < 5000; i += 1) buckets.tryTake(`flood ${i}`, 5);
    clock.now = 500;
    for (let i = 0; i < 50; i += 1) expect(buckets.tryTake(`calm ${i}`, 5)).toBe(true);
    expect(buckets.keys()).toBe(50);
  });

  it("gives no key more than its own bucket would have, whatever is done and whoever hashes alike", {
    timeout: 300_000,
  }, () => {
    const operation = fc.record({
      kind: fc.constantFrom("take" as const, "take" as const, "take" as const, "debit" as const, "refund" as const),
      key: fc.integer({ min: 0, max: 59 }),
      tokens: fc.oneof(fc.integer({ min: 0, max: 6 }), fc.double({ min: 0, max: 6, noNaN: true })),
      stepMs: fc.oneof(
        { weight: 8, arbitrary: fc.double({ min: 0, max: 3, noNaN: true }) },
        { weight: 1, arbitrary: fc.constantFrom(0, -50, 200) },
      ),
    });
    fc.assert(
      fc.property(fc.array(operation, { minLength: 50, maxLength: 400 }), fc.boolean(), (operations, alike) => {
        let nowMs = 1e6;
        const levels = new KeyedLevels({ ratePerSecond: 20, capacity: 10, keysMax: 1 }, nowMs);
        const oracles = Array.from({ length: 60 }, () => new Oracle(20, 10, nowMs));
        // Sixty keys for sixteen slots; when alike, all in the same set.
        const lowOf = (key: number) => (alike ? key : Math.imul(key + 1, 0x9e3779b1));
        for (const op of operations) {
          nowMs += op.stepMs;
          for (const oracle of oracles) oracle.at(nowMs);
          const oracle = oracles[op.key] as Oracle;
          const low = lowOf(op.key) | 0;
          const high = (op.key << 1) | 1;
          if (op.kind === "take") {
            if (levels.tryTake(low, high, op.tokens, nowMs)) oracle.spend(op.tokens);
          } else if (op.kind === "debit") {
            levels.debit(low, high, op.tokens, nowMs);
            oracle.spend(op.tokens);
          } else {
            levels.refund(low, high, op.tokens, nowMs);
            oracle.refund(op.tokens);
          }
          const watched = [op.key, (op.key * 7 + 1) % 60];
          for (const key of watched) {
            const each = oracles[key] as Oracle;
            const seen = levels.tokens(lowOf(key) | 0, (key << 1) | 1, nowMs);
            expect(seen).toBeLessThan(toNumber(each.level) / 1000 + 1e-6);
            expect(seen).toBeLessThanOrEqual(10);
          }
        }
      }),
      { numRuns: 25 },
    );
  });
});

describe("keys that fit, against exact arithmetic", () => {
  const stepMs = stepsMs(-3_600_000, -0.001, 0, 600_000, 2_592_000_000, 31_536_000_000);
  const key = fc.integer({ min: 0, max: 5 });
  const operation = fc.oneof(
    { weight: 6, arbitrary: fc.record({ kind: fc.constant("take" as const), stepMs, amount, key }) },
    { weight: 2, arbitrary: fc.record({ kind: fc.constant("debit" as const), stepMs, amount, key }) },
    { weight: 2, arbitrary: fc.record({ kind: fc.constant("refund" as const), stepMs, amount, key }) },
    { weight: 1, arbitrary: fc.record({ kind: fc.constant("change" as const), stepMs, amount, key, rate }) },
  );

  it("no key is ever off by a hundredth of a token, whatever is done and whatever the clock does", () => {
    fc.assert(
      fc.property(
        rate,
        fc.double({ min: 1, max: 1e9, noNaN: true }),
        fc.array(operation, { maxLength: 150 }),
        (ratePerSecond, capacity, operations) => {
          const clock = { now: 5_000_000.25 };
          const buckets = new KeyedBuckets({ ratePerSecond, capacity, keysMax: 8, now: () => clock.now, seed: [3, 4] });
          const oracles = Array.from({ length: 6 }, () => new Oracle(ratePerSecond, capacity, clock.now));
          for (const op of operations) {
            clock.now += op.stepMs;
            for (const oracle of oracles) oracle.at(clock.now);
            const oracle = oracles[op.key] as Oracle;
            const name = `key ${op.key}`;
            if (op.kind === "take") {
              const missing = toNumber(exact(op.amount) * 1000n - oracle.level) / 1000;
              const taken = buckets.tryTake(name, op.amount);
              if (Math.abs(missing) > 0.01) expect(taken).toBe(missing <= 0);
              if (taken) oracle.spend(op.amount);
            } else if (op.kind === "debit") {
              buckets.debit(name, op.amount);
              oracle.spend(op.amount);
            } else if (op.kind === "refund") {
              buckets.refund(name, op.amount);
              oracle.refund(op.amount);
            } else {
              buckets.reconfigure({ ratePerSecond: op.rate, capacity: 1 + op.amount });
              for (const each of oracles) each.reconfigure(op.rate, 1 + op.amount);
            }
            for (const [i, each] of oracles.entries()) {
              expect(Math.abs(buckets.tokens(`key ${i}`) - toNumber(each.level) / 1000)).toBeLessThan(0.01);
            }
          }
        },
      ),
      { numRuns: 120 },
    );
  });

  it("msUntil is never short", () => {
    fc.assert(
      fc.property(
        rate,
        fc.double({ min: 1e-3, max: 1e15, noNaN: true }),
        fc.double({ min: 0, max: 1, noNaN: true }),
        fc.double({ min: 0, max: 1e12, noNaN: true }),
        fc.double({ min: 0, max: 1e10, noNaN: true }),
        (ratePerSecond, capacity, share, debt, startMs) => {
          let nowMs = startMs;
          const buckets = new KeyedBuckets({ ratePerSecond, capacity, keysMax: 1, now: () => nowMs });
          buckets.debit("a", Math.min(1e15, capacity + debt));
          const tokens = capacity * share;
          nowMs += buckets.msUntil("a", tokens);
          expect(buckets.tryTake("a", tokens)).toBe(true);
        },
      ),
      { numRuns: 500 },
    );
  });

  it("goes on counting where the count of whole tokens would leave the numbers: a month at 1e12 a second", () => {
    const clock = { now: 0.5 };
    const buckets = new KeyedBuckets({ ratePerSecond: 1e12, capacity: 1e15, keysMax: 4, now: () => clock.now });
    const oracle = new Oracle(1e12, 1e15, clock.now);
    oracle.spend(1e15);
    buckets.debit("a", 1e15);
    buckets.debit("deep", 1e15);
    buckets.debit("deep", 1e15);
    for (let i = 0; i < 10_000; i += 1) {
      clock.now += (30 * 86_400_000) / 10_000;
      oracle.at(clock.now);
      const tokens = 259_200e9 - 12_345.678;
      expect(buckets.tryTake("a", tokens)).toBe(true);
      oracle.spend(tokens);
    }
    expect(Math.abs(buckets.tokens("a") - toNumber(oracle.level) / 1000)).toBeLessThan(1);
    expect(buckets.tokens("deep")).toBe(1e15);
  });
});
