import type { Redis } from "ioredis";
import { RateLimiterRedis } from "rate-limiter-flexible";
import type { Bench } from "../../../scripts/bench-types.js";
import { missingCommand } from "../../../scripts/needs.js";
import { RedisServer } from "../../../scripts/redis-server.js";
import { Admission, type Limit } from "../src/index.js";
import { redisCoordinator } from "../src/redis/index.js";

const TURN_MS = 1000;
/** Of so many decisions one is timed: reading the clock twice costs as much as deciding. */
const TIMED_EVERY = 64;
const skip = missingCommand("redis-server", "redis-server");
const skipped = skip === undefined ? {} : { skip };

/** One server for all benches of this file, started with the first of them and stopped with the last. */
class SharedRedis {
  #server: Promise<RedisServer> | undefined;
  #users = 0;

  async open(): Promise<Redis> {
    this.#users += 1;
    this.#server ??= RedisServer.start();
    return (await this.#server).client({ maxRetriesPerRequest: null });
  }

  async close(redis: Redis | undefined): Promise<void> {
    redis?.disconnect();
    this.#users -= 1;
    if (this.#users > 0) return;
    const server = await this.#server;
    this.#server = undefined;
    await server?.stop();
  }
}

const shared = new SharedRedis();

/** Commands that the server has run, those inside scripts and the scripts' own calls apart, as its own statistics say. */
async function commands(redis: Redis): Promise<{ calls: number; inner: number }> {
  let calls = 0;
  let inner = 0;
  for (const [, name, count] of (await redis.info("commandstats")).matchAll(/cmdstat_([^:]+):calls=(\d+)/g)) {
    if (/^eval(sha)?$/.test(name ?? "")) calls += Number(count);
    else if (!/^(client|config|ping|select|hello)/.test(name ?? "")) inner += Number(count);
  }
  return { calls, inner };
}

/** Runs a turn between two readings of the server's statistics; the reading itself is taken off. */
async function counted(
  redis: Redis,
  turn: () => Promise<{ admitted: number; elapsedMs: number; p99Us: number }>,
): Promise<Record<string, number>> {
  const before = await commands(redis);
  const { admitted, elapsedMs, p99Us } = await turn();
  const after = await commands(redis);
  return {
    decisions: (admitted / elapsedMs) * 1000,
    p99: p99Us,
    scripts: ((after.calls - before.calls) / admitted) * 1000,
    commands: ((after.inner - before.inner - 1) / admitted) * 1000,
  };
}

function p99(samples: number[]): number {
  samples.sort((a, b) => a - b);
  return (samples[Math.floor(samples.length * 0.99)] ?? 0) * 1000;
}

/** Decisions one after the other; the event loop gets its turn every millisecond or so, as it would between requests. */
async function decide(limit: Limit): Promise<{ admitted: number; elapsedMs: number; p99Us: number }> {
  const samples: number[] = [];
  let admitted = 0;
  const start = performance.now();
  let elapsedMs = 0;
  while (elapsedMs < TURN_MS) {
    for (let block = 0; block < 100; block += 1) {
      const from = performance.now();
      if (limit.tryTake(1)) admitted += 1;
      samples.push(performance.now() - from);
      for (let i = 1; i < TIMED_EVERY; i += 1) if (limit.tryTake(1)) admitted += 1;
    }
    await new Promise(setImmediate);
    elapsedMs = performance.now() - start;
  }
  return { admitted, elapsedMs, p99Us: p99(samples) };
}

/** `concurrency` callers, each with one question on its way at any time. */
async function ask(concurrency: number, once: () => Promise<unknown>) {
  const samples: number[] = [];
  let admitted = 0;
  const start = performance.now();
  const caller = async () => {
    while (performance.now() - start < TURN_MS) {
      const from = performance.now();
      await once();
      samples.push(performance.now() - from);
      admitted += 1;
    }
  };
  await Promise.all(Array.from({ length: concurrency }, caller));
  return { admitted, elapsedMs: performance.now() - start, p99Us: p99(samples) };
}

/** Requests that come at a rate, whatever becomes of them. */
async function offered(perSecond: number, once: () => boolean | Promise<unknown>) {
  const samples: number[] = [];
  let admitted = 0;
  let asked = 0;
  const answers: Promise<void>[] = [];
  const start = performance.now();
  for (;;) {
    const elapsedMs = performance.now() - start;
    if (elapsedMs >= 4 * TURN_MS) break;
    for (; asked < (elapsedMs * perSecond) / 1000; asked += 1) {
      const from = performance.now();
      const answer = once();
      const done = () => {
        samples.push(performance.now() - from);
        admitted += 1;
      };
      if (answer === true) done();
      else if (answer !== false) answers.push(answer.then(done));
    }
    await new Promise((resolve) => setTimeout(resolve, 1));
  }
  await Promise.all(answers);
  return { admitted, elapsedMs: performance.now() - start, p99Us: p99(samples) };
}

const metrics = {
  decisions: { unit: "ops/s", better: "higher" },
  p99: { unit: "us", better: "lower" },
  scripts: { unit: "script calls/1,000 admits", better: "lower" },
  commands: { unit: "inner commands/1,000 admits", better: "lower" },
} as const;

function ours(ratePerSecond: number, turn: (limit: Limit) => ReturnType<typeof decide>, note: string) {
  let redis: Redis | undefined;
  let admission: Admission | undefined;
  let limit: Limit | undefined;
  return {
    ...skipped,
    note,
    async open() {
      redis = await shared.open();
      admission = new Admission({ coordinator: redisCoordinator(redis, { learnForMs: 0 }), member: "bench" });
      limit = admission.limit(`orders-${ratePerSecond}-${Math.random()}`, { ratePerSecond, burstSeconds: 5 });
      await admission.settle();
    },
    async run() {
      if (redis === undefined || limit === undefined) throw new Error("run before open");
      const reached = limit;
      return counted(redis, () => turn(reached));
    },
    async close() {
      await admission?.close();
      await shared.close(redis);
    },
  };
}

function flexible(points: number, turn: (once: () => Promise<unknown>) => ReturnType<typeof ask>, note: string) {
  let redis: Redis | undefined;
  let limiter: RateLimiterRedis | undefined;
  return {
    ...skipped,
    note,
    async open() {
      redis = await shared.open();
      limiter = new RateLimiterRedis({ storeClient: redis, points, duration: 1, keyPrefix: `bench-${Math.random()}` });
      await limiter.consume("orders", 1);
    },
    async run() {
      if (redis === undefined || limiter === undefined) throw new Error("run before open");
      const reached = limiter;
      return counted(redis, () => turn(() => reached.consume("orders", 1)));
    },
    close: () => shared.close(redis),
  };
}

const unlimited = [1, 64, 512].map(
  (concurrency): Bench => ({
    name: `decisions over one Redis, ${concurrency} ${concurrency === 1 ? "caller" : "callers"}, all admitted`,
    metrics,
    subjects: {
      evenkeel: ours(
        1e9,
        decide,
        "a decision is a function call, so callers take turns whatever their number; settled every two seconds",
      ),
      "rate-limiter-flexible": flexible(
        1e9,
        (once) => ask(concurrency, once),
        "RateLimiterRedis: a script in Redis for each decision; each caller has one on its way",
      ),
    },
    goals: [
      { metric: "decisions", atLeast: 5_000_000 },
      { metric: "decisions", against: "rate-limiter-flexible", atLeast: 50 },
    ],
  }),
);

const atTenThousand: Bench = {
  name: "10,000 requests a second, all admitted",
  metrics,
  subjects: {
    evenkeel: ours(20_000, (limit) => offered(10_000, () => limit.tryTake(1)), "one member, settled every two seconds"),
    "rate-limiter-flexible": flexible(20_000, (once) => offered(10_000, once), "RateLimiterRedis"),
  },
  goals: [{ metric: "scripts", atMost: 2 }],
};

export default [...unlimited, atTenThousand] satisfies Bench[];
