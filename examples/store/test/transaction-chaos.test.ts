import {
  type DynamoDBClient,
  GetItemCommand,
  IdempotentParameterMismatchException,
  PutItemCommand,
  TransactGetItemsCommand,
  TransactionCanceledException,
  TransactionConflictException,
  type TransactWriteItem,
  TransactWriteItemsCommand,
  UpdateItemCommand,
} from "@aws-sdk/client-dynamodb";
import type { Random } from "@evenkeel/simulation";
import { expect, test } from "vitest";
import { itemKey } from "../src/api/keys.js";
import { NODE_IDS } from "../src/control/fleet.js";
import type { ProcessFleet } from "../src/control/process-fleet.js";
import { LEDGER_TABLE } from "../src/transactions/ledger-record.js";
import { assertSerializable, type Operation } from "./support/serializability.js";
import { beginAnySplit, splitDone } from "./support/splits.js";
import { client, createKeyTable, eventually, openStore, temporaryDir } from "./support/store.js";
import { nothingPrepared } from "./support/transactions.js";
import { toldRandom } from "./support/workload.js";

const TableName = "bank";
const EACH = 100;
const CLIENTS = 4;
const KILLS = 3;
/** Between two kills. */
const PROGRESS_OPERATIONS = 25;
/** One in so many steps of a coordinator is its last. */
const DEATHS_ONE_IN = 100;
/** Acknowledged transactions whose tokens are shown again at the end. */
const SHOWN_AGAIN = 20;
/** So long a client waits for a write or a read of one item: for a coordinator that died it would wait for ever. */
const PATIENCE_MS = 1_000;

const Key = (id: string) => ({ id: { S: id } });

const PARTITIONS = 4;
const EACH_PARTITION = 3;
const ACCOUNTS = accounts();

function partitionOf(id: string): number {
  return Math.floor((itemKey({ partition: { name: "id", type: "S" } }, Key(id)).hash / 2 ** 32) * PARTITIONS);
}

/** As many in each partition, so that some transactions are carried out at once and others are not. */
function accounts(): string[] {
  const counts = new Array<number>(PARTITIONS).fill(0);
  const found: string[] = [];
  for (let i = 0; found.length < PARTITIONS * EACH_PARTITION; i++) {
    const partition = partitionOf(`account-${i}`);
    if (counts[partition] === EACH_PARTITION) continue;
    counts[partition] = (counts[partition] ?? 0) + 1;
    found.push(`account-${i}`);
  }
  return found;
}

/** Appends the writer's name to the account's list, and moves money where there is some. */
function append(id: string, name: string, by: number) {
  return {
    TableName,
    Key: Key(id),
    UpdateExpression: "SET #l = list_append(#l, :name) ADD #b :by",
    ConditionExpression: "#b >= :least",
    ExpressionAttributeNames: { "#l": "list", "#b": "balance" },
    ExpressionAttributeValues: {
      ":name": { L: [{ S: name }] },
      ":by": { N: String(by) },
      ":least": { N: String(Math.max(0, -by)) },
    },
  };
}

interface Account {
  readonly list: readonly string[];
  readonly balance: number;
}

function accountOf(item: Record<string, { L?: { S?: string }[]; N?: string }> | undefined): Account {
  return { list: item?.list?.L?.map(({ S = "" }) => S) ?? [], balance: Number(item?.balance?.N) };
}

async function readAll(dynamo: DynamoDBClient, ids: readonly string[]): Promise<Map<string, Account>> {
  const { Responses = [] } = await dynamo.send(
    new TransactGetItemsCommand({ TransactItems: ids.map((id) => ({ Get: { TableName, Key: Key(id) } })) }),
    { abortSignal: AbortSignal.timeout(5_000) },
  );
  return new Map(ids.map((id, i) => [id, accountOf(Responses[i]?.Item as Parameters<typeof accountOf>[0])]));
}

const listsOf = (accounts: ReadonlyMap<string, Account>) =>
  new Map([...accounts].map(([id, { list }]) => [id, list] as const));
const totalOf = (accounts: ReadonlyMap<string, Account>) =>
  [...accounts.values()].reduce((sum, { balance }) => sum + balance, 0);

/** What transactions asked for, by their tokens. */
type Asked = Map<string, TransactWriteItem[]>;

/** One operation of a client, as it went. */
async function operate(
  dynamo: DynamoDBClient,
  random: Random,
  name: string,
  asked: Asked,
): Promise<Operation | undefined> {
  const dice = random.int(10);
  const shuffled = random.shuffle([...ACCOUNTS]);
  const home = partitionOf(shuffled[0] as string);
  const ids = random.int(2) === 0 ? shuffled : shuffled.filter((id) => partitionOf(id) === home);
  const startedAt = performance.now();
  const ended = (rest: Partial<Operation>): Operation => ({
    name,
    startedAt,
    endedAt: performance.now(),
    outcome: "done",
    appends: [],
    reads: new Map(),
    inRealTime: true,
    ...rest,
  });
  const written = async (appends: readonly string[], send: () => Promise<unknown>): Promise<Operation> => {
    try {
      await send();
      return ended({ appends });
    } catch (error) {
      const refused = error instanceof TransactionCanceledException || error instanceof TransactionConflictException;
      return ended({ appends, outcome: refused ? "refused" : "unknown" });
    }
  };
  if (dice < 5) {
    const [from, to, ...others] = ids as [string, string, ...string[]];
    const by = 1 + random.int(20);
    const TransactItems: TransactWriteItem[] = [{ Update: append(from, name, -by) }, { Update: append(to, name, by) }];
    const third = others[0] as string;
    if (dice === 0) TransactItems.push({ Update: append(third, name, 0) });
    asked.set(name, TransactItems);
    const command = new TransactWriteItemsCommand({ TransactItems, ClientRequestToken: name });
    // Sometimes it is asked for again under its token: the last answer counts, whatever became of the first.
    const send = () => dynamo.send(command, { abortSignal: AbortSignal.timeout(PATIENCE_MS) });
    return await written(dice === 0 ? [from, to, third] : [from, to], async () => {
      try {
        await send();
      } catch (error) {
        if (error instanceof TransactionCanceledException || random.int(4) === 0) throw error;
        await send();
      }
    });
  }
  const id = ids[0] as string;
  if (dice === 5)
    return await written([id], () =>
      dynamo.send(new UpdateItemCommand(append(id, name, 0)), { abortSignal: AbortSignal.timeout(PATIENCE_MS) }),
    );
  try {
    if (dice === 6) {
      const command = new GetItemCommand({ TableName, Key: Key(id), ConsistentRead: true });
      const { Item } = await dynamo.send(command, { abortSignal: AbortSignal.timeout(PATIENCE_MS) });
      // Of the items of a transaction that is being made so, one may be read as it will be and then another as it was.
      return ended({ reads: listsOf(new Map([[id, accountOf(Item as never)]])), inRealTime: false });
    }
    const accounts = await readAll(dynamo, ACCOUNTS);
    expect(totalOf(accounts), `all accounts together, as ${name} saw them`).toBe(ACCOUNTS.length * EACH);
    return ended({ reads: listsOf(accounts) });
  } catch (error) {
    if ((error as Error).name === "AssertionError") throw error;
    return undefined;
  }
}

/** Whoever leads by now knows what a token stands for, and that it was carried out. */
async function showTokensAgain(dynamo: DynamoDBClient, operations: readonly Operation[], asked: Asked): Promise<void> {
  const done = operations.filter(({ name, outcome }) => outcome === "done" && asked.has(name)).slice(-SHOWN_AGAIN);
  for (const { name: ClientRequestToken } of done) {
    const TransactItems = asked.get(ClientRequestToken) ?? [];
    await dynamo.send(new TransactWriteItemsCommand({ TransactItems, ClientRequestToken }));
    const others = [TransactItems.slice(1), [{ Update: append(ACCOUNTS[0] as string, "other", 0) }]];
    for (const TransactItems of others)
      await expect(
        dynamo.send(new TransactWriteItemsCommand({ TransactItems, ClientRequestToken })),
      ).rejects.toBeInstanceOf(IdempotentParameterMismatchException);
  }
}

test("nodes are killed, partitions split and coordinators die: transfers lose nothing, and one order explains all that was seen", {
  timeout: 300_000,
}, async () => {
  const random = toldRandom();
  const { dir, remove } = await temporaryDir();
  const store = await openStore({ dir, upkeep: { recoverTransactionsAfterMs: 300 } });
  const fleet = store.fleet as ProcessFleet;
  const { transactions: coordinator } = store.router.backend;
  try {
    const dynamo = client(store.endpoint, 1);
    await createKeyTable(dynamo, TableName);
    for (const id of ACCOUNTS) {
      const Item = { ...Key(id), balance: { N: String(EACH) }, list: { L: [] } };
      await dynamo.send(new PutItemCommand({ TableName, Item }));
    }
    const operations: Operation[] = [];
    const asked: Asked = new Map();
    let deaths = 0;
    const dying = random.fork("deaths");
    const dead = new Set<string>();
    coordinator.onStep = (_step, transaction) => {
      if (!dead.has(transaction) && dying.int(DEATHS_ONE_IN) === 0) {
        dead.add(transaction);
        deaths++;
      }
      return dead.has(transaction) ? new Promise(() => undefined) : undefined;
    };
    const splitting = new Map<number, string>();
    let running = true;
    const run = async (client: number) => {
      const choices = random.fork(`client-${client}`);
      for (let i = 0; running; i++) {
        const operation = await operate(dynamo, choices, `${client}-${i}`, asked);
        if (operation === undefined) await new Promise((resolve) => setTimeout(resolve, 20));
        else operations.push(operation);
      }
    };
    const clients = Promise.all(Array.from({ length: CLIENTS }, (_, i) => run(i)));
    const done = () => operations.filter(({ outcome }) => outcome === "done").length;
    const steer = async () => {
      try {
        for (let kills = 0; kills < KILLS; kills++) {
          const before = done();
          const node = random.pick(NODE_IDS);
          // The table's own, and the ledger's.
          for (const name of [TableName, LEDGER_TABLE]) {
            const begun = await beginAnySplit(store, random, name);
            if (begun !== undefined) splitting.set(begun, name);
          }
          await eventually(`${node} runs`, () => fleet.pidOf(node) !== undefined);
          fleet.kill(node);
          await eventually(`operations succeed after kill ${kills + 1}`, () => done() > before + PROGRESS_OPERATIONS);
        }
      } finally {
        running = false;
      }
    };
    await Promise.all([steer(), clients]);
    coordinator.onStep = () => undefined;
    await eventually("all nodes run again", () => NODE_IDS.every((node) => fleet.pidOf(node) !== undefined));
    for (const [partition, name] of splitting) await splitDone(store, name, partition);
    await nothingPrepared(fleet);
    const end = await readAll(dynamo, ACCOUNTS);
    expect(totalOf(end)).toBe(ACCOUNTS.length * EACH);
    await showTokensAgain(dynamo, operations, asked);
    expect(listsOf(await readAll(dynamo, ACCOUNTS))).toEqual(listsOf(end));
    const count = (outcome: string) => operations.filter((operation) => operation.outcome === outcome).length;
    console.info(
      `${KILLS} kills, ${splitting.size} splits, ${deaths} coordinators died, ${count("done")} done, ${count("refused")} refused, ${count("unknown")} unknown`,
    );
    expect(deaths).toBeGreaterThan(0);
    expect(splitting.size).toBeGreaterThan(0);
    const inOnePartition = ({ appends }: Operation) => new Set(appends.map(partitionOf)).size === 1;
    const transactions = operations.filter(({ outcome, appends }) => outcome === "done" && appends.length > 1);
    expect(transactions.filter(inOnePartition).length).toBeGreaterThan(0);
    expect(transactions.filter((one) => !inOnePartition(one)).length).toBeGreaterThan(0);
    assertSerializable(operations, listsOf(end));
  } finally {
    await store.close();
    await remove();
  }
});
