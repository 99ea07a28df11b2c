import { describe, expect, it } from "vitest";
import { endMs, type Plan, phases, run, windowMs } from "../experiment/run.js";

const plan: Plan = { seed: 7, keys: 2000, requestsPerSecond: 1000, ttlMs: 720_000, sourceKeysPerSecond: 1100 };

describe("the experiment", () => {
  it("shows a source that sees its traffic in every window, and callers that are all answered, whatever happens to the cache", async () => {
    const windows = await run("constant work", plan);
    expect(windows).toHaveLength(endMs / windowMs);
    for (const { lookups, requests } of windows) expect(Math.abs(lookups / requests - 1)).toBeLessThanOrEqual(0.02);
    expect(windows.filter(({ answered, requests }) => answered !== requests)).toEqual([]);
  });

  it.each(["lru-cache", "cacheable"] as const)("shows what a flush does to the source of %s", async (kind) => {
    const windows = await run(kind, plan);
    const flushed = phases.find(({ name }) => name === "flush")!.fromMs / windowMs;
    const steady = windows.slice(0, flushed).reduce((sum, { lookups }) => sum + lookups, 0) / flushed;
    expect(windows[flushed]!.lookups).toBeGreaterThan(100 * steady);
  });

  it.each(["constant work", "lru-cache", "cacheable"] as const)("is the same for one seed: %s", async (kind) => {
    const short = { ...plan, keys: 300, requestsPerSecond: 200 };
    expect(await run(kind, short)).toEqual(await run(kind, short));
  });
});
