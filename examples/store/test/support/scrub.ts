import { FileObjectStore } from "@evenkeel/wal/archive";
import { expect } from "vitest";
import { archiveDir } from "../../src/control/fleet.js";
import { PartitionScrubber } from "../../src/scrub/partition-scrubber.js";
import type { Store } from "../../src/store.js";
import { caughtUp, statuses } from "./replicas.js";
import { eventually } from "./store.js";

/** From now on one whole round over everything. */
export async function round(store: Store): Promise<void> {
  const { rounds } = store.scrub.stats();
  // The one that runs may have passed by already.
  await eventually("a whole round", () => store.scrub.stats().rounds >= rounds + 2, 60_000);
}

/** All replicas and the reference of every partition hold the same, and another round finds nothing. */
export async function expectAllEqual(store: Store, dir: string, findings: string[]): Promise<void> {
  const held = await caughtUp(store.fleet);
  for (const [partition, { members }] of held) {
    const scrubber = await PartitionScrubber.open({
      partition,
      members,
      callerTo: (node) => store.fleet.callerTo(node),
      archive: new FileObjectStore({ dir: archiveDir(dir) }),
    });
    try {
      const report = await scrubber.pass();
      expect(report).toMatchObject({ complete: true, absent: [], divergences: [], unreadable: [], unstable: [] });
      expect(report.compared).toEqual([...members, "reference"]);
    } finally {
      await scrubber.close();
    }
  }
  findings.length = 0;
  await round(store);
  expect(findings).toEqual([]);
}

/** Whether a node that began anew is a full member of every partition again. */
export async function holdsItsPlace(store: Store, nodeId: string): Promise<boolean> {
  const all = await statuses(store.fleet, store.fleet.nodeIds());
  const held = all?.flatMap(({ partitions }) => partitions).filter(({ partition }) => partition !== 0) ?? [];
  return held.length > 0 && held.every(({ members }) => members.includes(nodeId) && members.length === 3);
}
