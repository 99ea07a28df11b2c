import {
  BatchExecuteStatementCommand,
  BatchWriteItemCommand,
  DescribeTableCommand,
  ExecuteStatementCommand,
  ItemCollectionSizeLimitExceededException,
  type TableDescription,
  TransactionCanceledException,
  TransactWriteItemsCommand,
} from "@aws-sdk/client-dynamodb";
import { DeleteCommand, PutCommand, UpdateCommand } from "@aws-sdk/lib-dynamodb";
import { beforeAll, expect, test } from "vitest";
import { attributes, createTable, keys } from "./indexes/support.js";
import { singleStore } from "./support/single.js";

const single = singleStore({ upkeep: { collectionBytesMax: 1_000 } });
const TableName = "measured";

beforeAll(async () => {
  await createTable(single.dynamo, {
    TableName,
    KeySchema: keys(["pk", "sk"]),
    AttributeDefinitions: attributes({ pk: "S", sk: "N", color: "S", size: "N" }),
    LocalSecondaryIndexes: [
      { IndexName: "by-color", KeySchema: keys(["pk", "color"]), Projection: { ProjectionType: "KEYS_ONLY" } },
    ],
    GlobalSecondaryIndexes: [
      { IndexName: "by-size", KeySchema: keys(["size"]), Projection: { ProjectionType: "ALL" } },
    ],
  });
});

async function described(): Promise<TableDescription> {
  return (await single.dynamo.send(new DescribeTableCommand({ TableName }))).Table ?? {};
}

async function sizes() {
  const { ItemCount, TableSizeBytes, LocalSecondaryIndexes, GlobalSecondaryIndexes } = await described();
  const [local] = LocalSecondaryIndexes ?? [];
  const [global] = GlobalSecondaryIndexes ?? [];
  return [
    [ItemCount, TableSizeBytes],
    [local?.ItemCount, local?.IndexSizeBytes],
    [global?.ItemCount, global?.IndexSizeBytes],
  ];
}

/** Indexes are told later, and any replica is asked. */
const comesTo = (wanted: number[][]) => expect.poll(sizes).toEqual(wanted);

const put = (Item: Record<string, unknown>) => single.documents.send(new PutCommand({ TableName, Item }));

test("DescribeTable says how much a table and its indexes hold", async () => {
  expect(await sizes()).toEqual([
    [0, 0],
    [0, 0],
    [0, 0],
  ]);
  // pk 3 and sk 4 bytes with their names, color 8, size 6, text 4 and its length.
  await put({ pk: "a", sk: 1, text: "12345678" });
  await put({ pk: "b", sk: 1, color: "red" });
  await put({ pk: "c", sk: 1, color: "red", size: 1, text: "1" });
  await comesTo([
    [3, 7 + 12 + 7 + 8 + 7 + 8 + 6 + 5],
    [2, 2 * (7 + 8)],
    [1, 7 + 8 + 6 + 5],
  ]);
  await put({ pk: "c", sk: 1, text: "1" });
  await single.documents.send(new DeleteCommand({ TableName, Key: { pk: "a", sk: 1 } }));
  const after = [
    [2, 7 + 8 + 7 + 5],
    [1, 7 + 8],
    [0, 0],
  ];
  await comesTo(after);
  await single.restart();
  await comesTo(after);
});

test("a table that was deleted and made again holds nothing", async () => {
  const { dynamo } = single;
  await createTable(dynamo, {
    TableName: "again",
    KeySchema: keys(["pk"]),
    AttributeDefinitions: attributes({ pk: "S" }),
  });
  const { Table } = await dynamo.send(new DescribeTableCommand({ TableName: "again" }));
  expect(Table).toMatchObject({ ItemCount: 0, TableSizeBytes: 0 });
});

test("an item collection grows to the limit, whoever writes, and shrinks also from there", async () => {
  const { dynamo, documents } = single;
  const text = "x".repeat(960);
  await put({ pk: "full", sk: 1, text });
  const another = { pk: { S: "full" }, sk: { N: "2" }, text: { S: "x".repeat(30) } };
  const tooLarge = { name: "ItemCollectionSizeLimitExceededException", message: "Collection size exceeded." };
  const writes = [
    () => put({ pk: "full", sk: 2, text: "x".repeat(30) }),
    () =>
      documents.send(
        new UpdateCommand({
          TableName,
          Key: { pk: "full", sk: 1 },
          UpdateExpression: "SET more = :m",
          ExpressionAttributeValues: { ":m": text },
        }),
      ),
    () =>
      dynamo.send(new BatchWriteItemCommand({ RequestItems: { [TableName]: [{ PutRequest: { Item: another } }] } })),
    () =>
      dynamo.send(
        new ExecuteStatementCommand({
          Statement: `INSERT INTO "${TableName}" VALUE {'pk': 'full', 'sk': 2, 'text': '${text}'}`,
        }),
      ),
  ];
  for (const write of writes) {
    await expect(write()).rejects.toBeInstanceOf(ItemCollectionSizeLimitExceededException);
    await expect(write()).rejects.toMatchObject(tooLarge);
  }
  const inBatch = await dynamo.send(
    new BatchExecuteStatementCommand({
      Statements: [{ Statement: `INSERT INTO "${TableName}" VALUE {'pk': 'full', 'sk': 2, 'text': '${text}'}` }],
    }),
  );
  expect(inBatch.Responses?.[0]?.Error).toMatchObject({ Code: "ItemCollectionSizeLimitExceeded" });
  // In one partition, and in two.
  for (const other of ["full", "somewhere else"]) {
    const transaction = dynamo.send(
      new TransactWriteItemsCommand({
        TransactItems: [
          { Put: { TableName, Item: { ...another, pk: { S: other }, sk: { N: "3" }, text: { S: "" } } } },
          { Put: { TableName, Item: another } },
        ],
      }),
    );
    const error = await transaction.catch((failure: unknown) => failure);
    expect(error).toBeInstanceOf(TransactionCanceledException);
    expect((error as TransactionCanceledException).CancellationReasons?.[1]).toEqual({
      Code: "ItemCollectionSizeLimitExceeded",
      Message: "Collection size exceeded.",
    });
  }
  await put({ pk: "full", sk: 1, text: "shorter" });
  const { ItemCollectionMetrics } = await documents.send(
    new PutCommand({ TableName, Item: { pk: "full", sk: 2, text: "fits" }, ReturnItemCollectionMetrics: "SIZE" }),
  );
  expect(ItemCollectionMetrics).toEqual({ ItemCollectionKey: { pk: "full" }, SizeEstimateRangeGB: [0, 1] });
});
