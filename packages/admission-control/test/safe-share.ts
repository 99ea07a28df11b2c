import { expect } from "vitest";
import type { Limit } from "../src/index.js";

/** The safe share of 1,000 a second: 50 at once, then no more than time brings, which passes here too. */
export function expectSafeShare(limit: Limit): void {
  const since = performance.now();
  expect(limit.tryTake(50)).toBe(true);
  let more = 0;
  while (limit.tryTake(1)) more += 1;
  expect(more).toBeLessThanOrEqual((performance.now() - since) * 0.05);
}
