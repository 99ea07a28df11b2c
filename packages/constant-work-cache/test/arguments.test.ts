import { expect, it } from "vitest";
import { ConstantWorkCache, ConstantWorkPoller } from "../src/index.js";

const refusal = (argument: string): Error =>
  expect.objectContaining({
    code: "ERR_CACHE_ARGUMENT",
    message: expect.stringMatching(new RegExp(`^${argument} must be`)),
  }) as Error;

const source = { fetchMany: () => new Map() };

it("names what is missing, what is no options object, and an option that there is not", () => {
  expect(() => new ConstantWorkCache(undefined as never)).toThrow(refusal("source"));
  expect(() => new ConstantWorkPoller(undefined as never)).toThrow(refusal("fetchAll"));
  const made = [(o: unknown) => new ConstantWorkCache(o as never), (o: unknown) => new ConstantWorkPoller(o as never)];
  for (const make of made) for (const o of [null, 5, "source"]) expect(() => make(o)).toThrow(refusal("options"));
  expect(() => made[0]?.({ source, versionOf: () => 1, entries: 5 })).toThrow(
    'an option of ConstantWorkCache must be entriesMax, not "entries"',
  );
  expect(() => made[0]?.({ source, versionOf: () => 1, batchMax: null })).toThrow(refusal("batchMax"));
  expect(() => made[1]?.({ fetchAll: () => 1, period: 5 })).toThrow(
    'an option of ConstantWorkPoller must be periodMs, not "period"',
  );
});

it("names an option of a call that there is not, and asks for nothing", async () => {
  await using cache = new ConstantWorkCache({ source, versionOf: () => 1 });
  expect(() => cache.get("a", { sginal: undefined } as never)).toThrow(refusal("an option of get"));
  expect(() => cache.get("a", new AbortController().signal as never)).toThrow(refusal("an option of get"));
  expect(cache.stats().gets).toBe(0);
  await using poller = new ConstantWorkPoller({ fetchAll: () => 1, periodMs: 1000 });
  await expect(poller.ready({ sginal: undefined } as never)).rejects.toEqual(refusal("an option of ready"));
});
