import { setFlagsFromString } from "node:v8";
import { runInNewContext } from "node:vm";
import { TokenBucket as LimiterBucket } from "limiter";
import { RateLimiterMemory } from "rate-limiter-flexible";
import type { Bench, Subject } from "../../../scripts/bench-types.js";
import { KeyedBuckets } from "../src/index.js";
import { BareBucket, expressStore, perSecond, perSecondAwaited } from "./subjects.js";

const TURN_MS = 500;
const KEYS = 100_000;
const RATE = 1e9;

const keys = Array.from({ length: KEYS }, (_, i) => `user:${(i * 7919) % 1_000_003}`);
/** Every key once in each round, in an order that has nothing to do with that of their making. */
const shuffled = [...keys];
let seed = 1;
for (let i = KEYS - 1; i > 0; i -= 1) {
  seed = (Math.imul(seed, 1664525) + 1013904223) >>> 0;
  const j = seed % (i + 1);
  [shuffled[i], shuffled[j]] = [shuffled[j] as string, shuffled[i] as string];
}
const keyOf = (i: number) => shuffled[i % KEYS] as string;

setFlagsFromString("--expose-gc");
const collect = runInNewContext("gc") as () => void;

function bytesInUse(): number {
  collect();
  collect();
  const { heapUsed, external } = process.memoryUsage();
  return heapUsed + external;
}

type Taker = (key: string) => boolean | Promise<unknown>;

/** What stays in memory after a round over all keys, and how fast further rounds are. The keys themselves are not counted. */
function subject(make: () => { take: Taker; close?: () => void }, note?: string): Subject {
  let made: ReturnType<typeof make>;
  let bytes = Number.NaN;
  return {
    ...(note === undefined ? {} : { note }),
    async open() {
      const before = bytesInUse();
      made = make();
      for (const key of keys) await made.take(key);
      bytes = (bytesInUse() - before) / KEYS;
    },
    async run() {
      const { take } = made;
      const isAsync = take(keyOf(0)) instanceof Promise;
      const { rate } = isAsync
        ? await perSecondAwaited(TURN_MS, (i) => take(keyOf(i)) as Promise<unknown>)
        : perSecond(TURN_MS, (i) => take(keyOf(i)) as boolean);
      return { rate, bytes };
    },
    close: () => made.close?.(),
  };
}

function mapped<B>(make: () => B, take: (bucket: B) => boolean): { take: Taker } {
  const buckets = new Map<string, B>();
  return {
    take(key) {
      let bucket = buckets.get(key);
      if (bucket === undefined) {
        bucket = make();
        buckets.set(key, bucket);
      }
      return take(bucket);
    },
  };
}

const bench: Bench = {
  name: "tryTake, 100,000 keys in shuffled order, system clock",
  metrics: { rate: { unit: "ops/s", better: "higher" }, bytes: { unit: "B/key", better: "lower" } },
  subjects: {
    evenkeel: subject(() => {
      const buckets = new KeyedBuckets({ ratePerSecond: 10, capacity: RATE, keysMax: KEYS });
      return { take: (key) => buckets.tryTake(key) };
    }),
    limit: subject(
      () =>
        mapped(
          () => new BareBucket(RATE),
          (bucket) => bucket.tryTake(1),
        ),
      "a Map of ten bare lines, which drift, grow without bound and keep the keys",
    ),
    limiter: subject(
      () =>
        mapped(
          () => {
            const bucket = new LimiterBucket({ bucketSize: RATE, tokensPerInterval: RATE, interval: "second" });
            bucket.content = RATE;
            return bucket;
          },
          (bucket) => bucket.tryRemoveTokens(1),
        ),
      "a Map of its buckets",
    ),
    "rate-limiter-flexible": subject(() => {
      const flexible = new RateLimiterMemory({ points: 1e12, duration: 600 });
      return { take: (key) => flexible.consume(key, 1) };
    }, "RateLimiterMemory, awaited one by one"),
    "express-rate-limit": subject(() => {
      const store = expressStore();
      return { take: (key) => store.increment(key), close: () => store.shutdown() };
    }, "its MemoryStore, awaited one by one"),
  },
  goals: [
    { metric: "rate", against: "rate-limiter-flexible", atLeast: 7 },
    { metric: "bytes", atMost: 48 },
  ],
  runs: 7,
};

export default bench;
