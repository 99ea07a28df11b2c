import type { Bench } from "../../../scripts/bench-types.js";
import { BurstBucket, TokenBucket, tryTakeAll } from "../src/index.js";
import { perSecond } from "./subjects.js";

const TURN_MS = 500;
const options = { ratePerSecond: 1e9, capacity: 1e9 };

const single = new TokenBucket(options);
const three = [new TokenBucket(options), new TokenBucket(options), new TokenBucket(options)];
const burst = new BurstBucket({ ...options, burstSeconds: 300, node: new TokenBucket(options) });

function nsEach(once: () => boolean): { cost: number } {
  return { cost: 1e9 / perSecond(TURN_MS, once).rate };
}

const bench: Bench = {
  name: "one decision over three buckets, system clock",
  metrics: { cost: { unit: "ns", better: "lower" } },
  subjects: {
    evenkeel: { note: "BurstBucket: provisioned, saved, node", run: () => nsEach(() => burst.tryTake(1)) },
    "tryTakeAll of three": { run: () => nsEach(() => tryTakeAll(three, 1)) },
    "one bucket": { run: () => nsEach(() => single.tryTake(1)) },
  },
  goals: [{ metric: "cost", against: "one bucket", atMost: 1.3 }],
  runs: 7,
};

export default bench;
