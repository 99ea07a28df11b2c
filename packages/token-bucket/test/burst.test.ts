import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { BucketLevel, BurstBucket, TokenBucket, tryTakeAll } from "../src/index.js";
import { BurstOracle } from "./burst-oracle.js";
import { exact, toNumber } from "./oracle.js";
import { staged } from "./staged-burst.js";

describe("what is not used", () => {
  it("is saved for 300 seconds and spent as a burst; the 301st second adds nothing", () => {
    for (const [idleSeconds, saved] of [
      [0, 0],
      [1, 10],
      [299, 2990],
      [300, 3000],
      [301, 3000],
      [86_400, 3000],
    ] as const) {
      const { clock, bucket } = staged();
      clock.now = idleSeconds * 1000;
      expect(bucket.stats()).toMatchObject({ tokens: 10, saved, savedMax: 3000 });
      expect(bucket.tryTake(10 + saved + 0.001)).toBe(false);
      expect(bucket.tryTake(10 + saved)).toBe(true);
      expect(bucket.tryTake(0.001)).toBe(false);
      expect(bucket.stats()).toMatchObject({ tokens: 0, saved: 0, bursts: saved > 0 ? 1 : 0 });
    }
  });

  it("is saved only from what the provisioned tokens cannot hold", () => {
    const { clock, bucket } = staged();
    expect(bucket.tryTake(10)).toBe(true);
    clock.now = 500;
    expect(bucket.stats()).toMatchObject({ tokens: 5, saved: 0 });
    clock.now = 1500;
    expect(bucket.stats()).toMatchObject({ tokens: 10, saved: 5 });
  });

  it("is spent after the provisioned tokens, which a burst uses up", () => {
    const { clock, bucket } = staged();
    clock.now = 10_000;
    expect(bucket.tryTake(4)).toBe(true);
    expect(bucket.stats()).toMatchObject({ tokens: 6, saved: 100, bursts: 0 });
    expect(bucket.tryTake(20)).toBe(true);
    expect(bucket.stats()).toMatchObject({ tokens: 0, saved: 86, bursts: 1 });
  });

  it("is nothing at first, unless it is said", () => {
    expect(staged().bucket.tryTake(11)).toBe(false);
    expect(staged({ saved: 1 }).bucket.tryTake(11)).toBe(true);
  });
});

describe("the node", () => {
  it("is charged for everything, and asked only for bursts", () => {
    const { node, bucket, clock } = staged({ saved: 3000 }, 5);
    expect(bucket.tryTake(8)).toBe(true);
    expect(node.stats().tokens).toBe(-3);
    expect(bucket.tryTake(3)).toBe(false);
    expect(bucket.stats()).toMatchObject({ tokens: 2, saved: 3000, withoutRoom: 1, refused: 1 });
    expect(node.stats().tokens).toBe(-3);
    clock.now = 6;
    expect(bucket.tryTake(3)).toBe(true);
    expect(node.stats().tokens).toBe(0);
  });

  it("has no room for bursts while somebody waits for its tokens", () => {
    const { node, bucket } = staged({ saved: 3000 }, 100);
    void node.take(200);
    expect(bucket.tryTake(20)).toBe(false);
    expect(bucket.tryTake(10)).toBe(true);
  });

  it("has neighbours: what one partition bursts, the others cannot", () => {
    const { node, now, clock } = staged();
    const partitions = Array.from({ length: 4 }, () => new BurstBucket({ ratePerSecond: 100, node, now }));
    clock.now = 300_000;
    expect(partitions.map((partition) => partition.tryTake(9990))).toEqual([true, false, false, false]);
    expect(partitions.map((partition) => partition.tryTake(100))).toEqual([false, true, true, true]);
    expect(node.stats().tokens).toBe(-290);
  });

  it("may have a clock of its own, or none", () => {
    const seen: unknown[] = [];
    const foreign = {
      has: (tokens: number, nowMs?: number) => seen.push(["has", tokens, nowMs]) > 0,
      debit: (tokens: number, nowMs?: number) => void seen.push(["debit", tokens, nowMs]),
      refund: (tokens: number) => void seen.push(["refund", tokens]),
      msUntil: () => 0,
    };
    const { bucket } = staged({ node: foreign, saved: 10 });
    expect(bucket.tryTake(15)).toBe(true);
    bucket.refund(15);
    expect(seen).toEqual([
      ["has", 15, undefined],
      ["debit", 15, undefined],
      ["refund", 15],
    ]);
  });

  it("is read at one time with the partition when they share a clock", () => {
    let readings = 0;
    const now = () => {
      readings += 1;
      return 0;
    };
    const node = new TokenBucket({ ratePerSecond: 1, capacity: 100, now });
    const bucket = new BurstBucket({ ratePerSecond: 10, saved: 10, node, now });
    readings = 0;
    expect(bucket.tryTake(15)).toBe(true);
    expect(readings).toBe(1);
    const table = new TokenBucket({ ratePerSecond: 1, capacity: 100, now });
    const third = new TokenBucket({ ratePerSecond: 1, capacity: 100, now });
    readings = 0;
    expect(tryTakeAll([third, table, node], 2)).toBe(true);
    expect(readings).toBe(1);
    readings = 0;
    // A bucket that cannot take back: asked first, charged afterwards, at one time all the same.
    expect(tryTakeAll([table, bucket, third], 2)).toBe(true);
    expect(readings).toBeLessThanOrEqual(2);
  });
});

describe("further buckets", () => {
  it("of a write are asked for a burst, and charged with it; all or nothing", () => {
    const { node, now, bucket } = staged({ saved: 3000 });
    const other = new TokenBucket({ ratePerSecond: 1, capacity: 100, now });
    const empty = new TokenBucket({ ratePerSecond: 1, capacity: 100, tokens: 0, now });
    expect(bucket.tryTake(30, [other, empty])).toBe(false);
    expect([node, other, empty].map((each) => each.stats().tokens)).toEqual([10_000, 100, 0]);
    expect(bucket.stats()).toMatchObject({ tokens: 10, saved: 3000 });
    expect(bucket.tryTake(10, [other, empty])).toBe(true);
    expect([node, other, empty].map((each) => each.stats().tokens)).toEqual([9990, 90, -10]);
    expect(bucket.has(30, undefined, [other])).toBe(true);
    expect(bucket.has(30, undefined, [other, empty])).toBe(false);
    expect(bucket.tryTake(30, [other])).toBe(true);
    bucket.refund(30, [other]);
    expect([node, other].map((each) => each.stats().tokens)).toEqual([9990, 90]);
  });

  it("count for msUntil", () => {
    const { now, bucket } = staged({ saved: 3000 });
    const empty = new TokenBucket({ ratePerSecond: 20, capacity: 100, tokens: 0, now });
    expect(bucket.msUntil(60)).toBe(0);
    expect(bucket.msUntil(60, undefined, [empty])).toBe(3000);
  });
});

describe("debit and refund", () => {
  it("charge as tryTake would have, and what it would have refused to the provisioned tokens", () => {
    const { node, bucket, clock } = staged({ saved: 20 }, 100);
    bucket.debit(25);
    expect(bucket.stats()).toMatchObject({ tokens: 0, saved: 5 });
    bucket.debit(30);
    expect(bucket.stats()).toMatchObject({ tokens: -30, saved: 5 });
    expect(node.stats().tokens).toBe(45);
    // A debt is paid back before anything is saved, and saved tokens do not get round it.
    expect(bucket.tryTake(1)).toBe(false);
    clock.now = 2500;
    expect(bucket.stats()).toMatchObject({ tokens: -5, saved: 5 });
    expect(bucket.tryTake(1)).toBe(false);
    clock.now = 2600;
    expect(bucket.tryTake(1)).toBe(true);
    clock.now = 4000;
    expect(bucket.stats()).toMatchObject({ tokens: 10, saved: 4 });
  });

  it("never spend saved tokens when the node has no room", () => {
    const { bucket } = staged({ saved: 20 }, 0);
    bucket.debit(25);
    expect(bucket.stats()).toMatchObject({ tokens: -15, saved: 20 });
  });

  it("give back to the provisioned tokens, then to the saved, then to nobody", () => {
    const { node, bucket } = staged({ saved: 20, burstSeconds: 3 }, 100);
    expect(bucket.tryTake(25)).toBe(true);
    bucket.refund(12);
    expect(bucket.stats()).toMatchObject({ tokens: 10, saved: 7 });
    bucket.refund(1e9);
    expect(bucket.stats()).toMatchObject({ tokens: 10, saved: 30 });
    expect(node.stats().tokens).toBe(10_000);
  });
});

describe("in a list", () => {
  it("stands beside a table's bucket, all or nothing", () => {
    const { node, now, bucket } = staged({ saved: 50 });
    const table = new TokenBucket({ ratePerSecond: 1, capacity: 40, now });
    expect(tryTakeAll([bucket, table], 50)).toBe(false);
    expect(tryTakeAll([table, bucket], 61)).toBe(false);
    expect([bucket.stats().saved, table.stats().tokens, node.stats().tokens]).toEqual([50, 40, 10_000]);
    expect(tryTakeAll([table, bucket], 40)).toBe(true);
    expect([bucket.stats().saved, table.stats().tokens, node.stats().tokens]).toEqual([20, 0, 9960]);
  });
});

describe("take", () => {
  it("waits in the order of the calls, and leaves from the middle", async () => {
    const { bucket, pass, timers } = staged({ tokens: 0 });
    const order: number[] = [];
    const controller = new AbortController();
    const first = bucket.take(10).then(() => order.push(1));
    const second = bucket.take(5, { signal: controller.signal });
    const third = bucket.take(1).then(() => order.push(3));
    expect(bucket.tryTake(0)).toBe(false);
    expect(bucket.msUntil(1)).toBe(1700);
    controller.abort(new Error("gone"));
    await expect(second).rejects.toThrow("gone");
    await pass(999);
    expect(order).toEqual([]);
    await pass(101);
    await Promise.all([first, third]);
    expect(order).toEqual([1, 3]);
    expect(timers.size).toBe(0);
    expect(bucket.stats()).toMatchObject({ taken: 2, refused: 2, waiting: 0, tokens: 0 });
  });

  it("goes on when the node has room again, or the provisioned tokens suffice, whichever is sooner", async () => {
    for (const [nodeRate, servedMs] of [
      [1000, 20],
      [1, 1000],
    ] as const) {
      const { bucket, pass, node, now } = staged({ tokens: 0, saved: 100 }, 0);
      node.reconfigure({ ratePerSecond: nodeRate });
      const further = new TokenBucket({ ratePerSecond: 500, capacity: 10, tokens: 0, now });
      let served = Number.NaN;
      const done = bucket.take(10, { further: [further] }).then(() => {
        served = now();
      });
      await pass(5000);
      await done;
      expect(served).toBe(servedMs);
      expect(node.stats().tokens).toBeCloseTo(nodeRate * 5 - 10, 6);
    }
  });

  it("is refused at once when it can never be", async () => {
    const { bucket, node } = staged();
    const never = { code: "ERR_TOKEN_BUCKET_NEVER" };
    await expect(bucket.take(3011)).rejects.toMatchObject({
      ...never,
      message: expect.stringMatching(/10 and 3000 saved/),
    });
    node.reconfigure({ capacity: 50 });
    await expect(bucket.take(60)).rejects.toMatchObject({
      ...never,
      message: expect.stringMatching(/node's bucket can never/),
    });
    await expect(staged({ ratePerSecond: 0, capacity: 5 }).bucket.take(6)).rejects.toMatchObject(never);
  });

  it("is refused when it can no longer be, and served at a new rate", async () => {
    const { bucket, pass, node } = staged({ tokens: 0 });
    const large = bucket.take(100);
    const small = bucket.take(8);
    const largeRefused = expect(large).rejects.toMatchObject({ code: "ERR_TOKEN_BUCKET_NEVER" });
    bucket.reconfigure({ ratePerSecond: 8, burstSeconds: 2 });
    await largeRefused;
    await pass(1000);
    await small;
    const stuck = expect(bucket.take(20)).rejects.toMatchObject({ code: "ERR_TOKEN_BUCKET_NEVER" });
    node.close();
    await pass(100_000);
    await stuck;
  });

  it("is refused when the bucket closes, or the line is full", async () => {
    const { bucket } = staged({ tokens: 0, waitersMax: 1 });
    const waiting = expect(bucket.take(1)).rejects.toMatchObject({ code: "ERR_TOKEN_BUCKET_CLOSED" });
    await expect(bucket.take(1)).rejects.toMatchObject({ code: "ERR_TOKEN_BUCKET_QUEUE_FULL" });
    await bucket[Symbol.asyncDispose]();
    await waiting;
    await expect(bucket.take(1)).rejects.toMatchObject({ code: "ERR_TOKEN_BUCKET_CLOSED" });
    expect(bucket.msUntil(0)).toBe(Number.POSITIVE_INFINITY);
  });
});

describe("reconfigure", () => {
  it("keeps what is there up to the new bounds, also while throttled", () => {
    const { bucket, clock } = staged({ saved: 2000 });
    bucket.reconfigure({ ratePerSecond: 20 });
    expect(bucket.stats()).toMatchObject({ tokens: 10, saved: 2000, capacity: 20, savedMax: 6000 });
    clock.now = 1000;
    expect(bucket.stats()).toMatchObject({ tokens: 20, saved: 2010 });
    bucket.reconfigure({ ratePerSecond: 5 });
    expect(bucket.stats()).toMatchObject({ tokens: 5, saved: 1500, capacity: 5, savedMax: 1500 });
    bucket.reconfigure({ burstSeconds: 1, capacity: 4 });
    expect(bucket.stats()).toMatchObject({ tokens: 4, saved: 5, capacity: 4, savedMax: 5 });
    bucket.debit(50);
    bucket.reconfigure({ ratePerSecond: 1000, capacity: 1 });
    expect(bucket.stats().tokens).toBe(-46);
    clock.now += 47;
    expect(bucket.stats()).toMatchObject({ tokens: 1, saved: 5 });
  });

  it("refuses nonsense, naming it, and changes nothing", () => {
    const { bucket } = staged();
    for (const value of [Number.NaN, -1, Number.POSITIVE_INFINITY, "3"]) {
      const n = value as number;
      expect(() => bucket.reconfigure({ ratePerSecond: n })).toThrow(/ratePerSecond/);
      expect(() => bucket.reconfigure({ burstSeconds: n })).toThrow(/burstSeconds/);
      expect(() => bucket.reconfigure({ capacity: n })).toThrow(/capacity/);
      for (const call of [() => bucket.tryTake(n), () => bucket.has(n), () => bucket.debit(n), () => bucket.msUntil(n)])
        expect(call).toThrow(/tokens must be/);
      expect(() => staged({ saved: n })).toThrow(/saved/);
    }
    expect(() => bucket.reconfigure({ burstSeconds: 1e15 })).toThrow(/burstSeconds/);
    expect(() => staged({ node: {} as TokenBucket })).toThrow(/node must be a bucket/);
    expect(bucket.stats()).toMatchObject({ tokens: 10, saved: 0, ratePerSecond: 10, capacity: 10, savedMax: 3000 });
  });
});

describe("a burst bucket against exact arithmetic", () => {
  const rate = fc
    .tuple(fc.integer({ min: -9, max: 11 }), fc.double({ min: 1, max: 10, noNaN: true }))
    .map(([e, m]) => m * 10 ** e);
  const operation = fc.record({
    kind: fc.constantFrom("take" as const, "take" as const, "debit" as const, "refund" as const),
    stepMs: fc.oneof(
      { weight: 5, arbitrary: fc.double({ min: 0, max: 1000, noNaN: true }) },
      { weight: 1, arbitrary: fc.constantFrom(0, -3_600_000, 299_000, 301_000, 2_592_000_000) },
    ),
    share: fc.oneof(fc.double({ min: 0, max: 1, noNaN: true }), fc.double({ min: 0, max: 0.01, noNaN: true })),
    room: fc.boolean(),
  });

  it("never differs by a token, whatever is done to it, whatever the clock does and whoever has room", () => {
    fc.assert(
      fc.property(
        rate,
        fc.double({ min: 0.1, max: 10, noNaN: true }),
        fc.array(operation),
        (r, seconds, operations) => {
          let nowMs = 1e6;
          let room = true;
          const node = { has: () => room, debit: () => {}, refund: () => {}, msUntil: () => 0 };
          const capacity = r * seconds;
          const bucket = new BurstBucket({ ratePerSecond: r, capacity, node, now: () => nowMs });
          const { savedMax } = bucket.stats();
          const oracle = new BurstOracle(r, capacity, savedMax, nowMs);
          const tolerance = Math.max(1e-3, r * 300 * 2 ** -49);
          for (const op of operations) {
            nowMs += op.stepMs;
            room = op.room;
            oracle.at(nowMs);
            bucket.stats();
            const tokens = op.share * (capacity + savedMax);
            if (op.kind === "refund") {
              bucket.refund(tokens);
              oracle.pour(exact(tokens) * 1000n);
            } else {
              const missing = oracle.missing(tokens);
              if (Math.abs(missing.provisioned) < tolerance || Math.abs(missing.both) < tolerance) continue;
              const want = missing.provisioned < 0 ? "provisioned" : missing.both < 0 && room ? "both" : "no";
              if (op.kind === "take") expect(bucket.tryTake(tokens)).toBe(want !== "no");
              else bucket.debit(tokens);
              if (want === "both") oracle.takeBoth(tokens);
              else if (want === "provisioned" || op.kind === "debit") oracle.takeProvisioned(tokens);
            }
            const { tokens: have, saved } = bucket.stats();
            expect(Math.abs(have - toNumber(oracle.provisioned) / 1000)).toBeLessThan(tolerance);
            expect(Math.abs(saved - toNumber(oracle.saved) / 1000)).toBeLessThan(tolerance);
          }
        },
      ),
      { numRuns: 300 },
    );
  });

  it("msUntil is never short", () => {
    fc.assert(
      fc.property(
        rate,
        fc.double({ min: 0, max: 1, noNaN: true }),
        fc.double({ min: 0, max: 1, noNaN: true }),
        fc.double({ min: 0, max: 1, noNaN: true }),
        (r, saved, share, nodeShare) => {
          let nowMs = 12_345.678;
          const now = () => nowMs;
          const node = new TokenBucket({ ratePerSecond: r / 2, capacity: r * 301, tokens: r * 301 * nodeShare, now });
          const bucket = new BurstBucket({ ratePerSecond: r, tokens: 0, saved: r * 300 * saved, node, now });
          const tokens = r * 301 * share * 0.999;
          nowMs += bucket.msUntil(tokens);
          expect(bucket.tryTake(tokens)).toBe(true);
        },
      ),
      { numRuns: 500 },
    );
  });
});

describe("drain", () => {
  it("leaves exactly nothing, and a debt as it is", () => {
    const level = new BucketLevel({ ratePerSecond: 1 / 3, capacity: 1e15 }, 0.1);
    level.drain(7);
    expect(level.tokens(7)).toBe(0);
    expect(level.tokens(10)).toBeCloseTo(0.001, 12);
    level.debit(5, 10);
    level.drain(10);
    expect(level.tokens(10)).toBeCloseTo(-4.999, 12);
  });
});
