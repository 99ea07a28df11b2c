import {
  BatchGetItemCommand,
  BatchWriteItemCommand,
  ProvisionedThroughputExceededException,
} from "@aws-sdk/client-dynamodb";
import { afterEach, beforeAll, describe, expect, it } from "vitest";
import { ApiError } from "../../src/api/errors.js";
import { createTable, harness } from "./harness.js";
import { itemsSuite } from "./suites/items.js";

const h = harness();

describe("items that the storage side keeps as objects", () => {
  beforeAll(() => {
    h.backend.asJson = false;
  });
  itemsSuite(h, "objects");
});

describe("items that the storage side keeps as JSON", () => {
  beforeAll(() => {
    h.backend.asJson = true;
  });
  itemsSuite(h, "json");
});

describe("batches under throttling", () => {
  const TableName = "throttled";
  const key = (id: string) => ({ id: { S: id } });
  const batch = (...ids: string[]) => ({
    RequestItems: { [TableName]: ids.map((id) => ({ PutRequest: { Item: key(id) } })) },
  });

  beforeAll(() =>
    createTable(h, {
      TableName,
      KeySchema: [{ AttributeName: "id", KeyType: "HASH" }],
      AttributeDefinitions: [{ AttributeName: "id", AttributeType: "S" }],
      BillingMode: "PAY_PER_REQUEST",
    }),
  );
  afterEach(() => {
    h.backend.before = () => {};
  });

  it("hand back what was throttled", async () => {
    let calls = 0;
    h.backend.before = () => {
      if (calls++ % 2 === 0) throw new ApiError("ProvisionedThroughputExceededException");
    };
    const written = await h.client.send(new BatchWriteItemCommand(batch("t0", "t1", "t2", "t3")));
    expect(written.UnprocessedItems).toEqual(batch("t0", "t2").RequestItems);
    const read = await h.client.send(
      new BatchGetItemCommand({ RequestItems: { [TableName]: { Keys: ["t1", "t3"].map(key) } } }),
    );
    expect(read.UnprocessedKeys).toEqual({ [TableName]: { Keys: [key("t1")] } });
    expect(read.Responses?.[TableName]).toEqual([key("t3")]);
  });

  it("fail when all of it was throttled", async () => {
    h.backend.before = () => {
      throw new ApiError("ProvisionedThroughputExceededException");
    };
    await expect(h.client.send(new BatchWriteItemCommand(batch("x", "y")))).rejects.toBeInstanceOf(
      ProvisionedThroughputExceededException,
    );
  });
});
