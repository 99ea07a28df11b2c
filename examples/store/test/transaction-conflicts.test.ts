import {
  CreateTableCommand,
  GetItemCommand,
  PutItemCommand,
  TransactGetItemsCommand,
  TransactionCanceledException,
  TransactionConflictException,
  TransactionInProgressException,
  type TransactWriteItem,
  TransactWriteItemsCommand,
} from "@aws-sdk/client-dynamodb";
import { ScanCommand } from "@aws-sdk/lib-dynamodb";
import { expect, test } from "vitest";
import { gate } from "./support/gate.js";
import { createTable, singleStore, tableExists } from "./support/single.js";
import { readStream, streamsClient } from "./support/streams.js";
import { nothingPrepared } from "./support/transactions.js";

/** Here coordinators are only slow, however slow the machine is. */
const single = singleStore({ upkeep: { recoverTransactionsAfterMs: 60_000 } });
const TableName = "items";
const Key = (pk: string) => ({ pk: { S: pk } });

/** The next transactions wait, prepared, until `decision` is opened. */
function heldBeforeDecision() {
  const decision = gate();
  const atDecision = gate();
  const { transactions } = single.store.router.backend;
  transactions.lostAfterMs = 60_000;
  transactions.onStep = async (step) => {
    if (step !== "decide") return;
    atDecision.open();
    await decision.opened;
  };
  return { decision, atDecision };
}

test("while items are prepared, writes are refused, reads of one item are served, reads together wait or are refused", async () => {
  const { dynamo, store } = single;
  await createTable(dynamo, TableName);
  await dynamo.send(new PutItemCommand({ TableName, Item: { ...Key("a"), v: { N: "7" } } }));
  const { decision, atDecision } = heldBeforeDecision();
  const request = {
    ClientRequestToken: "held",
    TransactItems: ["a", "b", "c"].map((pk) => ({ Put: { TableName, Item: { ...Key(pk), v: { N: "8" } } } })),
  };
  const held = dynamo.send(new TransactWriteItemsCommand(request));
  await atDecision.opened;

  const write = dynamo.send(new PutItemCommand({ TableName, Item: Key("a") }));
  await expect(write).rejects.toBeInstanceOf(TransactionConflictException);
  await expect(write).rejects.toMatchObject({ message: "Transaction is ongoing for the item" });
  const other = dynamo.send(
    new TransactWriteItemsCommand({
      TransactItems: [
        { Put: { TableName, Item: Key("free") } },
        { Delete: { TableName, Key: Key("a") } },
        { ConditionCheck: { TableName, Key: Key("b"), ConditionExpression: "attribute_exists(pk)" } },
      ],
    }),
  );
  const conflict = { Code: "TransactionConflict", Message: "Transaction is ongoing for the item" };
  await expect(other).rejects.toBeInstanceOf(TransactionCanceledException);
  await expect(other).rejects.toMatchObject({ CancellationReasons: [{ Code: "None" }, conflict, conflict] });
  await expect(dynamo.send(new TransactWriteItemsCommand(request))).rejects.toBeInstanceOf(
    TransactionInProgressException,
  );
  const get = new GetItemCommand({ TableName, Key: Key("a"), ConsistentRead: true });
  expect((await dynamo.send(get)).Item?.v).toEqual({ N: "7" });
  const both = new TransactGetItemsCommand({
    TransactItems: ["free", "a"].map((pk) => ({ Get: { TableName, Key: Key(pk) } })),
  });
  await expect(dynamo.send(both)).rejects.toMatchObject({ CancellationReasons: [{ Code: "None" }, conflict] });

  decision.open();
  await held;
  await nothingPrepared(store.fleet);
  expect((await dynamo.send(both)).Responses).toEqual([{}, { Item: { ...Key("a"), v: { N: "8" } } }]);
  await dynamo.send(new PutItemCommand({ TableName, Item: Key("a") }));
});

test("scans, in either direction and in segments, see nothing of what is prepared", async () => {
  const { dynamo, documents } = single;
  await createTable(dynamo, "scanned", "S");
  const { decision, atDecision } = heldBeforeDecision();
  const item = (pk: string) => ({ pk: { S: pk }, sk: { S: "1" } });
  await dynamo.send(new PutItemCommand({ TableName: "scanned", Item: item("there") }));
  const held = dynamo.send(
    new TransactWriteItemsCommand({
      TransactItems: ["w", "x", "y", "z"].map((pk) => ({ Put: { TableName: "scanned", Item: item(pk) } })),
    }),
  );
  await atDecision.opened;
  for (const ConsistentRead of [true, false]) {
    const seen = async () => (await documents.send(new ScanCommand({ TableName: "scanned", ConsistentRead }))).Items;
    // A replica may hear of the item that is there a little later.
    await expect.poll(seen).toEqual([{ pk: "there", sk: "1" }]);
    expect(JSON.stringify(await seen())).not.toMatch(/[wxyz]"/);
  }
  decision.open();
  await held;
  let count = 0;
  for (const Segment of [0, 1, 2]) {
    const page = new ScanCommand({ TableName: "scanned", ConsistentRead: true, Segment, TotalSegments: 3 });
    count += (await documents.send(page)).ScannedCount ?? 0;
  }
  expect(count).toBe(5);
});

test("a stream tells of each item that a transaction changes, and of nothing that it prepares, checks or cancels", async () => {
  const { dynamo, store } = single;
  const streamed = {
    TableName: "streamed",
    AttributeDefinitions: [{ AttributeName: "pk", AttributeType: "S" as const }],
    KeySchema: [{ AttributeName: "pk", KeyType: "HASH" as const }],
    BillingMode: "PAY_PER_REQUEST" as const,
    StreamSpecification: { StreamEnabled: true, StreamViewType: "NEW_AND_OLD_IMAGES" as const },
  };
  const { TableDescription } = await dynamo.send(new CreateTableCommand(streamed));
  await tableExists(dynamo, "streamed");
  const write = (...TransactItems: TransactWriteItem[]) =>
    dynamo.send(new TransactWriteItemsCommand({ TransactItems }));
  const at = (pk: string) => ({ TableName: "streamed", Key: Key(pk) });
  const item = (pk: string, v: string) => ({ ...Key(pk), v: { N: v } });
  await write(
    { Put: { TableName: "streamed", Item: item("a", "1") } },
    { Put: { TableName: "streamed", Item: item("b", "1") } },
  );
  const refused = write(
    { Delete: at("a") },
    { ConditionCheck: { ...at("b"), ConditionExpression: "attribute_not_exists(pk)" } },
  );
  await expect(refused).rejects.toBeInstanceOf(TransactionCanceledException);
  await write(
    { Put: { TableName: "streamed", Item: item("a", "2") } },
    { ConditionCheck: { ...at("b"), ConditionExpression: "attribute_exists(pk)" } },
    { Delete: at("c") },
  );
  await write({ Delete: at("b") });
  const streams = streamsClient(store.endpoint);
  const records = await readStream(streams, TableDescription?.LatestStreamArn as string);
  streams.destroy();
  const told = [...records].map(({ eventName, dynamodb }) =>
    [eventName, dynamodb?.Keys?.pk?.S, dynamodb?.OldImage?.v?.N, dynamodb?.NewImage?.v?.N].join(" "),
  );
  expect(told.sort()).toEqual(["INSERT a  1", "INSERT b  1", "MODIFY a 1 2", "REMOVE b 1 "]);
});
