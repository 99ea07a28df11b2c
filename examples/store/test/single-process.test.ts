import {
  CreateTableCommand,
  DeleteTableCommand,
  DescribeTableCommand,
  GetItemCommand,
  ListTablesCommand,
  PutItemCommand,
  ResourceInUseException,
  ResourceNotFoundException,
} from "@aws-sdk/client-dynamodb";
import {
  BatchWriteCommand,
  DeleteCommand,
  GetCommand,
  PutCommand,
  QueryCommand,
  ScanCommand,
  UpdateCommand,
} from "@aws-sdk/lib-dynamodb";
import { beforeAll, describe, expect, test } from "vitest";
import { createTable, deleteTable, singleStore } from "./support/single.js";

const s = singleStore();
const BOTH_WAYS = [true, false];

/** What went wrong, as the SDK tells it. */
async function failure(
  request: Promise<unknown>,
): Promise<{ name: string; message: string; status: number | undefined }> {
  const error = await request.then(
    () => undefined,
    (error: Error & { $metadata?: { httpStatusCode?: number } }) => error,
  );
  if (error === undefined) throw new Error("the request succeeded");
  return { name: error.name, message: error.message, status: error.$metadata?.httpStatusCode };
}

describe("tables", () => {
  test("are created, described, listed and deleted", async () => {
    for (const name of ["tables-b", "tables-a", "tables-c"]) await createTable(s.dynamo, name, "N");
    const { Table } = await s.dynamo.send(new DescribeTableCommand({ TableName: "tables-a" }));
    expect(Table).toMatchObject({
      TableName: "tables-a",
      TableStatus: "ACTIVE",
      KeySchema: [
        { AttributeName: "pk", KeyType: "HASH" },
        { AttributeName: "sk", KeyType: "RANGE" },
      ],
      BillingModeSummary: { BillingMode: "PAY_PER_REQUEST" },
    });
    expect(Math.abs((Table?.CreationDateTime?.getTime() ?? 0) - Date.now())).toBeLessThan(60_000);

    const first = await s.dynamo.send(new ListTablesCommand({ Limit: 2 }));
    expect(first.TableNames).toEqual(["tables-a", "tables-b"]);
    expect(first.LastEvaluatedTableName).toBe("tables-b");
    const second = await s.dynamo.send(new ListTablesCommand({ ExclusiveStartTableName: "tables-b" }));
    expect(second.TableNames).toContain("tables-c");

    for (const name of ["tables-a", "tables-b", "tables-c"]) await deleteTable(s.dynamo, name);
    const { TableNames = [] } = await s.dynamo.send(new ListTablesCommand({}));
    expect(TableNames.filter((name) => name.startsWith("tables-"))).toEqual([]);
  });

  test("cannot be created twice", async () => {
    await createTable(s.dynamo, "twice");
    await expect(createTable(s.dynamo, "twice")).rejects.toThrow(ResourceInUseException);
    await deleteTable(s.dynamo, "twice");
  });

  test("of many that create one name at once, one creates it", async () => {
    const create = () =>
      s.dynamo.send(
        new CreateTableCommand({
          TableName: "contended",
          AttributeDefinitions: [{ AttributeName: "pk", AttributeType: "S" }],
          KeySchema: [{ AttributeName: "pk", KeyType: "HASH" }],
          BillingMode: "PAY_PER_REQUEST",
        }),
      );
    const outcomes = await Promise.allSettled(Array.from({ length: 8 }, create));
    const refused = outcomes.filter(({ status }) => status === "rejected") as PromiseRejectedResult[];
    for (const { reason } of refused) expect(reason).toBeInstanceOf(ResourceInUseException);
    // One whose first attempt came to an unknown end may have been told at its second that it had created the table.
    const mayHave = refused.some(({ reason }) => reason.$metadata.attempts > 1);
    expect(mayHave ? [7, 8] : [7]).toContain(refused.length);
  });

  test("one that is deleted and created again under its name begins empty, again and again", async () => {
    for (let round = 0; round < 3; round++) {
      await createTable(s.dynamo, "again", "S");
      const seen = await s.documents.send(new ScanCommand({ TableName: "again", ConsistentRead: true }));
      expect(seen.Items).toEqual([]);
      for (let i = 0; i < 10; i++) {
        await s.documents.send(new PutCommand({ TableName: "again", Item: { pk: `p${i}`, sk: "s", round } }));
      }
      for (const ConsistentRead of BOTH_WAYS) {
        const get = new GetCommand({ TableName: "again", Key: { pk: "p3", sk: "s" }, ConsistentRead });
        await expect.poll(async () => (await s.documents.send(get)).Item).toEqual({ pk: "p3", sk: "s", round });
      }
      await deleteTable(s.dynamo, "again");
    }
  });

  test("one that was deleted is not found, by any operation, and says so at once", async () => {
    await createTable(s.dynamo, "gone");
    await s.documents.send(new PutCommand({ TableName: "gone", Item: { pk: "a" } }));
    await deleteTable(s.dynamo, "gone");
    const table = { TableName: "gone" };
    for (const ConsistentRead of BOTH_WAYS) {
      const read = { ...table, ConsistentRead };
      await expect(s.documents.send(new GetCommand({ ...read, Key: { pk: "a" } }))).rejects.toThrow(
        ResourceNotFoundException,
      );
      await expect(s.documents.send(new ScanCommand(read))).rejects.toThrow(ResourceNotFoundException);
    }
    await expect(s.documents.send(new PutCommand({ ...table, Item: { pk: "a" } }))).rejects.toThrow(
      ResourceNotFoundException,
    );
    await expect(s.dynamo.send(new DeleteTableCommand(table))).rejects.toThrow(ResourceNotFoundException);
  });

  test("one that is deleted under its users ends their requests with ResourceNotFoundException", async () => {
    await createTable(s.dynamo, "under-use");
    let ended = false;
    const use = async (): Promise<string> => {
      for (let i = 0; ; i++) {
        try {
          await s.documents.send(new PutCommand({ TableName: "under-use", Item: { pk: `p${i % 20}`, i } }));
          await s.documents.send(new GetCommand({ TableName: "under-use", Key: { pk: `p${i % 20}` } }));
        } catch (error) {
          return (error as Error).name;
        }
        if (ended && i > 10_000) throw new Error("the table is gone, and writes to it still succeed");
      }
    };
    const users = Array.from({ length: 4 }, use);
    await deleteTable(s.dynamo, "under-use");
    ended = true;
    expect(await Promise.all(users)).toEqual(Array(4).fill("ResourceNotFoundException"));
  });
});

describe("items", () => {
  const TableName = "items";
  beforeAll(() => createTable(s.dynamo, TableName, "S"));
  const get = async (pk: string, ConsistentRead = true) =>
    (await s.documents.send(new GetCommand({ TableName, Key: { pk, sk: "s" }, ConsistentRead }))).Item;

  test("are put, read both ways, replaced and deleted", async () => {
    const item = {
      pk: "whole",
      sk: "s",
      list: [1, "zwei", { drei: 3 }],
      none: null,
      yes: true,
      bytes: Uint8Array.of(0, 1, 255),
      set: new Set(["a", "b"]),
    };
    await s.documents.send(new PutCommand({ TableName, Item: item }));
    expect(await get("whole")).toEqual(item);
    await expect.poll(() => get("whole", false)).toEqual(item);

    const { Attributes } = await s.documents.send(
      new PutCommand({ TableName, Item: { pk: "whole", sk: "s", other: 1 }, ReturnValues: "ALL_OLD" }),
    );
    expect(Attributes).toEqual(item);
    expect(await get("whole")).toEqual({ pk: "whole", sk: "s", other: 1 });

    const deleted = await s.documents.send(
      new DeleteCommand({ TableName, Key: { pk: "whole", sk: "s" }, ReturnValues: "ALL_OLD" }),
    );
    expect(deleted.Attributes).toEqual({ pk: "whole", sk: "s", other: 1 });
    expect(await get("whole")).toBeUndefined();
    await expect.poll(() => get("whole", false)).toBeUndefined();
    await s.documents.send(new DeleteCommand({ TableName, Key: { pk: "whole", sk: "s" } }));
  });

  test("every replica answers eventual reads with the item in the end", async () => {
    await s.documents.send(new PutCommand({ TableName, Item: { pk: "everywhere", sk: "s", n: 1 } }));
    // Eventual reads go round the replicas: nine in a row ask each of them three times.
    await expect
      .poll(async () => {
        const seen = [];
        for (let i = 0; i < 9; i++) seen.push((await get("everywhere", false))?.n);
        return seen;
      })
      .toEqual(Array(9).fill(1));
  });

  test("are updated with SET and REMOVE, and created by an update", async () => {
    const update = (
      UpdateExpression: string,
      values: Record<string, unknown>,
      ReturnValues: "ALL_NEW" | "UPDATED_OLD" = "ALL_NEW",
    ) =>
      s.documents.send(
        new UpdateCommand({
          TableName,
          Key: { pk: "updated", sk: "s" },
          UpdateExpression,
          ...(Object.keys(values).length === 0 ? {} : { ExpressionAttributeValues: values }),
          ReturnValues,
        }),
      );
    const created = await update("SET a = :a, m = :m", { ":a": 1, ":m": { x: [1, 2], y: "why" } });
    expect(created.Attributes).toEqual({ pk: "updated", sk: "s", a: 1, m: { x: [1, 2], y: "why" } });
    const changed = await update("SET a = a + :one, m.x[1] = :z, b = if_not_exists(b, :b) REMOVE m.y", {
      ":one": 1,
      ":z": "zet",
      ":b": [],
    });
    expect(changed.Attributes).toEqual({ pk: "updated", sk: "s", a: 2, m: { x: [1, "zet"] }, b: [] });
    const old = await update("SET b = list_append(b, :more)", { ":more": ["more"] }, "UPDATED_OLD");
    expect(old.Attributes).toEqual({ b: [] });
    await update("REMOVE a, m, c", {});
    expect(await get("updated")).toEqual({ pk: "updated", sk: "s", b: ["more"] });
  });

  test("a condition that does not hold changes nothing", async () => {
    await s.documents.send(new PutCommand({ TableName, Item: { pk: "guarded", sk: "s", version: 3 } }));
    const guarded = (version: number, ReturnValuesOnConditionCheckFailure: "ALL_OLD" | "NONE" = "NONE") =>
      s.dynamo.send(
        new PutItemCommand({
          TableName,
          Item: { pk: { S: "guarded" }, sk: { S: "s" }, version: { N: String(version + 1) } },
          ConditionExpression: "version = :v",
          ExpressionAttributeValues: { ":v": { N: String(version) } },
          ReturnValuesOnConditionCheckFailure,
        }),
      );
    await expect(guarded(2)).rejects.toMatchObject({ name: "ConditionalCheckFailedException" });
    await expect(guarded(2, "ALL_OLD")).rejects.toMatchObject({ Item: { version: { N: "3" } } });
    expect(await get("guarded")).toMatchObject({ version: 3 });
    await guarded(3);
    expect(await get("guarded")).toMatchObject({ version: 4 });
    const onDelete = new DeleteCommand({
      TableName,
      Key: { pk: "guarded", sk: "s" },
      ConditionExpression: "attribute_exists(nothing)",
    });
    await expect(s.documents.send(onDelete)).rejects.toMatchObject({ name: "ConditionalCheckFailedException" });
  });

  test("are written in batches, over all partitions, puts and deletes together", async () => {
    const key = (i: number) => ({ pk: `batch-${i}`, sk: "s" });
    const batch = (requests: Record<string, unknown>[]) =>
      s.documents.send(new BatchWriteCommand({ RequestItems: { [TableName]: requests as never } }));
    const all = Array.from({ length: 25 }, (_, i) => i);
    const put = await batch(all.map((i) => ({ PutRequest: { Item: { ...key(i), i } } })));
    expect(put.UnprocessedItems).toEqual({});
    const mixed = await batch(
      all.map((i) =>
        i % 2 === 0 ? { DeleteRequest: { Key: key(i) } } : { PutRequest: { Item: { ...key(i), i: -i } } },
      ),
    );
    expect(mixed.UnprocessedItems).toEqual({});
    for (const i of all) expect(await get(`batch-${i}`)).toEqual(i % 2 === 0 ? undefined : { ...key(i), i: -i });
    await expect(batch([{ DeleteRequest: { Key: key(1) } }, { DeleteRequest: { Key: key(1) } }])).rejects.toThrow(
      "duplicates",
    );
  });

  test("keys of the largest size are kept apart, read, queried and deleted", async () => {
    // Strings of one-byte and of four-byte characters: what counts is the length in UTF-8.
    const partitions = ["p".repeat(2048), `${"p".repeat(2047)}q`, "😀".repeat(512)];
    const sorts = ["s".repeat(1024), `${"s".repeat(1023)}t`, "😀".repeat(256)];
    for (const pk of partitions) {
      for (const [i, sk] of sorts.entries()) await s.documents.send(new PutCommand({ TableName, Item: { pk, sk, i } }));
    }
    for (const pk of partitions) {
      for (const [i, sk] of sorts.entries()) {
        const { Item } = await s.documents.send(new GetCommand({ TableName, Key: { pk, sk }, ConsistentRead: true }));
        expect(Item?.i).toBe(i);
      }
      const query = {
        TableName,
        ConsistentRead: true,
        KeyConditionExpression: "pk = :p",
        ExpressionAttributeValues: { ":p": pk },
      };
      const { Items = [] } = await s.documents.send(new QueryCommand(query));
      expect(Items.map(({ i }) => i)).toEqual([0, 1, 2]);
      const page = await s.documents.send(new QueryCommand({ ...query, Limit: 2 }));
      const rest = await s.documents.send(new QueryCommand({ ...query, ExclusiveStartKey: page.LastEvaluatedKey }));
      expect(rest.Items?.map(({ i }) => i)).toEqual([2]);
      for (const sk of sorts) await s.documents.send(new DeleteCommand({ TableName, Key: { pk, sk } }));
    }
    for (const [pk, sk] of [
      ["p".repeat(2049), "s"],
      ["p", "s".repeat(1025)],
    ]) {
      expect(await failure(s.documents.send(new PutCommand({ TableName, Item: { pk, sk } })))).toMatchObject({
        name: "ValidationException",
        status: 400,
      });
    }
  });

  test("an item of 400 KB is kept whole, a larger one refused", async () => {
    const filler = "x".repeat(400 * 1024 - 32);
    await s.documents.send(new PutCommand({ TableName, Item: { pk: "large", sk: "s", filler } }));
    expect((await get("large"))?.filler).toBe(filler);
    const tooLarge = new PutCommand({
      TableName,
      Item: { pk: "large", sk: "s", filler: `${filler}${"x".repeat(64)}` },
    });
    expect(await failure(s.documents.send(tooLarge))).toMatchObject({ name: "ValidationException", status: 400 });
    await s.documents.send(new DeleteCommand({ TableName, Key: { pk: "large", sk: "s" } }));
  });

  test("an item within the limit is kept though its JSON is many times as long", async () => {
    // Two bytes an element by the service's count, fifteen in JSON.
    const flags = Array.from({ length: 200_000 }, () => false);
    await s.documents.send(new PutCommand({ TableName, Item: { pk: "flags", sk: "s", flags } }));
    expect((await get("flags"))?.flags).toHaveLength(flags.length);
    await s.documents.send(new DeleteCommand({ TableName, Key: { pk: "flags", sk: "s" } }));
  });
});

describe("what cannot be done is answered in DynamoDB's own shape", () => {
  test("an unknown table", async () => {
    const Key = { pk: { S: "a" } };
    for (const ConsistentRead of BOTH_WAYS) {
      const seen = await failure(s.dynamo.send(new GetItemCommand({ TableName: "nowhere", Key, ConsistentRead })));
      expect(seen).toEqual({ name: "ResourceNotFoundException", message: "Requested resource not found", status: 400 });
    }
    expect(await failure(s.dynamo.send(new DescribeTableCommand({ TableName: "nowhere" })))).toEqual({
      name: "ResourceNotFoundException",
      message: "Requested resource not found: Table: nowhere not found",
      status: 400,
    });
  });

  test("an unknown operation, and bytes that are no request", async () => {
    const headers = {
      "Content-Type": "application/x-amz-json-1.0",
      Authorization:
        "AWS4-HMAC-SHA256 Credential=a/20260101/local/dynamodb/aws4_request, SignedHeaders=host, Signature=b",
      "X-Amz-Date": "20260101T000000Z",
    };
    const ask = async (operation: string, body: string) => {
      const response = await fetch(s.store.endpoint, {
        method: "POST",
        headers: { ...headers, "X-Amz-Target": operation },
        body,
      });
      return { status: response.status, type: ((await response.json()) as { __type: string }).__type.split("#")[1] };
    };
    expect(await ask("DynamoDB_20120810.FlyToTheMoon", "{}")).toEqual({
      status: 400,
      type: "UnknownOperationException",
    });
    expect(await ask("DynamoDB_20120810.GetItem", "{")).toEqual({ status: 400, type: "SerializationException" });
    expect(await ask("DynamoDB_20120810.GetItem", "{}")).toEqual({ status: 400, type: "ValidationException" });
  });
});
