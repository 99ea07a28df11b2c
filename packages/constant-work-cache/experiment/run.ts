import { LRUCache } from "lru-cache";
import { ConstantWorkCache } from "../src/index.js";
import { type Route, SlowSource } from "./source.js";
import { poisson, randomOf, zipf } from "./traffic.js";
import { VirtualTime } from "./virtual-time.js";

export interface Plan {
  readonly seed: number;
  readonly keys: number;
  readonly requestsPerSecond: number;
  /** Of the TTL cache: how many of its requests miss in its steady state follows from it. */
  readonly ttlMs: number;
  /** What the source can serve. */
  readonly sourceKeysPerSecond: number;
}

export const windowMs = 100;
const timeoutMs = 1000;

/** What happens, one after the other, and when each begins. */
export const phases = [
  { name: "steady", fromMs: 0 },
  { name: "outage", fromMs: 3000 },
  { name: "after it", fromMs: 6000 },
  { name: "flush", fromMs: 8000 },
  { name: "recovery", fromMs: 9000 },
  { name: "total miss", fromMs: 14_000 },
  { name: "known again", fromMs: 15_000 },
] as const;
export const endMs = 18_000;

export interface Window {
  requests: number;
  /** Keys that the source was asked for. */
  lookups: number;
  /** Of the window's requests, answered in time. */
  answered: number;
}

interface Subject {
  get(key: string): unknown;
  flush(): void;
}

type Kind = "constant work" | "lru-cache fetch";

/** One cache under the plan's traffic and mishaps; a window each 100 ms. */
export async function run(kind: Kind, plan: Plan): Promise<Window[]> {
  const time = new VirtualTime();
  const source = new SlowSource(time, { keysPerSecond: plan.sourceKeysPerSecond });
  const random = randomOf(plan.seed);
  const rank = zipf(plan.keys, random);
  const subject = kind === "constant work" ? constantWork(plan, source, time) : ttl(plan, source, time, random);
  const windows: Window[] = [];
  let unseen = 0;
  // At the end nobody asks any more, and what still waits is answered or not.
  await time.run(endMs + 2 * timeoutMs, (nowMs) => {
    if (nowMs >= endMs) return;
    const phase = phases.findLast(({ fromMs }) => fromMs <= nowMs)!;
    if (phase.name === "flush" && nowMs === phase.fromMs) subject.flush();
    source.isDown = phase.name === "outage";
    if (nowMs % windowMs === 0) windows.push({ requests: 0, lookups: -source.lookups, answered: 0 });
    const window = windows.at(-1)!;
    for (let i = poisson(plan.requestsPerSecond / 1000, random); i > 0; i--) {
      const key = phase.name === "total miss" ? `unseen-${unseen++}` : `key-${rank()}`;
      window.requests++;
      const got = subject.get(key);
      if (got instanceof Promise) {
        got.then(
          (value) => {
            if (value !== undefined) window.answered++;
          },
          () => {},
        );
      } else if (got !== undefined) window.answered++;
    }
    // The look-ups of this millisecond go out at its end.
    if (nowMs % windowMs === windowMs - 1) setImmediate(() => (window.lookups += source.lookups));
  });
  return windows;
}

function constantWork(plan: Plan, source: SlowSource, time: VirtualTime): Subject {
  const cache = new ConstantWorkCache<string, Route>({
    source: { fetchMany: (keys, { signal }) => source.fetchMany(keys, signal) },
    versionOf: (route) => route.version,
    entriesMax: plan.keys,
    inFlightMax: 64,
    timeoutMs,
    now: () => time.nowMs,
  });
  for (let i = 0; i < plan.keys; i++) cache.learn(`key-${i}`, { version: 1, node: `key-${i}` });
  return { get: (key) => cache.get(key), flush: () => cache.clear() };
}

/** Refresh on expiry, one call a key however many wait for it: what lru-cache does when asked by `fetch`. */
function ttl(plan: Plan, source: SlowSource, time: VirtualTime, random: () => number): Subject {
  const cache = new LRUCache<string, Route>({
    max: plan.keys,
    ttl: plan.ttlMs,
    ttlResolution: 0,
    perf: { now: () => 1 + plan.ttlMs + time.nowMs },
    fetchMethod: async (key) => {
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
    },
  });
  // As if it had run for long: each key is somewhere between two of its calls, which are a TTL and the wait for its next request apart.
  const harmonic = Math.log(plan.keys) + 0.5772;
  for (let i = 0; i < plan.keys; i++) {
    const waitMs = (-Math.log(1 - random()) * 1000 * harmonic * (i + 1)) / plan.requestsPerSecond;
    const ageMs = random() * (plan.ttlMs + waitMs);
    if (ageMs < plan.ttlMs) cache.set(`key-${i}`, { version: 1, node: `key-${i}` }, { start: 1 + plan.ttlMs - ageMs });
  }
  return { get: (key) => cache.fetch(key), flush: () => cache.clear() };
}
