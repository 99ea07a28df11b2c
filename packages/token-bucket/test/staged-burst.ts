import { BurstBucket, type BurstBucketOptions, TokenBucket } from "../src/index.js";

/** A partition of 10 a second on a node of 1,000, whose time passes only when the test says so. */
export function staged(options: Partial<BurstBucketOptions> = {}, nodeTokens = 10_000) {
  const clock = { now: 0 };
  const now = () => clock.now;
  const due = new Set<{ atMs: number; fire: () => void }>();
  const node = new TokenBucket({ ratePerSecond: 1000, capacity: 10_000, tokens: nodeTokens, now });
  const bucket = new BurstBucket({
    ratePerSecond: 10,
    node,
    now,
    timer: (delayMs, fire) => {
      const entry = { atMs: clock.now + delayMs, fire };
      due.add(entry);
      return () => due.delete(entry);
    },
    ...options,
  });
  const pass = async (ms: number) => {
    const end = clock.now + ms;
    for (;;) {
      const next = [...due].sort((a, b) => a.atMs - b.atMs)[0];
      if (next === undefined || next.atMs > end) break;
      clock.now = next.atMs;
      due.delete(next);
      next.fire();
      for (let i = 0; i < 10; i += 1) await Promise.resolve();
    }
    clock.now = end;
    for (let i = 0; i < 10; i += 1) await Promise.resolve();
  };
  return { clock, now, node, bucket, pass, timers: due };
}
