import type { VirtualTime } from "./virtual-time.js";

export interface Route {
  readonly version: number;
  readonly node: string;
}

/**
 * What stands behind a cache: takes its calls one after the other, `keysPerSecond` keys a second, and adds `latencyMs` on the way. It does not
 * work for a caller who has given up, which is more than most sources do, and helps a cache that is in trouble.
 */
export class SlowSource {
  lookups = 0;
  isDown = false;
  readonly #time: VirtualTime;
  readonly #keysPerSecond: number;
  readonly #queue: { readonly keys: number; readonly signal: AbortSignal; answer(): void }[] = [];
  #freeAtMs = 0;
  #isServing = false;

  constructor(time: VirtualTime, { keysPerSecond }: { readonly keysPerSecond: number }) {
    this.#time = time;
    this.#keysPerSecond = keysPerSecond;
  }

  fetchMany(keys: readonly string[], signal: AbortSignal): Promise<Map<string, Route>> {
    this.lookups += keys.length;
    if (this.isDown) return Promise.reject(new Error("the source is down"));
    return new Promise((resolve) => {
      const answer = () => resolve(new Map(keys.map((key) => [key, { version: 1, node: key }])));
      this.#queue.push({ keys: keys.length, signal, answer });
      if (!this.#isServing) this.#serve();
    });
  }

  #serve(): void {
    let next = this.#queue.shift();
    while (next?.signal.aborted === true) next = this.#queue.shift();
    this.#isServing = next !== undefined;
    if (next === undefined) return;
    const { keys, answer } = next;
    const latencyMs = 2;
    // Fractions of a millisecond are carried over, so that the rate is exact.
    this.#freeAtMs = Math.max(this.#freeAtMs, this.#time.nowMs) + (keys * 1000) / this.#keysPerSecond;
    this.#time.at(Math.floor(this.#freeAtMs) + latencyMs, answer);
    if (Math.floor(this.#freeAtMs) <= this.#time.nowMs) this.#serve();
    else this.#time.at(Math.floor(this.#freeAtMs), () => this.#serve());
  }
}
