import type { Options } from "express-rate-limit";
import { MemoryStore } from "express-rate-limit";

/** The least that a bucket can do: one clock read, one multiplication. Drifts, and knows nothing but `tryTake`. */
export class BareBucket {
  last = performance.now();
  tokens: number;
  constructor(readonly rate: number) {
    this.tokens = rate;
  }
  tryTake(n: number): boolean {
    const now = performance.now();
    this.tokens = Math.min(this.rate, this.tokens + ((now - this.last) * this.rate) / 1000);
    this.last = now;
    if (this.tokens < n) return false;
    this.tokens -= n;
    return true;
  }
}

/** express-rate-limit's store by itself, counting in windows of a minute. */
export function expressStore(): MemoryStore {
  const store = new MemoryStore();
  store.init({ windowMs: 60_000 } as Options);
  return store;
}

const BLOCK = 1_000;

/** Calls `once` for a turn with 0, 1, 2 and so on; how many calls there were in a second. */
export function perSecond(turnMs: number, once: (i: number) => boolean): { rate: number } {
  let calls = 0;
  const start = performance.now();
  let elapsed = 0;
  while (elapsed < turnMs) {
    for (let i = 0; i < BLOCK; i += 1) if (!once(calls + i)) throw new Error("something was refused");
    calls += BLOCK;
    elapsed = performance.now() - start;
  }
  return { rate: (calls / elapsed) * 1000 };
}

/** The same for a peer whose interface is asynchronous: awaited one by one. */
export async function perSecondAwaited(
  turnMs: number,
  once: (i: number) => Promise<unknown>,
): Promise<{ rate: number }> {
  let calls = 0;
  const start = performance.now();
  let elapsed = 0;
  while (elapsed < turnMs) {
    for (let i = 0; i < BLOCK; i += 1) await once(calls + i);
    calls += BLOCK;
    elapsed = performance.now() - start;
  }
  return { rate: (calls / elapsed) * 1000 };
}
