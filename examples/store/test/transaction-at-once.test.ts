import {
  IdempotentParameterMismatchException,
  ResourceNotFoundException,
  TransactionCanceledException,
  type TransactWriteItem,
  TransactWriteItemsCommand,
} from "@aws-sdk/client-dynamodb";
import { GetCommand, QueryCommand, ScanCommand } from "@aws-sdk/lib-dynamodb";
import { afterAll, afterEach, beforeAll, expect, test } from "vitest";
import type { Step } from "../src/transactions/coordinator.js";
import { call } from "./router/harness.js";
import { gate } from "./support/gate.js";
import { statuses } from "./support/replicas.js";
import { createTable, deleteTable, singleStore } from "./support/single.js";

const single = singleStore({ upkeep: { recoverTransactionsAfterMs: 60_000 } });
const TableName = "orders";
const abort = new AbortController();

beforeAll(async () => {
  await createTable(single.dynamo, TableName, "N");
});
afterEach(() => {
  single.store.router.backend.transactions.onStep = () => undefined;
});

// Requests whose coordinators died would keep the store from closing.
afterAll(() => abort.abort());
const neverEnding = () =>
  new Promise<never>((_, reject) => abort.signal.addEventListener("abort", () => reject(abort.signal.reason)));

const Key = (pk: string, sk: number) => ({ pk: { S: pk }, sk: { N: String(sk) } });
const add = (pk: string, sk: number, by = "1"): TransactWriteItem => ({
  Update: {
    TableName,
    Key: Key(pk, sk),
    UpdateExpression: "ADD v :by",
    ExpressionAttributeValues: { ":by": { N: by } },
  },
});
const exists = (pk: string, sk: number): TransactWriteItem => ({
  ConditionCheck: { TableName, Key: Key(pk, sk), ConditionExpression: "attribute_exists(pk)" },
});
const write = (ClientRequestToken: string, ...TransactItems: TransactWriteItem[]) =>
  single.dynamo.send(new TransactWriteItemsCommand({ TransactItems, ClientRequestToken }), {
    abortSignal: abort.signal,
  });

async function values(pk: string): Promise<unknown[]> {
  const { Items = [] } = await single.documents.send(
    new QueryCommand({
      TableName,
      KeyConditionExpression: "pk = :pk",
      ExpressionAttributeValues: { ":pk": pk },
      ConsistentRead: true,
    }),
  );
  return Items.map(({ v }) => v);
}

/** The next coordinator goes no further than before this step. Resolves when it has come there. */
async function dyingAt(step: Step, send: () => Promise<unknown>): Promise<void> {
  const dead = gate();
  let died = false;
  single.store.router.backend.transactions.onStep = (next) => {
    if (next !== step || died) return undefined;
    died = true;
    dead.open();
    return neverEnding();
  };
  void send().catch(() => undefined);
  await dead.opened;
}

/** Entries in the logs of all partitions, that of the metadata aside. */
async function entries(): Promise<number> {
  const all = await statuses(single.store.fleet, single.store.fleet.nodeIds());
  const chosen = new Map<number, number>();
  for (const { partition, chosenThrough } of all?.flatMap(({ partitions }) => partitions) ?? [])
    if (partition !== 0) chosen.set(partition, Math.max(chosen.get(partition) ?? 0, chosenThrough));
  return [...chosen.values()].reduce((sum, slot) => sum + slot, 0);
}

/** What each of three costs at least: somebody may be elected meanwhile, and an election is an entry too. */
async function entriesFor(run: (attempt: number) => Promise<unknown>): Promise<number> {
  const costs: number[] = [];
  for (let attempt = 0; attempt < 3; attempt++) {
    const before = await entries();
    await run(attempt);
    costs.push((await entries()) - before);
  }
  return Math.min(...costs);
}

test("items of one partition cost an entry there and one in the ledger, and without a token nothing else", async () => {
  await write("first", add("cost", 1), add("cost", 2));
  const withToken = (attempt: number) => write(`token-${attempt}`, add("cost", 1), add("cost", 3), exists("cost", 2));
  expect(await entriesFor(withToken)).toBe(2);
  const withoutToken = async () => {
    const answer = await call(single.store.router.port, "TransactWriteItems", {
      TransactItems: [add("cost", 1), add("cost", 3)],
    });
    expect(answer.status).toBe(200);
  };
  expect(await entriesFor(withoutToken)).toBe(1);
  expect(await values("cost")).toEqual([7, 1, 6]);
});

const deaths: [Step, number][] = [
  ["begin", 0],
  ["transact", 0],
  ["transacted", 1],
];

test.each(deaths)(
  "a coordinator that dies before %s has done all or nothing, and asked again it is done once",
  async (step, after) => {
    const pk = `dies-${step}`;
    const request = () => write(pk, add(pk, 1), add(pk, 2));
    await dyingAt(step, request);
    expect(await values(pk)).toEqual(after === 1 ? [1, 1] : []);
    // Another request under the token is recognized, wherever its items lie.
    if (step !== "begin")
      for (const other of [[add(pk, 1)], [add("elsewhere", 1)], [add("here", 1), add("there", 1)]])
        await expect(write(pk, ...other)).rejects.toBeInstanceOf(IdempotentParameterMismatchException);
    await request();
    await request();
    expect(await values(pk)).toEqual([1, 1]);
    expect(await values("elsewhere")).toEqual([]);
  },
);

test("a token that was used on a table that is gone is good for nothing more on a new one of its name, however many partitions had its items", async () => {
  const again = "again";
  const { dynamo } = single;
  const addTo = (pk: string): TransactWriteItem => ({
    Update: {
      TableName: again,
      Key: { pk: { S: pk } },
      UpdateExpression: "ADD v :by",
      ExpressionAttributeValues: { ":by": { N: "1" } },
    },
  });
  const count = async () =>
    (await single.documents.send(new ScanCommand({ TableName: again, ConsistentRead: true }))).Count;
  await createTable(dynamo, again);
  const many = ["a", "b", "c", "d", "e", "f", "g", "h"].map(addTo);
  const requests: [string, TransactWriteItem[]][] = [
    ["of-one", [addTo("one")]],
    ["of-many", many],
  ];
  for (const [token, actions] of requests) await write(token, ...actions);
  expect(await count()).toBe(9);
  // Done, and its coordinator died: nobody heard of it.
  await dyingAt("transacted", () => write("unheard", addTo("one")));
  await deleteTable(dynamo, again);
  await expect(write("of-one", addTo("one"))).rejects.toBeInstanceOf(ResourceNotFoundException);
  await createTable(dynamo, again);
  for (const [token, actions] of [...requests, ["unheard", [addTo("one")]] as const]) {
    await write(token, ...actions);
    expect(await count(), token).toBe(0);
    await expect(write(token, addTo("another"))).rejects.toBeInstanceOf(IdempotentParameterMismatchException);
  }
  await write("of-one, new", addTo("one"));
  expect(await count()).toBe(1);
});

test("what was cancelled when it was asked for again is not done by the first, however late it comes", async () => {
  const goOn = gate();
  const there = gate();
  let first = true;
  single.store.router.backend.transactions.onStep = async (step) => {
    if (step !== "transact" || !first) return;
    first = false;
    there.open();
    await goOn.opened;
  };
  const request = { ClientRequestToken: "late", TransactItems: [add("late", 1), exists("late", 9)] };
  const late = call(single.store.router.port, "TransactWriteItems", request);
  await there.opened;
  await expect(write("late", ...request.TransactItems)).rejects.toBeInstanceOf(TransactionCanceledException);
  // Now nothing would be against it.
  await write("meanwhile", add("late", 9));
  goOn.open();
  expect(await late).toMatchObject({ status: 400, text: expect.stringContaining("#TransactionInProgressException") });
  expect(await values("late")).toEqual([1]);
  // The token stands for nothing any more: who asks once more begins anew.
  await write("late", ...request.TransactItems);
  expect(await values("late")).toEqual([1, 1]);
});

test("what is too much for one entry is done in two phases", async () => {
  const text = "x".repeat(380_000);
  const put = (sk: number): TransactWriteItem => ({
    Put: { TableName, Item: { ...Key("heavy", sk), v: { S: text } } },
  });
  const items = [1, 2, 3, 4, 5, 6, 7].map(put);
  await write("heavy", ...items);
  await write("heavy", ...items);
  for (const { Put } of items) {
    const { Item } = await single.documents.send(
      new GetCommand({ TableName, Key: { pk: "heavy", sk: Number(Put?.Item?.sk?.N) }, ConsistentRead: true }),
    );
    expect(Item?.v === text).toBe(true);
  }
});
