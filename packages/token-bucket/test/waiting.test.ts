import { execFile } from "node:child_process";
import { promisify } from "node:util";
import { describe, expect, it } from "vitest";
import { TokenBucket, type TokenBucketOptions } from "../src/index.js";

/** A bucket whose time passes only when the test says so; timers fire in its order. */
function staged(options: Omit<TokenBucketOptions, "now" | "timer">) {
  let now = 0;
  const due = new Set<{ atMs: number; fire: () => void }>();
  const bucket = new TokenBucket({
    ...options,
    now: () => now,
    timer: (delayMs, fire) => {
      const entry = { atMs: now + delayMs, fire };
      due.add(entry);
      return () => due.delete(entry);
    },
  });
  const pass = async (ms: number) => {
    const end = now + ms;
    for (;;) {
      const next = [...due].sort((a, b) => a.atMs - b.atMs)[0];
      if (next === undefined || next.atMs > end) break;
      now = next.atMs;
      due.delete(next);
      next.fire();
    }
    now = end;
    await settled();
  };
  return { bucket, pass, timers: due };
}

/** Lets every promise that can go on go on. */
async function settled() {
  for (let i = 0; i < 10; i += 1) await Promise.resolve();
}

describe("take", () => {
  it("serves in the order of the calls, a large one before the small ones behind it", async () => {
    const { bucket, pass } = staged({ ratePerSecond: 1, capacity: 5, tokens: 0 });
    const order: string[] = [];
    void bucket.take(3).then(() => order.push("large"));
    void bucket.take(1).then(() => order.push("small"));
    void bucket.take(1).then(() => order.push("last"));
    await pass(2999);
    expect(order).toEqual([]);
    await pass(1);
    expect(order).toEqual(["large"]);
    await pass(2000);
    expect(order).toEqual(["large", "small", "last"]);
    expect(bucket.stats()).toMatchObject({ waiting: 0, taken: 3, refused: 0 });
  });

  it("is not overtaken by tryTake, and msUntil counts those who wait", async () => {
    const { bucket, pass } = staged({ ratePerSecond: 1, capacity: 5, tokens: 2 });
    const waiting = bucket.take(4);
    expect(bucket.tryTake(1)).toBe(false);
    expect(bucket.has(1)).toBe(false);
    expect(bucket.msUntil(1)).toBe(3000);
    await pass(2000);
    await waiting;
    expect(bucket.tryTake(1)).toBe(false);
    await pass(1000);
    expect(bucket.tryTake(1)).toBe(true);
  });

  it("leaves from the middle of the queue when its signal says so, and is not charged", async () => {
    const { bucket, pass, timers } = staged({ ratePerSecond: 1, capacity: 5, tokens: 0 });
    const controller = new AbortController();
    const reason = new Error("the client hung up");
    const order: number[] = [];
    const first = bucket.take(1).then(() => order.push(1));
    const second = bucket.take(5, { signal: controller.signal });
    const third = bucket.take(1).then(() => order.push(3));
    controller.abort(reason);
    await expect(second).rejects.toBe(reason);
    await pass(2000);
    await Promise.all([first, third]);
    expect(order).toEqual([1, 3]);
    expect(timers.size).toBe(0);
  });

  it("lets the next one go at once when the one at the front leaves", async () => {
    const { bucket } = staged({ ratePerSecond: 1, capacity: 5, tokens: 2 });
    const controller = new AbortController();
    const large = bucket.take(5, { signal: controller.signal });
    const small = bucket.take(2);
    controller.abort();
    await expect(large).rejects.toMatchObject({ name: "AbortError" });
    await small;
    expect(bucket.stats().tokens).toBe(0);
  });

  it("does not start when the signal is aborted already", async () => {
    const { bucket } = staged({ ratePerSecond: 1, capacity: 5 });
    await expect(bucket.take(1, { signal: AbortSignal.abort() })).rejects.toMatchObject({ name: "AbortError" });
    expect(bucket.stats().tokens).toBe(5);
  });

  it("rejects at once what can never succeed, and one more than may wait", async () => {
    const { bucket } = staged({ ratePerSecond: 1, capacity: 5, tokens: 0, waitersMax: 2 });
    await expect(bucket.take(6)).rejects.toMatchObject({ code: "ERR_TOKEN_BUCKET_NEVER" });
    const waiting = [bucket.take(1), bucket.take(1)];
    await expect(bucket.take(1)).rejects.toMatchObject({
      code: "ERR_TOKEN_BUCKET_QUEUE_FULL",
      message: expect.stringContaining("waitersMax is 2"),
    });
    bucket.refund(2);
    await Promise.all(waiting);
    const dry = staged({ ratePerSecond: 0, capacity: 5, tokens: 1 }).bucket;
    await dry.take(1);
    await expect(dry.take(1)).rejects.toMatchObject({ code: "ERR_TOKEN_BUCKET_NEVER" });
  });

  it("is served at a new rate, and refused when the new capacity can never hold it", async () => {
    const { bucket, pass } = staged({ ratePerSecond: 0.001, capacity: 10, tokens: 0 });
    const large = bucket.take(8);
    const small = bucket.take(2);
    bucket.reconfigure({ ratePerSecond: 2, capacity: 4 });
    await expect(large).rejects.toMatchObject({ code: "ERR_TOKEN_BUCKET_NEVER" });
    await pass(1000);
    await small;
    expect(bucket.stats().tokens).toBe(0);
  });

  it("waits longer than a timer can: sixty days", async () => {
    const { bucket, pass } = staged({ ratePerSecond: 1 / (60 * 86_400), capacity: 1, tokens: 0 });
    let served = false;
    const waiting = bucket.take(1).then(() => {
      served = true;
    });
    await pass(59 * 86_400_000);
    expect(served).toBe(false);
    await pass(86_400_001);
    await waiting;
    expect(served).toBe(true);
  });

  it("is refused when the bucket closes, and ever after", async () => {
    const { bucket, timers } = staged({ ratePerSecond: 1, capacity: 5, tokens: 0 });
    const waiting = bucket.take(1);
    bucket.close();
    bucket.close();
    await expect(waiting).rejects.toMatchObject({ code: "ERR_TOKEN_BUCKET_CLOSED" });
    await expect(bucket.take(0)).rejects.toMatchObject({ code: "ERR_TOKEN_BUCKET_CLOSED" });
    expect(bucket.tryTake(0)).toBe(false);
    expect(timers.size).toBe(0);
  });

  it("works on the real clock", async () => {
    const start = performance.now();
    await using bucket = new TokenBucket({ ratePerSecond: 200, capacity: 1, tokens: 0 });
    await Promise.all([bucket.take(), bucket.take(), bucket.take()]);
    expect(performance.now() - start).toBeGreaterThanOrEqual(15);
  });

  it.each([
    // Longer than a busy machine takes to let the process end.
    [false, "gone", 60],
    [true, "served", 0.05],
  ])("keepAlive %s: a process with nothing but a waiter is %s", async (keepAlive, verdict, seconds) => {
    const source = `
      import { TokenBucket } from ${JSON.stringify(new URL("../src/index.ts", import.meta.url).href)};
      const bucket = new TokenBucket({ ratePerSecond: ${1 / seconds}, capacity: 1, tokens: 0, keepAlive: ${keepAlive} });
      let verdict = "gone";
      process.on("exit", () => console.log(verdict));
      void bucket.take(1).then(() => { verdict = "served"; });
    `;
    const args = ["--import", "tsx", "--input-type=module", "--eval", source];
    const { stdout } = await promisify(execFile)(process.execPath, args, { cwd: new URL("..", import.meta.url) });
    expect(stdout.trim()).toBe(verdict);
  });
});
