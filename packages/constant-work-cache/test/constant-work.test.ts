import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { all, cacheOf, ManualSource, type Route, route, sum, turn } from "./helpers.js";

/** Answers at once, and counts what it was asked in each turn. */
function countingSource() {
  const source = {
    lookups: 0,
    calls: 0,
    fetchMany: async (keys: readonly string[]) => {
      source.lookups += keys.length;
      source.calls++;
      return all(keys, route(1));
    },
  };
  return source;
}

describe("constant work", () => {
  it("sends one look-up for every get and every peek, hit or miss", async () => {
    const source = countingSource();
    const cache = cacheOf({ source });
    await cache.get("a");
    expect(source.lookups).toBe(1);
    void cache.get("a");
    cache.peek("a");
    cache.peek("b");
    await turn();
    expect(source.lookups).toBe(4);
    expect(cache.stats()).toMatchObject({ gets: 2, peeks: 2, hits: 2, misses: 2, lookups: 4, amplification: 1 });
    expect(cache.peek("b")).toEqual(route(1));
  });

  it("gathers the look-ups of one turn into one call", async () => {
    const source = countingSource();
    const cache = cacheOf({ source });
    const answers = ["a", "b", "a", "c"].map((key) => cache.get(key));
    await Promise.all(answers);
    expect(source).toMatchObject({ calls: 1, lookups: 4 });
  });

  it("gathers over a window where one is set, and does not wait for its end once a batch is full", async () => {
    const source = countingSource();
    const cache = cacheOf({ source, windowMs: 60_000, batchMax: 4 });
    const first = cache.get("a");
    await turn(3);
    expect(source.calls).toBe(0);
    cache.peek("b");
    cache.peek("c");
    await turn(3);
    expect(source.calls).toBe(0);
    cache.peek("d");
    cache.peek("e");
    await first;
    expect(source).toMatchObject({ calls: 2, lookups: 5 });
    cache.close();
  });

  it("asks for the window's time and no longer", async () => {
    const source = countingSource();
    const cache = cacheOf({ source, windowMs: 5 });
    expect(await cache.get("a")).toEqual(route(1));
    expect(source.calls).toBe(1);
  });

  it.each(["steady", "flush", "cold start", "total miss", "hot key"])(
    "loads the source the same in every turn: %s",
    async (scene) => {
      const source = countingSource();
      const cache = cacheOf({ source, entriesMax: 500 });
      const perTurn = 200;
      for (let t = 0; t < 30; t++) {
        if (scene === "flush" && t % 10 === 5) cache.clear();
        const before = source.lookups;
        for (let i = 0; i < perTurn; i++) {
          const key = scene === "total miss" ? `${t}/${i}` : scene === "hot key" && i % 2 === 0 ? "hot" : String(i);
          if (scene === "cold start" && t < 3) cache.peek(key);
          else void cache.get(key);
        }
        await turn();
        expect(source.lookups - before).toBe(perTurn);
      }
      expect(cache.stats().amplification).toBe(1);
    },
  );

  it("doubles with its callers and not by more", async () => {
    const source = countingSource();
    const cache = cacheOf({ source });
    for (const callers of [100, 200]) {
      const before = source.lookups;
      for (let i = 0; i < callers; i++) void cache.get(String(i % 10));
      await turn();
      expect(source.lookups - before).toBe(callers);
    }
  });

  it("keeps its books for any sequence of calls: what was asked was sent, or dropped and counted", async () => {
    const step = fc.oneof(
      fc.record({ kind: fc.constant("get" as const), key: fc.integer({ min: 0, max: 20 }) }),
      fc.record({ kind: fc.constant("peek" as const), key: fc.integer({ min: 0, max: 20 }) }),
      fc.record({
        kind: fc.constantFrom("turn" as const, "clear" as const, "answer" as const, "fail" as const),
        key: fc.nat(3),
      }),
    );
    await fc.assert(
      fc.asyncProperty(fc.array(step, { maxLength: 120 }), fc.integer({ min: 1, max: 4 }), async (steps, bound) => {
        const source = new ManualSource();
        const cache = cacheOf({ source, batchMax: bound, inFlightMax: bound, queueMax: bound, entriesMax: 8 });
        let asked = 0;
        const waiting: Promise<unknown>[] = [];
        for (const { kind, key } of steps) {
          if (kind === "get") {
            asked++;
            waiting.push(Promise.resolve(cache.get(`k${key}`)).catch((error: unknown) => error));
          } else if (kind === "peek") {
            asked++;
            cache.peek(`k${key}`);
          } else if (kind === "clear") cache.clear();
          else if (kind === "turn") await turn();
          else {
            const call = source.calls.shift();
            if (kind === "answer") call?.answer(all(call.keys, route(key)));
            else call?.fail(new Error("down"));
          }
          const { inFlight, entries, queued } = cache.stats();
          expect(inFlight).toBeLessThanOrEqual(bound);
          expect(entries).toBeLessThanOrEqual(8);
          expect(queued).toBeLessThanOrEqual(bound + bound * bound);
        }
        cache.close();
        await Promise.all(waiting);
        expect(sum(cache.stats())).toBe(asked);
        expect(cache.stats().lookups).toBe(source.lookups);
      }),
      { numRuns: 150 },
    );
  });

  it("returns a hit without a promise", async () => {
    const cache = cacheOf({ source: countingSource() });
    await cache.get("a");
    const hit: Route | undefined | Promise<Route | undefined> = cache.get("a");
    expect(hit).toEqual(route(1));
  });
});
