import { setImmediate as turn } from "node:timers/promises";
import { getHeapSpaceStatistics, setFlagsFromString } from "node:v8";
import { runInNewContext } from "node:vm";
import { expect, it } from "vitest";
import { ConstantWorkCache } from "../src/index.js";

/** Forces collections: `--expose-gc` may be set while a program runs. */
setFlagsFromString("--expose-gc");
const collect = runInNewContext("gc") as (options?: { readonly type: "minor" }) => void;
const oldBytes = () =>
  getHeapSpaceStatistics().find(({ space_name: name }) => name === "old_space")?.space_used_size ?? 0;

/** Bytes among the old objects that were not there before: they stay until the whole heap is marked again. */
async function grownOld(work: () => void | Promise<void>): Promise<number> {
  collect();
  const before = oldBytes();
  await work();
  collect({ type: "minor" });
  return oldBytes() - before;
}

it("leaves nothing of a call behind that has been answered", async () => {
  // Each call is answered some turns later, so that some are always under way.
  const cache = new ConstantWorkCache<string, number>({
    entriesMax: 4,
    versionOf: (value) => value,
    source: {
      async fetchMany(keys) {
        for (let i = 0; i < 3; i++) await turn();
        return new Map(keys.map((key) => [key, undefined]));
      },
    },
  });
  const grown = await grownOld(async () => {
    for (let i = 0; i < 10_000; i++) {
      for (let n = 0; n < 64; n++) cache.peek(`key ${n % 4}`);
      await turn();
    }
    while (cache.stats().inFlight > 0) await turn();
  });
  expect(cache.stats().refreshesDropped).toBe(0);
  // Two megabytes with Node.js 20, seven with 24, which is code that ran for the first time; fourteen with a Set of what is under way.
  expect(grown).toBeLessThan(10_000_000);
  cache.close();
});

it("hands the source one and the same signal, made when it is looked at, and aborts it when the cache is closed", async () => {
  let given: { readonly signal: AbortSignal } | undefined;
  const cache = new ConstantWorkCache<string, number>({
    entriesMax: 4,
    versionOf: (value) => value,
    source: {
      fetchMany(_, context) {
        given = context;
        return new Promise(() => {});
      },
    },
  });
  const missed = cache.get("key") as Promise<number | undefined>;
  await turn();
  // A source may pass on what it was given, whole or with more beside it.
  const { signal } = { ...given };
  expect(signal).toBe(given?.signal);
  expect(signal?.aborted).toBe(false);
  cache.close();
  expect(signal?.aborted).toBe(true);
  await expect(missed).rejects.toMatchObject({ code: "ERR_CACHE_CLOSED" });
});

it("keeps a process alive for who waits, and not for refreshes that gather", () => {
  const timers = () => process.getActiveResourcesInfo().filter((name) => name === "Timeout").length;
  const before = timers();
  const source = { fetchMany: async () => new Map<string, number>() };
  const cache = new ConstantWorkCache({ source, versionOf: (value: number) => value, windowMs: 60_000 });
  cache.learn("known", 1);
  expect(cache.get("known")).toBe(1);
  expect(timers()).toBe(before);
  void cache.get("unknown");
  expect(timers()).toBe(before + 1);
  cache.close();
});
