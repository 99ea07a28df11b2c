import { memoryObjectStore } from "@evenkeel/wal/archive";
import { expect, test } from "vitest";
import type { Fleet } from "../src/control/fleet.js";
import { Scrubbing } from "../src/scrub/scrubbing.js";
import { eventually, temporaryDir } from "./support/store.js";

test("before each of many passes nobody is asked for all partitions anew", async () => {
  const { dir, remove } = await temporaryDir();
  const asked = { status: 0, scrubLog: 0 };
  const call = async (method: string) => {
    if (method === "status") asked.status++;
    if (method !== "scrubLog") return { nodeId: "", partitions: [], logReplicas: [] };
    asked.scrubLog++;
    return { damages: [], bytes: 1 };
  };
  const nodes = Array.from({ length: 30 }, (_, i) => `a${i}`);
  const fleet = { nodeIds: () => nodes, callerTo: () => ({ call, close: async () => {} }) } as unknown as Fleet;
  // An hour passes in no time: it is the passes that count.
  let nowMs = 0;
  const sleep = async (ms: number): Promise<void> => {
    nowMs += ms;
    await new Promise((resolve) => setImmediate(resolve));
  };
  const clock = { nowMs: () => nowMs, wallMs: () => nowMs, sleep };
  const options = { fleet, archive: memoryObjectStore(), dir, fullPassEveryMs: 3_600_000, onFinding: () => {} };
  const scrubbing = new Scrubbing({ ...options, clock });
  try {
    await eventually("every log was read", () => asked.scrubLog >= nodes.length);
    expect(asked.status).toBe(nodes.length);
  } finally {
    await scrubbing.close();
    await remove();
  }
});
