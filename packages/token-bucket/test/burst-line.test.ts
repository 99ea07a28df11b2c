import { expect, it } from "vitest";
import { staged } from "./staged-burst.js";

it("nobody overtakes those who wait for a burst bucket, and msUntil counts them", async () => {
  const { bucket, pass } = staged({ tokens: 0 });
  const order: string[] = [];
  const first = bucket.take(10).then(() => order.push("first"));
  await pass(500);
  expect([bucket.has(1), bucket.tryTake(1)]).toEqual([false, false]);
  const second = bucket.take(1).then(() => order.push("second"));
  expect(order).toEqual([]);
  await pass(600);
  await Promise.all([first, second]);
  expect(order).toEqual(["first", "second"]);
});

it("msUntil in line is what is missing, or when the node has room, whichever is later; saved tokens count where provisioned ones cannot do", () => {
  const { bucket } = staged({ tokens: 0, saved: 100 }, 0);
  const { bucket: poor, node } = staged({ tokens: 0, saved: 24 }, 0);
  for (const one of [bucket, poor]) {
    void one.take(5).catch(() => {});
  }
  // The node has room for 5 in 5 ms, for 20 in 20; all 25 are there together, or one is missing.
  expect(bucket.msUntil(20)).toBe(20);
  expect(poor.msUntil(20)).toBe(100);
  node.debit(500);
  expect(poor.msUntil(20)).toBe(520);
  // Provisioned tokens would do for 5, and 10 are needed in all.
  expect(bucket.msUntil(5)).toBe(1000);
});

it("a refund serves who waits, at once", async () => {
  const { bucket } = staged({ tokens: 0 });
  const waiting = bucket.take(8);
  bucket.refund(8);
  await waiting;
  expect(bucket.stats()).toMatchObject({ tokens: 0, taken: 1 });
});

it("an aborted signal takes nothing", async () => {
  const { bucket } = staged();
  await expect(bucket.take(1, { signal: AbortSignal.abort() })).rejects.toMatchObject({ name: "AbortError" });
  expect(bucket.stats()).toMatchObject({ tokens: 10, taken: 0 });
});

it("reconfigure sends away who can never be served, wherever he stands, and remembers what it was told", async () => {
  const { bucket } = staged({ tokens: 0 });
  const waiting = [bucket.take(5), bucket.take(50)].map((one) => Promise.allSettled([one]));
  bucket.reconfigure({ burstSeconds: 2 });
  expect(await waiting[1]).toMatchObject([{ reason: { code: "ERR_TOKEN_BUCKET_NEVER" } }]);
  bucket.reconfigure({ ratePerSecond: 20 });
  expect(bucket.stats()).toMatchObject({ capacity: 20, savedMax: 40, waiting: 1 });
  bucket.reconfigure({ capacity: 4 });
  bucket.reconfigure({ ratePerSecond: 30 });
  expect(bucket.stats()).toMatchObject({ capacity: 4, savedMax: 60 });
  expect(() => bucket.reconfigure({ capacity: 1e15 })).toThrow(/^burstSeconds must be/);
  expect(bucket.stats()).toMatchObject({ capacity: 4, savedMax: 60 });
  bucket.close();
  await waiting[0];
});

it("what a smaller bound cuts off the one kind of token does not go over to the other", () => {
  const { bucket } = staged({ saved: 100 });
  bucket.reconfigure({ capacity: 4 });
  expect(bucket.stats()).toMatchObject({ tokens: 4, saved: 100 });
  const { bucket: spent } = staged({ tokens: 2, saved: 100 });
  spent.reconfigure({ burstSeconds: 5 });
  expect(spent.stats()).toMatchObject({ tokens: 2, saved: 50 });
});

it.each([0, Number.NaN])("nobody is let in unpaid where a node without room says that it takes %s ms", async (ms) => {
  let asked = 0;
  const node = { has: () => false, debit: () => {}, refund: () => {}, msUntil: () => (asked++ < 5 ? 1 : ms) };
  const { bucket, pass } = staged({ saved: 100, node });
  const waiting = Promise.allSettled([bucket.take(20)]);
  await pass(20);
  expect(asked).toBeGreaterThan(5);
  bucket.close();
  expect(await waiting).toMatchObject([{ status: "rejected" }]);
  expect(bucket.stats().taken).toBe(0);
});
