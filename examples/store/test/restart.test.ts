import { ListTablesCommand, RestoreTableToPointInTimeCommand } from "@aws-sdk/client-dynamodb";
import { DeleteCommand, GetCommand, PutCommand, ScanCommand } from "@aws-sdk/lib-dynamodb";
import { expect, test } from "vitest";
import { createTable, deleteTable, singleStore, tableExists } from "./support/single.js";

const s = singleStore();

async function contents(TableName: string): Promise<Map<string, unknown>> {
  const found = new Map<string, unknown>();
  let ExclusiveStartKey: Record<string, unknown> | undefined;
  do {
    const page = await s.documents.send(
      new ScanCommand({
        TableName,
        ConsistentRead: true,
        ...(ExclusiveStartKey === undefined ? {} : { ExclusiveStartKey }),
      }),
    );
    for (const item of page.Items ?? []) found.set(item.pk as string, item.v);
    ExclusiveStartKey = page.LastEvaluatedKey;
  } while (ExclusiveStartKey !== undefined);
  return found;
}

const put = (TableName: string, pk: string, v: unknown) =>
  s.documents.send(new PutCommand({ TableName, Item: { pk, v } }));

/** Resolves in a later millisecond than the one of the call: archived times are milliseconds. */
async function nextMillisecond(): Promise<number> {
  const now = Date.now();
  while (Date.now() === now) await new Promise((resolve) => setTimeout(resolve, 1));
  return now;
}

test("a store that is started again finds every table and every item, again and again", async () => {
  const wanted = new Map<string, unknown>();
  await createTable(s.dynamo, "kept");
  await createTable(s.dynamo, "dropped");
  await put("dropped", "a", 1);
  await deleteTable(s.dynamo, "dropped");
  for (let life = 0; life < 3; life++) {
    await Promise.all(
      Array.from({ length: 30 }, async (_, i) => {
        const pk = `item-${i % 20}-${life}`;
        await put("kept", pk, i);
      }),
    );
    for (let i = 0; i < 20; i++) {
      const pk = `item-${i}-${life}`;
      const { Item } = await s.documents.send(new GetCommand({ TableName: "kept", Key: { pk }, ConsistentRead: true }));
      wanted.set(pk, Item?.v);
    }
    await s.documents.send(new DeleteCommand({ TableName: "kept", Key: { pk: `item-3-${life}` } }));
    wanted.delete(`item-3-${life}`);
    await s.restart();
    expect((await s.dynamo.send(new ListTablesCommand({}))).TableNames).toEqual(["kept"]);
    expect(await contents("kept")).toEqual(wanted);
  }
});

test("a table is restored to the moment before a mistake, from the archive, and the source stays as it is", async () => {
  await createTable(s.dynamo, "precious");
  const wanted = new Map<string, unknown>();
  for (let i = 0; i < 60; i++) {
    wanted.set(`item-${i}`, i);
    await put("precious", `item-${i}`, i);
  }
  // Part of the history is from before a restart: slots and times go on where they were.
  await s.restart();
  for (let i = 0; i < 10; i++) {
    wanted.set(`item-${i}`, 1_000 + i);
    await put("precious", `item-${i}`, 1_000 + i);
  }
  await s.documents.send(new DeleteCommand({ TableName: "precious", Key: { pk: "item-59" } }));
  wanted.delete("item-59");

  const moment = await nextMillisecond();
  for (let i = 0; i < 60; i += 2)
    await s.documents.send(new DeleteCommand({ TableName: "precious", Key: { pk: `item-${i}` } }));
  await put("precious", "item-1", "overwritten");
  const afterMistake = await contents("precious");

  const restore = { SourceTableName: "precious", TargetTableName: "precious-again", RestoreDateTime: new Date(moment) };
  await s.dynamo.send(new RestoreTableToPointInTimeCommand(restore));
  await tableExists(s.dynamo, "precious-again");
  expect(await contents("precious-again")).toEqual(wanted);
  expect(await contents("precious")).toEqual(afterMistake);

  // The restored table is a table like any other: it takes writes, is archived and restored itself.
  await put("precious-again", "new", true);
  const latest = {
    SourceTableName: "precious-again",
    TargetTableName: "precious-thrice",
    UseLatestRestorableTime: true,
  };
  await s.dynamo.send(new RestoreTableToPointInTimeCommand(latest));
  await tableExists(s.dynamo, "precious-thrice");
  expect(await contents("precious-thrice")).toEqual(new Map(wanted).set("new", true));
});

test("a restore that cannot be is refused, and creates nothing", async () => {
  await createTable(s.dynamo, "standing");
  const refused = (SourceTableName: string, TargetTableName: string, RestoreDateTime = new Date()) =>
    s.dynamo.send(new RestoreTableToPointInTimeCommand({ SourceTableName, TargetTableName, RestoreDateTime })).then(
      () => "restored",
      (error: Error) => error.name,
    );
  expect(await refused("standing", "standing")).toBe("TableAlreadyExistsException");
  expect(await refused("nowhere", "elsewhere")).toBe("TableNotFoundException");
  expect(await refused("standing", "elsewhere", new Date(0))).toBe("InvalidRestoreTimeException");
  expect(await refused("standing", "elsewhere", new Date(Date.now() + 60_000)), "a time to come").toBe(
    "InvalidRestoreTimeException",
  );
  expect((await s.dynamo.send(new ListTablesCommand({}))).TableNames).not.toContain("elsewhere");
});
