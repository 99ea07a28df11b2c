import { open, readdir, readFile, stat } from "node:fs/promises";
import { join } from "node:path";
import { DynamoDBDocumentClient, PutCommand } from "@aws-sdk/lib-dynamodb";
import { FileObjectStore } from "@evenkeel/wal/archive";
import { afterEach, beforeEach, expect, test } from "vitest";
import { archiveDir, nodeDir } from "../src/control/fleet.js";
import { PartitionScrubber } from "../src/scrub/partition-scrubber.js";
import type { Store } from "../src/store.js";
import { flipByteInFile } from "../src/tour/damage.js";
import { caughtUp, statuses } from "./support/replicas.js";
import { client, createKeyTable, eventually, openStore, temporaryDir } from "./support/store.js";

/** Three processes, as they are run; their real files are damaged under them. */
let dir: string;
let remove: () => Promise<void>;
let store: Store;
let documents: DynamoDBDocumentClient;
const findings: string[] = [];

beforeEach(async () => {
  findings.length = 0;
  ({ dir, remove } = await temporaryDir());
  store = await openStore({
    dir,
    scrubEveryMs: 1_000,
    partitionsPerTable: 1,
    onFinding: (line) => findings.push(line),
  });
  const dynamo = client(store.endpoint);
  await createKeyTable(dynamo, "damaged");
  documents = DynamoDBDocumentClient.from(dynamo);
  for (let i = 0; i < 40; i++) await put(i);
});
afterEach(async () => {
  await store.close();
  await remove();
});

const textOf = (i: number) => `the text of item ${i}, which nobody else has`;
const put = (i: number) =>
  documents.send(new PutCommand({ TableName: "damaged", Item: { id: `item-${i}`, text: textOf(i) } }));

/** From now on one whole round over everything. */
async function round(): Promise<void> {
  const { rounds } = store.scrub.stats();
  // The one that runs may have passed by already.
  await eventually("a whole round", () => store.scrub.stats().rounds >= rounds + 2, 60_000);
}

async function repaired(): Promise<void> {
  const { passes } = store.scrub.stats();
  const done = await store.scrub.repair();
  expect(done.length).toBeGreaterThan(0);
  for (const { outcome, what, why } of done)
    expect(outcome, `${what}: ${why}`).toMatch(/^(repaired|healed|rebuilding)$/);
  await eventually("it goes on", () => store.scrub.stats().passes > passes);
}

/** All replicas and the reference of every partition hold the same. */
async function allEqual(): Promise<void> {
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
  await round();
  expect(findings).toEqual([]);
}

async function flip(path: string, offset: number): Promise<void> {
  const file = await open(path, "r+");
  try {
    const byte = Buffer.alloc(1);
    await file.read(byte, 0, 1, offset);
    await file.write(Buffer.of((byte[0] as number) ^ 0x10), 0, 1, offset);
    await file.sync();
  } finally {
    await file.close();
  }
}

test("a bit in the B-tree's file of a running replica", { timeout: 120_000 }, async () => {
  await eventually("everything is in the B-trees' files", async () => {
    const all = await statuses(store.fleet);
    return all?.every((node) => node.partitions.every((one) => one.durableThrough === one.appliedThrough)) ?? false;
  });
  const json = Buffer.from(JSON.stringify({ id: { S: "item-7" }, text: { S: textOf(7) } }));
  expect(await flipByteInFile(`${nodeDir(dir, "b1")}/tree/data.mdb`, json)).not.toEqual([]);
  await round();
  expect(findings.join("\n")).toMatch(/b1 differs from the reference \(different\) at key \w+: it has rotted/);
  await repaired();
  await allEqual();
});

test("a bit in an object of the archive", { timeout: 120_000 }, async () => {
  await round();
  for (let i = 0; i < 20; i++) await put(i);
  await round();
  const objects = (await readdir(join(archiveDir(dir), "p1"))).filter((name) => name.endsWith(".log")).sort();
  expect(objects.length).toBeGreaterThan(1);
  const path = join(archiveDir(dir), "p1", objects[0] as string);
  const before = await readFile(path);
  await flip(path, before.length >> 1);
  await round();
  expect(findings.join("\n")).toContain(`p1/${objects[0]}`);
  await repaired();
  expect(await readFile(path), "the very bytes that were there").toEqual(before);
  await allEqual();
});

test("a bit in a segment of a node's log: the node begins anew under another name", { timeout: 180_000 }, async () => {
  const log = join(nodeDir(dir, "c1"), "log");
  let place: { path: string; offset: number } | undefined;
  for (const name of await readdir(log)) {
    const path = join(log, name);
    if (!(await stat(path)).isFile()) continue;
    const offset = (await readFile(path)).indexOf(textOf(11));
    if (offset >= 0) place ??= { path, offset };
  }
  if (place === undefined) throw new Error("the log has no such item");
  await flip(place.path, place.offset);
  await round();
  expect(findings.join("\n")).toMatch(/log\/c1: c1 cannot be read: the log of group\/p1 from record \d+ on: /);
  expect(
    findings.filter((line) => !line.includes("c1")),
    "nobody else is suspected",
  ).toEqual([]);

  await repaired();
  await eventually("it has another name", () => store.fleet.nodeIds().includes("c1-2"), 60_000);
  for (let i = 40; i < 60; i++) await put(i);
  await eventually(
    "it is given its place",
    async () => {
      const all = await statuses(store.fleet, store.fleet.nodeIds());
      return (
        all?.every(({ partitions }) =>
          partitions.every(
            ({ partition, members }) => partition === 0 || (members.includes("c1-2") && members.length === 3),
          ),
        ) ?? false
      );
    },
    60_000,
  );
  await allEqual();
});
