/** The parameters that were there before expressions, through the SDK. */
import {
  BatchGetItemCommand,
  DeleteItemCommand,
  GetItemCommand,
  PutItemCommand,
  QueryCommand,
  ScanCommand,
  UpdateItemCommand,
} from "@aws-sdk/client-dynamodb";
import { beforeAll, describe, expect, it } from "vitest";
import { call, createTable, harness } from "./harness.js";

const h = harness();
const TableName = "readings";
const key = (room: string, hour: number) => ({ room: { S: room }, hour: { N: String(hour) } });
const eq = (S: string) => ({ ComparisonOperator: "EQ" as const, AttributeValueList: [{ S }] });

beforeAll(async () => {
  await createTable(h, {
    TableName,
    KeySchema: [
      { AttributeName: "room", KeyType: "HASH" },
      { AttributeName: "hour", KeyType: "RANGE" },
    ],
    AttributeDefinitions: [
      { AttributeName: "room", AttributeType: "S" },
      { AttributeName: "hour", AttributeType: "N" },
    ],
    BillingMode: "PAY_PER_REQUEST",
  });
  for (let hour = 0; hour < 10; hour++) {
    const Item = { ...key("kitchen", hour), celsius: { N: String(15 + hour) }, "a.b": { S: "dotted" } };
    await h.client.send(new PutItemCommand({ TableName, Item }));
  }
});

describe("a read", () => {
  it("by key conditions and a filter, with the attributes that are wanted", async () => {
    const answer = await h.client.send(
      new QueryCommand({
        TableName,
        KeyConditions: {
          room: eq("kitchen"),
          hour: { ComparisonOperator: "BETWEEN", AttributeValueList: [{ N: "2" }, { N: "7" }] },
        },
        QueryFilter: {
          celsius: { ComparisonOperator: "GT", AttributeValueList: [{ N: "20" }] },
          "a.b": { ComparisonOperator: "NULL" },
        },
        ConditionalOperator: "OR",
        AttributesToGet: ["hour", "a.b"],
      }),
    );
    expect(answer).toMatchObject({ Count: 2, ScannedCount: 6 });
    expect(answer.Items).toEqual([6, 7].map((hour) => ({ hour: { N: String(hour) }, "a.b": { S: "dotted" } })));
  });

  it("by a scan's filter, by key, and in a batch", async () => {
    const scanned = await h.client.send(
      new ScanCommand({
        TableName,
        ScanFilter: { hour: { ComparisonOperator: "IN", AttributeValueList: [{ N: "1" }, { N: "8" }] } },
        AttributesToGet: ["hour"],
      }),
    );
    expect(scanned.Items).toEqual([{ hour: { N: "1" } }, { hour: { N: "8" } }]);
    const AttributesToGet = ["celsius", "absent"];
    const got = await h.client.send(new GetItemCommand({ TableName, Key: key("kitchen", 3), AttributesToGet }));
    expect(got.Item).toEqual({ celsius: { N: "18" } });
    const batch = await h.client.send(
      new BatchGetItemCommand({ RequestItems: { [TableName]: { Keys: [key("kitchen", 4)], AttributesToGet } } }),
    );
    expect(batch.Responses?.[TableName]).toEqual([{ celsius: { N: "19" } }]);
  });

  it.each<[string, object, string]>([
    [
      "Query",
      { KeyConditions: { room: eq("kitchen") }, QueryFilter: { hour: { ComparisonOperator: "NULL" } } },
      "QueryFilter can only contain non-primary key attributes: Primary key attribute: hour",
    ],
    [
      "Query",
      { KeyConditions: { room: eq("kitchen"), celsius: eq("x") } },
      "Query condition missed key schema element: hour",
    ],
    ["Query", { ConditionalOperator: "AND" }, "ConditionalOperator cannot be used without Filter or Expected"],
    [
      "Scan",
      { Select: "COUNT", AttributesToGet: ["a"] },
      "Cannot specify the AttributesToGet when choosing to get only the Count",
    ],
    [
      "Scan",
      { ScanFilter: { a: { ComparisonOperator: "LIKE" } } },
      "1 validation error detected: Value 'LIKE' at 'scanFilter.a.member.comparisonOperator' failed to satisfy constraint: Member must satisfy enum value set: [IN, NULL, BETWEEN, LT, NOT_CONTAINS, EQ, GT, NOT_NULL, NE, LE, BEGINS_WITH, GE, CONTAINS]",
    ],
    [
      "PutItem",
      { Item: { room: { N: "not a string" } }, Expected: {}, ConditionExpression: "x" },
      "1 validation error detected: Can not use both expression and non-expression parameters in the same request: Non-expression parameters: {Expected} Expression parameters: {ConditionExpression}",
    ],
  ])("%s with %j is refused", async (operation, body, message) => {
    const answer = await call(h.port, operation, { TableName, ...body });
    expect(answer.json()).toEqual({ __type: "com.amazon.coral.validate#ValidationException", message });
  });

  it("with a value of the wrong shape is not understood", async () => {
    const body = { TableName, ScanFilter: { a: { ComparisonOperator: "EQ", AttributeValueList: ["x"] } } };
    expect((await call(h.port, "Scan", body)).json()).toMatchObject({ Message: "Unexpected field type" });
  });
});

describe("a hostile client", () => {
  it.each(["Expected", "AttributeUpdates"])("gains nothing by a bottomless value in %s", async (parameter) => {
    const deep = `${'{"L":['.repeat(100_000)}${"]}".repeat(100_000)}`;
    const rest = `"TableName":"${TableName}","Key":${JSON.stringify(key("x", 1))}`;
    const answer = await call(h.port, "UpdateItem", `{${rest},"${parameter}":{"a":{"Value":${deep}}}}`);
    expect(answer.json()).toMatchObject({
      message: expect.stringContaining("Nesting Levels have exceeded supported limits"),
    });
  });

  it("gains nothing by a hundred thousand conditions", async () => {
    const ScanFilter = Object.fromEntries(
      Array.from({ length: 100_000 }, (_, i) => [`a${i}`, { ComparisonOperator: "NULL" }]),
    );
    const answer = await call(h.port, "Scan", { TableName, ScanFilter });
    expect(answer.json()).toMatchObject({ message: expect.stringContaining("too many operators") });
  });
});

describe("a write", () => {
  it("happens as expected, or not at all", async () => {
    const Item = { ...key("attic", 1), v: { N: "1" } };
    const put = () => h.client.send(new PutItemCommand({ TableName, Item, Expected: { room: { Exists: false } } }));
    await put();
    await expect(put()).rejects.toMatchObject({ name: "ConditionalCheckFailedException" });
    const remove = (N: string) =>
      h.client.send(new DeleteItemCommand({ TableName, Key: key("attic", 1), Expected: { v: { Value: { N } } } }));
    await expect(remove("2")).rejects.toMatchObject({ name: "ConditionalCheckFailedException" });
    await remove("1.0");
  });

  it("updates attributes, and tells which", async () => {
    const update = (AttributeUpdates: UpdateItemCommand["input"]["AttributeUpdates"], Key = key("cellar", 1)) =>
      h.client.send(new UpdateItemCommand({ TableName, Key, AttributeUpdates, ReturnValues: "ALL_NEW" }));
    const added = await update({ n: { Action: "ADD", Value: { N: "2" } }, s: { Value: { S: "x" } } });
    expect(added.Attributes).toEqual({ ...key("cellar", 1), n: { N: "2" }, s: { S: "x" } });
    expect((await update({ s: { Action: "DELETE" } })).Attributes).toEqual({ ...key("cellar", 1), n: { N: "2" } });
    await expect(update({ hour: { Value: { N: "2" } } })).rejects.toThrow(
      "Cannot update attribute hour. This attribute is part of the key",
    );
    // To take from nothing brings nothing into being.
    expect((await update({ s: { Action: "DELETE" } }, key("nowhere", 1))).Attributes).toBeUndefined();
    expect((await h.client.send(new GetItemCommand({ TableName, Key: key("nowhere", 1) }))).Item).toBeUndefined();
  });
});
