import {
  BatchExecuteStatementCommand,
  BatchWriteItemCommand,
  CreateTableCommand,
  DeleteItemCommand,
  DescribeTableCommand,
  ExecuteStatementCommand,
  PutItemCommand,
  QueryCommand,
  type QueryCommandInput,
  RestoreTableToPointInTimeCommand,
  ScanCommand,
  UpdateItemCommand,
  UpdateTableCommand,
} from "@aws-sdk/client-dynamodb";
import { beforeAll, describe, expect, it } from "vitest";
import { caughtUp } from "../support/replicas.js";
import { deleteTable, singleStore } from "../support/single.js";
import { eventually } from "../support/store.js";
import { active, attributes, createTable, keys, queried, type SdkItem, scanned } from "./support.js";

const single = singleStore();
const subject = {
  get client() {
    return single.dynamo;
  },
};
const TableName = "games";

const put = (Item: SdkItem, rest: object = {}) => subject.client.send(new PutItemCommand({ TableName, Item, ...rest }));

const query = (IndexName: string, title: string, rest: Partial<QueryCommandInput> = {}) =>
  subject.client.send(
    new QueryCommand({
      TableName,
      IndexName,
      KeyConditionExpression: "title = :t",
      ExpressionAttributeValues: { ":t": { S: title } },
      ...rest,
    }),
  );

const score = (user: string, title: string, points: number, rest: SdkItem = {}): SdkItem => ({
  user: { S: user },
  title: { S: title },
  points: { N: String(points) },
  ...rest,
});

const users = (items: readonly SdkItem[] | undefined) => (items ?? []).map(({ user }) => user?.S);

/** Resolves when the index shows these users' entries, in this order, whichever replica is asked. */
const shows = async (IndexName: string, title: string, wanted: readonly string[]) => {
  await eventually(`${IndexName} shows ${wanted.join()} for ${title}`, async () => {
    const found = users(await queried(subject.client, queryInput(IndexName, title)));
    return JSON.stringify(found) === JSON.stringify(wanted);
  });
  await caughtUp(single.store.fleet);
};

const queryInput = (IndexName: string, title: string) => ({
  TableName,
  IndexName,
  KeyConditionExpression: "title = :t",
  ExpressionAttributeValues: { ":t": { S: title } },
});

beforeAll(async () => {
  await createTable(subject.client, {
    TableName,
    AttributeDefinitions: attributes({ user: "S", title: "S", points: "N" }),
    KeySchema: keys(["user", "title"]),
    GlobalSecondaryIndexes: [
      { IndexName: "by-points", KeySchema: keys(["title", "points"]), Projection: { ProjectionType: "ALL" } },
      { IndexName: "by-title", KeySchema: keys(["title"]), Projection: { ProjectionType: "KEYS_ONLY" } },
      {
        IndexName: "lean",
        KeySchema: keys(["title", "points"]),
        Projection: { ProjectionType: "INCLUDE", NonKeyAttributes: ["note"] },
      },
    ],
  });
});

describe("a global secondary index", () => {
  it("is described, with a status of its own", async () => {
    const { Table } = await subject.client.send(new DescribeTableCommand({ TableName }));
    expect(Table?.GlobalSecondaryIndexes?.[0]).toEqual({
      IndexName: "by-points",
      KeySchema: keys(["title", "points"]),
      Projection: { ProjectionType: "ALL" },
      IndexStatus: "ACTIVE",
      ProvisionedThroughput: { NumberOfDecreasesToday: 0, ReadCapacityUnits: 0, WriteCapacityUnits: 0 },
      WarmThroughput: { ReadUnitsPerSecond: 12_000, WriteUnitsPerSecond: 4_000, Status: "ACTIVE" },
      IndexSizeBytes: 0,
      ItemCount: 0,
      IndexArn: "arn:aws:dynamodb:local:000000000000:table/games/index/by-points",
    });
  });

  it("comes to show every item that has its key, in its order", async () => {
    await put(score("ada", "go", 30, { note: { S: "n" }, more: { S: "m" } }));
    await put(score("bob", "go", 4));
    await put(score("cyd", "go", 200));
    await put(score("ada", "chess", 7));
    await put({ user: { S: "dan" }, title: { S: "go" } });
    await shows("by-points", "go", ["bob", "ada", "cyd"]);
    await shows("by-points", "chess", ["ada"]);
    await eventually("the entry without points", async () => (await query("by-title", "go")).Count === 4);
    await caughtUp(single.store.fleet);
    expect(users((await query("by-points", "go", { ScanIndexForward: false })).Items)).toEqual(["cyd", "ada", "bob"]);
    const above = await query("by-points", "go", {
      KeyConditionExpression: "title = :t AND points > :p",
      ExpressionAttributeValues: { ":t": { S: "go" }, ":p": { N: "4" } },
    });
    expect(users(above.Items)).toEqual(["ada", "cyd"]);
  });

  it("shows what it projects, and nothing else can be had of it", async () => {
    await shows("lean", "go", ["bob", "ada", "cyd"]);
    const ada = score("ada", "go", 30);
    expect((await query("lean", "go")).Items?.[1]).toEqual({ ...ada, note: { S: "n" } });
    expect((await query("by-points", "go", { Select: "ALL_ATTRIBUTES" })).Items?.[1]).toMatchObject({
      more: { S: "m" },
    });
    expect((await query("lean", "go", { Select: "COUNT" })).Count).toBe(3);
    const refused = (message: string) => ({ name: "ValidationException", message });
    await expect(query("lean", "go", { ProjectionExpression: "more, title" })).rejects.toMatchObject(
      refused("One or more parameter values were invalid: Global secondary index lean does not project [more]"),
    );
    await expect(query("lean", "go", { Select: "ALL_ATTRIBUTES" })).rejects.toMatchObject(
      refused(
        "One or more parameter values were invalid: Select type ALL_ATTRIBUTES is not supported for global secondary index lean because its projection type is not ALL",
      ),
    );
    await expect(query("lean", "")).rejects.toMatchObject(
      refused(
        "One or more parameter values are not valid. A value specified for a secondary index key is not supported. The AttributeValue for a key attribute cannot contain an empty string value. IndexName: lean, IndexKey: title",
      ),
    );
    await expect(query("lean", "go", { ConsistentRead: true })).rejects.toMatchObject(
      refused("Consistent reads are not supported on global secondary indexes"),
    );
    await expect(
      subject.client.send(new ScanCommand({ TableName, IndexName: "lean", ConsistentRead: true })),
    ).rejects.toMatchObject(refused("Consistent reads are not supported on global secondary indexes"));
  });

  it("pages by keys of index and table, each entry once whatever the page's size", async () => {
    const whole = users((await query("by-points", "go")).Items);
    for (const Limit of [1, 2, 3, 4]) {
      const input = { ...queryInput("by-points", "go"), Limit };
      expect(users(await queried(subject.client, input))).toEqual(whole);
      expect(users(await queried(subject.client, { ...input, ScanIndexForward: false }))).toEqual([...whole].reverse());
      expect(await scanned(subject.client, { TableName, IndexName: "by-points", Limit })).toHaveLength(4);
    }
    const { LastEvaluatedKey } = await query("by-points", "go", { Limit: 1 });
    expect(LastEvaluatedKey).toEqual(score("bob", "go", 4));
    const segments = await Promise.all(
      [0, 1, 2].map((Segment) =>
        scanned(subject.client, { TableName, IndexName: "by-title", Segment, TotalSegments: 3 }),
      ),
    );
    expect(segments.flat()).toHaveLength(5);
  });

  it("follows updates and deletes, also when an item leaves it and comes back", async () => {
    const Key = { user: { S: "bob" }, title: { S: "go" } };
    const update = (UpdateExpression: string, value?: string) =>
      subject.client.send(
        new UpdateItemCommand({
          TableName,
          Key,
          UpdateExpression,
          ...(value !== undefined && { ExpressionAttributeValues: { ":v": { N: value } } }),
        }),
      );
    await update("SET points = :v", "31");
    await shows("by-points", "go", ["ada", "bob", "cyd"]);
    await update("REMOVE points");
    await shows("by-points", "go", ["ada", "cyd"]);
    await update("SET points = :v", "1");
    await shows("by-points", "go", ["bob", "ada", "cyd"]);
    await subject.client.send(new DeleteItemCommand({ TableName, Key }));
    await shows("by-points", "go", ["ada", "cyd"]);
  });

  it("costs write units of its own, told by name, and reads its own", async () => {
    const detail = { ReturnConsumedCapacity: "INDEXES" } as const;
    const first = await put(score("eve", "cost", 1, { more: { S: "x".repeat(1_500) } }), detail);
    expect(first.ConsumedCapacity).toEqual({
      TableName,
      CapacityUnits: 6,
      Table: { CapacityUnits: 2 },
      GlobalSecondaryIndexes: {
        "by-points": { CapacityUnits: 2 },
        "by-title": { CapacityUnits: 1 },
        lean: { CapacityUnits: 1 },
      },
    });
    const moved = await put(score("eve", "cost", 2), detail);
    expect(moved.ConsumedCapacity?.GlobalSecondaryIndexes).toEqual({
      "by-points": { CapacityUnits: 3 },
      lean: { CapacityUnits: 2 },
    });
    await shows("by-points", "cost", ["eve"]);
    expect((await query("by-points", "cost", detail)).ConsumedCapacity).toEqual({
      TableName,
      CapacityUnits: 0.5,
      Table: { CapacityUnits: 0 },
      GlobalSecondaryIndexes: { "by-points": { CapacityUnits: 0.5 } },
    });
    const batch = await subject.client.send(
      new BatchWriteItemCommand({
        RequestItems: { [TableName]: [{ PutRequest: { Item: score("fay", "cost", 1) } }] },
        ...detail,
      }),
    );
    expect(batch.ConsumedCapacity?.[0]).toMatchObject({ CapacityUnits: 4, Table: { CapacityUnits: 1 } });
  });

  it("takes no item whose attribute cannot be its key", async () => {
    await expect(put({ user: { S: "x" }, title: { S: "t" }, points: { S: "1" } })).rejects.toMatchObject({
      name: "ValidationException",
      message:
        "One or more parameter values were invalid: Type mismatch for Index Key points Expected: N Actual: S IndexName: by-points",
    });
    await expect(
      subject.client.send(
        new UpdateItemCommand({
          TableName,
          Key: { user: { S: "ada" }, title: { S: "go" } },
          UpdateExpression: "SET points = :v",
          ExpressionAttributeValues: { ":v": { S: "1" } },
        }),
      ),
    ).rejects.toMatchObject({
      message:
        "One or more parameter values were invalid: Type mismatch for Index Key points Expected: N Actual: S IndexName: by-points",
    });
    const legacy = new UpdateItemCommand({
      TableName,
      Key: { user: { S: "ada" }, title: { S: "go" } },
      AttributeUpdates: { points: { Value: { BOOL: true } } },
      Expected: { nothing: { Exists: true, Value: { S: "is there" } } },
    });
    // Told before the condition, which does not hold either.
    await expect(subject.client.send(legacy)).rejects.toMatchObject({
      name: "ValidationException",
      message: expect.stringContaining("Expected: N Actual: BOOL IndexName: by-points"),
    });
  });
});

describe("UpdateTable", () => {
  const index = (IndexName: string, names: readonly string[], hash = 1) => ({
    IndexName,
    KeySchema: keys(names, hash),
    Projection: { ProjectionType: "ALL" as const },
  });
  const update = (name: string, rest: object) =>
    subject.client.send(new UpdateTableCommand({ TableName: name, ...rest }));

  it("makes an index of a table that has items, and leaves out what does not fit", async () => {
    await createTable(subject.client, {
      TableName: "filled",
      AttributeDefinitions: attributes({ id: "S" }),
      KeySchema: keys(["id"]),
    });
    const items = Array.from({ length: 60 }, (_, i) => ({
      id: { S: `item-${i}` },
      ...(i % 3 === 0 ? { group: { S: `g${i % 2}` } } : i % 3 === 1 ? { group: { N: "1" } } : {}),
    }));
    for (let i = 0; i < items.length; i += 20) {
      await subject.client.send(
        new BatchWriteItemCommand({
          RequestItems: { filled: items.slice(i, i + 20).map((Item) => ({ PutRequest: { Item: Item as SdkItem } })) },
        }),
      );
    }
    const two = [{ Create: index("by-group", ["group"]) }, { Create: index("another", ["group"]) }];
    await expect(
      update("filled", { AttributeDefinitions: attributes({ group: "S" }), GlobalSecondaryIndexUpdates: two }),
    ).rejects.toMatchObject({
      name: "LimitExceededException",
      message: "Subscriber limit exceeded: Only 1 online index can be created or deleted simultaneously per table",
    });
    const created = await update("filled", {
      AttributeDefinitions: attributes({ id: "S", group: "S" }),
      GlobalSecondaryIndexUpdates: [{ Create: index("by-group", ["group"]) }],
    });
    expect(created.TableDescription?.GlobalSecondaryIndexes?.[0]).toMatchObject({
      IndexName: "by-group",
      IndexStatus: "CREATING",
      Backfilling: false,
    });
    await active(subject.client, "filled");
    await caughtUp(single.store.fleet);
    const found = await scanned(subject.client, { TableName: "filled", IndexName: "by-group" });
    expect(found).toHaveLength(20);
    expect(found.every(({ group }) => group?.S !== undefined)).toBe(true);
    // What was there before with another type may stay as it is; what is written from now on may not.
    await subject.client.send(
      new UpdateItemCommand({
        TableName: "filled",
        Key: { id: { S: "item-1" } },
        UpdateExpression: "SET place = :r",
        ExpressionAttributeValues: { ":r": { N: "1" } },
      }),
    );
    const gone = await update("filled", { GlobalSecondaryIndexUpdates: [{ Delete: { IndexName: "by-group" } }] });
    expect(gone.TableDescription?.GlobalSecondaryIndexes?.[0]?.IndexStatus).toBe("DELETING");
    await eventually("the index is gone", async () => {
      const { Table } = await subject.client.send(new DescribeTableCommand({ TableName: "filled" }));
      return Table?.GlobalSecondaryIndexes === undefined;
    });
    await eventually("routers know", async () => {
      const asked = subject.client.send(new ScanCommand({ TableName: "filled", IndexName: "by-group" }));
      return await asked.then(
        () => false,
        ({ message }) => message === "The table does not have the specified index: by-group",
      );
    });
    await deleteTable(subject.client, "filled");
  });

  it("makes an index with several attributes for either part of its key", async () => {
    await createTable(subject.client, {
      TableName: "matches",
      AttributeDefinitions: attributes({ id: "S", cup: "S", year: "N", round: "S", court: "N" }),
      KeySchema: keys(["id"]),
      GlobalSecondaryIndexes: [index("by-cup", ["cup", "year", "round", "court"], 2)],
    });
    const match = (id: string, round: string, court: number) => ({
      id: { S: id },
      cup: { S: "open" },
      year: { N: "2026" },
      round: { S: round },
      court: { N: String(court) },
    });
    for (const item of [
      match("m1", "final", 1),
      match("m2", "semi", 10),
      match("m3", "semi", 2),
      match("m4", "quarter", 1),
    ])
      await subject.client.send(new PutItemCommand({ TableName: "matches", Item: item }));
    await subject.client.send(
      new PutItemCommand({ TableName: "matches", Item: { id: { S: "m5" }, cup: { S: "open" }, round: { S: "semi" } } }),
    );
    const values = { ":c": { S: "open" }, ":y": { N: "2026" } };
    const asked = (rest: string, more: SdkItem = {}) =>
      queried(subject.client, {
        TableName: "matches",
        IndexName: "by-cup",
        KeyConditionExpression: `cup = :c AND #y = :y${rest}`,
        ExpressionAttributeNames: { "#y": "year", ...(rest.includes("#r") && { "#r": "round" }) },
        ExpressionAttributeValues: { ...values, ...more },
        Limit: 1,
      });
    const ids = (items: readonly SdkItem[]) => items.map(({ id }) => id?.S);
    await eventually("all are there", async () => (await asked("")).length === 4);
    await caughtUp(single.store.fleet);
    expect(ids(await asked(""))).toEqual(["m1", "m4", "m3", "m2"]);
    const empty = (name: string) => `cannot contain an empty string value. IndexName: by-cup, IndexKey: ${name}`;
    await expect(asked("", { ":c": { S: "" } })).rejects.toThrow(empty("cup"));
    await expect(asked(" AND #r = :r", { ":r": { S: "" } })).rejects.toThrow(empty("round"));
    // As the service has it.
    const Statement = 'SELECT * FROM "matches"."by-cup" WHERE cup = \'open\'';
    const refused =
      "PartiQL statements cannot be executed on tables with multi-attribute HASH keys or multi-attribute RANGE keys.";
    await expect(subject.client.send(new ExecuteStatementCommand({ Statement }))).rejects.toMatchObject({
      name: "ValidationException",
      message: refused,
    });
    const { Responses } = await subject.client.send(new BatchExecuteStatementCommand({ Statements: [{ Statement }] }));
    expect(Responses).toMatchObject([{ Error: { Code: "ValidationError", Message: refused } }]);
    expect(ids(await asked(" AND round = :r", { ":r": { S: "semi" } }))).toEqual(["m3", "m2"]);
    expect(ids(await asked(" AND round = :r AND court > :n", { ":r": { S: "semi" }, ":n": { N: "2" } }))).toEqual([
      "m2",
    ]);
    expect(ids(await asked(" AND begins_with(round, :r)", { ":r": { S: "q" } }))).toEqual(["m4"]);
    await expect(asked(" AND court = :n", { ":n": { N: "2" } })).rejects.toMatchObject({
      message:
        "RANGE key attributes round must have equality conditions specified in the query because a condition is present on key attribute court",
    });
    await expect(asked(" AND round > :r AND court = :n", { ":r": { S: "a" }, ":n": { N: "2" } })).rejects.toThrow(
      "RANGE key attributes round must have equality conditions",
    );
    const eq = (value: SdkItem[string]) => ({ ComparisonOperator: "EQ" as const, AttributeValueList: [value] });
    const legacy = {
      cup: eq({ S: "open" }),
      year: eq({ N: "2026" }),
      round: eq({ S: "semi" }),
      court: eq({ N: "10" }),
    };
    const old = (KeyConditions: object) =>
      queried(subject.client, { TableName: "matches", IndexName: "by-cup", KeyConditions: { ...KeyConditions } });
    expect(ids(await old(legacy))).toEqual(["m2"]);
    await expect(old({ ...legacy, id: eq({ S: "m2" }) })).rejects.toThrow("Conditions can be of length 1 or 2 only");
    await expect(
      subject.client.send(
        new QueryCommand({
          TableName: "matches",
          IndexName: "by-cup",
          KeyConditionExpression: "cup = :c",
          ExpressionAttributeValues: { ":c": { S: "open" } },
        }),
      ),
    ).rejects.toMatchObject({
      message: "HASH key attributes year must have equality conditions specified in the query",
    });
    await deleteTable(subject.client, "matches");
  });

  it("changes an index's throughput, and refuses what makes no sense", async () => {
    const throughput = (n: number) => ({ ReadCapacityUnits: n, WriteCapacityUnits: n });
    await subject.client.send(
      new CreateTableCommand({
        TableName: "rated",
        AttributeDefinitions: attributes({ id: "S", group: "S" }),
        KeySchema: keys(["id"]),
        ProvisionedThroughput: throughput(5),
        GlobalSecondaryIndexes: [{ ...index("by-group", ["group"]), ProvisionedThroughput: throughput(5) }],
      }),
    );
    await active(subject.client, "rated");
    const one = (change: object) => update("rated", { GlobalSecondaryIndexUpdates: [change] });
    const answer = await one({ Update: { IndexName: "by-group", ProvisionedThroughput: throughput(9) } });
    expect(answer.TableDescription?.GlobalSecondaryIndexes?.[0]).toMatchObject({
      IndexStatus: "UPDATING",
      ProvisionedThroughput: throughput(5),
    });
    const { Table } = await subject.client.send(new DescribeTableCommand({ TableName: "rated" }));
    expect(Table?.GlobalSecondaryIndexes?.[0]).toMatchObject({
      IndexStatus: "ACTIVE",
      ProvisionedThroughput: throughput(9),
    });
    const WarmThroughput = { ReadUnitsPerSecond: 20, WriteUnitsPerSecond: 20 };
    const warmed = await one({ Update: { IndexName: "by-group", WarmThroughput } });
    expect(warmed.TableDescription).toMatchObject({
      TableStatus: "ACTIVE",
      GlobalSecondaryIndexes: [
        { IndexStatus: "ACTIVE", WarmThroughput: { ReadUnitsPerSecond: 9, Status: "UPDATING" } },
      ],
    });
    for (const [change, name, message] of [
      [
        {},
        "ValidationException",
        "One or more parameter values were invalid: One of GlobalSecondaryIndexUpdate.Update, GlobalSecondaryIndexUpdate.Create, GlobalSecondaryIndexUpdate.Delete must not be null",
      ],
      [
        { Delete: { IndexName: "nowhere" } },
        "ResourceNotFoundException",
        "Requested resource not found: Index nowhere for table rated",
      ],
      [
        { Create: index("by-group", ["group"]) },
        "ValidationException",
        "One or more parameter values were invalid: AttributeDefinitions is not specified for index: by-group",
      ],
    ] as const) {
      await expect(one(change)).rejects.toMatchObject({ name, message });
    }
    await expect(
      update("rated", {
        AttributeDefinitions: attributes({ id: "S", group: "S" }),
        GlobalSecondaryIndexUpdates: [{ Create: index("by-group", ["group"]) }],
      }),
    ).rejects.toMatchObject({ message: "Attempting to create an index which already exists" });
    await deleteTable(subject.client, "rated");
  });
});

describe("RestoreTableToPointInTime", () => {
  it("makes indexes anew of the items that were there", async () => {
    await createTable(subject.client, {
      TableName: "kept",
      AttributeDefinitions: attributes({ owner: "S", name: "S", size: "N" }),
      KeySchema: keys(["owner", "name"]),
      LocalSecondaryIndexes: [
        { IndexName: "by-size", KeySchema: keys(["owner", "size"]), Projection: { ProjectionType: "ALL" } },
      ],
      GlobalSecondaryIndexes: [
        { IndexName: "of-size", KeySchema: keys(["size"]), Projection: { ProjectionType: "KEYS_ONLY" } },
      ],
    });
    const file = (name: string, size: number) => ({
      owner: { S: "ada" },
      name: { S: name },
      size: { N: String(size) },
    });
    for (const Item of [file("a", 3), file("b", 1), file("c", 2)])
      await subject.client.send(new PutItemCommand({ TableName: "kept", Item }));
    await subject.client.send(
      new RestoreTableToPointInTimeCommand({
        SourceTableName: "kept",
        TargetTableName: "again",
        UseLatestRestorableTime: true,
      }),
    );
    await active(subject.client, "again");
    await caughtUp(single.store.fleet);
    const local = await queried(subject.client, {
      TableName: "again",
      IndexName: "by-size",
      KeyConditionExpression: "#o = :o",
      ExpressionAttributeNames: { "#o": "owner" },
      ExpressionAttributeValues: { ":o": { S: "ada" } },
    });
    expect(local).toEqual([file("b", 1), file("c", 2), file("a", 3)]);
    expect(await scanned(subject.client, { TableName: "again", IndexName: "of-size" })).toHaveLength(3);
    for (const name of ["kept", "again"]) await deleteTable(subject.client, name);
  });
});
