import { subscribe, unsubscribe } from "node:diagnostics_channel";
import { describe, expect, it } from "vitest";
import { Entries } from "../src/core/entries.js";
import { ConstantWorkCache } from "../src/index.js";
import { all, cacheOf, ManualSource, route, turn } from "./helpers.js";

describe("bounds", () => {
  it("holds a million distinct missing keys to its limit, negative entries counted in", async () => {
    const cache = cacheOf({ source: { fetchMany: async (keys) => all(keys, undefined) }, entriesMax: 1000 });
    for (let i = 0; i < 1_000_000; ) {
      for (let j = 0; j < 4000; j++) cache.peek(`missing-${i++}`);
      await turn();
    }
    expect(cache.stats()).toMatchObject({ entries: 1000, negativeEntries: 1000, evictions: 999_000, amplification: 1 });
  });

  it("keeps what is asked again through a flood of keys that are asked once", async () => {
    const cache = cacheOf({ source: { fetchMany: async (keys) => all(keys, route(1)) }, entriesMax: 100 });
    for (let t = 0; t < 100; t++) {
      for (let i = 0; i < 50; i++) cache.peek(`hot-${i}`);
      for (let i = 0; i < 40; i++) cache.peek(`once-${t}-${i}`);
      await turn();
    }
    const hot = Array.from({ length: 50 }, (_, i) => cache.peek(`hot-${i}`)).filter((value) => value !== undefined);
    expect(hot).toHaveLength(50);
  });

  it("serves negative entries as hits", async () => {
    const cache = cacheOf({ source: { fetchMany: async (keys) => all(keys, undefined) } });
    expect(await cache.get("none")).toBeUndefined();
    expect(cache.get("none")).toBeUndefined();
    expect(cache.stats()).toMatchObject({ hits: 1, misses: 1, negativeEntries: 1 });
  });

  it("evicts like SIEVE does: the bit saves once, the hand goes on from where it stopped", () => {
    const entries = new Entries<string, number>(3);
    for (const key of ["a", "b", "c"]) entries.put(key, 1, 1, 1, 0);
    entries.serve(entries.slotOf("a")!);
    entries.put("d", 1, 1, 1, 0); // spares a, evicts b
    entries.put("e", 1, 1, 1, 0); // evicts c, where the hand stood
    expect(["a", "b", "c", "d", "e"].filter((key) => entries.slotOf(key) !== undefined)).toEqual(["a", "d", "e"]);
    expect(entries).toMatchObject({ size: 3, evictions: 2 });
  });

  it("works with one entry, and after clear", () => {
    const entries = new Entries<string, number>(1);
    for (let round = 0; round < 3; round++) {
      for (let i = 0; i < 10; i++) {
        entries.put(`k${i}`, i % 2 === 0 ? undefined : i, 1, 1, 0);
        entries.serve(entries.slotOf(`k${i}`)!);
        expect(entries.size).toBe(1);
        expect(entries.negatives).toBe(i % 2 === 0 ? 1 : 0);
      }
      entries.clear();
      expect(entries).toMatchObject({ size: 0, negatives: 0 });
    }
  });

  it.each(["", "__proto__", "constructor", "x".repeat(1 << 20), "\ud800", "\udfff\ud800"])(
    "keeps any string as a key",
    async (key) => {
      const cache = cacheOf({ source: { fetchMany: async (keys) => all(keys, route(1, key)) } });
      expect(await cache.get(key)).toEqual(route(1, key));
      expect(cache.peek(key)).toEqual(route(1, key));
      expect(cache.peek(`${key}!`)).toBeUndefined();
    },
  );

  it("keeps null as a value like any other", async () => {
    const cache = new ConstantWorkCache<string, null>({
      source: { fetchMany: async (keys) => new Map(keys.map((key) => [key, null])) },
      versionOf: () => 1,
    });
    expect(await cache.get("a")).toBeNull();
    expect(cache.get("a")).toBeNull();
    expect(cache.stats().negativeEntries).toBe(0);
  });

  it("stops gathering in one endless turn", async () => {
    const source = new ManualSource();
    const cache = cacheOf({ source, batchMax: 10, inFlightMax: 2 });
    for (let i = 0; i < 1000; i++) cache.peek("a");
    await turn();
    expect(cache.stats()).toMatchObject({ lookups: 20, refreshesDropped: 980, inFlight: 2 });
  });

  it("tells no nonsense when the clock is an hour back or forward", async () => {
    let now = 10_000_000;
    const cache = cacheOf({ source: { fetchMany: async (keys) => all(keys, route(1)) }, now: () => now });
    await cache.get("a");
    now += 3_600_000;
    expect(cache.get("a")).toEqual(route(1));
    expect(cache.stats().servedAgeMs).toBe(3_600_000);
    await turn();
    now -= 7_200_000;
    expect(cache.get("a")).toEqual(route(1));
    expect(cache.stats().servedAgeMs).toBe(0);
    await turn();
    expect(cache.stats().amplification).toBe(1);
  });

  it("tells of failures and of spells of dropping on its channels", async () => {
    const seen: string[] = [];
    const names = ["source-failed", "refreshes-dropped", "misses-refused"].map(
      (event) => `evenkeel:constant-work-cache:${event}`,
    );
    const listener = (message: unknown, name: string | symbol) => {
      const { active, keys } = message as { active?: boolean; keys?: number };
      seen.push(`${String(name).split(":")[2]} ${active ?? keys}`);
    };
    for (const name of names) subscribe(name, listener);
    const source = new ManualSource();
    const cache = cacheOf({ source, batchMax: 1, inFlightMax: 1, queueMax: 0 });
    cache.peek("a");
    await turn();
    for (let i = 0; i < 3; i++) {
      cache.peek("a");
      void cache.get("b");
      await turn();
    }
    source.call(0).fail(new Error("down"));
    await turn();
    cache.peek("a");
    await turn();
    for (const name of names) unsubscribe(name, listener);
    expect(seen).toEqual([
      "misses-refused true",
      "refreshes-dropped true",
      "source-failed 1",
      "refreshes-dropped false",
      "misses-refused false",
    ]);
  });

  it.each([
    [{ source: {} }, "source"],
    [{ versionOf: 3 }, "versionOf"],
    [{ entriesMax: 0 }, "entriesMax"],
    [{ entriesMax: 1.5 }, "entriesMax"],
    [{ batchMax: "3" }, "batchMax"],
    [{ inFlightMax: Number.NaN }, "inFlightMax"],
    [{ queueMax: -1 }, "queueMax"],
    [{ timeoutMs: Number.POSITIVE_INFINITY }, "timeoutMs"],
    [{ windowMs: -1 }, "windowMs"],
    [{ now: 12 }, "now"],
  ])("refuses %j and names it", (option, name) => {
    const source = new ManualSource();
    expect(() => cacheOf({ source, ...(option as object) })).toThrow(
      expect.objectContaining({ code: "ERR_CACHE_ARGUMENT", message: expect.stringContaining(name) }),
    );
  });
});
