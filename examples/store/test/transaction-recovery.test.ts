import {
  TransactGetItemsCommand,
  TransactionCanceledException,
  TransactionInProgressException,
  TransactWriteItemsCommand,
} from "@aws-sdk/client-dynamodb";
import { afterAll, afterEach, beforeAll, expect, test, vi } from "vitest";
import type { Store } from "../src/store.js";
import type { Step } from "../src/transactions/coordinator.js";
import { LEDGER_TABLE } from "../src/transactions/ledger-record.js";
import { client, createKeyTable, eventually, openStore, temporaryDir } from "./support/store.js";
import { nothingPrepared } from "./support/transactions.js";

const TableName = "accounts";
/** On several partitions. */
const NAMES = ["a", "b", "c", "d", "e", "f"];

let store: Store;
let remove: () => Promise<void>;
let dynamo: ReturnType<typeof client>;
let abort = new AbortController();

beforeAll(async () => {
  const temporary = await temporaryDir();
  remove = temporary.remove;
  store = await openStore({ dir: temporary.dir, mode: "single", upkeep: { recoverTransactionsAfterMs: 500 } });
  store.router.backend.transactions.lostAfterMs = 500;
  dynamo = client(store.endpoint, 1);
  await createKeyTable(dynamo, TableName);
});
afterEach(() => {
  store.router.backend.transactions.onStep = () => undefined;
  abort.abort();
  abort = new AbortController();
});
afterAll(async () => {
  dynamo.destroy();
  await store.close();
  await remove();
});

const Key = (name: string) => ({ id: { S: name } });

async function values(names: readonly string[]): Promise<(string | undefined)[]> {
  const TransactItems = names.map((name) => ({ Get: { TableName, Key: Key(name) } }));
  const { Responses } = await dynamo.send(new TransactGetItemsCommand({ TransactItems }));
  return (Responses ?? []).map(({ Item }) => Item?.v?.N);
}

const addToAll = (token: string) =>
  dynamo.send(
    new TransactWriteItemsCommand({
      ClientRequestToken: token,
      TransactItems: NAMES.map((name) => ({
        Update: {
          TableName,
          Key: Key(name),
          UpdateExpression: "ADD v :one",
          ExpressionAttributeValues: { ":one": { N: "1" } },
        },
      })),
    }),
    { abortSignal: abort.signal },
  );

/** Whoever needs longer than half a second, as on a busy machine everybody may, is taken for lost and cancelled: asked again, until it is carried out. */
const carriedOut = (what: string, ask: () => Promise<unknown>) =>
  eventually(what, () =>
    ask().then(
      () => true,
      (error: unknown) => {
        if (error instanceof TransactionInProgressException || error instanceof TransactionCanceledException)
          return false;
        throw error;
      },
    ),
  );

const putAll = (v: string) =>
  dynamo.send(
    new TransactWriteItemsCommand({
      TransactItems: NAMES.map((name) => ({ Put: { TableName, Item: { ...Key(name), v: { N: v } } } })),
    }),
  );

/** The coordinator goes no further than before the given step's nth time. Resolves when it has come there, with whether its transaction is committed. */
function dieAt(step: Step, nth: number): Promise<boolean> {
  return new Promise((resolve) => {
    let times = 0;
    let dead = false;
    let committed = false;
    store.router.backend.transactions.onStep = (next) => {
      committed ||= next === "decided";
      dead ||= next === step && ++times === nth;
      if (!dead) return undefined;
      resolve(committed);
      return new Promise(() => undefined);
    };
  });
}

const deaths: [Step, number, boolean][] = [
  ["begin", 1, false],
  ["prepare", 1, false],
  ["prepare", 2, false],
  ["prepared", 1, false],
  ["prepared", 2, false],
  ["decide", 1, false],
  ["decided", 1, true],
  ["finish", 1, true],
  ["finish", 2, true],
  ["finished", 1, true],
];

test.each(deaths)(
  "a coordinator that dies before %s (%i) leaves all or nothing, and nothing prepared",
  async (step, nth, committed) => {
    let token: string;
    let request: Promise<unknown>;
    for (let attempt = 1; ; attempt++) {
      await carriedOut("nothing is added yet", () => putAll("0"));
      token = `dies-${step}-${nth}-${attempt}`;
      const died = dieAt(step, nth);
      request = addToAll(token).catch(() => undefined);
      const came = await Promise.race([died, request.then(() => undefined)]);
      store.router.backend.transactions.onStep = () => undefined;
      if (came === committed) break;
      // It was taken for lost before it came there.
      abort.abort();
      abort = new AbortController();
    }
    await nothingPrepared(store.fleet);
    const after = committed ? "1" : "0";
    expect(await values(NAMES)).toEqual(NAMES.map(() => after));
    // Whoever asks again with the same token has it carried out once, whatever became of the first.
    await carriedOut("the token can be used", () => addToAll(token));
    expect(await values(NAMES)).toEqual(NAMES.map(() => "1"));
    abort.abort();
    await request;
  },
);

test("after ten minutes a token is as good as new, and the ledger is empty", async () => {
  const { backend } = store.router;
  const begun = dieAt("prepare", 1);
  void addToAll("never-prepared").catch(() => undefined);
  await begun;
  backend.transactions.onStep = () => undefined;
  await carriedOut("all is added", () => addToAll("minutes"));
  const before = await values(NAMES);
  vi.useFakeTimers({ toFake: ["Date"], now: Date.now() + 590_000 });
  try {
    await carriedOut("nothing is added again", () => addToAll("minutes"));
    expect(await values(NAMES)).toEqual(before);
    vi.setSystemTime(Date.now() + 20_000);
    await eventually("the ledger has forgotten all of it", async () => {
      const ledger = await backend.table(LEDGER_TABLE);
      const { items } = await backend.page(ledger, { consistent: true, bytesMax: 1_000_000 });
      return items.length === 0;
    });
    await carriedOut("all is added again", () => addToAll("minutes"));
    expect(await values(NAMES)).toEqual(before.map((value) => String(Number(value) + 1)));
  } finally {
    vi.useRealTimers();
  }
});

test("the token of a coordinator that died when the clock was an hour ahead can be used when it is right again", async () => {
  vi.useFakeTimers({ toFake: ["Date"], now: Date.now() + 3_600_000 });
  try {
    const begun = dieAt("prepare", 1);
    void addToAll("ahead").catch(() => undefined);
    await begun;
  } finally {
    vi.useRealTimers();
  }
  store.router.backend.transactions.onStep = () => undefined;
  const before = await values(NAMES);
  await carriedOut("all is added", () => addToAll("ahead"));
  expect(await values(NAMES)).toEqual(before.map((value) => String(Number(value) + 1)));
});
