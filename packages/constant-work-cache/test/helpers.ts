import type { Absent, CacheOptions, CacheStats } from "../src/index.js";
import { ConstantWorkCache } from "../src/index.js";

export interface Route {
  readonly version: number;
  readonly node: string;
}

export type Answer = Map<string, Route | Absent | undefined>;

/** A call of the source that the test answers when it wants to. */
export interface Call {
  readonly keys: readonly string[];
  readonly signal: AbortSignal;
  answer(answer: Answer): void;
  fail(error: unknown): void;
}

/** A source that answers only when told to, so that a test decides the order of everything. */
export class ManualSource {
  readonly calls: Call[] = [];
  lookups = 0;

  readonly fetchMany = (keys: readonly string[], { signal }: { signal: AbortSignal }): Promise<Answer> => {
    this.lookups += keys.length;
    return new Promise((answer, fail) => {
      this.calls.push({ keys, signal, answer, fail });
    });
  };

  /** The n-th call; fails loudly when it was not made. */
  call(index: number): Call {
    const call = this.calls[index];
    if (call === undefined) throw new Error(`call ${index} was not made; there were ${this.calls.length}`);
    return call;
  }
}

export function route(version: number, node = `node-${version}`): Route {
  return { version, node };
}

/** The same answer for every key that was asked. */
export function all(keys: readonly string[], value: Route | Absent | undefined): Answer {
  return new Map(keys.map((key) => [key, value]));
}

export function cacheOf(options: Partial<CacheOptions<string, Route>> & Pick<CacheOptions<string, Route>, "source">) {
  return new ConstantWorkCache<string, Route>({ versionOf: (value) => value.version, ...options });
}

/** One full turn of the event loop, and then some: everything that was due has run. */
export async function turn(turns = 1): Promise<void> {
  for (let i = 0; i < turns * 2; i++) await new Promise((resolve) => setImmediate(resolve));
}

export async function until(condition: () => boolean, what: string, limitMs = 60_000): Promise<void> {
  const start = performance.now();
  while (!condition()) {
    if (performance.now() - start > limitMs) throw new Error(`waited ${limitMs} ms in vain for: ${what}`);
    await new Promise((resolve) => setTimeout(resolve, 2));
  }
}

export function sum(stats: CacheStats): number {
  return stats.lookups + stats.refreshesDropped + stats.missesDropped;
}
