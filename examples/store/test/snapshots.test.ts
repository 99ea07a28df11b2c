import { subscribe, unsubscribe } from "node:diagnostics_channel";
import { readdir, readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import {
  CreateBackupCommand,
  DeleteBackupCommand,
  DescribeTableCommand,
  RestoreTableFromBackupCommand,
  RestoreTableToPointInTimeCommand,
} from "@aws-sdk/client-dynamodb";
import { DeleteCommand, DynamoDBDocumentClient, PutCommand, ScanCommand } from "@aws-sdk/lib-dynamodb";
import { FileObjectStore, verifyArchive } from "@evenkeel/wal/archive";
import { afterEach, expect, test } from "vitest";
import { archiveDir } from "../src/control/fleet.js";
import type { Upkeep } from "../src/control/upkeep.js";
import type { Store } from "../src/store.js";
import { createTable, deleteTable, tableExists } from "./support/single.js";
import { client, eventually, openStore, temporaryDir } from "./support/store.js";

let dir: string;
let remove: () => Promise<void>;
let store: Store;
const told: string[] = [];
/** With the upkeep that the test is about, so that what takes weeks otherwise is seen in seconds. */
async function opened(upkeep: Partial<Upkeep>): Promise<void> {
  ({ dir, remove } = await temporaryDir());
  told.length = 0;
  const onNews = (line: string) => void told.push(line);
  store = await openStore({ dir, mode: "single", partitionsPerTable: 1, upkeep, onNews });
}
afterEach(async () => {
  await store.close();
  await remove();
});

const documents = () => DynamoDBDocumentClient.from(client(store.endpoint));
const put = (TableName: string, pk: string, v: unknown) =>
  documents().send(new PutCommand({ TableName, Item: { pk, v } }));

async function contents(TableName: string): Promise<Map<string, unknown>> {
  const { Items = [] } = await documents().send(new ScanCommand({ TableName, ConsistentRead: true }));
  return new Map(Items.map(({ pk, v }) => [pk as string, v]));
}

/** A partition's part of the archive. Numbers are given out from 1. */
function archived(partition: number) {
  const stream = join(archiveDir(dir), `p${partition}`);
  const keys = async () => (await readdir(stream, { recursive: true })).filter((name) => name.includes(".")).sort();
  return { partition, stream, keys };
}

async function leaderOf(partition: number): Promise<string> {
  let leader: string | undefined;
  await eventually(`partition ${partition} is led`, async () => {
    for (const node of ["a1", "b1", "c1"]) {
      const { partitions } = await store.fleet.callerTo(node).call("status", {});
      if (partitions.some((found) => found.partition === partition && found.ready)) leader = node;
    }
    return leader !== undefined;
  });
  return leader as string;
}

const call = async <M extends "snapshot" | "archive">(method: M, partition: number) =>
  await store.fleet.callerTo(await leaderOf(partition)).call(method, { partition } as never);

/** A snapshot of everything that is applied. */
async function snapshot(partition: number): Promise<number> {
  await eventually("everything is in the B-tree", async () => {
    const { partitions } = await store.fleet.callerTo(await leaderOf(partition)).call("status", {});
    const found = partitions.find((one) => one.partition === partition);
    return found !== undefined && found.durableThrough === found.appliedThrough;
  });
  return (await call("snapshot", partition)).slot;
}

async function moment(): Promise<number> {
  const now = Date.now();
  while (Date.now() === now) await new Promise((resolve) => setTimeout(resolve, 1));
  return now;
}

async function restored(from: string, to: string, atMs: number): Promise<Map<string, unknown>> {
  const dynamo = client(store.endpoint);
  await dynamo.send(
    new RestoreTableToPointInTimeCommand({
      SourceTableName: from,
      TargetTableName: to,
      RestoreDateTime: new Date(atMs),
    }),
  );
  await tableExists(dynamo, to);
  return await contents(to);
}

test("a restore begins with the newest snapshot that is not later; with an older one, or none, where that is damaged", async () => {
  await opened({});
  const dynamo = client(store.endpoint);
  await createTable(dynamo, "kept");
  const { partition, stream, keys } = archived(1);
  await Promise.all(Array.from({ length: 20 }, (_, i) => put("kept", `item-${i}`, `first ${i}`)));
  expect(await snapshot(partition)).toBeGreaterThan(1);
  await documents().send(new DeleteCommand({ TableName: "kept", Key: { pk: "item-3" } }));
  for (let i = 0; i < 5; i++) await put("kept", `item-${i + 10}`, `second ${i}`);
  await snapshot(partition);
  await put("kept", "item-19", "third");
  const wanted = await contents("kept");
  expect(wanted.size).toBe(19);
  const until = await moment();
  await put("kept", "item-0", "a mistake");

  expect(await restored("kept", "from-newest", until)).toEqual(wanted);
  // The log below the newest snapshot was not needed for that: with it damaged, the same restore still succeeds.
  const objects = (await keys()).filter((key) => /^\d+\.log$/.test(key));
  const front = join(stream, objects[0] as string);
  const original = await readFile(front);
  // It may be a short one: whatever was there when its turn came.
  const damaged = original.map((byte, i) => (i === original.length >> 1 ? byte ^ 1 : byte));
  await writeFile(front, damaged);
  expect(await restored("kept", "without-the-front", until)).toEqual(wanted);
  await writeFile(front, original);

  // The newest snapshot is damaged: the one before it, and the log from there on. Then that one too: the log alone.
  const parts = (await keys()).filter((key) => key.endsWith(".part"));
  for (const [i, part] of parts.reverse().entries()) {
    const path = join(stream, part);
    await writeFile(
      path,
      (await readFile(path)).map((byte, at) => (at === 70 ? byte ^ 1 : byte)),
    );
    expect(await restored("kept", `round-damage-${i}`, until)).toEqual(wanted);
  }
  expect(parts.length).toBeGreaterThan(1);
  // Without a snapshot and with the front of the log damaged there is no way, and the table says so.
  await writeFile(front, damaged);
  await dynamo.send(
    new RestoreTableToPointInTimeCommand({
      SourceTableName: "kept",
      TargetTableName: "impossible",
      RestoreDateTime: new Date(until),
    }),
  );
  const described = async () => (await dynamo.send(new DescribeTableCommand({ TableName: "impossible" }))).Table;
  await eventually("the restore is given up", async () => (await described())?.TableStatus === "ARCHIVED");
  expect((await described())?.ArchivalSummary?.ArchivalReason).toMatch(/^RESTORE_FAILED: ERR_ARCHIVE_CORRUPT: p1\//);
  await eventually("it is told", () =>
    told.some((line) => line.startsWith("table impossible cannot be restored: p1/")),
  );
  await expect(put("impossible", "x", 1)).rejects.toMatchObject({ name: "ResourceNotFoundException" });
  await writeFile(front, original);
  await deleteTable(dynamo, "impossible");
});

test("as the log grows a snapshot is written unasked, and what no promised moment needs is let go of; what is left is whole", async () => {
  await opened({ snapshotAfterBytes: 20_000, restorableMs: 35 });
  const dynamo = client(store.endpoint);
  await createTable(dynamo, "growing");
  const { partition, keys } = archived(1);
  const beginsWithFirst = async () => (await keys()).includes("0000000000000001.log");
  let writes = 0;
  const wanted = new Map<string, unknown>();
  await eventually("the front is let go of", async () => {
    await Promise.all(
      Array.from({ length: 20 }, () => {
        const pk = `item-${writes % 50}`;
        wanted.set(pk, `${"x".repeat(500)} ${writes++}`);
        return put("growing", pk, wanted.get(pk));
      }),
    );
    await call("archive", partition);
    return (await keys()).some((key) => key.endsWith(".floor")) && !(await beginsWithFirst());
  });
  const until = await moment();
  expect(await restored("growing", "grown", until)).toEqual(wanted);
  const archive = new FileObjectStore({ dir: archiveDir(dir) });
  expect((await verifyArchive({ store: archive, stream: `p${partition}` })).problems).toEqual([]);
  // What is before the window is gone, and whoever asks for it is told.
  await dynamo.send(
    new RestoreTableToPointInTimeCommand({
      SourceTableName: "growing",
      TargetTableName: "too-early",
      RestoreDateTime: (await dynamo.send(new DescribeTableCommand({ TableName: "growing" }))).Table?.CreationDateTime,
    }),
  );
  const described = async () => (await dynamo.send(new DescribeTableCommand({ TableName: "too-early" }))).Table;
  await eventually("the restore is given up", async () => (await described())?.TableStatus === "ARCHIVED");
  expect((await described())?.ArchivalSummary?.ArchivalReason).toContain("ERR_ARCHIVE_RANGE");
});

test("what a backup needs stays in the archive, however far behind the window it is, until the backup is deleted", async () => {
  await opened({ snapshotAfterBytes: 20_000, restorableMs: 35 });
  const dynamo = client(store.endpoint);
  await createTable(dynamo, "held");
  const { partition, keys } = archived(1);
  let snapshots = 0;
  const count = () => void snapshots++;
  subscribe("evenkeel:store:snapshot-written", count);
  try {
    let writes = 0;
    const some = async () => {
      await Promise.all(
        Array.from({ length: 20 }, () => put("held", `item-${writes % 50}`, `${"x".repeat(500)} ${writes++}`)),
      );
      await call("archive", partition);
    };
    await some();
    const wanted = await contents("held");
    await moment();
    const { BackupDetails } = await dynamo.send(new CreateBackupCommand({ TableName: "held", BackupName: "kept" }));
    const BackupArn = BackupDetails?.BackupArn as string;
    await moment();
    const written = (count: number) =>
      eventually(`${count} snapshots are written`, async () => {
        await some();
        return snapshots >= count;
      });
    // One that was begun before the backup may be written after it, and do for it in place of the log's beginning.
    await written(3);
    const front = (await keys()).find((key) => key.endsWith(".log"));
    await written(5);
    expect(await keys()).toContain(front);
    await dynamo.send(new RestoreTableFromBackupCommand({ BackupArn, TargetTableName: "as-it-was" }));
    await tableExists(dynamo, "as-it-was");
    expect(await contents("as-it-was")).toEqual(wanted);

    await dynamo.send(new DeleteBackupCommand({ BackupArn }));
    await eventually("what it needed is let go of", async () => {
      await some();
      return !(await keys()).includes(front as string);
    });
  } finally {
    unsubscribe("evenkeel:store:snapshot-written", count);
  }
});
