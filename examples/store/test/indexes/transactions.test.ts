import {
  type AttributeValue,
  CreateTableCommand,
  QueryCommand,
  TransactionCanceledException,
  TransactWriteItemsCommand,
} from "@aws-sdk/client-dynamodb";
import { beforeAll, expect, test } from "vitest";
import { singleStore, tableExists } from "../support/single.js";
import { eventually } from "../support/store.js";

const single = singleStore();
const TableName = "with-index";
const item = (n: string, by: string) => ({ pk: { S: "p" }, sk: { S: n }, by: { S: by } });

beforeAll(async () => {
  await single.dynamo.send(
    new CreateTableCommand({
      TableName,
      AttributeDefinitions: ["pk", "sk", "by"].map((AttributeName) => ({ AttributeName, AttributeType: "S" as const })),
      KeySchema: [
        { AttributeName: "pk", KeyType: "HASH" },
        { AttributeName: "sk", KeyType: "RANGE" },
      ],
      LocalSecondaryIndexes: [
        {
          IndexName: "by-index",
          KeySchema: [
            { AttributeName: "pk", KeyType: "HASH" },
            { AttributeName: "by", KeyType: "RANGE" },
          ],
          Projection: { ProjectionType: "ALL" },
        },
      ],
      GlobalSecondaryIndexes: [
        {
          IndexName: "by-all",
          KeySchema: [{ AttributeName: "by", KeyType: "HASH" }],
          Projection: { ProjectionType: "KEYS_ONLY" },
        },
      ],
      BillingMode: "PAY_PER_REQUEST",
    }),
  );
  await tableExists(single.dynamo, TableName);
});

async function inIndex(): Promise<string[]> {
  const { Items = [] } = await single.dynamo.send(
    new QueryCommand({
      TableName,
      IndexName: "by-index",
      ConsistentRead: true,
      KeyConditionExpression: "pk = :p",
      ExpressionAttributeValues: { ":p": { S: "p" } },
    }),
  );
  return Items.map((found) => `${found.by?.S}:${found.sk?.S}`);
}

async function inGlobalIndex(by: string): Promise<number | undefined> {
  const { Count } = await single.dynamo.send(
    new QueryCommand({
      TableName,
      IndexName: "by-all",
      KeyConditionExpression: "#b = :b",
      ExpressionAttributeNames: { "#b": "by" },
      ExpressionAttributeValues: { ":b": { S: by } },
    }),
  );
  return Count;
}

test("indexes change with the items of a transaction, and their writes cost what they cost alone", async () => {
  const puts = [item("1", "c"), item("2", "b"), item("3", "a")].map((Item) => ({ Put: { TableName, Item } }));
  const answer = await single.dynamo.send(
    new TransactWriteItemsCommand({
      TransactItems: puts,
      ReturnConsumedCapacity: "INDEXES",
      ReturnItemCollectionMetrics: "SIZE",
    }),
  );
  expect(await inIndex()).toEqual(["a:3", "b:2", "c:1"]);
  const units = (CapacityUnits: number) => ({ CapacityUnits, WriteCapacityUnits: CapacityUnits });
  expect(answer.ConsumedCapacity).toEqual([
    {
      TableName,
      ...units(12),
      Table: units(6),
      LocalSecondaryIndexes: { "by-index": units(3) },
      GlobalSecondaryIndexes: { "by-all": units(3) },
    },
  ]);
  expect(answer.ItemCollectionMetrics?.[TableName]).toHaveLength(3);
  await single.dynamo.send(
    new TransactWriteItemsCommand({
      TransactItems: [
        { Delete: { TableName, Key: { pk: { S: "p" }, sk: { S: "2" } } } },
        {
          Update: {
            TableName,
            Key: { pk: { S: "p" }, sk: { S: "3" } },
            UpdateExpression: "SET #b = :z",
            ExpressionAttributeNames: { "#b": "by" },
            ExpressionAttributeValues: { ":z": { S: "z" } },
          },
        },
      ],
    }),
  );
  expect(await inIndex()).toEqual(["c:1", "z:3"]);
  await eventually("the global index has been told", async () => {
    const found = await Promise.all(["a", "b", "c", "z"].map(inGlobalIndex));
    return found.join() === "0,0,1,1";
  });
});

const updateBy = (value: AttributeValue) =>
  single.dynamo.send(
    new TransactWriteItemsCommand({
      TransactItems: [
        {
          Update: {
            TableName,
            Key: { pk: { S: "p" }, sk: { S: "1" } },
            UpdateExpression: "SET #b = :v",
            ExpressionAttributeNames: { "#b": "by" },
            ExpressionAttributeValues: { ":v": value },
          },
        },
      ],
    }),
  );

test("what is no key of an index cancels", async () => {
  const wrong = { ...item("9", "x"), by: { N: "1" } };
  const put = single.dynamo.send(
    new TransactWriteItemsCommand({ TransactItems: [{ Put: { TableName, Item: wrong } }] }),
  );
  await expect(put).rejects.toBeInstanceOf(TransactionCanceledException);
  await expect(put).rejects.toMatchObject({ CancellationReasons: [{ Code: "ValidationError" }] });
  await expect(updateBy({ N: "1" })).rejects.toMatchObject({
    CancellationReasons: [
      {
        Code: "ValidationError",
        Message: expect.stringContaining("Type mismatch for Index Key by Expected: S Actual: N IndexName: "),
      },
    ],
  });
  expect(await inIndex()).toEqual(["c:1", "z:3"]);
});

test("an empty key of an index is told before anything begins", async () => {
  await expect(updateBy({ S: "" })).rejects.toMatchObject({
    name: "ValidationException",
    message: expect.stringContaining("empty string value"),
  });
  expect(await inIndex()).toEqual(["c:1", "z:3"]);
});
