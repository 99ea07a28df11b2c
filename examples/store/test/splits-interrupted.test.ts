/** What may come in between while a partition is split: its table is deleted, its items expire. */
import {
  BatchWriteItemCommand,
  CreateTableCommand,
  DeleteTableCommand,
  DescribeTableCommand,
  UpdateTimeToLiveCommand,
  waitUntilTableNotExists,
} from "@aws-sdk/client-dynamodb";
import { PutCommand, ScanCommand } from "@aws-sdk/lib-dynamodb";
import { afterAll, beforeAll, expect, test } from "vitest";
import { singleStore, tableExists } from "./support/single.js";
import { beginSplit, letGo, partitionsOf, splitDone } from "./support/splits.js";
import { eventually, soon } from "./support/store.js";
import { readStream, streamsClient } from "./support/streams.js";
import { toldRandom } from "./support/workload.js";

const s = singleStore({ partitionsPerTable: 1, upkeep: { timeToLiveCooldownMs: 1 } });
let streams: ReturnType<typeof streamsClient>;
beforeAll(() => {
  streams = streamsClient(s.store.endpoint);
});
afterAll(() => streams.destroy());

async function create(TableName: string): Promise<void> {
  await s.dynamo.send(
    new CreateTableCommand({
      TableName,
      AttributeDefinitions: ["pk", "team"].map((AttributeName) => ({ AttributeName, AttributeType: "S" })),
      KeySchema: [{ AttributeName: "pk", KeyType: "HASH" }],
      GlobalSecondaryIndexes: [
        {
          IndexName: "by-team",
          KeySchema: [{ AttributeName: "team", KeyType: "HASH" }],
          Projection: { ProjectionType: "ALL" },
        },
      ],
      BillingMode: "PAY_PER_REQUEST",
      StreamSpecification: { StreamEnabled: true, StreamViewType: "KEYS_ONLY" },
    }),
  );
  await tableExists(s.dynamo, TableName);
}

async function fill(
  TableName: string,
  end: number,
  { from: first = 0, more = () => ({}) }: { from?: number; more?: (i: number) => object } = {},
): Promise<void> {
  for (let from = first; from < end; from += 25) {
    const PutRequests = Array.from({ length: Math.min(25, end - from) }, (_, i) => ({
      PutRequest: { Item: { pk: { S: `i${from + i}` }, team: { S: `t${i % 3}` }, ...more(from + i) } },
    }));
    await s.dynamo.send(new BatchWriteItemCommand({ RequestItems: { [TableName]: PutRequests } }));
  }
}

const streamOf = async (TableName: string) =>
  (await s.dynamo.send(new DescribeTableCommand({ TableName }))).Table?.LatestStreamArn as string;

/** Of all nodes, in order. */
async function partitionsOfNodes(): Promise<number[]> {
  const { fleet } = s.store;
  const found = await Promise.all(
    fleet.nodeIds().map(async (node) => {
      const { partitions } = await fleet.callerTo(node).call("status", {}, { timeoutMs: 5_000 });
      return partitions.map(({ partition }) => partition);
    }),
  );
  return found.flat().sort((a, b) => a - b);
}

test("a table that is deleted while its partitions and its index's are split leaves nothing, and its stream has all of it", {
  timeout: 240_000,
}, async () => {
  const random = toldRandom();
  const before = await partitionsOfNodes();
  const TableName = "deleted";
  for (let round = 0; round < 4; round++) {
    await create(TableName);
    await fill(TableName, 100);
    const stream = await streamOf(TableName);
    const [whole] = await partitionsOf(s.store, TableName);
    const [ofIndex] = await partitionsOf(s.store, TableName, "by-team");
    await beginSplit(s.store, whole?.partition as number, 0x8000_0000);
    if (round % 2 === 0) await beginSplit(s.store, ofIndex?.partition as number, 0x8000_0000);
    const acknowledged = new Set(Array.from({ length: 100 }, (_, i) => `i${i}`));
    let running = true;
    const writer = (async () => {
      for (let i = 0; running; i++) {
        const pk = `late-${i}`;
        const done = await s.documents.send(new PutCommand({ TableName, Item: { pk } })).then(
          () => true,
          () => false,
        );
        if (done) acknowledged.add(pk);
      }
    })();
    await new Promise((resolve) => setTimeout(resolve, random.int(120)));
    await s.dynamo.send(new DeleteTableCommand({ TableName }));
    running = false;
    await writer;
    await waitUntilTableNotExists({ client: s.dynamo, ...soon }, { TableName });
    const told = (await readStream(streams, stream)).map(({ dynamodb }) => dynamodb?.Keys?.pk?.S as string);
    expect(new Set(told).size).toBe(told.length);
    expect(told).toEqual(expect.arrayContaining([...acknowledged]));
  }
  await eventually("the nodes have no partition that they had not before", async () => {
    return JSON.stringify(await partitionsOfNodes()) === JSON.stringify(before);
  });
  // Its name is free, and there is nothing of the ones before.
  await create(TableName);
  const { Count } = await s.documents.send(new ScanCommand({ TableName, ConsistentRead: true }));
  expect(Count).toBe(0);
});

test("items expire while their partition is split: each goes once, and the stream says so once", {
  timeout: 240_000,
}, async () => {
  const TableName = "expiring";
  await create(TableName);
  await s.dynamo.send(
    new UpdateTimeToLiveCommand({ TableName, TimeToLiveSpecification: { Enabled: true, AttributeName: "ttl" } }),
  );
  const stream = await streamOf(TableName);
  const now = Math.floor(Date.now() / 1000);
  const PER_ROUND = 80;
  const split: number[] = [];
  let end = 0;
  for (let round = 0; round < 3; round++) {
    for (const { partition, hashFrom, hashTo } of await partitionsOf(s.store, TableName)) {
      if (split.length > 5) break;
      // Every second one stays; of those that go the sweep finds some before, some while and some after it is split.
      end += PER_ROUND;
      const more = (i: number) => ({ ttl: { N: String(now + (i % 2 === 0 ? -1 : 86_400)) } });
      await fill(TableName, end, { from: end - PER_ROUND, more });
      await beginSplit(s.store, partition, hashFrom + Math.floor((hashTo - hashFrom) / 2));
      await splitDone(s.store, TableName, partition);
      split.push(partition);
    }
  }
  await eventually("those whose time is over are gone", async () => {
    const { Count } = await s.documents.send(new ScanCommand({ TableName, Select: "COUNT", ConsistentRead: true }));
    return Count === end / 2;
  });
  const removals = (await readStream(streams, stream)).filter(({ eventName }) => eventName === "REMOVE");
  const keys = removals.map(({ dynamodb }) => dynamodb?.Keys?.pk?.S as string);
  const wanted = Array.from({ length: end / 2 }, (_, i) => `i${2 * i}`);
  expect(keys.sort()).toEqual(wanted.sort());
  for (const { userIdentity } of removals)
    expect(userIdentity).toEqual({ Type: "Service", PrincipalId: "dynamodb.amazonaws.com" });
  for (const partition of split) await letGo(s.store, partition);
});
