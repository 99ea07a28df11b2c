import { RateLimiterMemory } from "rate-limiter-flexible";
import type { Bench } from "../../../scripts/bench-types.js";
import { Admission, memoryCoordinator } from "../src/index.js";

const TURN_MS = 700;
const RATE = 1e9;

/** The least that a decision can be: one clock read and a few additions, in one process and without a lease. */
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

function decisions(once: () => boolean): { decisions: number } {
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
  if (admitted !== calls) throw new Error(`${calls - admitted} of ${calls} were refused`);
  return { decisions: (calls / elapsed) * 1000 };
}

const bare = new BareBucket();
const flexible = new RateLimiterMemory({ points: RATE, duration: 1 });
const admission = new Admission({
  coordinator: memoryCoordinator({ learnForMs: 0, leaseMs: 60_000 }),
  member: "bench",
});
const limit = admission.limit("orders:write", { ratePerSecond: RATE, burstSeconds: 5 });

const bench: Bench = {
  name: "decisions, one limit, all admitted",
  metrics: { decisions: { unit: "ops/s", better: "higher" } },
  subjects: {
    evenkeel: {
      note: "a leased share of a global limit, memory coordinator",
      async run() {
        await admission.settle();
        return decisions(() => limit.tryTake(1));
      },
      close: () => admission.close(),
    },
    limit: { note: "a bare bucket in one process, which drifts", run: () => decisions(() => bare.tryTake(1)) },
    "rate-limiter-flexible": {
      note: "RateLimiterMemory, a limit of this process alone; awaited one by one",
      async run() {
        let calls = 0;
        const start = performance.now();
        let elapsed = 0;
        while (elapsed < TURN_MS) {
          for (let i = 0; i < 1_000; i += 1) await flexible.consume("orders:write", 1);
          calls += 1_000;
          elapsed = performance.now() - start;
        }
        return { decisions: (calls / elapsed) * 1000 };
      },
    },
  },
  goals: [{ metric: "decisions", against: "rate-limiter-flexible", atLeast: 1 }],
};

export default bench;
