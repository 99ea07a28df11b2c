import { subscribe, unsubscribe } from "node:diagnostics_channel";
import { afterAll, afterEach, beforeAll } from "vitest";
import type { Position } from "../../src/index.js";

const configuration = { slot: 0, storage: ["a", "b", "c"], log: [], departed: [] };
export const positionAt = (slot: number): Position => ({ slot, ballot: { round: 1, node: "a" }, configuration });

/** Until everything that needs no clock has happened. */
export const settled = (): Promise<unknown> => new Promise((resolve) => setImmediate(resolve));

/** What one test's snapshots were told to have failed of, for the file that calls this. */
export function toldFailures(): unknown[] {
  const failures: unknown[] = [];
  const onFailure = (event: unknown) => failures.push(event);
  beforeAll(() => subscribe("evenkeel:paxos:snapshot-failed", onFailure));
  afterAll(() => void unsubscribe("evenkeel:paxos:snapshot-failed", onFailure));
  afterEach(() => {
    failures.length = 0;
  });
  return failures;
}
