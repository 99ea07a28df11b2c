import { setTimeout as delay } from "node:timers/promises";

/** One promise of a contract, for any test runner. */
export interface ConformanceCase {
  readonly name: string;
  /** Rejects, nearly always with an AssertionError, where the promise is not kept. */
  run(): Promise<void>;
}

/** Something to be closed when its case is over, however that ends. */
export interface Closable {
  close?(): Promise<void> | void;
}

type Check<Make> = (make: Make) => Promise<void>;
export type Checks<Make> = Record<string, Check<Make>>;

/** Each check with a `make` of its own, whose results are closed in the opposite order of their making. */
export function casesOf<Made extends Closable, Args extends unknown[]>(
  make: (...args: Args) => Made | Promise<Made>,
  checks: Checks<(...args: Args) => Promise<Made>>,
): ConformanceCase[] {
  return Object.entries(checks).map(([name, check]) => ({
    name,
    run: async () => {
      const made: Made[] = [];
      try {
        await check(async (...args) => {
          const one = await make(...args);
          made.push(one);
          return one;
        });
      } finally {
        for (const one of made.reverse()) await one.close?.();
      }
    },
  }));
}

/** Numbers from 0 to `below - 1` that look random and are the same every time. */
export function numbers(seed: number): (below: number) => number {
  let state = seed >>> 0;
  return (below) => {
    state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0;
    return Math.floor((state / 2 ** 32) * below);
  };
}

/** Looks again and again until it is so. */
export async function until(what: string, timeoutMs: number, so: () => boolean, meanwhile?: () => void): Promise<void> {
  const end = performance.now() + timeoutMs;
  while (!so()) {
    if (performance.now() > end) throw new Error(`not within ${timeoutMs} ms: ${what}`);
    meanwhile?.();
    await delay(2);
  }
}
