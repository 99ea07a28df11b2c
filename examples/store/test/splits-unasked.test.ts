import { BatchWriteCommand, GetCommand, PutCommand, ScanCommand } from "@aws-sdk/lib-dynamodb";
import { expect, test } from "vitest";
import { createTable, singleStore } from "./support/single.js";
import { partitionsOf } from "./support/splits.js";
import { eventually } from "./support/store.js";

const SPLIT_BYTES = 60_000;
const s = singleStore({
  partitionsPerTable: 1,
  upkeep: { splitBytes: SPLIT_BYTES, splitReadUnits: 20, splitWriteUnits: 20, splitAfterSeconds: 2 },
});

async function load(TableName: string, items: readonly Record<string, unknown>[]): Promise<void> {
  for (let i = 0; i < items.length; i += 25) {
    const requests = items.slice(i, i + 25).map((Item) => ({ PutRequest: { Item } }));
    await s.documents.send(new BatchWriteCommand({ RequestItems: { [TableName]: requests } }));
  }
}

test("a partition that has grown is split where its bytes halve, and its parts again; one key's items stay together", async () => {
  const filler = "x".repeat(500);
  const items = Array.from({ length: 300 }, (_, i) => ({ pk: `p${i}`, sk: "s", filler }));
  await createTable(s.dynamo, "large", "S");
  await createTable(s.dynamo, "collection", "S");
  await load("large", items);
  await load(
    "collection",
    items.map((item, i) => ({ ...item, pk: "one", sk: `s${i}` })),
  );
  // 150 KB and more: two parts would be too large each.
  await eventually("no part is too large", async () => (await partitionsOf(s.store, "large")).length >= 4);
  const { Items = [] } = await s.documents.send(new ScanCommand({ TableName: "large", ConsistentRead: true }));
  expect(Items.map(({ pk }) => pk).sort()).toEqual(items.map(({ pk }) => pk).sort());
  expect(await partitionsOf(s.store, "collection")).toHaveLength(1);
});

test("a partition that is near its limit for long is split; one key is not, however often it is asked for", {
  timeout: 240_000,
}, async () => {
  await createTable(s.dynamo, "busy");
  await createTable(s.dynamo, "hot");
  let running = true;
  const busy = [0, 1, 2, 3].map(async (writer) => {
    for (let i = writer; running; i += 4)
      await s.documents.send(new PutCommand({ TableName: "busy", Item: { pk: `p${i % 100}`, v: `${i}` } }));
  });
  await s.documents.send(new PutCommand({ TableName: "hot", Item: { pk: "hot", v: "v".repeat(20_000) } }));
  let reads = 0;
  const hot = [0, 1].map(async () => {
    for (; running; reads++)
      await s.documents.send(new GetCommand({ TableName: "hot", Key: { pk: "hot" }, ConsistentRead: true }));
  });
  try {
    await eventually("what is busy is split", async () => (await partitionsOf(s.store, "busy")).length > 1);
    const before = reads;
    await eventually("the hot key was read on", () => reads > before + 200);
    expect(await partitionsOf(s.store, "hot")).toHaveLength(1);
  } finally {
    running = false;
    await Promise.all([...busy, ...hot]);
  }
});
