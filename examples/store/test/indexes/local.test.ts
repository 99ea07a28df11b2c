import {
  DeleteItemCommand,
  DescribeTableCommand,
  PutItemCommand,
  QueryCommand,
  type QueryCommandInput,
  ScanCommand,
  UpdateItemCommand,
} from "@aws-sdk/client-dynamodb";
import { beforeAll, describe, expect, it } from "vitest";
import { wholeStore } from "../router/harness.js";
import { attributes, createTable, keys, queried, scanned } from "./support.js";

const subject = wholeStore();
const TableName = "orders";

const query = (IndexName: string, rest: Partial<QueryCommandInput> = {}) =>
  subject.client.send(
    new QueryCommand({
      TableName,
      IndexName,
      KeyConditionExpression: "customer = :c",
      ExpressionAttributeValues: { ":c": { S: "ada" } },
      ConsistentRead: true,
      ...rest,
    }),
  );

const put = (Item: Record<string, unknown>, rest: object = {}) =>
  subject.client.send(new PutItemCommand({ TableName, Item: Item as never, ...rest }));

const order = (id: number, rest: Record<string, unknown> = {}) => ({
  customer: { S: "ada" },
  order: { N: String(id) },
  ...rest,
});

const ids = (items: readonly Record<string, { N?: string }>[] | undefined) => items?.map(({ order: id }) => id?.N);

beforeAll(async () => {
  await createTable(subject.client, {
    TableName,
    AttributeDefinitions: attributes({ customer: "S", order: "N", amount: "N", stage: "S" }),
    KeySchema: keys(["customer", "order"]),
    LocalSecondaryIndexes: [
      { IndexName: "by-amount", KeySchema: keys(["customer", "amount"]), Projection: { ProjectionType: "ALL" } },
      {
        IndexName: "by-stage",
        KeySchema: keys(["customer", "stage"]),
        Projection: { ProjectionType: "INCLUDE", NonKeyAttributes: ["amount"] },
      },
      { IndexName: "keys-only", KeySchema: keys(["customer", "stage"]), Projection: { ProjectionType: "KEYS_ONLY" } },
    ],
  });
  await put(order(1, { amount: { N: "30" }, stage: { S: "open" }, note: { S: "first" } }));
  await put(order(2, { amount: { N: "4" }, stage: { S: "sent" } }));
  await put(order(3, { amount: { N: "200" } }));
  await put(order(4, { note: { S: "neither" } }));
  await put({ customer: { S: "bob" }, order: { N: "1" }, amount: { N: "5" }, stage: { S: "open" } });
});

describe("a local secondary index", () => {
  it("is described", async () => {
    const described = async () => (await subject.client.send(new DescribeTableCommand({ TableName }))).Table;
    // Any replica says how much there is.
    await expect.poll(async () => (await described())?.ItemCount).toBe(5);
    const Table = await described();
    expect(Table?.LocalSecondaryIndexes?.[1]).toEqual({
      IndexName: "by-stage",
      KeySchema: keys(["customer", "stage"]),
      Projection: { ProjectionType: "INCLUDE", NonKeyAttributes: ["amount"] },
      IndexSizeBytes: 105,
      ItemCount: 3,
      IndexArn: "arn:aws:dynamodb:local:000000000000:table/orders/index/by-stage",
    });
    expect(Table?.AttributeDefinitions).toHaveLength(4);
  });

  it("orders by its own sort key, both ways, and knows only items that have it", async () => {
    expect(ids((await query("by-amount")).Items)).toEqual(["2", "1", "3"]);
    expect(ids((await query("by-amount", { ScanIndexForward: false })).Items)).toEqual(["3", "1", "2"]);
    const above = await query("by-amount", {
      KeyConditionExpression: "customer = :c AND amount > :t",
      ExpressionAttributeValues: { ":c": { S: "ada" }, ":t": { N: "4" } },
    });
    expect(ids(above.Items)).toEqual(["1", "3"]);
  });

  it("shows what it projects, and fetches the rest where that is asked for", async () => {
    const first = { customer: { S: "ada" }, order: { N: "1" }, stage: { S: "open" } };
    expect((await query("by-stage")).Items?.[0]).toEqual({ ...first, amount: { N: "30" } });
    expect((await query("keys-only")).Items?.[0]).toEqual(first);
    expect((await query("keys-only", { Select: "ALL_PROJECTED_ATTRIBUTES" })).Items?.[0]).toEqual(first);
    expect((await query("keys-only", { Select: "ALL_ATTRIBUTES" })).Items?.[0]).toEqual({
      ...first,
      amount: { N: "30" },
      note: { S: "first" },
    });
    expect((await query("keys-only", { ProjectionExpression: "note" })).Items?.[0]).toEqual({ note: { S: "first" } });
    const filtered = await query("keys-only", {
      FilterExpression: "note = :n",
      ExpressionAttributeValues: { ":c": { S: "ada" }, ":n": { S: "first" } },
    });
    expect([filtered.Count, filtered.ScannedCount]).toEqual([1, 2]);
    expect((await query("by-amount", { Select: "COUNT" })).Count).toBe(3);
  });

  it("pages with a key of index and table, each entry once whatever the page's size", async () => {
    const whole = ids((await query("by-amount")).Items);
    for (const Limit of [1, 2, 3, 4]) {
      const input = {
        TableName,
        IndexName: "by-amount",
        KeyConditionExpression: "customer = :c",
        ExpressionAttributeValues: { ":c": { S: "ada" } },
        Limit,
        ConsistentRead: true,
      };
      expect(ids(await queried(subject.client, input))).toEqual(whole);
      expect(ids(await queried(subject.client, { ...input, ScanIndexForward: false }))).toEqual(
        [...(whole ?? [])].reverse(),
      );
      expect(
        await scanned(subject.client, { TableName, IndexName: "by-amount", Limit, ConsistentRead: true }),
      ).toHaveLength(4);
    }
    const { LastEvaluatedKey } = await query("by-stage", { Limit: 1 });
    expect(LastEvaluatedKey).toEqual({ customer: { S: "ada" }, order: { N: "1" }, stage: { S: "open" } });
  });

  it("is scanned, and the table's own scan knows nothing of it", async () => {
    const { Items } = await subject.client.send(
      new ScanCommand({ TableName, IndexName: "by-stage", ConsistentRead: true }),
    );
    expect(Items).toHaveLength(3);
    expect(await scanned(subject.client, { TableName, Limit: 1, ConsistentRead: true })).toHaveLength(5);
    const halves = await Promise.all(
      [0, 1].map((Segment) =>
        scanned(subject.client, { TableName, IndexName: "by-stage", Segment, TotalSegments: 2, ConsistentRead: true }),
      ),
    );
    expect(halves.flat()).toHaveLength(3);
  });

  it("follows every write at once: consistent reads see no item twice, none too late", async () => {
    const Key = order(9);
    await put(order(9, { amount: { N: "1" } }));
    expect(ids((await query("by-amount")).Items)?.[0]).toBe("9");
    const update = (UpdateExpression: string, values?: Record<string, { N: string }>) =>
      subject.client.send(
        new UpdateItemCommand({
          TableName,
          Key: Key as never,
          UpdateExpression,
          ...(values && { ExpressionAttributeValues: values }),
        }),
      );
    await update("SET amount = amount + :n", { ":n": { N: "998" } });
    const found = (await query("by-amount")).Items;
    expect(ids(found)).toEqual(["2", "1", "3", "9"]);
    expect(found?.at(-1)?.amount).toEqual({ N: "999" });
    await update("REMOVE amount");
    expect(ids((await query("by-amount")).Items)).toEqual(["2", "1", "3"]);
    await update("SET amount = :n", { ":n": { N: "5" } });
    await subject.client.send(new DeleteItemCommand({ TableName, Key: Key as never }));
    expect(ids((await query("by-amount")).Items)).toEqual(["2", "1", "3"]);
  });

  it("costs units of its own, told by name", async () => {
    const detail = { ReturnConsumedCapacity: "INDEXES", ReturnItemCollectionMetrics: "SIZE" } as const;
    const item = (rest: object) => ({ customer: { S: "cost" }, order: { N: "1" }, ...rest });
    const first = await put(item({ amount: { N: "1" }, note: { S: "x".repeat(1_500) } }), detail);
    expect(first.ConsumedCapacity).toEqual({
      TableName,
      CapacityUnits: 4,
      Table: { CapacityUnits: 2 },
      LocalSecondaryIndexes: { "by-amount": { CapacityUnits: 2 } },
    });
    expect(first.ItemCollectionMetrics).toEqual({
      ItemCollectionKey: { customer: { S: "cost" } },
      SizeEstimateRangeGB: [0, 1],
    });
    // Its key moves: one entry goes, one comes.
    const moved = await put(item({ amount: { N: "2" }, stage: { S: "open" } }), detail);
    expect(moved.ConsumedCapacity?.LocalSecondaryIndexes).toEqual({
      "by-amount": { CapacityUnits: 3 },
      "by-stage": { CapacityUnits: 1 },
      "keys-only": { CapacityUnits: 1 },
    });
    // What an index does not show costs it nothing.
    const unseen = await put(item({ amount: { N: "2" }, stage: { S: "open" }, note: { S: "new" } }), detail);
    expect(unseen.ConsumedCapacity?.LocalSecondaryIndexes).toEqual({ "by-amount": { CapacityUnits: 1 } });
    const read = {
      KeyConditionExpression: "customer = :c",
      ExpressionAttributeValues: { ":c": { S: "cost" } },
      ReturnConsumedCapacity: "INDEXES",
      ConsistentRead: true,
    } as const;
    expect((await query("by-stage", read)).ConsumedCapacity).toEqual({
      TableName,
      CapacityUnits: 1,
      Table: { CapacityUnits: 0 },
      LocalSecondaryIndexes: { "by-stage": { CapacityUnits: 1 } },
    });
    const fetched = await query("by-stage", { ...read, Select: "ALL_ATTRIBUTES" });
    expect(fetched.ConsumedCapacity).toMatchObject({ CapacityUnits: 2, Table: { CapacityUnits: 1 } });
  });

  it("takes no item whose attribute cannot be its key", async () => {
    const refused = (message: string) => ({ name: "ValidationException", message });
    await expect(put(order(5, { amount: { S: "30" } }))).rejects.toMatchObject(
      refused(
        "One or more parameter values were invalid: Type mismatch for Index Key amount Expected: N Actual: S IndexName: by-amount",
      ),
    );
    await expect(put(order(5, { stage: { S: "" } }))).rejects.toMatchObject(
      refused(
        "One or more parameter values are not valid. A value specified for a secondary index key is not supported. The AttributeValue for a key attribute cannot contain an empty string value. IndexName: by-stage, IndexKey: stage",
      ),
    );
    const update = (UpdateExpression: string, value: object) =>
      subject.client.send(
        new UpdateItemCommand({
          TableName,
          Key: order(1) as never,
          UpdateExpression,
          ExpressionAttributeValues: { ":v": value as never },
        }),
      );
    const mismatch = (actual: string) =>
      refused(
        `One or more parameter values were invalid: Type mismatch for Index Key amount Expected: N Actual: ${actual} IndexName: by-amount`,
      );
    await expect(update("SET amount = :v", { S: "30" })).rejects.toMatchObject(mismatch("S"));
    await expect(update("SET amount = :v", { NULL: true })).rejects.toMatchObject(mismatch("NULL"));
    await expect(update("ADD amount :v", { NS: ["1"] })).rejects.toMatchObject(mismatch("NS"));
    // What is computed is seen only where the item is.
    await expect(update("SET amount = if_not_exists(nothing, :v)", { S: "30" })).rejects.toMatchObject(
      refused("The update expression attempted to update the secondary index key to unsupported type"),
    );
    await expect(update("SET amount.cents = :v", { N: "30" })).rejects.toMatchObject(
      refused(
        "Key attributes must be scalars; list random access '[]' and map lookup '.' are not allowed: IndexKey: amount",
      ),
    );
    await expect(update("SET #s = :v", { S: "" })).rejects.toMatchObject({ name: "ValidationException" });
    await expect(update("SET note.amount = :v", { S: "30" })).rejects.toMatchObject({ name: "ValidationException" });
  });

  it("refuses a start key that is not one of its own", async () => {
    for (const [start, message] of [
      [{ customer: { S: "ada" }, order: { N: "1" } }, "The provided starting key is invalid"],
      [{ customer: { S: "ada" }, order: { N: "1" }, amount: { S: "x" } }, "The provided starting key is invalid"],
      [
        { customer: { S: "bob" }, order: { N: "1" }, amount: { N: "1" } },
        "The provided starting key is outside query boundaries based on provided conditions",
      ],
    ] as const) {
      await expect(query("by-amount", { ExclusiveStartKey: start as never })).rejects.toMatchObject({
        name: "ValidationException",
        message,
      });
    }
    const above = (customer: string, amount: string) =>
      query("by-amount", {
        KeyConditionExpression: "customer = :c AND amount > :t",
        ExpressionAttributeValues: { ":c": { S: "ada" }, ":t": { N: "20" } },
        ExclusiveStartKey: { customer: { S: customer }, order: { N: "1" }, amount: { N: amount } },
      });
    await expect(above("bob", "20")).rejects.toThrow(
      "The provided starting key does not match the range key predicate",
    );
    await expect(above("bob", "21")).rejects.toThrow("The query can return at most one row and cannot be restarted");
    await expect(query("nowhere")).rejects.toMatchObject({
      message: "The table does not have the specified index: nowhere",
    });
  });
});
