import { readdir } from "node:fs/promises";
import {
  CreateBackupCommand,
  DeleteBackupCommand,
  RestoreTableFromBackupCommand,
  RestoreTableToPointInTimeCommand,
} from "@aws-sdk/client-dynamodb";
import { PutCommand, ScanCommand } from "@aws-sdk/lib-dynamodb";
import { memoryObjectStore, type ObjectStore, sha256 } from "@evenkeel/wal/archive";
import { afterEach, expect, test, vi } from "vitest";
import { ArchiveRemoval } from "../src/control/archive-removal.js";
import { archiveDir } from "../src/control/fleet.js";
import { groupId, type Remains } from "../src/metadata/records.js";
import type { MetadataView } from "../src/metadata/view.js";
import { createTable, deleteTable, singleStore, tableExists } from "./support/single.js";
import { letGo, partitionsOf, split } from "./support/splits.js";
import { eventually } from "./support/store.js";

const s = singleStore({ partitionsPerTable: 1 });
const PKS = ["a", "b", "c", "d", "e", "f"];

afterEach(() => vi.restoreAllMocks());

/** The clock of all nodes and of the router, who are in this process. */
function daysLater(days: number): void {
  const now = Date.now.bind(Date);
  vi.spyOn(Date, "now").mockImplementation(() => now() + days * 86_400_000);
}

async function objectsOf(partition: number): Promise<number> {
  const found = await readdir(`${archiveDir(s.dir)}/${groupId(partition)}`, { recursive: true }).catch(() => []);
  return found.filter((name) => name.includes(".")).length;
}

async function contents(TableName: string): Promise<string[]> {
  const { Items = [] } = await s.documents.send(new ScanCommand({ TableName, ConsistentRead: true }));
  return Items.map(({ pk, v }) => `${pk}${v}`).sort();
}

const restore = (TableName: string, RestoreDateTime: Date) =>
  s.dynamo.send(
    new RestoreTableToPointInTimeCommand({
      SourceTableName: "split",
      TargetTableName: TableName,
      RestoreDateTime,
    }),
  );

test("what a split partition left in the archive is there while its moments can be restored or a backup needs it, and not for ever", async () => {
  await createTable(s.dynamo, "split");
  await createTable(s.dynamo, "deleted");
  for (const TableName of ["split", "deleted"])
    for (const pk of PKS) await s.documents.send(new PutCommand({ TableName, Item: { pk, v: 1 } }));
  await new Promise((resolve) => setTimeout(resolve, 20));
  const before = new Date();
  const backup = await s.dynamo.send(new CreateBackupCommand({ TableName: "split", BackupName: "early" }));
  const BackupArn = backup.BackupDetails?.BackupArn;
  const [whole] = await partitionsOf(s.store, "split");
  const [gone] = await partitionsOf(s.store, "deleted");
  if (whole === undefined || gone === undefined) throw new Error("tables have partitions");
  await split(s.store, "split", whole.partition);
  await letGo(s.store, whole.partition);
  await s.documents.send(new PutCommand({ TableName: "split", Item: { pk: "a", v: 2 } }));

  // Before the split, while that is promised.
  await restore("restored", before);
  await tableExists(s.dynamo, "restored");
  expect(await contents("restored")).toEqual(PKS.map((pk) => `${pk}1`));
  expect(await objectsOf(whole.partition)).toBeGreaterThan(0);
  await deleteTable(s.dynamo, "deleted");

  daysLater(36);
  await eventually("what was split so long ago is forgotten", async () => {
    const refused = await restore("too-old", before).catch(({ name }) => name);
    if (refused === "InvalidRestoreTimeException") return true;
    if (typeof refused !== "string") await deleteWhenThere("too-old");
    return false;
  });
  // The backup reads out of it, and is as good as ever.
  expect(await objectsOf(whole.partition)).toBeGreaterThan(0);
  await s.dynamo.send(new RestoreTableFromBackupCommand({ BackupArn, TargetTableName: "from-backup" }));
  await tableExists(s.dynamo, "from-backup");
  expect(await contents("from-backup")).toEqual(PKS.map((pk) => `${pk}1`));
  await s.dynamo.send(new DeleteBackupCommand({ BackupArn }));
  await eventually("nothing is left of the split partition", async () => (await objectsOf(whole.partition)) === 0);
  await eventually("nor of the deleted table", async () => (await objectsOf(gone.partition)) === 0);
  expect((await contents("split"))[0]).toBe("a2");
});

async function deleteWhenThere(name: string): Promise<void> {
  await tableExists(s.dynamo, name);
  await deleteTable(s.dynamo, name);
}

async function fill(archive: ObjectStore, partition: number, objects: number): Promise<void> {
  const bytes = Buffer.from("x");
  for (let i = 0; i < objects; i++)
    await archive.put(`${groupId(partition)}/${String(i).padStart(16, "0")}.log`, bytes, { sha256: sha256(bytes) });
}

async function keysOf(archive: ObjectStore): Promise<string[]> {
  const keys: string[] = [];
  for await (const key of archive.list("")) keys.push(key);
  return keys;
}

test("archives go in bounded steps, at the leader of the metadata alone, and no other one with them", async () => {
  const archive = memoryObjectStore();
  await fill(archive, 7, 250);
  await fill(archive, 70, 3);
  await fill(archive, 8, 3);
  const remains = new Map<number, Remains>([
    [7, { partition: 7, goneAtMs: 1_000 }],
    [8, { partition: 8, goneAtMs: 5_000 }],
  ]);
  const reads = new Set([7]);
  let leading = false;
  let nowMs = 2_000;
  const removal = new ArchiveRemoval({
    archive,
    restorableMs: 1_000,
    nowMs: () => nowMs,
    view: { remains, isRead: (partition) => reads.has(partition) },
    metadata: {
      get leading() {
        return leading;
      },
      async change(decide) {
        for (const { key } of decide({ remains } as unknown as MetadataView))
          remains.delete(Number(key.toString().slice(2)));
        return 0;
      },
    },
  });
  expect(await removal.round()).toBe(false);
  leading = true;
  expect(await removal.round()).toBe(false);
  nowMs = 2_001;
  // A backup of it is kept.
  expect(await removal.round()).toBe(false);
  expect(await keysOf(archive)).toHaveLength(256);
  reads.clear();
  const left: number[] = [];
  while (await removal.round()) left.push((await keysOf(archive)).length);
  expect(left).toEqual([156, 56, 6, 6]);
  expect([...remains.keys()]).toEqual([8]);
  nowMs = 10_000;
  while (await removal.round());
  expect((await keysOf(archive)).every((key) => key.startsWith("p70/"))).toBe(true);
  expect(remains.size).toBe(0);
});
