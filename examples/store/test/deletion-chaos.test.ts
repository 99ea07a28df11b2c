import {
  CreateBackupCommand,
  CreateTableCommand,
  type DynamoDBClient,
  PutItemCommand,
  paginateScan,
  RestoreTableFromBackupCommand,
  RestoreTableToPointInTimeCommand,
  TransactWriteItemsCommand,
  UpdateTableCommand,
  UpdateTimeToLiveCommand,
  waitUntilTableNotExists,
} from "@aws-sdk/client-dynamodb";
import type { Random } from "@evenkeel/simulation";
import { expect, test } from "vitest";
import { NODE_IDS } from "../src/control/fleet.js";
import type { ProcessFleet } from "../src/control/process-fleet.js";
import { LEDGER_TABLE } from "../src/transactions/ledger-record.js";
import { statuses } from "./support/replicas.js";
import { deleteTable, tableExists } from "./support/single.js";
import { beginAnySplit, partitionsOf } from "./support/splits.js";
import { client, eventually, openStore, soon, temporaryDir } from "./support/store.js";
import { readStream, streamsClient } from "./support/streams.js";
import { toldRandom } from "./support/workload.js";

const TableName = "again";
const WRITERS = 3;
/** Acknowledged before anything begins that is to be interrupted. */
const WRITTEN_BEFORE = 40;
const REFUSED: readonly string[] = [
  "ResourceInUseException",
  "TableInUseException",
  "ContinuousBackupsUnavailableException",
  "TableAlreadyExistsException",
  "ResourceNotFoundException",
  "TableNotFoundException",
  "ValidationException",
];

const sleep = (ms: number) => new Promise<void>((resolve) => setTimeout(resolve, ms));
const nameOf = (error: unknown): string => (error as Error).name;

interface Written {
  /** Partition keys; those of one transaction together. */
  readonly acknowledged: string[][];
  readonly transactions: string[][];
}

async function create(dynamo: DynamoDBClient): Promise<string> {
  let arn: string | undefined;
  await eventually("the name is free again", async () => {
    try {
      const { TableDescription } = await dynamo.send(
        new CreateTableCommand({
          TableName,
          AttributeDefinitions: [{ AttributeName: "pk", AttributeType: "S" }],
          KeySchema: [{ AttributeName: "pk", KeyType: "HASH" }],
          BillingMode: "PAY_PER_REQUEST",
          StreamSpecification: { StreamEnabled: true, StreamViewType: "KEYS_ONLY" },
        }),
      );
      arn = TableDescription?.LatestStreamArn;
      return true;
    } catch (error) {
      if (nameOf(error) === "ResourceInUseException" || nameOf(error) === "InternalServerError") return false;
      throw error;
    }
  });
  await tableExists(dynamo, TableName);
  return arn as string;
}

/** Until its table is not there any more. */
async function write(dynamo: DynamoDBClient, name: string, written: Written): Promise<void> {
  const item = (pk: string) => ({ pk: { S: pk }, team: { S: "one" }, over: { N: "1" } });
  for (let i = 0; ; i++) {
    const pks = i % 4 === 0 ? Array.from({ length: 4 }, (_, n) => `${name}-${i}-of-${n}`) : [`${name}-${i}`];
    if (pks.length > 1) written.transactions.push(pks);
    const TransactItems = pks.map((pk) => ({ Put: { TableName, Item: item(pk) } }));
    try {
      if (pks.length > 1) await dynamo.send(new TransactWriteItemsCommand({ TransactItems }));
      else await dynamo.send(new PutItemCommand({ TableName, Item: item(pks[0] as string) }));
      written.acknowledged.push(pks);
    } catch (error) {
      if (nameOf(error) === "ResourceNotFoundException") return;
    }
  }
}

/** By what is to be interrupted: how it is begun. Resolves with the table that comes of it, if one does. */
const begin: Record<string, (dynamo: DynamoDBClient, target: string) => Promise<string | undefined>> = {
  async backfill(dynamo) {
    await dynamo.send(
      new UpdateTableCommand({
        TableName,
        AttributeDefinitions: ["pk", "team"].map((AttributeName) => ({ AttributeName, AttributeType: "S" })),
        GlobalSecondaryIndexUpdates: [
          {
            Create: {
              IndexName: "by-team",
              KeySchema: [{ AttributeName: "team", KeyType: "HASH" }],
              Projection: { ProjectionType: "ALL" },
            },
          },
        ],
      }),
    );
    return undefined;
  },
  async expiry(dynamo) {
    const TimeToLiveSpecification = { Enabled: true, AttributeName: "over" };
    await dynamo.send(new UpdateTimeToLiveCommand({ TableName, TimeToLiveSpecification }));
    return undefined;
  },
  async backup(dynamo, target) {
    const { BackupDetails } = await dynamo.send(new CreateBackupCommand({ TableName, BackupName: target }));
    await deletedFirst(dynamo);
    const { BackupArn } = BackupDetails ?? {};
    await dynamo.send(new RestoreTableFromBackupCommand({ TargetTableName: target, BackupArn }));
    return target;
  },
  async restore(dynamo, target) {
    const asked = { SourceTableName: TableName, TargetTableName: target, UseLatestRestorableTime: true };
    await dynamo.send(new RestoreTableToPointInTimeCommand(asked));
    return target;
  },
};

const deletedFirst = (dynamo: DynamoDBClient) =>
  waitUntilTableNotExists({ client: dynamo, ...soon }, { TableName }).then(() => undefined);

async function keysOf(dynamo: DynamoDBClient, name: string): Promise<string[]> {
  const keys: string[] = [];
  for await (const { Items = [] } of paginateScan({ client: dynamo }, { TableName: name, ConsistentRead: true }))
    keys.push(...Items.map(({ pk }) => pk?.S as string));
  return keys;
}

/** All of each, or nothing. */
function expectWhole(transactions: readonly string[][], found: ReadonlySet<string>): void {
  for (const pks of transactions) expect([0, pks.length]).toContain(pks.filter((pk) => found.has(pk)).length);
}

async function partitionsOfNodes(fleet: ProcessFleet): Promise<number[] | undefined> {
  const all = await statuses(fleet, fleet.nodeIds());
  return all?.flatMap(({ partitions }) => partitions.map(({ partition }) => partition)).sort((a, b) => a - b);
}

test("a table is deleted in the middle of anything, nodes are killed, and its name is used again at once: nothing of it is lost where it was promised, nothing is left, and nothing is found in the next one", {
  timeout: 480_000,
}, async () => {
  const random: Random = toldRandom();
  const { dir, remove } = await temporaryDir();
  const upkeep = { timeToLiveCooldownMs: 1, recoverTransactionsAfterMs: 2_000 };
  const store = await openStore({ dir, partitionsPerTable: 2, upkeep });
  const fleet = store.fleet as ProcessFleet;
  const dynamo = client(store.endpoint, 1);
  const patient = client(store.endpoint, 20);
  const streams = streamsClient(store.endpoint);
  try {
    const kinds = [...Object.keys(begin), "split"];
    const ends: Promise<void>[] = [];
    for (const [round, kind] of [...kinds, ...kinds].entries()) {
      const arn = await create(patient);
      expect(await keysOf(patient, TableName)).toEqual([]);
      const written: Written = { acknowledged: [], transactions: [] };
      const writers = Array.from({ length: WRITERS }, (_, i) => write(dynamo, `${round}-${i}`, written));
      await eventually(`${kind}: items are written`, () => written.acknowledged.length >= WRITTEN_BEFORE);
      const before = written.acknowledged.flat();
      const target = `of-${round}`;
      const begun =
        kind === "split"
          ? beginAnySplit(store, random, TableName).then(() => undefined)
          : (begin[kind] as (typeof begin)[string])(patient, target).catch((error: unknown) => {
              // Too late: its table was being deleted already, or what was asked for again was done the first time.
              expect(REFUSED).toContain(nameOf(error));
              return undefined;
            });
      await sleep(random.int(100));
      if (random.chance(0.6)) fleet.kill(random.pick(NODE_IDS));
      await eventually(`${kind}: the table can be deleted`, () =>
        deleteTable(patient, TableName).then(
          () => true,
          (error: unknown) => nameOf(error) === "ResourceNotFoundException",
        ),
      );
      const restored = await begun;
      await Promise.all(writers);
      // While the next table is there already.
      ends.push(
        (async () => {
          const told = (await readStream(streams, arn)).map(({ eventName, dynamodb }) => [
            eventName,
            dynamodb?.Keys?.pk?.S as string,
          ]);
          const inserted = told.flatMap(([event, pk]) => (event === "INSERT" ? [pk as string] : []));
          expect(new Set(inserted).size, `${kind}: once each`).toBe(inserted.length);
          expect(inserted, kind).toEqual(expect.arrayContaining(written.acknowledged.flat()));
          expectWhole(written.transactions, new Set(inserted));
          if (restored === undefined) return;
          await tableExists(patient, restored);
          const kept = await keysOf(patient, restored);
          expect(kept, kind).toEqual(expect.arrayContaining(before));
          expectWhole(written.transactions, new Set(kept));
          await deleteTable(patient, restored);
        })(),
      );
    }
    await Promise.all(ends);
    const ledger = (await partitionsOf(store, LEDGER_TABLE)).map(({ partition }) => partition);
    const left = [0, ...ledger].flatMap((partition) => NODE_IDS.map(() => partition)).sort((a, b) => a - b);
    await eventually("the nodes have the metadata and the ledger, and nothing else", async () => {
      return JSON.stringify(await partitionsOfNodes(fleet)) === JSON.stringify(left);
    });
  } finally {
    dynamo.destroy();
    patient.destroy();
    streams.destroy();
    await store.close();
    await remove();
  }
});
