import { subscribe, unsubscribe } from "node:diagnostics_channel";
import { PutCommand, QueryCommand, ScanCommand, UpdateCommand } from "@aws-sdk/lib-dynamodb";
import { afterAll, beforeAll, expect, test } from "vitest";
import { createTable, singleStore } from "./support/single.js";
import { letGo, partitionsOf, split } from "./support/splits.js";

const s = singleStore({ partitionsPerTable: 1 });
const standStills: number[] = [];
const failures: unknown[] = [];
const onSplit = (message: unknown) => standStills.push((message as { standStillMs: number }).standStillMs);
const onFailure = (message: unknown) => failures.push((message as { error: unknown }).error);

beforeAll(() => {
  subscribe("evenkeel:store:partition-split", onSplit);
  subscribe("evenkeel:store:split-failed", onFailure);
});
afterAll(() => {
  unsubscribe("evenkeel:store:partition-split", onSplit);
  unsubscribe("evenkeel:store:split-failed", onFailure);
  console.info(`requests stood still for ${standStills.map((ms) => Math.round(ms)).join(", ")} ms`);
});

test("a partition is split while it is written to: every counter counts on, every item is there once", async () => {
  const TableName = "counters";
  await createTable(s.dynamo, TableName, "S");
  const keys = Array.from({ length: 300 }, (_, i) => ({ pk: `p${i % 100}`, sk: `s${i}` }));
  for (const key of keys) await s.documents.send(new PutCommand({ TableName, Item: { ...key, count: 0 } }));
  const counts = new Map(keys.map((key) => [key.sk, 0]));
  /** On a busy machine a leader may change, and the SDK asks again for what may have been done. */
  const repeated = new Map(counts);
  let running = true;
  const writers = Array.from({ length: 8 }, async (_, writer) => {
    for (let i = writer; running; i += 7) {
      const key = keys[i % keys.length] as (typeof keys)[number];
      const { Attributes, $metadata } = await s.documents.send(
        new UpdateCommand({
          TableName,
          Key: key,
          UpdateExpression: "ADD #count :one",
          ExpressionAttributeNames: { "#count": "count" },
          ExpressionAttributeValues: { ":one": 1 },
          ReturnValues: "UPDATED_NEW",
        }),
      );
      expect(Attributes?.count).toBeGreaterThan(0);
      counts.set(key.sk, (counts.get(key.sk) ?? 0) + 1);
      repeated.set(key.sk, (repeated.get(key.sk) ?? 0) + ($metadata.attempts ?? 1) - 1);
    }
  });
  const split1 = (await partitionsOf(s.store, TableName))[0]?.partition as number;
  await split(s.store, TableName, split1);
  const two = await partitionsOf(s.store, TableName);
  expect(two).toHaveLength(2);
  for (const { partition } of two) await split(s.store, TableName, partition);
  running = false;
  await Promise.all(writers);
  const four = await partitionsOf(s.store, TableName);
  expect(four).toHaveLength(4);
  expect((await s.store.router.routes.table(TableName)).partitions).toBe(4);
  const { Items = [] } = await s.documents.send(new ScanCommand({ TableName, ConsistentRead: true }));
  expect(Items).toHaveLength(keys.length);
  const expected = Items.map(({ sk, count }) => {
    const known = counts.get(sk) ?? 0;
    return [sk, Math.min(Math.max(count, known), known + (repeated.get(sk) ?? 0))];
  });
  expect(Items.map(({ sk, count }) => [sk, count])).toEqual(expected);
  const p7 = { TableName, KeyConditionExpression: "pk = :pk", ExpressionAttributeValues: { ":pk": "p7" } };
  // An eventual read, which may meet a replica that is behind.
  await expect
    .poll(async () => (await s.documents.send(new QueryCommand(p7))).Items?.map(({ sk }) => sk))
    .toEqual(["s107", "s207", "s7"]);
  for (const { partition } of [{ partition: split1 }, ...two]) await letGo(s.store, partition);
  // On a busy machine a leader may change meanwhile; nothing else goes wrong.
  const codes = failures.map((error) => `${(error as { code?: string }).code}: ${error}`);
  expect(codes.filter((code) => !/^ERR_STORE_(NOT_LEADER|UNKNOWN_OUTCOME|UNREACHABLE)/.test(code))).toEqual([]);
});
