import { BurstBucket, KeyedBuckets, TokenBucket } from "../src/index.js";

export interface SoakLane {
  readonly name: string;
  readonly operations: number;
  /** Simulated days that passed. */
  readonly days: number;
  /** The largest difference from the truth that was seen. */
  readonly worstTokens: number;
}

const DAYS = 30;
const DAY_MS = 86_400_000;
/** In a fifth of the operations the clock stands still. */
const MOVING = 0.799;
const RATES = [1e-9, 1e-6, 1e-3, 0.1, 1 / 3, 7, 99.9, 12_345.678, 1e6, 123_456_789.125, 1e9, 1e12];

/**
 * Amounts and times are multiples of 2^-20, so that the truth can be had in small integers: levels are counted in
 * thousandths of a token times 2^-20 times the rate's own last binary digit.
 */
const GRID = 2 ** 20;

interface Subject {
  tryTake(which: number, tokens: number): boolean;
  debit(which: number, tokens: number): void;
  refund(which: number, tokens: number): void;
  tokens(which: number): number;
}

/** xorshift128 by Marsaglia: quick, and the same everywhere. */
function randomFrom(seed: number): () => number {
  let [x, y, z, w] = [seed | 0 || 1, 362436069, 521288629, 88675123];
  const next = () => {
    const t = x ^ (x << 11);
    [x, y, z] = [y, z, w];
    w = w ^ (w >>> 19) ^ (t ^ (t >>> 8));
    return (w >>> 0) / 2 ** 32;
  };
  for (let i = 0; i < 20; i += 1) next();
  return next;
}

function onGrid(value: number): number {
  return Math.round(value * GRID) / GRID;
}

/** All lanes, or the one named, one after another; each takes its part of `operations`. Throws at a whole token of error. */
export function* soak(operations: number, seed: number, only?: string): Generator<SoakLane> {
  const kinds = ["bucket", "burst", "keyed"] as const;
  const lanes = kinds.flatMap((kind) => RATES.map((rate) => ({ kind, rate, name: `${kind}:${rate}` })));
  const chosen = only === undefined ? lanes : lanes.filter((lane) => lane.name === only);
  if (chosen.length === 0) throw new Error(`no lane ${only}; there are ${lanes.map(({ name }) => name).join(", ")}`);
  const share = Math.ceil(operations / chosen.length);
  for (const [i, { kind, rate, name }] of chosen.entries()) yield run(kind, rate, name, share, seed * 1000 + i);
}

function run(
  kind: "bucket" | "burst" | "keyed",
  rate: number,
  name: string,
  operations: number,
  seed: number,
): SoakLane {
  const random = randomFrom(seed);
  const clock = { now: 1000 + GRID ** -1 };
  const now = () => clock.now;
  // What flows in a mean step, and a capacity of a few hundred of them: hardly ever full, so that errors can add up.
  const stepMs = (DAYS * DAY_MS) / (operations * MOVING);
  const inflow = (rate * stepMs) / 1000;
  const capacity = Math.min(1e15, Math.max(10, onGrid(inflow * 300)));
  const keyCount = kind === "keyed" ? 16 : 1;
  const subject = subjectOf(kind, rate, capacity, now);

  let rateScale = 1;
  while (!Number.isInteger(rate * rateScale)) rateScale *= 2;
  const rateInt = BigInt(rate * rateScale);
  const unit = BigInt(rateScale);
  const capacityInt = BigInt(capacity * GRID) * 1000n * unit;
  const levels = Array.from({ length: keyCount }, () => capacityInt);
  const toTokens = (level: bigint) => Number(level / unit) / (1000 * GRID);
  const costOf = (tokens: number) => BigInt(tokens * GRID) * 1000n * unit;
  const earnedTotal = Array.from({ length: keyCount }, () => 0n);
  let earned = 0n;
  let lastTick = BigInt(clock.now * GRID);
  let worst = 0;
  let passedMs = 0;

  for (let i = 0; i < operations; i += 1) {
    const dice = random();
    let step = onGrid(random() * 2 * stepMs);
    if (dice < 0.001) step = -onGrid(random() * 3_600_000);
    else if (dice < 0.2) step = 0;
    else if (dice > 0.999_999) step = 2 * DAY_MS;
    clock.now = onGrid(clock.now + step);
    passedMs += Math.max(0, step);
    const tick = BigInt(clock.now * GRID);
    if (tick > lastTick) earned += (tick - lastTick) * rateInt;
    lastTick = tick;

    const which = keyCount === 1 ? 0 : Math.floor(random() * keyCount);
    let level = (levels[which] as bigint) + earned - (earnedTotal[which] as bigint);
    earnedTotal[which] = earned;
    if (level > capacityInt) level = capacityInt;

    // As much as flows in, on the whole; sometimes a whole number, sometimes all that is there.
    let tokens = onGrid(random() * 2.4 * inflow * keyCount);
    if (random() < 0.2) tokens = Math.ceil(tokens);
    if (tokens > capacity) tokens = capacity;
    const what = random();
    if (what < 0.9) {
      const cost = costOf(tokens);
      const taken = subject.tryTake(which, tokens);
      if (taken !== level >= cost) {
        const off = Math.abs(toTokens(level - cost));
        worst = Math.max(worst, off);
        if (off > 1)
          throw new Error(`${name}, seed ${seed}: operation ${i} should have been ${!taken}, by ${off} tokens`);
      }
      if (taken) level -= cost;
    } else if (what < 0.95) {
      subject.debit(which, tokens);
      level -= costOf(tokens);
    } else {
      subject.refund(which, tokens);
      level += costOf(tokens);
      if (level > capacityInt) level = capacityInt;
    }
    levels[which] = level;
    const off = Math.abs(subject.tokens(which) - toTokens(level));
    if (off > worst) worst = off;
    if (!(off <= 1)) throw new Error(`${name}, seed ${seed}: off by ${off} tokens after operation ${i}`);
  }
  return { name, operations, days: passedMs / DAY_MS, worstTokens: worst };
}

function subjectOf(
  kind: "bucket" | "burst" | "keyed",
  ratePerSecond: number,
  capacity: number,
  now: () => number,
): Subject {
  if (kind === "keyed") {
    const buckets = new KeyedBuckets({ ratePerSecond, capacity, keysMax: 64, now, seed: [1, 2] });
    const keys = Array.from({ length: 16 }, (_, i) => `key ${i}`);
    return {
      tryTake: (which, tokens) => buckets.tryTake(keys[which] as string, tokens),
      debit: (which, tokens) => buckets.debit(keys[which] as string, tokens),
      refund: (which, tokens) => buckets.refund(keys[which] as string, tokens),
      tokens: (which) => buckets.tokens(keys[which] as string),
    };
  }
  if (kind === "burst") {
    // A quarter provisioned, the rest saved; what both hold together is what one bucket would.
    const node = { has: () => true, debit: () => {}, refund: () => {}, msUntil: () => 0 };
    const provisioned = capacity / 4;
    const burstSeconds = (capacity - provisioned) / ratePerSecond;
    const options = { ratePerSecond, capacity: provisioned, burstSeconds, node, now };
    const bucket = new BurstBucket({ ...options, saved: ratePerSecond * burstSeconds });
    return {
      tryTake: (_, tokens) => bucket.tryTake(tokens),
      debit: (_, tokens) => bucket.debit(tokens),
      refund: (_, tokens) => bucket.refund(tokens),
      tokens() {
        const { tokens, saved } = bucket.stats();
        return tokens + saved;
      },
    };
  }
  const bucket = new TokenBucket({ ratePerSecond, capacity, now });
  return {
    tryTake: (_, tokens) => bucket.tryTake(tokens),
    debit: (_, tokens) => bucket.debit(tokens),
    refund: (_, tokens) => bucket.refund(tokens),
    tokens: () => bucket.stats().tokens,
  };
}
