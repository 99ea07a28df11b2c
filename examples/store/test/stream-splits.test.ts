import { DeleteTableCommand, UpdateTableCommand } from "@aws-sdk/client-dynamodb";
import {
  DescribeStreamCommand,
  GetRecordsCommand,
  GetShardIteratorCommand,
  type Shard,
  type ShardIteratorType,
} from "@aws-sdk/client-dynamodb-streams";
import { PutCommand } from "@aws-sdk/lib-dynamodb";
import { afterAll, beforeAll, expect, test } from "vitest";
import { singleStore, tableExists } from "./support/single.js";
import { beginSplit, letGo, partitionsOf, split, splitDone } from "./support/splits.js";
import { eventually } from "./support/store.js";
import { createStreamed, readOn, readStream, shardsOf, streamsClient } from "./support/streams.js";

const s = singleStore({ partitionsPerTable: 1 });
let streams: ReturnType<typeof streamsClient>;

beforeAll(() => {
  streams = streamsClient(s.store.endpoint);
});
afterAll(() => streams.destroy());

const put = (TableName: string, pk: string, v: number) =>
  s.documents.send(new PutCommand({ TableName, Item: { pk, v } }));
const PKS = ["a", "b", "c", "d", "e", "f"];
async function putAll(TableName: string, v: number): Promise<void> {
  for (const pk of PKS) await put(TableName, pk, v);
}

const wholeOf = async (TableName: string) => (await partitionsOf(s.store, TableName))[0]?.partition as number;
const parentsOf = (shards: readonly Shard[]) => shards.map(({ ParentShardId }) => ParentShardId);

async function iterator(StreamArn: string, ShardId: string | undefined, type: ShardIteratorType, at?: string) {
  const request = { StreamArn, ShardId, ShardIteratorType: type, SequenceNumber: at };
  return (await streams.send(new GetShardIteratorCommand(request))).ShardIterator;
}

test("a shard ends where its partition was split, and its children go on from there", async () => {
  const name = "followed";
  const arn = await createStreamed(s.dynamo, name);
  await putAll(name, 1);
  const [parent] = await shardsOf(streams, arn);
  const open = await iterator(arn, parent?.ShardId, "LATEST");
  const whole = await wholeOf(name);
  await split(s.store, name, whole);
  await putAll(name, 2);
  const { StreamDescription } = await streams.send(new DescribeStreamCommand({ StreamArn: arn }));
  expect(StreamDescription?.StreamStatus).toBe("ENABLED");
  const [closed, ...children] = StreamDescription?.Shards ?? [];
  expect(closed?.ShardId).toBe(parent?.ShardId);
  expect(closed?.SequenceNumberRange?.EndingSequenceNumber).toMatch(/^\d+$/);
  expect(children).toHaveLength(2);
  expect(parentsOf(children)).toEqual([parent?.ShardId, parent?.ShardId]);
  const filtered = await streams.send(
    new DescribeStreamCommand({
      StreamArn: arn,
      ShardFilter: { Type: "CHILD_SHARDS", ShardId: parent?.ShardId },
    }),
  );
  expect(filtered.StreamDescription?.Shards).toEqual(children);

  const values = async (from: string | undefined) => {
    const { records, next } = await readOn(streams, from);
    return { values: records.map(({ dynamodb }) => dynamodb?.NewImage?.v?.N), ended: next === undefined };
  };
  // Twice: while the nodes have the partition, and when it is in the archive alone.
  for (const round of ["before", "after"]) {
    if (round === "after") await letGo(s.store, whole);
    expect(await values(open)).toEqual({ values: [], ended: true });
    expect(await values(await iterator(arn, closed?.ShardId, "LATEST"))).toEqual({ values: [], ended: true });
    const ones = PKS.map(() => "1");
    const horizon = await iterator(arn, closed?.ShardId, "TRIM_HORIZON");
    expect(await values(horizon)).toEqual({ values: ones, ended: true });
    const { records } = await readOn(streams, horizon);
    const third = records[2]?.dynamodb?.SequenceNumber;
    expect(await values(await iterator(arn, closed?.ShardId, "AT_SEQUENCE_NUMBER", third))).toEqual({
      values: ones.slice(2),
      ended: true,
    });
    expect(await values(await iterator(arn, closed?.ShardId, "AFTER_SEQUENCE_NUMBER", third))).toEqual({
      values: ones.slice(3),
      ended: true,
    });
    const last = closed?.SequenceNumberRange?.EndingSequenceNumber;
    expect(await values(await iterator(arn, closed?.ShardId, "AFTER_SEQUENCE_NUMBER", last))).toEqual({
      values: [],
      ended: true,
    });
    // In pages, and the last one says that there is no other.
    let pages = 0;
    for (let next = horizon; next !== undefined; pages++) {
      const page = await streams.send(new GetRecordsCommand({ ShardIterator: next, Limit: 2 }));
      next = page.NextShardIterator;
    }
    expect(pages).toBeLessThanOrEqual(PKS.length / 2 + 1);
    const ofChildren = await Promise.all(
      children.map(async ({ ShardId }) => await values(await iterator(arn, ShardId, "TRIM_HORIZON"))),
    );
    expect(ofChildren.flatMap((child) => child.values)).toEqual(PKS.map(() => "2"));
    expect(ofChildren.map(({ ended }) => ended)).toEqual([false, false]);
  }
});

test("a stream is switched off and on while partitions are split: each has its own changes", async () => {
  const name = "switched-while-split";
  const first = await createStreamed(s.dynamo, name);
  await putAll(name, 1);
  const whole = await wholeOf(name);
  await beginSplit(s.store, whole);
  const toggle = async (enabled: boolean) => {
    const StreamSpecification = {
      StreamEnabled: enabled,
      ...(enabled && { StreamViewType: "NEW_IMAGE" as const }),
    };
    const { TableDescription } = await s.dynamo.send(new UpdateTableCommand({ TableName: name, StreamSpecification }));
    await tableExists(s.dynamo, name);
    return TableDescription?.LatestStreamArn as string;
  };
  await toggle(false);
  await putAll(name, 2);
  const second = await toggle(true);
  await splitDone(s.store, name, whole);
  await putAll(name, 3);
  for (const { partition } of await partitionsOf(s.store, name)) await split(s.store, name, partition);
  await putAll(name, 4);
  const valuesOf = async (arn: string) =>
    (await readStream(streams, arn)).map(({ dynamodb }) => dynamodb?.NewImage?.v?.N).sort();
  const times = (...values: string[]) => values.flatMap((value) => PKS.map(() => value));
  expect(await valuesOf(first)).toEqual(times("1"));
  expect(await valuesOf(second)).toEqual(times("3", "4"));
  for (const { ParentShardId } of (await shardsOf(streams, second)).slice(-4)) expect(ParentShardId).toBeDefined();
});

test("a table that is deleted right after it was split leaves all of its stream", async () => {
  const name = "deleted-after-split";
  const arn = await createStreamed(s.dynamo, name);
  await putAll(name, 1);
  await split(s.store, name, await wholeOf(name));
  await putAll(name, 2);
  await eventually("the table can be deleted", () =>
    s.dynamo.send(new DeleteTableCommand({ TableName: name })).then(
      () => true,
      () => false,
    ),
  );
  const ended = async () => {
    const { StreamDescription } = await streams.send(new DescribeStreamCommand({ StreamArn: arn }));
    return StreamDescription?.StreamStatus === "DISABLED";
  };
  await eventually("the stream has ended", ended);
  const records = await readStream(streams, arn);
  expect(records.map(({ dynamodb }) => dynamodb?.NewImage?.v?.N)).toEqual([
    ...PKS.map(() => "1"),
    ...PKS.map(() => "2"),
  ]);
});
