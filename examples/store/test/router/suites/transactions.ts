import {
  DeleteItemCommand,
  DynamoDBServiceException,
  GetItemCommand,
  IdempotentParameterMismatchException,
  ListTablesCommand,
  PutItemCommand,
  ResourceNotFoundException,
  TransactGetItemsCommand,
  type TransactGetItemsCommandInput,
  TransactionCanceledException,
  type TransactWriteItem,
  TransactWriteItemsCommand,
  type TransactWriteItemsCommandInput,
} from "@aws-sdk/client-dynamodb";
import { beforeAll, describe, expect, it } from "vitest";
import { call, createTable, type Subject } from "../harness.js";

/** TransactWriteItems and TransactGetItems, whatever stands behind the router. */
export function transactionsSuite(h: Subject, TableName: string): void {
  const Other = `${TableName}-by-order`;
  beforeAll(async () => {
    await createTable(h, {
      TableName,
      KeySchema: [{ AttributeName: "id", KeyType: "HASH" }],
      AttributeDefinitions: [{ AttributeName: "id", AttributeType: "S" }],
      BillingMode: "PAY_PER_REQUEST",
    });
    await createTable(h, {
      TableName: Other,
      KeySchema: [
        { AttributeName: "id", KeyType: "HASH" },
        { AttributeName: "n", KeyType: "RANGE" },
      ],
      AttributeDefinitions: [
        { AttributeName: "id", AttributeType: "S" },
        { AttributeName: "n", AttributeType: "N" },
      ],
      BillingMode: "PAY_PER_REQUEST",
    });
  });

  const key = (id: string) => ({ id: { S: id } });
  const at = (id: string) => ({ TableName, Key: key(id) });
  const put = (id: string, rest: object = {}): TransactWriteItem => ({
    Put: { TableName, Item: { ...key(id), ...rest } },
  });
  const write = (items: TransactWriteItem[], rest: Partial<TransactWriteItemsCommandInput> = {}) =>
    h.client.send(new TransactWriteItemsCommand({ TransactItems: items, ...rest }));
  const read = (ids: string[], rest: Partial<TransactGetItemsCommandInput> = {}) =>
    h.client.send(new TransactGetItemsCommand({ TransactItems: ids.map((id) => ({ Get: at(id) })), ...rest }));
  const get = async (id: string) => (await h.client.send(new GetItemCommand({ ...at(id), ConsistentRead: true }))).Item;
  const store = (id: string, rest: object) =>
    h.client.send(new PutItemCommand({ TableName, Item: { ...key(id), ...rest } }));

  async function refusal(send: Promise<unknown>): Promise<DynamoDBServiceException> {
    const error: unknown = await send.then(
      () => undefined,
      (failure: unknown) => failure,
    );
    expect(error).toBeInstanceOf(DynamoDBServiceException);
    return error as DynamoDBServiceException;
  }

  async function cancellation(send: Promise<unknown>): Promise<TransactionCanceledException> {
    const error = await refusal(send);
    expect(error).toBeInstanceOf(TransactionCanceledException);
    const cancelled = error as TransactionCanceledException;
    const codes = cancelled.CancellationReasons?.map(({ Code }) => Code) ?? [];
    expect(cancelled.message).toBe(
      `Transaction cancelled, please refer cancellation reasons for specific reasons [${codes.join(", ")}]`,
    );
    return cancelled;
  }

  describe("a transaction", () => {
    it("puts, changes, deletes and checks, in several tables", async () => {
      await store("all-changed", { count: { N: "1" } });
      await store("all-deleted", {});
      await store("all-checked", { open: { BOOL: true } });
      const answer = await write([
        put("all-put", { text: { S: "new" } }),
        {
          Update: {
            ...at("all-changed"),
            UpdateExpression: "ADD #c :one",
            ExpressionAttributeNames: { "#c": "count" },
            ExpressionAttributeValues: { ":one": { N: "1" } },
          },
        },
        { Delete: at("all-deleted") },
        {
          ConditionCheck: {
            ...at("all-checked"),
            ConditionExpression: "#o = :yes",
            ExpressionAttributeNames: { "#o": "open" },
            ExpressionAttributeValues: { ":yes": { BOOL: true } },
          },
        },
        { Put: { TableName: Other, Item: { id: { S: "all" }, n: { N: "1" } } } },
        { Put: { TableName: Other, Item: { id: { S: "all" }, n: { N: "2" } } } },
      ]);
      expect(answer.ConsumedCapacity).toBeUndefined();
      expect(await get("all-put")).toEqual({ ...key("all-put"), text: { S: "new" } });
      expect(await get("all-changed")).toEqual({ ...key("all-changed"), count: { N: "2" } });
      expect(await get("all-deleted")).toBeUndefined();
      expect(await get("all-checked")).toEqual({ ...key("all-checked"), open: { BOOL: true } });
      const both = await h.client.send(
        new TransactGetItemsCommand({
          TransactItems: ["2", "1", "3"].map((n) => ({
            Get: { TableName: Other, Key: { id: { S: "all" }, n: { N: n } } },
          })),
        }),
      );
      expect(both.Responses?.map(({ Item }) => Item?.n?.N)).toEqual(["2", "1", undefined]);
    });

    it("does nothing where one action is refused, and says of each what was against it", async () => {
      await store("none-there", { v: { S: "old" } });
      const error = await cancellation(
        write([
          put("none-new"),
          {
            Put: {
              TableName,
              Item: key("none-there"),
              ConditionExpression: "attribute_not_exists(id)",
              ReturnValuesOnConditionCheckFailure: "ALL_OLD",
            },
          },
          {
            Update: {
              ...at("none-there-2"),
              UpdateExpression: "SET a = b",
            },
          },
          { ConditionCheck: { ...at("none-there-3"), ConditionExpression: "attribute_exists(id)" } },
          { Delete: at("none-there-4") },
        ]),
      );
      expect(error.CancellationReasons).toEqual([
        { Code: "None" },
        {
          Code: "ConditionalCheckFailed",
          Message: "The conditional request failed",
          Item: { ...key("none-there"), v: { S: "old" } },
        },
        {
          Code: "ValidationError",
          Message: "The provided expression refers to an attribute that does not exist in the item",
        },
        { Code: "ConditionalCheckFailed", Message: "The conditional request failed" },
        { Code: "None" },
      ]);
      expect(await get("none-new")).toBeUndefined();
      expect(await get("none-there")).toEqual({ ...key("none-there"), v: { S: "old" } });
    });

    it("takes a hundred actions", async () => {
      const ids = Array.from({ length: 100 }, (_, i) => `hundred-${i}`);
      await write(ids.map((id) => put(id)));
      const { Responses } = await read(ids);
      expect(Responses?.map(({ Item }) => Item?.id?.S)).toEqual(ids);
    });

    it("takes items of almost 4 MB together, and no more", async () => {
      const large = { text: { S: "x".repeat(390_000) } };
      const ids = Array.from({ length: 10 }, (_, i) => `large-${i}`);
      await write(ids.map((id) => put(id, large)));
      const { Responses } = await read(ids);
      expect(Responses?.map(({ Item }) => Item?.text?.S?.length)).toEqual(ids.map(() => 390_000));
      const error = await refusal(write([...ids, "large-10"].map((id) => put(id, large))));
      expect(error.name).toBe("ValidationException");
      expect(error.message).toBe(
        "Transaction payload size cannot exceed 4MB. Payload Size: : Transaction payload size cannot exceed 4MB. Payload Size: 4290144",
      );
    });

    it("leaves items to single writes afterwards", async () => {
      await write([put("after", { v: { N: "1" } })]);
      await store("after", { v: { N: "2" } });
      await h.client.send(new DeleteItemCommand(at("after")));
      expect(await get("after")).toBeUndefined();
    });

    it("takes the longest keys there can be", async () => {
      const Key = { id: { S: "k".repeat(2048) }, n: { N: `1${"2".repeat(37)}` } };
      await write([{ Put: { TableName: Other, Item: Key } }]);
      const { Responses } = await h.client.send(
        new TransactGetItemsCommand({ TransactItems: [{ Get: { TableName: Other, Key } }] }),
      );
      expect(Responses).toEqual([{ Item: Key }]);
    });
  });

  describe("reading together", () => {
    it("answers in order, with projections, and nothing for what is not there", async () => {
      await write([
        put("read-a", { v: { N: "1" }, w: { N: "2" } }),
        put("read-b", { v: { N: "3" } }),
        put("read-c", {}),
      ]);
      const { Responses } = await h.client.send(
        new TransactGetItemsCommand({
          TransactItems: [
            { Get: at("read-b") },
            { Get: at("read-none") },
            { Get: { ...at("read-a"), ProjectionExpression: "#v", ExpressionAttributeNames: { "#v": "v" } } },
            { Get: { ...at("read-c"), ProjectionExpression: "w, x.y" } },
          ],
        }),
      );
      expect(Responses).toEqual([{ Item: { ...key("read-b"), v: { N: "3" } } }, {}, { Item: { v: { N: "1" } } }, {}]);
    });

    it("refuses one item twice, a table that is not there, keys of the wrong form", async () => {
      const twice = await refusal(read(["twice", "twice"]));
      expect([twice.name, twice.message]).toEqual([
        "ValidationException",
        "Transaction request cannot include multiple operations on one item",
      ]);
      const get = { TableName: `${TableName}-not-there`, Key: key("a") };
      const missing = await refusal(h.client.send(new TransactGetItemsCommand({ TransactItems: [{ Get: get }] })));
      expect(missing).toBeInstanceOf(ResourceNotFoundException);
      expect(missing.message).toBe("Requested resource not found");
      const error = await cancellation(
        h.client.send(
          new TransactGetItemsCommand({ TransactItems: [{ Get: at("right") }, { Get: { TableName, Key: {} } }] }),
        ),
      );
      expect(error.CancellationReasons).toEqual([
        { Code: "None" },
        { Code: "ValidationError", Message: "The provided key element does not match the schema" },
      ]);
    });
  });

  describe("what a transaction costs", () => {
    it("is two writes an action, checks included, and two reads an item", async () => {
      await store("cost-there", { text: { S: "x".repeat(1_500) } });
      const writes = await write(
        [
          put("cost-small"),
          { ConditionCheck: { ...at("cost-there"), ConditionExpression: "attribute_exists(id)" } },
          { Put: { TableName: Other, Item: { id: { S: "cost" }, n: { N: "1" } } } },
        ],
        { ReturnConsumedCapacity: "TOTAL" },
      );
      expect(writes.ConsumedCapacity).toEqual([
        { TableName, CapacityUnits: 6, WriteCapacityUnits: 6 },
        { TableName: Other, CapacityUnits: 2, WriteCapacityUnits: 2 },
      ]);
      const reads = await read(["cost-there", "cost-none"], { ReturnConsumedCapacity: "INDEXES" });
      const units = { CapacityUnits: 4, ReadCapacityUnits: 4 };
      expect(reads.ConsumedCapacity).toEqual([{ TableName, ...units, Table: units }]);
    });

    it("is reads where a token is shown again", async () => {
      const request = [put("cost-again", { text: { S: "x".repeat(1_500) } })];
      const options = {
        ClientRequestToken: `${TableName}-cost`.slice(0, 36),
        ReturnConsumedCapacity: "TOTAL",
      } as const;
      expect((await write(request, options)).ConsumedCapacity).toEqual([
        { TableName, CapacityUnits: 4, WriteCapacityUnits: 4 },
      ]);
      expect((await write(request, options)).ConsumedCapacity).toEqual([
        { TableName, CapacityUnits: 2, ReadCapacityUnits: 2 },
      ]);
    });

    it.each(["alone", "beside another table's"])(
      "is of what a deleted item was, %s, where a token is shown again",
      async (how) => {
        const id = `cost-gone-${how}`;
        await store(id, { text: { S: "x".repeat(9_000) } });
        const other = { Put: { TableName: Other, Item: { id: { S: "gone" }, n: { N: "1" } } } };
        const request = [{ Delete: at(id) }, ...(how === "alone" ? [] : [other])];
        const options = {
          ClientRequestToken: `${how}-${TableName}`.slice(0, 36),
          ReturnConsumedCapacity: "TOTAL",
        } as const;
        const units = async () => (await write(request, options)).ConsumedCapacity?.[0]?.CapacityUnits;
        expect([await units(), await units()]).toEqual([18, 6]);
      },
    );
  });

  describe("a client's token", () => {
    const add = (id: string, by = "1"): TransactWriteItem => ({
      Update: {
        ...at(id),
        UpdateExpression: "ADD v :by",
        ExpressionAttributeValues: { ":by": { N: by } },
      },
    });

    it("stands for one request: it is carried out once", async () => {
      const options = { ClientRequestToken: `${TableName}-once`.slice(0, 36) };
      await write([add("token-a"), add("token-b")], options);
      await write([add("token-a"), add("token-b")], options);
      expect((await get("token-a"))?.v?.N).toBe("1");
      await write([add("token-a")]);
      expect((await get("token-a"))?.v?.N).toBe("2");
    });

    it("does not stand for another request, wherever that goes", async () => {
      const options = { ClientRequestToken: `${TableName}-other`.slice(0, 36) };
      await write([add("token-c")], options);
      for (const other of [[add("token-c", "2")], [add("token-d")], [add("token-c"), add("token-e")]]) {
        const error = await refusal(write(other, options));
        expect(error).toBeInstanceOf(IdempotentParameterMismatchException);
      }
      expect((await get("token-c"))?.v?.N).toBe("1");
    });

    it("may be used again after a cancellation", async () => {
      const options = { ClientRequestToken: `${TableName}-again`.slice(0, 36) };
      const request: TransactWriteItem[] = [
        add("token-f"),
        { ConditionCheck: { ...at("token-g"), ConditionExpression: "attribute_exists(id)" } },
      ];
      await cancellation(write(request, options));
      await store("token-g", {});
      await write(request, options);
      expect((await get("token-f"))?.v?.N).toBe("1");
    });
  });

  describe("what is wrong with a request", () => {
    const cases: [string, object, string][] = [
      [
        "no actions",
        { TransactItems: [] },
        "1 validation error detected: Value '[]' at 'transactItems' failed to satisfy constraint: Member must have length greater than or equal to 1",
      ],
      [
        "an action of no kind",
        { TransactItems: [{}] },
        "Invalid Request: TransactWriteRequest should contain Delete or Put or Update request",
      ],
      [
        "an action of two kinds",
        { TransactItems: [{ Put: { TableName, Item: key("x") }, Delete: at("x") }] },
        "TransactItems can only contain one of Check, Put, Update or Delete",
      ],
      [
        "one item twice",
        { TransactItems: [put("x"), { Delete: at("x") }] },
        "Transaction request cannot include multiple operations on one item",
      ],
      [
        "a check without a condition",
        { TransactItems: [{ ConditionCheck: at("x") }] },
        "1 validation error detected: Value null at 'transactItems.1.member.conditionCheck.conditionExpression' failed to satisfy constraint: Member must not be null",
      ],
      [
        "an update without an expression",
        { TransactItems: [put("y"), { Update: at("x") }] },
        "1 validation error detected: Value null at 'transactItems.2.member.update.updateExpression' failed to satisfy constraint: Member must not be null",
      ],
      [
        "a token that is too long, and what comes after it",
        { TransactItems: [put("x")], ClientRequestToken: "t".repeat(37), ReturnConsumedCapacity: "SOME" },
        `2 validation errors detected: Value '${"t".repeat(37)}' at 'clientRequestToken' failed to satisfy constraint: Member must have length less than or equal to 36; Value 'SOME' at 'returnConsumedCapacity' failed to satisfy constraint: Member must satisfy enum value set: [INDEXES, TOTAL, NONE]`,
      ],
      [
        "an expression that is none, though an earlier action has no table",
        {
          TransactItems: [
            { Put: { TableName: "not-there", Item: key("x") } },
            { ConditionCheck: { ...at("y"), ConditionExpression: "attribute_not_exists(" } },
          ],
        },
        'Invalid ConditionExpression: Syntax error; token: "<EOF>", near: "("',
      ],
      [
        "a value that nothing uses",
        {
          TransactItems: [
            {
              ConditionCheck: {
                ...at("x"),
                ConditionExpression: "attribute_exists(id)",
                ExpressionAttributeValues: { ":v": { S: "x" } },
              },
            },
          ],
        },
        "Value provided in ExpressionAttributeValues unused in expressions: keys: {:v}",
      ],
      [
        "an item that is too large",
        { TransactItems: [put("x", { text: { S: "x".repeat(410_000) } })] },
        "Item size has exceeded the maximum allowed size",
      ],
      [
        "an empty key",
        { TransactItems: [put("")] },
        "One or more parameter values are not valid. The AttributeValue for a key attribute cannot contain an empty string value. Key: id",
      ],
    ];
    it.each(cases)("%s", async (_, request, message) => {
      const answer = await call(h.port, "TransactWriteItems", request);
      expect(answer.status).toBe(400);
      expect(answer.json()).toEqual({ __type: "com.amazon.coral.validate#ValidationException", message });
    });

    it("a hundred and one actions", async () => {
      const error = await refusal(write(Array.from({ length: 101 }, (_, i) => put(`too-many-${i}`))));
      expect(error.message).toMatch(
        /^1 validation error detected: Value '\[.+' at 'transactItems' failed to satisfy constraint: Member must have length less than or equal to 100$/s,
      );
    });

    it("a key of the wrong type cancels, the first one, in the words of its action", async () => {
      const error = await cancellation(
        write([
          put("fine"),
          { Put: { TableName, Item: { id: { N: "5" } } } },
          { Delete: { TableName, Key: { id: { N: "5" } } } },
          { Put: { TableName, Item: { id: { N: "6" } } } },
        ]),
      );
      expect(error.CancellationReasons).toEqual([
        { Code: "None" },
        {
          Code: "ValidationError",
          Message: "One or more parameter values were invalid: Type mismatch for key id expected: S actual: N",
        },
        { Code: "None" },
        { Code: "None" },
      ]);
    });

    it("an item that an update makes too large cancels", async () => {
      const error = await cancellation(
        write([
          {
            Update: {
              ...at("grown"),
              UpdateExpression: "SET t = :t",
              ExpressionAttributeValues: { ":t": { S: "x".repeat(410_000) } },
            },
          },
        ]),
      );
      expect(error.CancellationReasons).toEqual([
        { Code: "ValidationError", Message: "Item size to update has exceeded the maximum allowed size" },
      ]);
    });

    it("a table that is not there", async () => {
      const error = await refusal(write([put("x"), { Put: { TableName: "not-there", Item: key("x") } }]));
      expect(error).toBeInstanceOf(ResourceNotFoundException);
      expect(error.message).toBe("Requested resource not found");
    });
  });

  it("the store's own table is nobody's to see", async () => {
    await write([put("any")]);
    const { TableNames = [] } = await h.client.send(new ListTablesCommand({}));
    expect(TableNames).toContain(TableName);
    expect(TableNames.filter((name) => !/^[a-zA-Z0-9_.-]+$/.test(name))).toEqual([]);
    expect((await call(h.port, "DescribeTable", { TableName: "~transactions" })).status).toBe(400);
  });
}
