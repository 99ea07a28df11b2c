import {
  GetItemCommand,
  PutItemCommand,
  RestoreTableToPointInTimeCommand,
  ScanCommand,
  TransactWriteItemsCommand,
} from "@aws-sdk/client-dynamodb";
import { expect, test } from "vitest";
import { gate } from "./support/gate.js";
import { createTable, singleStore, tableExists } from "./support/single.js";

const single = singleStore({ upkeep: { recoverTransactionsAfterMs: 60_000 } });
const NAMES = ["a", "b", "c", "d", "e", "f", "g", "h"];

/** A moment that every node's clock is past when this resolves, and the next write's as well. */
async function momentNow(): Promise<Date> {
  const moment = new Date();
  while (Date.now() <= moment.getTime() + 2) await new Promise((resolve) => setTimeout(resolve, 2));
  return moment;
}

async function restoredAt(name: string, RestoreDateTime: Date): Promise<string[]> {
  const { dynamo } = single;
  await dynamo.send(
    new RestoreTableToPointInTimeCommand({ SourceTableName: "source", TargetTableName: name, RestoreDateTime }),
  );
  await tableExists(dynamo, name);
  const { Items = [] } = await dynamo.send(new ScanCommand({ TableName: name, ConsistentRead: true }));
  return Items.map((item) => `${item.pk?.S}${item.v?.N}`).sort();
}

test("a table that is restored to any moment of a transaction has all of it or nothing", async () => {
  const { dynamo, store } = single;
  await createTable(dynamo, "source");
  const item = (pk: string, v: string) => ({ pk: { S: pk }, v: { N: v } });
  for (const pk of NAMES) await dynamo.send(new PutItemCommand({ TableName: "source", Item: item(pk, "1") }));
  const { transactions } = store.router.backend;
  const prepared = gate();
  const goOn = gate();
  const oneDone = gate();
  const finish = gate();
  let steps = 0;
  transactions.onStep = async (step) => {
    if (step === "decide") {
      prepared.open();
      await goOn.opened;
    }
    if (step === "finish" && ++steps > 1) await finish.opened;
    if (step === "finished") oneDone.open();
  };
  const TransactItems = NAMES.map((pk) => ({ Put: { TableName: "source", Item: item(pk, "2") } }));
  const committed = dynamo.send(new TransactWriteItemsCommand({ TransactItems }));
  await prepared.opened;
  const beforeDecision = await momentNow();
  goOn.open();
  await oneDone.opened;
  const halfDone = await momentNow();
  finish.open();
  await committed;
  transactions.onStep = () => undefined;
  const get = new GetItemCommand({ TableName: "source", Key: { pk: { S: "a" } }, ConsistentRead: true });
  expect((await dynamo.send(get)).Item?.v).toEqual({ N: "2" });

  expect(await restoredAt("nothing", beforeDecision)).toEqual(NAMES.map((pk) => `${pk}1`));
  expect(await restoredAt("all", halfDone)).toEqual(NAMES.map((pk) => `${pk}2`));
  // Nothing of the source's transaction holds an item of the restored table.
  for (const pk of NAMES) await dynamo.send(new PutItemCommand({ TableName: "nothing", Item: item(pk, "3") }));
});
