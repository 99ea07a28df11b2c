import { TokenBucket as LimiterBucket } from "limiter";
import { RateLimiterMemory } from "rate-limiter-flexible";
import type { Bench } from "../../../scripts/bench-types.js";
import { TokenBucket } from "../src/index.js";

const TURN_MS = 700;
const RATE = 1e9;

/** The least that a bucket can do: one clock read, one multiplication. Drifts, and knows nothing but `tryTake`. */
class BareBucket {
  tokens = RATE;
  last = performance.now();
  tryTake(n: number): boolean {
    const now = performance.now();
    this.tokens = Math.min(RATE, this.tokens + ((now - this.last) * RATE) / 1000);
    this.last = now;
    if (this.tokens < n) return false;
    this.tokens -= n;
    return true;
  }
}

/** Calls `once` in blocks for a turn; how many calls there were in a second. */
function perSecond(once: () => boolean): { rate: number } {
  const block = 10_000;
  let calls = 0;
  let admitted = 0;
  const start = performance.now();
  let elapsed = 0;
  while (elapsed < TURN_MS) {
    for (let i = 0; i < block; i += 1) if (once()) admitted += 1;
    calls += block;
    elapsed = performance.now() - start;
  }
  if (admitted === 0) throw new Error("nothing was admitted");
  return { rate: (calls / elapsed) * 1000 };
}

const bare = new BareBucket();
const ours = new TokenBucket({ ratePerSecond: RATE, capacity: RATE });
const limiter = new LimiterBucket({ bucketSize: RATE, tokensPerInterval: RATE, interval: "second" });
limiter.content = RATE;
const flexible = new RateLimiterMemory({ points: RATE, duration: 1 });

const bench: Bench = {
  name: "tryTake, one key, system clock",
  metrics: { rate: { unit: "ops/s", better: "higher" } },
  subjects: {
    evenkeel: { run: () => perSecond(() => ours.tryTake(1)) },
    limit: { note: "ten bare lines, which drift", run: () => perSecond(() => bare.tryTake(1)) },
    limiter: { run: () => perSecond(() => limiter.tryRemoveTokens(1)) },
    "rate-limiter-flexible": {
      note: "RateLimiterMemory, awaited one by one; its interface is asynchronous",
      async run() {
        let calls = 0;
        const start = performance.now();
        let elapsed = 0;
        while (elapsed < TURN_MS) {
          for (let i = 0; i < 1_000; i += 1) await flexible.consume("key", 1);
          calls += 1_000;
          elapsed = performance.now() - start;
        }
        return { rate: (calls / elapsed) * 1000 };
      },
    },
  },
  goals: [{ metric: "rate", against: "limit", atLeast: 0.9 }],
};

export default bench;
