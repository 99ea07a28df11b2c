import { RateLimiterMemory } from "rate-limiter-flexible";
import type { Bench, Subject } from "../../../scripts/bench-types.js";
import { Admission, type Coordinator, type Grant, memoryCoordinator } from "../src/index.js";

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

/** A coordinator that answers, then hangs for ever. */
class Hanging implements Coordinator {
  readonly #behind = memoryCoordinator({ learnForMs: 0, leaseMs: 60_000 });
  hangs = false;

  async settle(...[settlements]: Parameters<Coordinator["settle"]>): Promise<readonly Grant[]> {
    return this.hangs ? new Promise<never>(() => {}) : this.#behind.settleNow(settlements);
  }
}

function timed(hangs: boolean): Subject {
  const coordinator = new Hanging();
  const member = new Admission({ coordinator, member: "bench", settleEveryMs: 50 });
  const timedLimit = member.limit("orders:write", { ratePerSecond: RATE, burstSeconds: 5 });
  // Nothing else keeps this process alive while a settlement hangs.
  const alive = setInterval(() => {}, 1000);
  return {
    note: hangs
      ? "every settlement hangs until its time is up, twenty times a second"
      : "settled twenty times a second",
    async run() {
      coordinator.hangs = false;
      await member.settle();
      coordinator.hangs = hangs;
      const samples: number[] = [];
      const start = performance.now();
      while (performance.now() - start < TURN_MS) {
        for (let i = 0; i < 200; i += 1) {
          const from = performance.now();
          timedLimit.tryTake(1);
          samples.push(performance.now() - from);
        }
        await new Promise(setImmediate);
      }
      samples.sort((a, b) => a - b);
      return { p99: (samples[Math.floor(samples.length * 0.99)] ?? 0) * 1000 };
    },
    async close() {
      coordinator.hangs = false;
      await member.close();
      clearInterval(alive);
    },
  };
}

const away: Bench = {
  name: "p99 of a decision while the coordinator is away",
  metrics: { p99: { unit: "us", better: "lower" } },
  subjects: { evenkeel: timed(true), "evenkeel, coordinator well": timed(false) },
  goals: [{ metric: "p99", against: "evenkeel, coordinator well", atMost: 1.5 }],
};

export default [bench, away] satisfies Bench[];
