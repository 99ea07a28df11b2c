import type { Bench } from "../../../scripts/bench-types.js";
import { TokenBucket, tryTakeAll } from "../src/index.js";

const TURN_MS = 700;
const BLOCK = 1000;
const options = { ratePerSecond: 1e9, capacity: 1e9 };

function nsEach(once: () => boolean): { cost: number } {
  let calls = 0;
  let admitted = 0;
  const start = performance.now();
  let elapsed = 0;
  while (elapsed < TURN_MS) {
    for (let i = 0; i < BLOCK; i += 1) if (once()) admitted += 1;
    calls += BLOCK;
    elapsed = performance.now() - start;
  }
  if (admitted !== calls) throw new Error("something was refused");
  return { cost: (elapsed / calls) * 1e6 };
}

const single = new TokenBucket(options);
const three = [new TokenBucket(options), new TokenBucket(options), new TokenBucket(options)];

const bench: Bench = {
  name: "one decision over three buckets, system clock",
  metrics: { cost: { unit: "ns", better: "lower" } },
  subjects: {
    evenkeel: { note: "tryTakeAll of three", run: () => nsEach(() => tryTakeAll(three, 1)) },
    "one bucket": { run: () => nsEach(() => single.tryTake(1)) },
  },
  goals: [{ metric: "cost", against: "one bucket", atMost: 1.3 }],
  runs: 7,
};

export default bench;
