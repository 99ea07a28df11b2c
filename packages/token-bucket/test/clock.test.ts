import { describe, expect, it, vi } from "vitest";
import { KeyedBuckets, systemTimer, TokenBucket } from "../src/index.js";

const HOUR_MS = 3_600_000;

function bucketAt(startMs: number, options: { ratePerSecond: number; capacity: number; tokens?: number }) {
  const clock = { now: startMs };
  return { clock, bucket: new TokenBucket({ ...options, now: () => clock.now }) };
}

describe("whatever the clock does", () => {
  it("gives nothing and takes nothing when it steps back an hour, and goes on from there", () => {
    const { clock, bucket } = bucketAt(10 * HOUR_MS, { ratePerSecond: 10, capacity: 100, tokens: 0 });
    clock.now += 1000;
    expect(bucket.stats().tokens).toBe(10);
    clock.now -= HOUR_MS;
    expect(bucket.stats().tokens).toBe(10);
    clock.now += 1000;
    expect(bucket.stats().tokens).toBe(20);
  });

  it("cannot be milked by a clock that goes to and fro", () => {
    const { clock, bucket } = bucketAt(0, { ratePerSecond: 10, capacity: 100, tokens: 0 });
    for (let i = 0; i < 1000; i += 1) {
      clock.now += 1;
      bucket.has(1);
      clock.now -= 1;
      bucket.has(1);
    }
    // Every step forward is time that passed, for all that the bucket can know: a second in all, not an hour.
    expect(bucket.stats().tokens).toBe(10);
  });

  it("is full, and no more than full, after a year forward or ten minutes of suspension", () => {
    for (const stepMs of [365 * 24 * HOUR_MS, HOUR_MS / 6]) {
      const { clock, bucket } = bucketAt(77.7, { ratePerSecond: 10, capacity: 100, tokens: 0 });
      clock.now += stepMs;
      expect(bucket.stats().tokens).toBe(100);
      expect(bucket.tryTake(100)).toBe(true);
      expect(bucket.tryTake(0.001)).toBe(false);
    }
  });

  it("saves up through 300 idle seconds, and the 301st adds nothing", () => {
    const { clock, bucket } = bucketAt(0, { ratePerSecond: 10, capacity: 3000, tokens: 0 });
    clock.now = 299_000;
    expect(bucket.stats().tokens).toBe(2990);
    clock.now = 300_000;
    expect(bucket.stats().tokens).toBe(3000);
    clock.now = 301_000;
    expect(bucket.stats().tokens).toBe(3000);
  });

  it("stands still while the clock says NaN or Infinity", () => {
    const { clock, bucket } = bucketAt(1000, { ratePerSecond: 10, capacity: 100, tokens: 5 });
    for (const broken of [Number.NaN, Number.POSITIVE_INFINITY, Number.NEGATIVE_INFINITY]) {
      clock.now = broken;
      expect(bucket.stats().tokens).toBe(5);
    }
    clock.now = 1100;
    expect(bucket.stats().tokens).toBe(6);
  });

  it("is the same for the buckets of keys: nothing is given or taken by a step back, or by no time at all", () => {
    const clock = { now: 10 * HOUR_MS };
    const buckets = new KeyedBuckets({ ratePerSecond: 10, capacity: 100, keysMax: 10, now: () => clock.now });
    buckets.debit("a", 100);
    const seen = [1000, -HOUR_MS, 1000].map((stepMs) => {
      clock.now += stepMs;
      return buckets.tokens("a");
    });
    expect(seen).toEqual([10, 10, 20]);
    const before = clock.now;
    for (clock.now of [Number.NaN, Number.POSITIVE_INFINITY, Number.NEGATIVE_INFINITY])
      expect(buckets.tokens("a")).toBe(20);
    clock.now = before + 100;
    expect(buckets.tokens("a")).toBe(21);
  });

  it("waits no longer than a timer can hold, and not a part of a millisecond less", () => {
    const set = vi.spyOn(globalThis, "setTimeout");
    try {
      for (const delayMs of [2 ** 40, 1.2]) systemTimer(false)(delayMs, () => {})();
      expect(set.mock.calls.map(([, delayMs]) => delayMs)).toEqual([2 ** 31 - 1, 2]);
    } finally {
      set.mockRestore();
    }
  });

  it("takes performance.now itself as a clock", () => {
    const bucket = new TokenBucket({ ratePerSecond: 1, capacity: 2, now: performance.now });
    expect(bucket.tryTake(2)).toBe(true);
  });
});
