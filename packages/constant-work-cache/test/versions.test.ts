import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { Absent, ConstantWorkCache } from "../src/index.js";
import { all, cacheOf, ManualSource, route, turn } from "./helpers.js";

describe("versions", () => {
  it("keeps the newer answer when answers overtake one another", async () => {
    const source = new ManualSource();
    const cache = cacheOf({ source });
    const first = cache.get("a");
    await turn();
    cache.peek("a");
    await turn();
    source.call(1).answer(all(["a"], route(8)));
    await turn();
    source.call(0).answer(all(["a"], route(7)));
    expect(await first).toEqual(route(8));
    expect(cache.peek("a")).toEqual(route(8));
    expect(cache.stats().staleAnswers).toBe(1);
  });

  it("does not bring a value back that is older than its tombstone", async () => {
    const source = new ManualSource();
    const cache = cacheOf({ source });
    const ask = async (value: ReturnType<typeof route> | Absent | undefined) => {
      cache.peek("a");
      await turn();
      source.call(source.calls.length - 1).answer(all(["a"], value));
      await turn();
    };
    await ask(route(5));
    await ask(new Absent(6));
    expect(cache.peek("a")).toBeUndefined();
    expect(cache.stats()).toMatchObject({ entries: 1, negativeEntries: 1 });
    await ask(route(5));
    expect(cache.peek("a")).toBeUndefined();
    await ask(route(7));
    expect(cache.peek("a")).toEqual(route(7));
    expect(cache.stats().negativeEntries).toBe(0);
  });

  it("orders an absence without a version by its look-up", async () => {
    const source = new ManualSource();
    const cache = cacheOf({ source });
    cache.learn("a", route(5));
    for (let i = 0; i < 2; i++) {
      cache.peek("a");
      await turn();
    }
    source.call(1).answer(all(["a"], undefined));
    await turn();
    source.call(0).answer(all(["a"], route(5)));
    await turn();
    expect(cache.get("a")).toBeUndefined();
  });

  it("lets the later look-up win under one version, whichever answer comes first", async () => {
    for (const order of [
      [0, 1],
      [1, 0],
    ] as const) {
      const source = new ManualSource();
      const cache = cacheOf({ source });
      for (let i = 0; i < 2; i++) {
        cache.peek("a");
        await turn();
      }
      for (const index of order) {
        source.call(index).answer(all(["a"], route(1, `from call ${index}`)));
        await turn();
      }
      expect(cache.peek("a")).toEqual(route(1, "from call 1"));
    }
  });

  it("takes the last word of two that push different values under one version, and keeps to it", async () => {
    const source = new ManualSource();
    const cache = cacheOf({ source });
    cache.peek("a");
    await turn();
    cache.learn("a", route(3, "one"));
    cache.learn("a", route(3, "other"));
    expect(cache.peek("a")).toEqual(route(3, "other"));
    await turn();
    source.call(1).answer(all(["a"], route(3, "the source's later")));
    await turn();
    expect(cache.peek("a")).toEqual(route(3, "the source's later"));
    source.call(0).answer(all(["a"], route(3, "the source's earlier")));
    await turn();
    expect(cache.peek("a")).toEqual(route(3, "the source's later"));
  });

  it("learns what a redirect taught unless it knows better", async () => {
    const source = new ManualSource();
    const cache = cacheOf({ source });
    expect(cache.learn("a", route(5))).toBe(true);
    expect(cache.learn("a", route(4))).toBe(false);
    expect(cache.learn("a", new Absent(6))).toBe(true);
    expect(cache.peek("a")).toBeUndefined();
    expect(cache.stats().lookups).toBe(0);
    expect(() => cache.learn("a", route(Number.NaN))).toThrow(expect.objectContaining({ code: "ERR_CACHE_ARGUMENT" }));
  });

  it("refreshes values of a source that has no versions", async () => {
    let value = 1;
    const cache = new ConstantWorkCache<string, number>({
      source: { fetchMany: async (keys) => new Map(keys.map((key) => [key, value])) },
      versionOf: () => 0,
    });
    expect(await cache.get("a")).toBe(1);
    value = 2;
    cache.peek("a");
    await turn();
    expect(cache.peek("a")).toBe(2);
  });

  it("never goes back, whatever the order of answers", async () => {
    await fc.assert(
      fc.asyncProperty(
        fc.array(fc.tuple(fc.nat(50), fc.boolean()), { minLength: 1, maxLength: 30 }),
        fc.infiniteStream(fc.nat(1000)),
        async (answers, picks) => {
          const source = new ManualSource();
          const cache = cacheOf({ source, inFlightMax: 100 });
          for (let i = 0; i < answers.length; i++) {
            cache.peek("a");
            await turn();
          }
          const open = answers.map(([version, absent], i) => ({ call: source.call(i), version, absent }));
          let highest = -1;
          while (open.length > 0) {
            const pick = open.splice((picks.next().value as number) % open.length, 1)[0]!;
            pick.call.answer(all(["a"], pick.absent ? new Absent(pick.version) : route(pick.version)));
            await turn();
            const seen = cache.peek("a");
            highest = Math.max(highest, pick.version);
            if (seen !== undefined) expect(seen.version).toBe(highest);
          }
          cache.close();
        },
      ),
      { numRuns: 40 },
    );
  });
});
