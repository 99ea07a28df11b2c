import { BatchWriteCommand, PutCommand } from "@aws-sdk/lib-dynamodb";
import { FileObjectStore } from "@evenkeel/wal/archive";
import { expect, test } from "vitest";
import { archiveDir } from "../src/control/fleet.js";
import type { Caller } from "../src/rpc/protocol.js";
import { PartitionScrubber } from "../src/scrub/partition-scrubber.js";
import { caughtUp } from "./support/replicas.js";
import { createTable, singleStore } from "./support/single.js";
import { partitionsOf } from "./support/splits.js";

/** Some steps of 256 KiB. */
const ITEMS = 200;
const FILLER = "x".repeat(4_000);
const WRITES_A_STEP = 50;

const s = singleStore({ partitionsPerTable: 1, scrubEveryMs: 2 ** 31 - 1 });

test("a slow pass over a partition that is written to stays at no mark for long, and sees every item all the same; one that is left alone gets one mark", {
  timeout: 240_000,
}, async () => {
  const TableName = "scrubbed";
  await createTable(s.dynamo, TableName);
  const items = Array.from({ length: ITEMS }, (_, i) => ({ pk: `p${i}`, filler: FILLER }));
  for (let i = 0; i < ITEMS; i += 25) {
    const requests = items.slice(i, i + 25).map((Item) => ({ PutRequest: { Item } }));
    await s.documents.send(new BatchWriteCommand({ RequestItems: { [TableName]: requests } }));
  }
  await caughtUp(s.store.fleet);
  const [record] = await partitionsOf(s.store, TableName);
  const { partition, members } = record as NonNullable<typeof record>;
  const done = { mark: 0, releaseMark: 0 };
  const callerTo = (node: string): Caller => {
    const caller = s.store.fleet.callerTo(node);
    return {
      ...caller,
      async call(method, params, options) {
        const answer = await caller.call(method, params, options);
        if (method === "mark" || method === "releaseMark") done[method as keyof typeof done]++;
        return answer;
      },
    };
  };
  const archive = new FileObjectStore({ dir: archiveDir(s.dir) });
  const scrubber = await PartitionScrubber.open({ partition, members, callerTo, archive, markHeldMs: 0 });
  try {
    const still = await scrubber.pass();
    expect(still).toMatchObject({ complete: true, absent: [], divergences: [] });
    expect(done.mark).toBe(1);

    let steps = 0;
    const report = await scrubber.pass({
      onStep: async () => {
        steps++;
        for (let i = 0; i < WRITES_A_STEP; i++) {
          const Item = { pk: `p${(steps * WRITES_A_STEP + i) % ITEMS}`, filler: FILLER, step: steps };
          await s.documents.send(new PutCommand({ TableName, Item }));
        }
      },
    });
    expect(report).toMatchObject({ complete: true, absent: [], divergences: [], unreadable: [], unstable: [] });
    expect(report.compared).toEqual([...members, "reference"]);
    expect(report.keys).toBe(still.keys);
    expect(steps).toBeGreaterThan(3);
    // One for the pass before, one for the beginning of this one, and others.
    expect(done.mark).toBeGreaterThan(2);
    expect(done.releaseMark).toBe(done.mark * members.length);
  } finally {
    await scrubber.close();
  }
});
