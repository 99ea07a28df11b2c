import {
  CreateBackupCommand,
  GetItemCommand,
  PutItemCommand,
  RestoreTableFromBackupCommand,
  ScanCommand,
  TransactWriteItemsCommand,
} from "@aws-sdk/client-dynamodb";
import { afterAll, afterEach, beforeAll, expect, test, vi } from "vitest";
import { METADATA_PARTITION } from "../src/metadata/records.js";
import { LeaderCalls } from "../src/router/leader-calls.js";
import { gate } from "./support/gate.js";
import { createTable, deleteTable, singleStore, tableExists } from "./support/single.js";
import { partitionsOf } from "./support/splits.js";
import { eventually } from "./support/store.js";
import { createStreamed, readStream, streamsClient } from "./support/streams.js";

/** Nobody takes a coordinator for lost that a test makes wait. */
const s = singleStore({ upkeep: { recoverTransactionsAfterMs: 60_000 } });
let streams: ReturnType<typeof streamsClient>;
beforeAll(() => {
  streams = streamsClient(s.store.endpoint);
});
afterEach(() => {
  s.store.router.backend.transactions.onStep = () => undefined;
});
afterAll(() => streams.destroy());

const PKS = ["a", "b", "c", "d", "e", "f", "g", "h"];
const item = (pk: string, v: string) => ({ pk: { S: pk }, v: { S: v } });
const put = (TableName: string, pk: string, v: string) => ({ Put: { TableName, Item: item(pk, v) } });
const transact = (TransactItems: ReturnType<typeof put>[]) =>
  s.dynamo.send(new TransactWriteItemsCommand({ TransactItems }));

/** `come` resolves when a transaction has come before the step, where it waits for `goOn`. */
function heldBefore(step: string): { come: Promise<void>; goOn: () => void } {
  const come = gate();
  const held = gate();
  s.store.router.backend.transactions.onStep = async (next) => {
    if (next !== step) return;
    come.open();
    await held.opened;
  };
  return { come: come.opened, goOn: held.open };
}

test.each(["decide", "decided", "finish"])(
  "a transaction that is prepared when its table is deleted, and carried on from before `%s`, is in the stream as a whole",
  async (step) => {
    const name = `streamed-${step}`;
    const arn = await createStreamed(s.dynamo, name);
    const { come, goOn } = heldBefore(step);
    const committed = transact(PKS.map((pk) => put(name, pk, "new")));
    await come;
    const partitions = await partitionsOf(s.store, name);
    const asked = vi.spyOn(LeaderCalls.prototype, "call");
    const deleted = deleteTable(s.dynamo, name);
    await eventually("all partitions were told that their table is being deleted, and have answered", () => {
      const answered = asked.mock.calls.flatMap(([partition, , method], i) =>
        method === "describePartition" && asked.mock.settledResults[i]?.type === "fulfilled" ? [partition] : [],
      );
      return partitions.every(({ partition }) => answered.includes(partition));
    });
    asked.mockRestore();
    goOn();
    await committed;
    await deleted;
    const told = (await readStream(streams, arn)).map(({ dynamodb }) => dynamodb?.NewImage?.pk?.S);
    expect(told.sort()).toEqual(PKS);
  },
);

test("a transaction that is committed is told so, though one of its tables went before it was carried out there", async () => {
  await createTable(s.dynamo, "gone");
  await createTable(s.dynamo, "stays");
  const { come, goOn } = heldBefore("finish");
  const committed = transact([put("gone", "a", "new"), ...PKS.map((pk) => put("stays", pk, "new"))]);
  await come;
  await deleteTable(s.dynamo, "gone");
  // Another one of its name is none of the transaction's.
  await createTable(s.dynamo, "gone");
  goOn();
  await committed;
  const get = (TableName: string) => new GetItemCommand({ TableName, Key: { pk: { S: "a" } }, ConsistentRead: true });
  expect((await s.dynamo.send(get("stays"))).Item).toEqual(item("a", "new"));
  expect((await s.dynamo.send(get("gone"))).Item).toBeUndefined();
});

test("a backup in the middle of a transaction has all of it, though its table is deleted right afterwards", async () => {
  await createTable(s.dynamo, "source");
  for (const pk of PKS) await s.dynamo.send(new PutItemCommand({ TableName: "source", Item: item(pk, "old") }));
  const oneSaysSo = gate();
  const goOn = gate();
  let parts = 0;
  s.store.router.backend.transactions.onStep = async (step) => {
    if (step === "finish" && ++parts > 1) await goOn.opened;
    if (step === "finished") oneSaysSo.open();
  };
  const committed = transact(PKS.map((pk) => put("source", pk, "new")));
  await oneSaysSo.opened;
  const { BackupDetails } = await s.dynamo.send(
    new CreateBackupCommand({ TableName: "source", BackupName: "half-way" }),
  );
  goOn.open();
  await committed;
  await deleteTable(s.dynamo, "source");
  const { BackupArn } = BackupDetails ?? {};
  await s.dynamo.send(new RestoreTableFromBackupCommand({ TargetTableName: "restored", BackupArn }));
  await tableExists(s.dynamo, "restored");
  const { Items = [] } = await s.dynamo.send(new ScanCommand({ TableName: "restored", ConsistentRead: true }));
  expect(Items.map(({ pk, v }) => `${pk?.S} ${v?.S}`).sort()).toEqual(PKS.map((pk) => `${pk} new`));
});

test("a table that has taken another's name is not restored in its place", async () => {
  await createTable(s.dynamo, "named");
  await s.dynamo.send(new PutItemCommand({ TableName: "named", Item: item("a", "old") }));
  const { fleet, router } = s.store;
  const { tableId: sourceId, ...table } = await router.backend.describeTable("named");
  const untilMs = Date.now();
  await deleteTable(s.dynamo, "named");
  await createTable(s.dynamo, "named");
  const calls = new LeaderCalls({ callerTo: (node) => fleet.callerTo(node), deadlineMs: 20_000 });
  const asked = {
    definition: { ...table, name: "again" },
    tableId: "again-id",
    restore: { source: "named", sourceId, untilMs },
  };
  await expect(calls.call(METADATA_PARTITION, fleet.nodeIds(), "createTable", asked)).rejects.toMatchObject({
    type: "TableNotFoundException",
  });
});
