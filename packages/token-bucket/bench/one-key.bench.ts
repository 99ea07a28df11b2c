import { TokenBucket as LimiterBucket } from "limiter";
import { RateLimiterMemory } from "rate-limiter-flexible";
import type { Bench } from "../../../scripts/bench-types.js";
import { TokenBucket } from "../src/index.js";
import { BareBucket, expressStore, perSecond, perSecondAwaited } from "./subjects.js";

const TURN_MS = 500;
const RATE = 1e9;

const bare = new BareBucket(RATE);
const ours = new TokenBucket({ ratePerSecond: RATE, capacity: RATE });
const limiter = new LimiterBucket({ bucketSize: RATE, tokensPerInterval: RATE, interval: "second" });
limiter.content = RATE;
const flexible = new RateLimiterMemory({ points: 1e12, duration: 60 });
const express = expressStore();

const bench: Bench = {
  name: "tryTake, one key, system clock",
  metrics: { rate: { unit: "ops/s", better: "higher" } },
  subjects: {
    evenkeel: { run: () => perSecond(TURN_MS, () => ours.tryTake(1)) },
    limit: { note: "ten bare lines, which drift", run: () => perSecond(TURN_MS, () => bare.tryTake(1)) },
    limiter: { run: () => perSecond(TURN_MS, () => limiter.tryRemoveTokens(1)) },
    "rate-limiter-flexible": {
      note: "RateLimiterMemory, awaited one by one; its interface is asynchronous",
      run: () => perSecondAwaited(TURN_MS, () => flexible.consume("key", 1)),
    },
    "express-rate-limit": {
      note: "its MemoryStore, awaited one by one; counts in fixed windows",
      run: () => perSecondAwaited(TURN_MS, () => express.increment("key")),
      close: () => express.shutdown(),
    },
  },
  goals: [{ metric: "rate", against: "limit", atLeast: 0.9 }],
  runs: 7,
};

export default bench;
