import {
  CreateTableCommand,
  DescribeTableCommand,
  type StreamViewType,
  UpdateTableCommand,
} from "@aws-sdk/client-dynamodb";
import {
  DescribeStreamCommand,
  type DynamoDBStreamsClient,
  GetRecordsCommand,
  GetShardIteratorCommand,
  ListStreamsCommand,
} from "@aws-sdk/client-dynamodb-streams";
import { DeleteCommand, PutCommand, TransactWriteCommand, UpdateCommand } from "@aws-sdk/lib-dynamodb";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { itemKey } from "../src/api/keys.js";
import { itemBytes } from "../src/api/size.js";
import type { PartitionRecord } from "../src/metadata/records.js";
import { LeaderCalls } from "../src/router/leader-calls.js";
import { StoreError } from "../src/storage-node/errors.js";
import { createTable, deleteTable, singleStore, tableExists } from "./support/single.js";
import { partitionsOf } from "./support/splits.js";
import { eventually } from "./support/store.js";
import { readOn, readStream, shardsOf, streamsClient } from "./support/streams.js";

const s = singleStore();
let streams: DynamoDBStreamsClient;
beforeAll(() => {
  streams = streamsClient(s.store.endpoint);
});
afterAll(() => streams.destroy());

async function createStreamed(name: string, viewType: StreamViewType): Promise<string> {
  const { TableDescription } = await s.dynamo.send(
    new CreateTableCommand({
      TableName: name,
      AttributeDefinitions: [
        { AttributeName: "pk", AttributeType: "S" },
        { AttributeName: "sk", AttributeType: "N" },
      ],
      KeySchema: [
        { AttributeName: "pk", KeyType: "HASH" },
        { AttributeName: "sk", KeyType: "RANGE" },
      ],
      BillingMode: "PAY_PER_REQUEST",
      StreamSpecification: { StreamEnabled: true, StreamViewType: viewType },
    }),
  );
  expect(TableDescription).toMatchObject({
    StreamSpecification: { StreamEnabled: true, StreamViewType: viewType },
    LatestStreamLabel: expect.stringMatching(/^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}$/),
  });
  await tableExists(s.dynamo, name);
  return TableDescription?.LatestStreamArn as string;
}

const put = (TableName: string, pk: string, sk: number, v: unknown) =>
  s.documents.send(new PutCommand({ TableName, Item: { pk, sk, v } }));
const setStream = (TableName: string, StreamEnabled: boolean, StreamViewType?: StreamViewType) =>
  s.dynamo.send(
    new UpdateTableCommand({
      TableName,
      StreamSpecification: { StreamEnabled, ...(StreamViewType && { StreamViewType }) },
    }),
  );

describe("each view type", () => {
  const key = { Keys: { pk: { S: "a" }, sk: { N: "1" } } };
  const was = { OldImage: { pk: { S: "a" }, sk: { N: "1" }, v: { S: "one" } } };
  const is = { NewImage: { pk: { S: "a" }, sk: { N: "1" }, v: { S: "two" }, w: { N: "7" } } };
  const images = {
    KEYS_ONLY: [{}, {}],
    NEW_IMAGE: [is, {}],
    OLD_IMAGE: [was, is],
    NEW_AND_OLD_IMAGES: [{ ...was, ...is }, is],
  } as const;
  test.each(Object.keys(images) as StreamViewType[])("%s", async (viewType) => {
    const name = `views-${viewType}`;
    const arn = await createStreamed(name, viewType);
    await put(name, "a", 1, "one");
    await s.documents.send(
      new UpdateCommand({
        TableName: name,
        Key: { pk: "a", sk: 1 },
        UpdateExpression: "SET v = :v, w = :w",
        ExpressionAttributeValues: { ":v": "two", ":w": 7 },
      }),
    );
    // Changes nothing, and so does a delete of nothing: no records.
    await s.documents.send(new PutCommand({ TableName: name, Item: { w: 7, v: "two", sk: 1, pk: "a" } }));
    await s.documents.send(new DeleteCommand({ TableName: name, Key: { pk: "a", sk: 2 } }));
    await s.documents.send(new DeleteCommand({ TableName: name, Key: { pk: "a", sk: 1 } }));
    const records = await readStream(streams, arn);
    expect(records.map(({ eventName }) => eventName)).toEqual(["INSERT", "MODIFY", "REMOVE"]);
    const [, modified, removed] = records;
    const { ApproximateCreationDateTime, SequenceNumber, SizeBytes, ...shown } = modified?.dynamodb ?? {};
    const [ofModify, ofRemove] = images[viewType] as [object, Record<string, object>];
    expect(shown).toEqual({ ...key, ...ofModify, StreamViewType: viewType });
    const { NewImage: oldImage, ...none } = ofRemove as { NewImage?: object };
    expect(none).toEqual({});
    expect(removed?.dynamodb?.OldImage).toEqual(oldImage);
    expect(removed?.dynamodb?.NewImage).toBeUndefined();
    expect(modified).toMatchObject({ eventVersion: "1.1", eventSource: "aws:dynamodb", awsRegion: "local" });
    expect(modified?.userIdentity).toBeUndefined();
    expect(Math.abs((ApproximateCreationDateTime?.getTime() ?? 0) - Date.now())).toBeLessThan(60_000);
    expect(SequenceNumber).toMatch(/^\d{21,40}$/);
    expect(SizeBytes).toBeGreaterThan(0);
    expect(new Set(records.map(({ eventID }) => eventID))).toHaveLength(3);
    await deleteTable(s.dynamo, name);
  });
});

test("a stream is switched on and off, its shards close, and the next one has a name of its own", async () => {
  const name = "switched";
  await createTable(s.dynamo, name);
  const write = (pk: string, v: unknown) => s.documents.send(new PutCommand({ TableName: name, Item: { pk, v } }));
  await write("before", 1);
  const { TableDescription } = await setStream(name, true, "KEYS_ONLY");
  expect(TableDescription).toMatchObject({ TableStatus: "UPDATING" });
  const first = TableDescription?.LatestStreamArn as string;
  await tableExists(s.dynamo, name);
  await expect(setStream(name, true, "NEW_IMAGE")).rejects.toMatchObject({
    name: "ValidationException",
    message: "Table already has an enabled stream: TableName: switched",
  });
  for (let i = 0; i < 5; i++) await write("during", i);
  await setStream(name, false);
  await tableExists(s.dynamo, name);
  await expect(setStream(name, false)).rejects.toMatchObject({
    name: "ValidationException",
    message: "Table has no stream to disable: TableName: switched",
  });
  await write("between", 1);
  const { Table } = await s.dynamo.send(new DescribeTableCommand({ TableName: name }));
  expect(Table).not.toHaveProperty("StreamSpecification");
  expect(Table?.LatestStreamArn).toBe(first);
  await setStream(name, true, "KEYS_ONLY");
  await tableExists(s.dynamo, name);
  const { Table: again } = await s.dynamo.send(new DescribeTableCommand({ TableName: name }));
  const second = again?.LatestStreamArn as string;
  expect(second > first).toBe(true);
  await write("after", 1);
  const keysOf = async (arn: string) => (await readStream(streams, arn)).map(({ dynamodb }) => dynamodb?.Keys?.pk?.S);
  expect(await keysOf(first)).toEqual(Array(5).fill("during"));
  expect(await keysOf(second)).toEqual(["after"]);
  const { StreamDescription: closed } = await streams.send(new DescribeStreamCommand({ StreamArn: first }));
  expect(closed).toMatchObject({ StreamStatus: "DISABLED", StreamViewType: "KEYS_ONLY", TableName: name });
  expect(closed?.Shards).toHaveLength(4);
  for (const { SequenceNumberRange } of closed?.Shards ?? [])
    expect(BigInt(SequenceNumberRange?.EndingSequenceNumber ?? 0)).toBeGreaterThan(
      BigInt(SequenceNumberRange?.StartingSequenceNumber ?? 0),
    );
  const { Streams } = await streams.send(new ListStreamsCommand({ TableName: name }));
  expect(Streams?.map(({ StreamArn }) => StreamArn)).toEqual([first, second]);
});

test("iterators begin where they are told to: at the horizon, at the end, at a record, behind it", async () => {
  const name = "iterators";
  const arn = await createStreamed(name, "NEW_IMAGE");
  for (let i = 0; i < 6; i++) await put(name, "one", i, i);
  const shards = await shardsOf(streams, arn);
  const iterator = async (ShardId: string | undefined, ShardIteratorType: string, SequenceNumber?: string) => {
    const request = { StreamArn: arn, ShardId, ShardIteratorType: ShardIteratorType as never, SequenceNumber };
    return (await streams.send(new GetShardIteratorCommand(request))).ShardIterator;
  };
  const read = async (...where: Parameters<typeof iterator>) =>
    (await readOn(streams, await iterator(...where))).records.map(({ dynamodb }) => dynamodb?.Keys?.sk?.N);
  const whole = await Promise.all(shards.map(({ ShardId }) => read(ShardId, "TRIM_HORIZON")));
  const shard = shards[whole.findIndex((found) => found.length > 0)]?.ShardId;
  expect(whole.flat()).toEqual(["0", "1", "2", "3", "4", "5"]);
  const { records } = await readOn(streams, await iterator(shard, "TRIM_HORIZON"));
  const third = records[3]?.dynamodb?.SequenceNumber;
  expect(await read(shard, "AT_SEQUENCE_NUMBER", third)).toEqual(["3", "4", "5"]);
  expect(await read(shard, "AFTER_SEQUENCE_NUMBER", third)).toEqual(["4", "5"]);
  const latest = await iterator(shard, "LATEST");
  await put(name, "one", 6, 6);
  expect((await readOn(streams, latest)).records.map(({ dynamodb }) => dynamodb?.Keys?.sk?.N)).toEqual(["6"]);
  // Pages of any size, and the same iterator twice: the same records.
  const { ShardIterator = "" } = await streams.send(
    new GetShardIteratorCommand({ StreamArn: arn, ShardId: shard, ShardIteratorType: "TRIM_HORIZON" }),
  );
  const page = () => streams.send(new GetRecordsCommand({ ShardIterator, Limit: 3 }));
  const [one, two] = [await page(), await page()];
  expect(one.Records?.map(({ eventID }) => eventID)).toEqual(two.Records?.map(({ eventID }) => eventID));
  expect(one.Records).toHaveLength(3);
});

test("a table that is deleted leaves its streams to be read for a while", async () => {
  const name = "deleted";
  const arn = await createStreamed(name, "NEW_AND_OLD_IMAGES");
  for (let i = 0; i < 20; i++) await put(name, `p${i % 5}`, 1, i);
  const before = await readStream(streams, arn);
  await deleteTable(s.dynamo, name);
  const { StreamDescription } = await streams.send(new DescribeStreamCommand({ StreamArn: arn }));
  expect(StreamDescription?.StreamStatus).toBe("DISABLED");
  const records = await readStream(streams, arn);
  expect(records.map(({ eventID }) => eventID)).toEqual(before.map(({ eventID }) => eventID));
  expect(records).toHaveLength(20);
  // A table of the same name has streams of its own.
  const next = await createStreamed(name, "KEYS_ONLY");
  expect(next > arn).toBe(true);
  expect(await readStream(streams, next)).toEqual([]);
  await s.restart();
  streams.destroy();
  streams = streamsClient(s.store.endpoint);
  expect(await readStream(streams, arn)).toEqual(records);
});

test("what a router that has not heard of its table's deletion is told to be written is in the stream", async () => {
  const name = "going";
  const arn = await createStreamed(name, "KEYS_ONLY");
  const [record] = await partitionsOf(s.store, name);
  const { partition, members, hashFrom, hashTo } = record as PartitionRecord;
  const calls = new LeaderCalls({ callerTo: (node) => s.store.fleet.callerTo(node), deadlineMs: 5_000 });
  const schema = { partition: { name: "pk", type: "S" }, sort: { name: "sk", type: "N" } } as const;
  const acknowledged: string[] = [];
  // Until it is refused.
  const writer = (async () => {
    for (let i = 0; ; i++) {
      const item = { pk: { S: `p${i}` }, sk: { N: "1" } };
      const { bytes: key, hash } = itemKey(schema, item);
      if (hash < hashFrom || hash >= hashTo) continue;
      const json = Buffer.from(JSON.stringify(item));
      const op = { kind: "put", json, itemSizeBytes: itemBytes(item), returnValues: "NONE" } as const;
      await calls.call(partition, members, "write", { partition, key, op });
      acknowledged.push(item.pk.S);
    }
  })().catch((refusal: unknown) => refusal);
  await eventually("some are written", () => acknowledged.length > 10);
  await deleteTable(s.dynamo, name);
  expect(await writer).toBeInstanceOf(StoreError);
  const told = (await readStream(streams, arn)).map(({ dynamodb }) => dynamodb?.Keys?.pk?.S);
  expect(acknowledged.filter((pk) => !told.includes(pk))).toEqual([]);
});

describe("what is wrong is told as the service does", () => {
  const ARN = "arn:aws:dynamodb:local:000000000000:table/nobody/stream/2026-01-01T00:00:00.000";
  const SHARD = "shardId-00000000000000000001-00000001";
  type Asked = DescribeStreamCommand | GetShardIteratorCommand | GetRecordsCommand;
  const refusal = async (command: Asked) => {
    const answer: unknown = await streams.send(command as GetRecordsCommand).catch((error: unknown) => error);
    return answer instanceof Error ? [answer.name, answer.message] : answer;
  };

  test("of streams that are not there", async () => {
    expect(await refusal(new DescribeStreamCommand({ StreamArn: ARN }))).toEqual([
      "ResourceNotFoundException",
      `Requested resource not found: Stream: ${ARN} not found`,
    ]);
    expect(await refusal(new DescribeStreamCommand({ StreamArn: "not-an-arn" }))).toEqual([
      "ValidationException",
      "Invalid StreamArn",
    ]);
    expect(
      await refusal(new GetShardIteratorCommand({ StreamArn: ARN, ShardId: SHARD, ShardIteratorType: "LATEST" })),
    ).toEqual(["ResourceNotFoundException", `Requested resource not found: Stream: ${ARN} not found`]);
  });

  test("of iterators", async () => {
    const arn = await createStreamed("refusals", "KEYS_ONLY");
    expect(await refusal(new GetRecordsCommand({ ShardIterator: "nonsense" }))).toEqual([
      "ValidationException",
      "Invalid ShardIterator",
    ]);
    const [shard] = await shardsOf(streams, arn);
    const base = { StreamArn: arn, ShardId: shard?.ShardId };
    const { ShardIterator = "" } = await streams.send(
      new GetShardIteratorCommand({ ...base, ShardIteratorType: "LATEST" }),
    );
    const [name = "", version, place = ""] = ShardIterator.split("|");
    const parts = Buffer.from(place, "base64").toString().split(" ");
    const aged = (ms: number) => {
      const old = [...parts.slice(0, 3), String(Number(parts[3]) - ms)].join(" ");
      return `${name}|${version}|${Buffer.from(old).toString("base64")}`;
    };
    expect(await refusal(new GetRecordsCommand({ ShardIterator: aged(15 * 60_000 + 60_000) }))).toEqual([
      "ExpiredIteratorException",
      "Shard iterator has expired",
    ]);
    expect(await refusal(new GetRecordsCommand({ ShardIterator: aged(14 * 60_000) }))).toMatchObject({ Records: [] });
    const early = `1${"0".repeat(23)}`;
    expect(
      await refusal(
        new GetShardIteratorCommand({ ...base, ShardIteratorType: "AT_SEQUENCE_NUMBER", SequenceNumber: early }),
      ),
    ).toEqual(["TrimmedDataAccessException", "The data you are trying to access has been trimmed"]);
    expect(await refusal(new GetShardIteratorCommand({ ...base, ShardIteratorType: "AT_SEQUENCE_NUMBER" }))).toEqual([
      "ValidationException",
      "One or more parameter values were invalid: SequenceNumber is required for ShardIteratorType AT_SEQUENCE_NUMBER",
    ]);
    expect(
      await refusal(new GetShardIteratorCommand({ ...base, ShardId: SHARD, ShardIteratorType: "LATEST" })),
    ).toEqual([
      "ResourceNotFoundException",
      `Requested resource not found: Shard: ${SHARD} in Stream: ${arn} not found`,
    ]);
    expect(await refusal(new GetRecordsCommand({ ShardIterator, Limit: 1_001 }))).toEqual([
      "ValidationException",
      "1 validation error detected: Value '1001' at 'limit' failed to satisfy constraint: Member must have value less than or equal to 1000",
    ]);
  });

  test("of specifications", async () => {
    await createTable(s.dynamo, "plain");
    const refused = async (specification: object) =>
      await s.dynamo
        .send(new UpdateTableCommand({ TableName: "plain", StreamSpecification: specification as never }))
        .catch((error: Error) => error.message);
    expect(await refused({ StreamEnabled: true })).toBe(
      "One or more parameter values were invalid: If stream is being enabled then UpdateViewType is required",
    );
    expect(await refused({ StreamEnabled: false, StreamViewType: "KEYS_ONLY" })).toBe(
      "One or more parameter values were invalid: If stream is being disabled, then UpdateViewType must not be specified",
    );
    expect(await refused({ StreamEnabled: true, StreamViewType: "ALL" })).toContain(
      "Member must satisfy enum value set: [OLD_IMAGE, KEYS_ONLY, NEW_AND_OLD_IMAGES, NEW_IMAGE]",
    );
  });
});

test("what a transaction changes has its records as other changes have, and what is cancelled has none", async () => {
  const name = "transacted";
  const arn = await createStreamed(name, "OLD_IMAGE");
  const keys = Array.from({ length: 4 }, (_, sk) => ({ pk: "one", sk }));
  for (const Key of keys) await s.documents.send(new PutCommand({ TableName: name, Item: { ...Key, v: "old" } }));
  const remove = (condition: string) =>
    s.documents.send(
      new TransactWriteCommand({
        TransactItems: keys.map((Key) => ({
          Delete: { TableName: name, Key, ConditionExpression: condition },
        })),
      }),
    );
  await expect(remove("attribute_not_exists(pk)")).rejects.toMatchObject({ name: "TransactionCanceledException" });
  await remove("attribute_exists(pk)");
  const records = await readStream(streams, arn);
  expect(records.map(({ eventName, dynamodb }) => [eventName, dynamodb?.Keys?.sk?.N])).toEqual([
    ...keys.map(({ sk }) => ["INSERT", String(sk)]),
    ...keys.map(({ sk }) => ["REMOVE", String(sk)]),
  ]);
  expect(records.at(-1)?.dynamodb?.OldImage?.v?.S).toBe("old");
});
