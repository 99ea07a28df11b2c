import { DynamoDBDocumentClient, PutCommand } from "@aws-sdk/lib-dynamodb";
import { FileObjectStore } from "@evenkeel/wal/archive";
import { afterEach, beforeEach, expect } from "vitest";
import { itemKey } from "../../src/api/keys.js";
import { archiveDir } from "../../src/control/fleet.js";
import { UPKEEP, type Upkeep } from "../../src/control/upkeep.js";
import { PartitionScrubber } from "../../src/scrub/partition-scrubber.js";
import type { Store } from "../../src/store.js";
import { caughtUp, statuses } from "./replicas.js";
import { client, createKeyTable, eventually, openStore, temporaryDir } from "./store.js";

/** A store that scrubs itself each second, and its files, for tests which damage these under it. */
export interface ScrubbedStore {
  readonly dir: string;
  readonly store: Store;
  readonly findings: string[];
  put(i: number): Promise<unknown>;
}

/** Three processes, as they are run, anew for each test of a file, with a table of one partition and its first items: the fields are those of the test that runs. */
export function scrubbedStore(
  table: string,
  { items, textOf, upkeep = {} }: { items: number; textOf(i: number): string; upkeep?: Partial<Upkeep> },
) {
  const findings: string[] = [];
  const its = { findings } as { -readonly [name in keyof ScrubbedStore]: ScrubbedStore[name] };
  let remove: () => Promise<void>;
  beforeEach(async () => {
    findings.length = 0;
    ({ dir: its.dir, remove } = await temporaryDir());
    its.store = await openStore({
      dir: its.dir,
      scrubEveryMs: 1_000,
      partitionsPerTable: 1,
      // What is damaged or forged is told by logs, and repaired out of them.
      upkeep: { slotsKept: UPKEEP.slotsKept, ...upkeep },
      onFinding: (line) => findings.push(line),
    });
    const dynamo = client(its.store.endpoint);
    await createKeyTable(dynamo, table);
    const documents = DynamoDBDocumentClient.from(dynamo);
    its.put = (i) => documents.send(new PutCommand({ TableName: table, Item: { id: `item-${i}`, text: textOf(i) } }));
    for (let i = 0; i < items; i++) await its.put(i);
  });
  afterEach(async () => {
    await its.store.close();
    await remove();
  });
  return its as ScrubbedStore;
}

/** As findings name an item of that table, in hexadecimal. */
export function keyOfItem(i: number): string {
  const { bytes } = itemKey({ partition: { name: "id", type: "S" } }, { id: { S: `item-${i}` } });
  return Buffer.from(bytes).toString("hex");
}

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
