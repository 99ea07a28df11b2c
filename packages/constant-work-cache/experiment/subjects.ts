import { Cacheable } from "cacheable";
import { LRUCache } from "lru-cache";
import { ConstantWorkCache } from "../src/index.js";
import type { Plan } from "./run.js";
import type { Route, SlowSource } from "./source.js";
import type { VirtualTime } from "./virtual-time.js";

/** How long a caller waits, whichever cache it asks. */
export const timeoutMs = 1000;

interface World {
  readonly source: SlowSource;
  readonly time: VirtualTime;
  readonly random: () => number;
}

interface Subject {
  get(key: string): unknown;
  flush(): void;
}

const routeOf = (i: number): Route => ({ version: 1, node: `key-${i}` });

function constantWork(plan: Plan, { source, time }: World): Subject {
  const cache = new ConstantWorkCache<string, Route>({
    source: { fetchMany: (keys, { signal }) => source.fetchMany(keys, signal) },
    versionOf: (route) => route.version,
    entriesMax: plan.keys,
    inFlightMax: 64,
    timeoutMs,
    now: () => time.nowMs,
  });
  for (let i = 0; i < plan.keys; i++) cache.learn(`key-${i}`, routeOf(i));
  return { get: (key) => cache.get(key), flush: () => cache.clear() };
}

/** Refresh on expiry, one call a key however many wait for it. */
function lruCache(plan: Plan, world: World): Subject {
  const { time, source } = world;
  const cache = new LRUCache<string, Route>({
    max: plan.keys,
    ttl: plan.ttlMs,
    ttlResolution: 0,
    perf: { now: () => 1 + plan.ttlMs + time.nowMs },
    fetchMethod: (key) => askInTime(source, key),
  });
  for (const [i, ageMs] of held(plan, world)) {
    cache.set(`key-${i}`, routeOf(i), { start: 1 + plan.ttlMs - ageMs });
  }
  return { get: (key) => cache.fetch(key), flush: () => cache.clear() };
}

/** The same by another library: `getOrSet`, which also calls once for all that wait for a key. */
async function cacheable(plan: Plan, world: World): Promise<Subject> {
  const cache = new Cacheable({ ttl: plan.ttlMs });
  // It tells of each failure by an event too.
  cache.on("error", () => {});
  for (const [i, ageMs] of held(plan, world)) await cache.set(`key-${i}`, routeOf(i), { ttl: plan.ttlMs - ageMs });
  return {
    get: (key) => cache.getOrSet(key, () => askInTime(world.source, key), { ttl: plan.ttlMs, throwErrors: true }),
    flush: () => void cache.clear(),
  };
}

export const subjects = { "constant work": constantWork, "lru-cache": lruCache, cacheable } as const;
export type Kind = keyof typeof subjects;

async function askInTime(source: SlowSource, key: string): Promise<Route | undefined> {
  const controller = new AbortController();
  const asked = source.fetchMany([key], controller.signal);
  return new Promise<Route | undefined>((resolve, reject) => {
    const timer = setTimeout(() => {
      controller.abort();
      reject(new Error("timed out"));
    }, timeoutMs);
    asked.then((answer) => {
      clearTimeout(timer);
      resolve(answer.get(key));
    }, reject);
  });
}

/** What a cache with expiry holds after it has run for long, and how old: each key is somewhere between two of its calls, a TTL and the wait for its next request apart. */
function* held({ keys, requestsPerSecond, ttlMs }: Plan, { random }: World): Generator<[key: number, ageMs: number]> {
  const harmonic = Math.log(keys) + 0.5772;
  for (let i = 0; i < keys; i++) {
    const waitMs = (-Math.log(1 - random()) * 1000 * harmonic * (i + 1)) / requestsPerSecond;
    const ageMs = random() * (ttlMs + waitMs);
    if (ageMs < ttlMs) yield [i, ageMs];
  }
}
