import {
  CreateTableCommand,
  DeleteItemCommand,
  type DynamoDBClient,
  GetItemCommand,
  PutItemCommand,
} from "@aws-sdk/client-dynamodb";
import {
  type DynamoDBStreamsClient,
  GetRecordsCommand,
  GetShardIteratorCommand,
} from "@aws-sdk/client-dynamodb-streams";
import type { Random } from "@evenkeel/simulation";
import { expect, test } from "vitest";
import { NODE_IDS } from "../src/control/fleet.js";
import type { ProcessFleet } from "../src/control/process-fleet.js";
import { statuses } from "./support/replicas.js";
import { tableExists } from "./support/single.js";
import { beginAnySplit, splitDone } from "./support/splits.js";
import { client, eventually, openStore, temporaryDir } from "./support/store.js";
import { readOn, type StreamedRecord, shardsOf, streamsClient } from "./support/streams.js";
import { toldRandom } from "./support/workload.js";

const TABLE = "streamed";
const KEYS = Array.from({ length: 8 }, (_, i) => `key-${i}`);
const KILLS = 4;
const WRITERS = 4;
const PROGRESS_WRITES = 30;

interface Written {
  readonly key: string;
  /** Absent: deleted. No two writes write the same. */
  readonly value: string | undefined;
  readonly invokedAt: number;
  /** Absent: nobody knows. */
  readonly acknowledgedAt?: number;
}

const pause = (ms: number) => new Promise<void>((resolve) => setTimeout(resolve, ms));

async function writer(name: string, dynamo: DynamoDBClient, random: Random, all: Written[], running: () => boolean) {
  for (let i = 0; running(); i++) {
    const key = random.pick(KEYS);
    const value = random.chance(0.2) ? undefined : `${name}-${i}`;
    const invokedAt = performance.now();
    try {
      if (value === undefined) await dynamo.send(new DeleteItemCommand({ TableName: TABLE, Key: { id: { S: key } } }));
      else await dynamo.send(new PutItemCommand({ TableName: TABLE, Item: { id: { S: key }, v: { S: value } } }));
      all.push({ key, value, invokedAt, acknowledgedAt: performance.now() });
    } catch {
      all.push({ key, value, invokedAt });
      await pause(20);
    }
  }
}

interface Consumed {
  /** By shard. */
  readonly records: ReadonlyMap<string, StreamedRecord[]>;
  /** In the order in which they were handed out. */
  readonly inOrder: readonly StreamedRecord[];
}

/**
 * As the Kinesis Client Library goes about it: asks again and again which shards there are, and reads each from its beginning, one that has a parent once that one is read to its end. In pages
 * of random size; whatever fails is asked for again. Goes on until it is told to stop and nothing is left.
 */
async function consume(
  streams: DynamoDBStreamsClient,
  StreamArn: string,
  random: Random,
  running: () => boolean,
): Promise<Consumed> {
  const records = new Map<string, StreamedRecord[]>();
  const inOrder: StreamedRecord[] = [];
  const again = async <T>(ask: () => Promise<T>): Promise<T> => {
    for (let attempt = 0; ; attempt++) {
      try {
        return await ask();
      } catch (error) {
        if (attempt > 100) throw error;
        await pause(50);
      }
    }
  };
  async function readShard(ShardId: string): Promise<void> {
    const mine: StreamedRecord[] = [];
    records.set(ShardId, mine);
    const first = { StreamArn, ShardId, ShardIteratorType: "TRIM_HORIZON" } as const;
    let { ShardIterator: next } = await again(() => streams.send(new GetShardIteratorCommand(first)));
    while (next !== undefined) {
      const last = !running();
      const request = { ShardIterator: next, Limit: random.chance(0.2) ? 1 : 1 + random.int(50) };
      const page = await again(() => streams.send(new GetRecordsCommand(request)));
      mine.push(...(page.Records ?? []));
      inOrder.push(...(page.Records ?? []));
      next = page.NextShardIterator;
      if (next !== undefined && page.Records?.length === 0) {
        if (last) return;
        await pause(random.int(30));
      }
    }
    ended.add(ShardId);
  }
  const readers = new Map<string, Promise<void>>();
  const ended = new Set<string>();
  for (;;) {
    const last = !running();
    const before = readers.size;
    for (const { ShardId = "", ParentShardId } of await again(() => shardsOf(streams, StreamArn))) {
      if (readers.has(ShardId) || (ParentShardId !== undefined && !ended.has(ParentShardId))) continue;
      readers.set(ShardId, readShard(ShardId));
    }
    if (last) await Promise.all(readers.values());
    if (last && readers.size === before) return { records, inOrder };
    await pause(20);
  }
}

test("leaders are killed and partitions split while items are written and the stream is read: it is the history of every item, once and in order", {
  timeout: 300_000,
}, async () => {
  const random = toldRandom();
  const { dir, remove } = await temporaryDir();
  const store = await openStore({ dir, partitionsPerTable: 2 });
  const fleet = store.fleet as ProcessFleet;
  const dynamo = client(store.endpoint, 1);
  const streams = streamsClient(store.endpoint);
  try {
    const { TableDescription } = await dynamo.send(
      new CreateTableCommand({
        TableName: TABLE,
        AttributeDefinitions: [{ AttributeName: "id", AttributeType: "S" }],
        KeySchema: [{ AttributeName: "id", KeyType: "HASH" }],
        BillingMode: "PAY_PER_REQUEST",
        StreamSpecification: { StreamEnabled: true, StreamViewType: "NEW_AND_OLD_IMAGES" },
      }),
    );
    const arn = TableDescription?.LatestStreamArn as string;
    await tableExists(dynamo, TABLE);
    const written: Written[] = [];
    let writing = true;
    let reading = true;
    const writers = Array.from({ length: WRITERS }, (_, i) =>
      writer(`writer-${i}`, dynamo, random.fork(`writer-${i}`), written, () => writing),
    );
    const consumer = consume(streams, arn, random.fork("consumer"), () => reading);
    const acknowledged = () => written.filter(({ acknowledgedAt }) => acknowledgedAt !== undefined).length;
    for (let kills = 0; kills < KILLS; kills++) {
      const before = acknowledged();
      const leaders = ((await statuses(fleet)) ?? []).flatMap(({ nodeId, partitions }) =>
        partitions.filter(({ partition, ready }) => partition !== 0 && ready).map(() => nodeId),
      );
      const node = random.pick(leaders.length > 0 ? leaders : NODE_IDS);
      const splitting = await beginAnySplit(store, random, TABLE);
      fleet.kill(node);
      await eventually(`writes succeed after ${node} was killed`, () => acknowledged() > before + PROGRESS_WRITES);
      await eventually(`${node} runs again`, () => fleet.pidOf(node) !== undefined);
      if (splitting !== undefined) await splitDone(store, TABLE, splitting);
    }
    writing = false;
    await Promise.all(writers);
    reading = false;
    const read = await consumer;

    // Whoever reads now, at once or in other pages, finds the same, and each shard says where its last record can be.
    const shards = await shardsOf(streams, arn);
    const closed = shards.filter(({ SequenceNumberRange }) => SequenceNumberRange?.EndingSequenceNumber !== undefined);
    expect(closed.length).toBeGreaterThan(0);
    expect(shards).toHaveLength(2 + 2 * closed.length);
    for (const { ShardId = "", SequenceNumberRange } of shards) {
      const children = shards.filter(({ ParentShardId }) => ParentShardId === ShardId);
      expect(children).toHaveLength(SequenceNumberRange?.EndingSequenceNumber === undefined ? 0 : 2);
      const { ShardIterator } = await streams.send(
        new GetShardIteratorCommand({ StreamArn: arn, ShardId, ShardIteratorType: "TRIM_HORIZON" }),
      );
      const { records: now, next } = await readOn(streams, ShardIterator);
      expect(next === undefined).toBe(children.length > 0);
      const then = read.records.get(ShardId) ?? [];
      expect(then.map(({ eventID }) => eventID)).toEqual(now.map(({ eventID }) => eventID));
      const { StartingSequenceNumber: from = 0, EndingSequenceNumber: to = 2n ** 128n } = SequenceNumberRange ?? {};
      const numbers = [
        BigInt(from) - 1n,
        ...now.map(({ dynamodb }) => BigInt(dynamodb?.SequenceNumber ?? 0)),
        BigInt(to),
      ];
      expect(numbers.every((number, i) => i === 0 || number > (numbers[i - 1] as bigint))).toBe(true);
    }
    const whole = read.inOrder;
    const byValue = new Map(written.map((one) => [one.value, one]));
    for (const key of KEYS) {
      const history = whole.filter(({ dynamodb }) => dynamodb?.Keys?.id?.S === key);
      // Each record joins on to the one before, and the last one is what is there.
      let last: string | undefined;
      const places = new Map<string, number>();
      for (const [i, { eventName, dynamodb }] of history.entries()) {
        const { NewImage, OldImage } = dynamodb ?? {};
        expect(OldImage?.v?.S, `what ${key} was before record ${i}`).toBe(last);
        last = NewImage?.v?.S;
        expect(eventName).toBe(OldImage === undefined ? "INSERT" : NewImage === undefined ? "REMOVE" : "MODIFY");
        if (last === undefined) continue;
        expect(places.has(last), `${last} is there once`).toBe(false);
        expect(byValue.get(last)?.key, `${last} was written to ${key}`).toBe(key);
        places.set(last, i);
      }
      const { Item } = await dynamo.send(
        new GetItemCommand({ TableName: TABLE, Key: { id: { S: key } }, ConsistentRead: true }),
      );
      expect(Item?.v?.S).toBe(last);
      // Every acknowledged write is there, and none before one that had ended when it began.
      const ended = written
        .filter((one) => one.key === key && one.value !== undefined && one.acknowledgedAt !== undefined)
        .sort((a, b) => (a.acknowledgedAt as number) - (b.acknowledgedAt as number));
      for (const one of ended) expect(places.has(one.value as string), `${one.value} of ${key}`).toBe(true);
      for (const [i, one] of ended.entries()) {
        const place = places.get(one.value as string) as number;
        for (const earlier of ended.slice(0, i))
          if ((earlier.acknowledgedAt as number) < one.invokedAt)
            expect(places.get(earlier.value as string), `${earlier.value} before ${one.value}`).toBeLessThan(place);
      }
    }
    console.info(
      `${KILLS} kills, ${closed.length} splits, ${acknowledged()} of ${written.length} writes acknowledged, ${whole.length} records`,
    );
    expect(acknowledged()).toBeGreaterThan(KILLS * PROGRESS_WRITES);
  } finally {
    dynamo.destroy();
    streams.destroy();
    await store.close();
    await remove();
  }
});
