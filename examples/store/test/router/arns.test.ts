/** Tables are called by their names, or by their ARNs, and the answers call them what the request did. */
import { beforeAll, expect, test } from "vitest";
import { call, createPlainTable, harness } from "./harness.js";

const h = harness();
const T = "called";
const ARN = `arn:aws:dynamodb:eu-north-1:123456789012:table/${T}`;
const Key = { id: { S: "a" } };
const Item = { ...Key, named: { S: "by ARN" } };

const ask = async (operation: string, body: object) => (await call(h.port, operation, body)).json();

beforeAll(async () => {
  await createPlainTable(h, T);
  expect((await call(h.port, "PutItem", { TableName: ARN, Item })).status).toBe(200);
});

test("an item is read by its table's ARN, and the table described by its name", async () => {
  expect(await ask("GetItem", { TableName: ARN, Key })).toEqual({ Item });
  expect(await ask("DescribeTable", { TableName: ARN })).toMatchObject({ Table: { TableName: T } });
  expect(await ask("GetItem", { TableName: `${ARN}/index/x`, Key })).toMatchObject({
    message: expect.stringContaining("regular expression pattern"),
  });
});

test.each([
  ["GetItem", { Key }],
  ["PutItem", { Item }],
  ["UpdateItem", { Key }],
  ["DeleteItem", { Key: { id: { S: "none" } } }],
  ["Scan", {}],
  ["Query", { KeyConditionExpression: "id = :v", ExpressionAttributeValues: { ":v": Key.id } }],
])("the capacity of %s is of what the table was called", async (operation, body) => {
  for (const TableName of [T, ARN])
    expect(await ask(operation, { TableName, ...body, ReturnConsumedCapacity: "TOTAL" })).toMatchObject({
      ConsumedCapacity: { TableName },
    });
});

test("a batch of reads is answered by what it calls its tables, and a table it calls both is one", async () => {
  const asked = { [ARN]: { Keys: [Key] } };
  expect(await ask("BatchGetItem", { RequestItems: asked, ReturnConsumedCapacity: "TOTAL" })).toMatchObject({
    Responses: { [ARN]: [Item] },
    ConsumedCapacity: [{ TableName: ARN }],
  });
  expect(await ask("BatchGetItem", { RequestItems: { ...asked, [T]: { Keys: [Key] } } })).toEqual({
    Responses: { [ARN]: [Item] },
    UnprocessedKeys: {},
  });
});

test("a batch of writes finds its tables by their ARNs, and one item that two of them write", async () => {
  const put = (id: string) => [{ PutRequest: { Item: { id: { S: id } } } }];
  expect(await ask("BatchWriteItem", { RequestItems: { [ARN]: put("b"), [T]: put("c") } })).toEqual({
    UnprocessedItems: {},
  });
  for (const id of ["b", "c"])
    expect(await ask("GetItem", { TableName: T, Key: { id: { S: id } } })).toHaveProperty("Item");
  expect(await ask("BatchWriteItem", { RequestItems: { [ARN]: put("b"), [T]: put("b") } })).toMatchObject({
    message: "Provided list of item keys contains duplicates",
  });
});
