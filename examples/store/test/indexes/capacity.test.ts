/**
 * What each operation says it used, by table and index (`ReturnConsumedCapacity: "INDEXES"`). The table has a local index with everything in
 * it and a global one with `shown` alone. All items are below 1 KB unless they say otherwise, so each index write is one unit:
 *
 * - a write costs an index nothing where its entry stays as it was, two units where its key changes (one entry goes, one comes), else one;
 * - an index that costs nothing is not named;
 * - reads are charged before the filter, at half for eventual ones; what an index does not show is fetched from the table, a read each;
 * - transactions cost the table twice as much, and its indexes no more, and say of which kind.
 */
import * as sdk from "@aws-sdk/client-dynamodb";
import { beforeAll, describe, expect, test } from "vitest";
import { caughtUp } from "../support/replicas.js";
import { singleStore } from "../support/single.js";
import { eventually } from "../support/store.js";
import { attributes, createTable, keys } from "./support.js";

const single = singleStore({ partitionsPerTable: 1 });
const TableName = "metered";
const INDEXES = { ReturnConsumedCapacity: "INDEXES" } as const;

beforeAll(() =>
  createTable(single.dynamo, {
    TableName,
    KeySchema: keys(["pk", "sk"]),
    AttributeDefinitions: attributes({ pk: "S", sk: "S", g: "S", l: "S" }),
    LocalSecondaryIndexes: [
      { IndexName: "local", KeySchema: keys(["pk", "l"]), Projection: { ProjectionType: "ALL" } },
      { IndexName: "lean", KeySchema: keys(["pk", "l"]), Projection: { ProjectionType: "KEYS_ONLY" } },
    ],
    GlobalSecondaryIndexes: [
      {
        IndexName: "global",
        KeySchema: keys(["g"]),
        Projection: { ProjectionType: "INCLUDE", NonKeyAttributes: ["shown"] },
      },
    ],
  }),
);

const key = (pk: string) => ({ pk: { S: pk }, sk: { S: "1" } });
/** @param names of the attributes beside the key, each with itself as its value */
const item = (pk: string, names: string) => ({
  ...key(pk),
  ...Object.fromEntries([...names.split(" ")].filter(Boolean).map((name) => [name, { S: name }])),
});
const shown = "g l shown extra";

interface Used {
  table: number;
  local?: number;
  lean?: number;
  global?: number;
}

function capacity({ table, local, lean, global }: Used, kind?: "ReadCapacityUnits" | "WriteCapacityUnits") {
  const units = (of: number) => ({ CapacityUnits: of, ...(kind && { [kind]: of }) });
  return {
    TableName,
    ...units(table + (local ?? 0) + (lean ?? 0) + (global ?? 0)),
    Table: units(table),
    ...((local ?? lean) !== undefined && {
      LocalSecondaryIndexes: {
        ...(local !== undefined && { local: units(local) }),
        ...(lean !== undefined && { lean: units(lean) }),
      },
    }),
    ...(global !== undefined && { GlobalSecondaryIndexes: { global: units(global) } }),
  };
}

const put = (Item: Record<string, sdk.AttributeValue>) =>
  single.dynamo.send(new sdk.PutItemCommand({ TableName, Item, ...INDEXES }));
const update = (pk: string, UpdateExpression: string, value?: string) =>
  single.dynamo.send(
    new sdk.UpdateItemCommand({
      TableName,
      Key: key(pk),
      UpdateExpression,
      ...(value !== undefined && { ExpressionAttributeValues: { ":v": { S: value } } }),
      ...INDEXES,
    }),
  );
const remove = (pk: string) => single.dynamo.send(new sdk.DeleteItemCommand({ TableName, Key: key(pk), ...INDEXES }));
type Answer = { ConsumedCapacity?: unknown };

describe("a write", () => {
  /** What was there, what is done to it, and what that uses. */
  test.each<[string, string | undefined, (pk: string) => Promise<Answer>, Used]>([
    [
      "PutItem, of an item for all indexes",
      undefined,
      (pk) => put(item(pk, shown)),
      { table: 1, local: 1, lean: 1, global: 1 },
    ],
    ["PutItem, of one for none", undefined, (pk) => put(item(pk, "extra")), { table: 1 }],
    ["PutItem, of one for local ones", undefined, (pk) => put(item(pk, "l")), { table: 1, local: 1, lean: 1 }],
    ["PutItem, of one that is there already", shown, (pk) => put(item(pk, shown)), { table: 1 }],
    [
      "PutItem, of an item of 3.5 KB over a small one",
      "g",
      (pk) => put({ ...item(pk, "g"), extra: { S: "x".repeat(3_500) } }),
      { table: 4 },
    ],
    [
      "PutItem, of a small item over one that indexes had",
      shown,
      (pk) => put(item(pk, "")),
      { table: 1, local: 1, lean: 1, global: 1 },
    ],
    ["UpdateItem, of what one index shows", shown, (pk) => update(pk, "SET extra = :v", "new"), { table: 1, local: 1 }],
    [
      "UpdateItem, of what two indexes show",
      shown,
      (pk) => update(pk, "SET shown = :v", "new"),
      { table: 1, local: 1, global: 1 },
    ],
    [
      "UpdateItem, of a global index's key",
      shown,
      (pk) => update(pk, "SET g = :v", "new"),
      { table: 1, local: 1, global: 2 },
    ],
    ["UpdateItem, that takes it away", shown, (pk) => update(pk, "REMOVE g"), { table: 1, local: 1, global: 1 }],
    [
      "UpdateItem, of local indexes' key",
      shown,
      (pk) => update(pk, "SET l = :v", "new"),
      { table: 1, local: 2, lean: 2 },
    ],
    ["UpdateItem, that changes nothing", shown, (pk) => update(pk, "SET extra = :v", "extra"), { table: 1 }],
    ["DeleteItem, of an item in all indexes", shown, remove, { table: 1, local: 1, lean: 1, global: 1 }],
    ["DeleteItem, of one in none", "extra", remove, { table: 1 }],
    ["DeleteItem, of nothing", undefined, remove, { table: 1 }],
    [
      "ExecuteStatement",
      shown,
      (pk) =>
        single.dynamo.send(
          new sdk.ExecuteStatementCommand({
            Statement: `UPDATE "${TableName}" SET g = 'new' WHERE pk = '${pk}' AND sk = '1'`,
            ...INDEXES,
          }),
        ),
      { table: 1, local: 1, global: 2 },
    ],
  ])("%s", async (name, before, write, used) => {
    if (before !== undefined) await put(item(name, before));
    expect((await write(name)).ConsumedCapacity).toEqual(capacity(used));
  });

  test("asked for the TOTAL names no index, and counts them", async () => {
    const Item = item("total", shown);
    const request = new sdk.PutItemCommand({ TableName, Item, ReturnConsumedCapacity: "TOTAL" });
    expect((await single.dynamo.send(request)).ConsumedCapacity).toEqual({ TableName, CapacityUnits: 4 });
  });

  test("of a failed condition uses what the write would have", async () => {
    await put(item("failed", shown));
    const request = {
      TableName,
      Item: item("failed", "g"),
      ConditionExpression: "attribute_not_exists(pk)",
      ...INDEXES,
    };
    const error = await single.dynamo.send(new sdk.PutItemCommand(request)).catch((failed: Error) => failed);
    // The SDK's error has no such member: the service charges it, and does not say so.
    expect(error).toMatchObject({ name: "ConditionalCheckFailedException" });
    expect(error).not.toHaveProperty("ConsumedCapacity");
  });
});

describe("many writes", () => {
  const names = ["one", "two"];
  const statements = (of: string) =>
    names.map((pk) => ({ Statement: `INSERT INTO "${TableName}" VALUE {'pk':'${of}${pk}','sk':'1','g':'g','l':'l'}` }));
  const puts = (of: string) => names.map((pk) => item(of + pk, "g l"));
  const twice = { table: 2, local: 2, lean: 2, global: 2 };
  const together = { ...twice, table: 4 };
  test.each<[string, () => Promise<Answer>, object]>([
    [
      "BatchWriteItem",
      () =>
        single.dynamo.send(
          new sdk.BatchWriteItemCommand({
            RequestItems: { [TableName]: puts("batch").map((Item) => ({ PutRequest: { Item } })) },
            ...INDEXES,
          }),
        ),
      capacity(twice),
    ],
    [
      "BatchExecuteStatement",
      () =>
        single.dynamo.send(new sdk.BatchExecuteStatementCommand({ Statements: statements("statements"), ...INDEXES })),
      capacity(twice),
    ],
    [
      "TransactWriteItems",
      () =>
        single.dynamo.send(
          new sdk.TransactWriteItemsCommand({
            TransactItems: puts("transaction").map((Item) => ({ Put: { TableName, Item } })),
            ...INDEXES,
          }),
        ),
      capacity(together, "WriteCapacityUnits"),
    ],
    [
      "ExecuteTransaction",
      () =>
        single.dynamo.send(
          new sdk.ExecuteTransactionCommand({ TransactStatements: statements("together"), ...INDEXES }),
        ),
      capacity(together, "WriteCapacityUnits"),
    ],
  ])("%s", async (_, write, expected) => {
    expect((await write()).ConsumedCapacity).toEqual([expected]);
  });
});

describe("a read", () => {
  const large = { S: "x".repeat(5_000) };
  beforeAll(async () => {
    for (const sk of ["1", "2", "3"])
      await put({ pk: { S: "read" }, sk: { S: sk }, l: { S: sk }, g: { S: "read" }, shown: { S: "s" }, extra: large });
    await eventually("the global index has them", async () => (await query({ IndexName: "global" }, "g")).Count === 3);
    // What an eventual read uses depends on what it finds.
    await caughtUp(single.store.fleet);
  });
  const query = (more: object, name = "pk") =>
    single.dynamo.send(
      new sdk.QueryCommand({
        TableName,
        KeyConditionExpression: `${name} = :p`,
        ExpressionAttributeValues: { ":p": { S: "read" } },
        ...INDEXES,
        ...more,
      }),
    );
  const Key = { pk: { S: "read" }, sk: { S: "1" } };
  const select = (Statement: string, ConsistentRead = false) =>
    single.dynamo.send(new sdk.ExecuteStatementCommand({ Statement, ConsistentRead, ...INDEXES }));

  // Three items of about 5,050 bytes: 15,150 bytes together are four units of 4 KB, of each alone two.
  test.each<[string, () => Promise<Answer>, unknown]>([
    [
      "GetItem",
      () => single.dynamo.send(new sdk.GetItemCommand({ TableName, Key, ...INDEXES })),
      capacity({ table: 1 }),
    ],
    [
      "GetItem, consistent",
      () => single.dynamo.send(new sdk.GetItemCommand({ TableName, Key, ConsistentRead: true, ...INDEXES })),
      capacity({ table: 2 }),
    ],
    [
      "GetItem, of nothing",
      () => single.dynamo.send(new sdk.GetItemCommand({ TableName, Key: key("none"), ...INDEXES })),
      capacity({ table: 0.5 }),
    ],
    ["Query", () => query({}), capacity({ table: 2 })],
    ["Query, consistent", () => query({ ConsistentRead: true }), capacity({ table: 4 })],
    [
      "Query, of which the filter leaves nothing",
      () => query({ FilterExpression: "attribute_exists(nope)" }),
      capacity({ table: 2 }),
    ],
    ["Query, of which only a count is wanted", () => query({ Select: "COUNT" }), capacity({ table: 2 })],
    ["Query, of one item", () => query({ Limit: 1 }), capacity({ table: 1 })],
    ["Query, of a local index", () => query({ IndexName: "local" }), capacity({ table: 0, local: 2 })],
    ["Query, of one with keys alone", () => query({ IndexName: "lean" }), capacity({ table: 0, lean: 0.5 })],
    [
      "Query, that fetches what an index has not",
      () => query({ IndexName: "lean", Select: "ALL_ATTRIBUTES" }),
      capacity({ table: 3, lean: 0.5 }),
    ],
    ["Query, of a global index", () => query({ IndexName: "global" }, "g"), capacity({ table: 0, global: 0.5 })],
    [
      "Scan, of a global index",
      () => single.dynamo.send(new sdk.ScanCommand({ TableName, IndexName: "global", Limit: 1, ...INDEXES })),
      capacity({ table: 0, global: 0.5 }),
    ],
    ["ExecuteStatement", () => select(`SELECT pk FROM "${TableName}" WHERE pk = 'read'`), capacity({ table: 2 })],
    [
      "ExecuteStatement, of an index",
      () => select(`SELECT pk FROM "${TableName}"."local" WHERE pk = 'read'`, true),
      capacity({ table: 0, local: 4 }),
    ],
    [
      "BatchGetItem",
      () =>
        single.dynamo.send(
          new sdk.BatchGetItemCommand({ RequestItems: { [TableName]: { Keys: [Key, key("none")] } }, ...INDEXES }),
        ),
      [capacity({ table: 1.5 })],
    ],
    [
      "TransactGetItems",
      () =>
        single.dynamo.send(
          new sdk.TransactGetItemsCommand({
            TransactItems: [{ Get: { TableName, Key } }, { Get: { TableName, Key: key("none") } }],
            ...INDEXES,
          }),
        ),
      [capacity({ table: 6 }, "ReadCapacityUnits")],
    ],
    [
      "ExecuteTransaction",
      () =>
        single.dynamo.send(
          new sdk.ExecuteTransactionCommand({
            TransactStatements: [{ Statement: `SELECT * FROM "${TableName}" WHERE pk = 'read' AND sk = '1'` }],
            ...INDEXES,
          }),
        ),
      [capacity({ table: 4 }, "ReadCapacityUnits")],
    ],
  ])("%s", async (_, read, expected) => {
    expect((await read()).ConsumedCapacity).toEqual(expected);
  });
});

test("writes tell how large their item collection is: from so many gigabytes to one more", async () => {
  const asked = { ReturnItemCollectionMetrics: "SIZE", TableName } as const;
  const metrics = (pk: string) => ({ ItemCollectionKey: { pk: { S: pk } }, SizeEstimateRangeGB: [0, 1] });
  const put = await single.dynamo.send(new sdk.PutItemCommand({ ...asked, Item: item("sized", "l") }));
  const updated = await single.dynamo.send(
    new sdk.UpdateItemCommand({ ...asked, Key: key("sized"), UpdateExpression: "REMOVE l" }),
  );
  const removed = await single.dynamo.send(new sdk.DeleteItemCommand({ ...asked, Key: key("sized") }));
  for (const { ItemCollectionMetrics } of [put, updated, removed])
    expect(ItemCollectionMetrics).toEqual(metrics("sized"));
  const many = [{ PutRequest: { Item: item("sized", "l") } }, { DeleteRequest: { Key: key("extra") } }];
  const batch = await single.dynamo.send(
    new sdk.BatchWriteItemCommand({ RequestItems: { [TableName]: many }, ReturnItemCollectionMetrics: "SIZE" }),
  );
  expect(batch.ItemCollectionMetrics).toEqual({ [TableName]: [metrics("sized"), metrics("extra")] });
  const none = await single.dynamo.send(
    new sdk.PutItemCommand({ TableName, Item: item("sized", ""), ReturnItemCollectionMetrics: "NONE" }),
  );
  expect(none.ItemCollectionMetrics).toBeUndefined();
});
