import { afterEach, beforeEach, expect, test } from "vitest";
import { ApiError } from "../src/api/errors.js";
import { itemBytes } from "../src/api/size.js";
import type { StreamRecord } from "../src/api/streams/model.js";
import { shardId } from "../src/api/streams/names.js";
import { HASH_END } from "../src/metadata/records.js";
import { enabledStream } from "../src/metadata/stream-lifetime.js";
import type { OperationContext } from "../src/router/operations/operation.js";
import { streamOperations } from "../src/router/streams/operations.js";
import { StreamPlane } from "../src/router/streams/stream-plane.js";
import { changeMethods } from "../src/storage-node/change-methods.js";
import { CHANGES_BEGIN } from "../src/storage-node/changes.js";
import { StoreError } from "../src/storage-node/errors.js";
import { nextFill } from "../src/storage-node/split-feed.js";
import { LonePartition } from "./support/lone-partition.js";
import { temporaryDir } from "./support/store.js";

const stream: StreamRecord = enabledStream(
  {
    tableName: "orders",
    tableId: "t",
    label: "2026-01-01T00:00:00.000",
    viewType: "KEYS_ONLY",
    keySchema: { partition: { name: "pk", type: "S" } },
    createdAtMs: Date.now(),
    status: "ENABLED",
    shards: [],
  } as unknown as StreamRecord,
  [{ partition: 7, hashFrom: 0, slot: 1 }],
  Date.now(),
);
const StreamArn = `arn:aws:dynamodb:local:000000000000:table/orders/stream/${stream.label}`;
const ShardId = shardId(stream.createdAtMs, 7);

let partition: LonePartition;
let remove: () => Promise<void>;
let known: StreamRecord;
/** Whether a node has the partition still. */
let isThere: boolean;

beforeEach(async () => {
  const temporary = await temporaryDir();
  remove = temporary.remove;
  partition = await LonePartition.open(temporary.dir);
  known = stream;
  isThere = true;
  await partition.host.writer.describe({ recordsChanges: true, stream: stream.label, asOf: 1 });
});
afterEach(async () => {
  await partition.close();
  await remove();
});

async function write(from: number, through: number): Promise<number> {
  for (let i = from; i <= through; i++) {
    const item = { pk: { S: `k${i}` } };
    const key = Buffer.concat([Buffer.from([0, 0, 0, i, 0, item.pk.S.length]), Buffer.from(item.pk.S)]);
    const op = { kind: "put", json: Buffer.from(JSON.stringify(item)), itemSizeBytes: itemBytes(item) } as const;
    await partition.host.writer.write(key, { ...op, returnValues: "NONE" });
  }
  return partition.host.group.status().appliedThrough;
}

interface Answer {
  readonly ShardIterator?: string;
  readonly NextShardIterator?: string;
  readonly Records?: readonly {
    readonly dynamodb: { readonly SequenceNumber: string; readonly Keys: { pk: { S: string } } };
  }[];
}

/** What a client is answered. */
async function ask(operation: string, request: object): Promise<Answer> {
  const methods = changeMethods(
    () => {
      if (isThere) return partition.host;
      throw new StoreError("ERR_STORE_UNKNOWN_PARTITION", "it is not here");
    },
    () => partition.archive,
  ) as unknown as Record<string, (params: object) => Promise<never>>;
  const answer = async (method: string, params: object): Promise<never> =>
    method === "describeStream" ? (known as never) : await (methods[method] as (typeof methods)[string])(params);
  const streams = new StreamPlane({
    leaders: {
      call: async (_: number, __: unknown, method: string, params: object) => await answer(method, params),
    } as never,
    nodes: {
      routes: {
        stream: async () => known,
        partition: async () => ({
          partition: isThere ? 7 : 12,
          tableId: "t",
          hashFrom: 0,
          hashTo: HASH_END,
          members: ["a1"],
        }),
      } as never,
      callerTo: () => ({ call: answer as never, close: async () => undefined }),
      members: ["a1"],
    },
  });
  const context = { backend: { streams }, nowMs: Date.now } as unknown as OperationContext;
  return (await streamOperations.get(operation)?.run(request as never, context)) as Answer;
}

async function iterator(ShardIteratorType: string, SequenceNumber?: string): Promise<string> {
  const request = { StreamArn, ShardId, ShardIteratorType, SequenceNumber };
  return (await ask("GetShardIterator", request)).ShardIterator as string;
}

/** The keys that are read from there on, and with which error that ended. */
async function read(from: string): Promise<string[]> {
  const found: string[] = [];
  for (let next: string | undefined = from; next !== undefined; ) {
    try {
      const { Records = [], NextShardIterator }: Answer = await ask("GetRecords", { ShardIterator: next, Limit: 4 });
      found.push(...Records.map(({ dynamodb }) => dynamodb.Keys.pk.S));
      next = Records.length === 0 ? undefined : NextShardIterator;
    } catch (error) {
      return [...found, error instanceof ApiError ? error.type : (error as Error).message];
    }
  }
  return found;
}

const keys = (from: number, through: number) => Array.from({ length: through - from + 1 }, (_, i) => `k${from + i}`);
const TRIMMED = "TrimmedDataAccessException";

/** Writes 11 to 20 are in no log and in no archive any more. Resolves with a place among them. */
async function lose(): Promise<string> {
  const { archiving, group, replica } = partition.host;
  await write(1, 10);
  const before = await archiving.archive();
  const through = await write(11, 20);
  const latest = await ask("GetRecords", { ShardIterator: await iterator("TRIM_HORIZON"), Limit: 15 });
  await partition.trim(through);
  const first = String(before + 1).padStart(16, "0");
  for (const ending of ["log", "manifest"]) await partition.archive.delete(`p7/${first}.${ending}`);
  await write(21, 30);
  await archiving.beginAnew(replica.lastTimeMs);
  expect(group.status().trimmedThrough).toBe(through);
  return latest.Records?.at(-1)?.dynamodb.SequenceNumber as string;
}

test("who reads a stream up to what is lost is told that it was trimmed, and goes on behind it from the horizon", async () => {
  const old = await iterator("TRIM_HORIZON");
  const within = await lose();
  // While nothing is archived behind it, what comes before it is not given up.
  await expect(partition.host.changes.after(CHANGES_BEGIN)).rejects.toMatchObject({ code: "ERR_STORE_BEHIND" });
  await partition.host.archiving.archive();
  for (const trimmed of [false, true]) {
    if (trimmed) await partition.trim(partition.host.group.status().appliedThrough);
    expect(await read(old)).toEqual([...keys(1, 10), TRIMMED]);
    expect(await read(await iterator("AFTER_SEQUENCE_NUMBER", within))).toEqual([TRIMMED]);
    expect(await read(await iterator("TRIM_HORIZON"))).toEqual(keys(21, 30));
  }
  // Of a shard that has ended the same is said, while the partition is there and when it is not.
  const throughSlot = partition.host.group.status().appliedThrough;
  known = { ...stream, shards: stream.shards.map((shard) => ({ ...shard, throughSlot })) };
  for (isThere of [true, false]) {
    expect(await read(old)).toEqual([...keys(1, 10), TRIMMED]);
    expect(await read(await iterator("TRIM_HORIZON"))).toEqual(keys(21, 30));
  }
});

test("what is missing and was not given up is not said to be trimmed", async () => {
  await write(1, 10);
  await partition.trim(partition.host.group.status().appliedThrough);
  await partition.archive.delete("p7/0000000000000001.log");
  expect(await read(await iterator("TRIM_HORIZON"))).toEqual([
    expect.stringContaining("is missing; its manifest is there"),
  ]);
});

test("a split that needs slots which are lost says so", async () => {
  await lose();
  await partition.host.archiving.archive();
  const { replica, changes } = partition.host;
  const step = nextFill({ replica, changes }, { hashFrom: 0, hashTo: HASH_END }, { of: 7, slot: 13, copied: true });
  const message = expect.stringMatching(/the archive of p7 does not hold slot 14: entries \d+ to \d+ of "p7" are lost/);
  await expect(step).rejects.toMatchObject({ code: "ERR_STORE_TRIMMED", message });
});
