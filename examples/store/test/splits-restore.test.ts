import {
  CreateBackupCommand,
  RestoreTableFromBackupCommand,
  RestoreTableToPointInTimeCommand,
} from "@aws-sdk/client-dynamodb";
import { DeleteCommand, PutCommand, ScanCommand } from "@aws-sdk/lib-dynamodb";
import { expect, test } from "vitest";
import { createTable, singleStore, tableExists } from "./support/single.js";
import { letGo, partitionsOf, split } from "./support/splits.js";
import { toldRandom } from "./support/workload.js";

const s = singleStore({ partitionsPerTable: 1 });
const TableName = "source";
const NAMES = Array.from({ length: 24 }, (_, i) => `item-${i}`);
/** Times in a log may be so far ahead of the clock. */
const AHEAD_MS = 5;

/** Of one item: what was written, in this order, one after another. */
interface Written {
  /** Absent: deleted. */
  readonly value: number | undefined;
  readonly beganMs: number;
  readonly endedMs: number;
}

async function contents(name: string): Promise<Map<string, number>> {
  const { Items = [] } = await s.documents.send(new ScanCommand({ TableName: name, ConsistentRead: true }));
  return new Map(Items.map(({ pk, v }) => [pk as string, v as number]));
}

/** What a table can have held at a moment, item by item. */
function expectAsAt(found: ReadonlyMap<string, number>, history: ReadonlyMap<string, Written[]>, atMs: number): void {
  for (const [name, writes] of history) {
    const value = found.get(name);
    const possible = writes.filter(({ beganMs }, i) => {
      const next = writes[i + 1];
      return beganMs <= atMs && (next === undefined || next.endedMs + AHEAD_MS >= atMs);
    });
    const values = possible.map((write) => write.value);
    if (writes[0] === undefined || writes[0].endedMs + AHEAD_MS >= atMs) values.push(undefined);
    expect(values, `${name} at ${atMs}`).toContain(value);
  }
}

test("a table is restored to moments before, during and after splits, and from a backup that is older than they are", {
  timeout: 240_000,
}, async () => {
  const random = toldRandom();
  await createTable(s.dynamo, TableName);
  const history = new Map(NAMES.map((name) => [name, [] as Written[]]));
  let running = true;
  let written = 0;
  const writers = [0, 1, 2].map(async (writer) => {
    const mine = NAMES.filter((_, i) => i % 3 === writer);
    const choices = random.fork(`writer-${writer}`);
    while (running) {
      const pk = choices.pick(mine);
      const value = choices.int(5) === 0 ? undefined : ++written;
      const beganMs = Date.now();
      if (value === undefined) await s.documents.send(new DeleteCommand({ TableName, Key: { pk } }));
      else await s.documents.send(new PutCommand({ TableName, Item: { pk, v: value } }));
      history.get(pk)?.push({ value, beganMs, endedMs: Date.now() });
    }
  });
  const pause = async () => {
    const before = written;
    while (written < before + 30) await new Promise((resolve) => setTimeout(resolve, 10));
  };
  const beganMs = Date.now();
  await pause();
  const { BackupDetails } = await s.dynamo.send(new CreateBackupCommand({ TableName, BackupName: "early" }));
  await pause();
  const wholes: number[] = [];
  for (let i = 0; i < 2; i++) {
    const { partition } = random.pick(await partitionsOf(s.store, TableName));
    wholes.push(partition);
    await split(s.store, TableName, partition);
    await pause();
  }
  running = false;
  await Promise.all(writers);
  const endedMs = Date.now();
  while (Date.now() <= endedMs + 2 * AHEAD_MS) await new Promise((resolve) => setTimeout(resolve, 5));

  const parts = await partitionsOf(s.store, TableName);
  expect(parts).toHaveLength(3);
  // To the millisecond at which parts took over, and the one before.
  const edges = [...new Set(parts.map(({ sinceMs = 0 }) => sinceMs))].flatMap((ms) => [ms - 1, ms]);
  const moments = [...edges, beganMs + random.int(endedMs - beganMs), endedMs + AHEAD_MS];
  for (const partition of wholes) await letGo(s.store, partition);
  const targets = await Promise.all(
    moments.map(async (moment, i) => {
      const TargetTableName = `restored-${i}`;
      await s.dynamo.send(
        new RestoreTableToPointInTimeCommand({
          SourceTableName: TableName,
          TargetTableName,
          RestoreDateTime: new Date(moment),
        }),
      );
      await tableExists(s.dynamo, TargetTableName);
      return { moment, found: await contents(TargetTableName) };
    }),
  );
  for (const { moment, found } of targets) expectAsAt(found, history, moment);
  expect(targets.at(-1)?.found).toEqual(await contents(TableName));

  await s.dynamo.send(
    new RestoreTableFromBackupCommand({ BackupArn: BackupDetails?.BackupArn, TargetTableName: "from-backup" }),
  );
  await tableExists(s.dynamo, "from-backup");
  const found = await contents("from-backup");
  expect(found.size).toBeGreaterThan(5);
  expectAsAt(found, history, BackupDetails?.BackupCreationDateTime?.getTime() ?? 0);
});
