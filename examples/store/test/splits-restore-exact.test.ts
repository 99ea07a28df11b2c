import { RestoreTableToPointInTimeCommand } from "@aws-sdk/client-dynamodb";
import { DeleteCommand, PutCommand, ScanCommand, TransactWriteCommand } from "@aws-sdk/lib-dynamodb";
import { afterAll, beforeAll, expect, test, vi } from "vitest";
import { itemKey } from "../src/api/keys.js";
import { holds, type PartitionRecord } from "../src/metadata/records.js";
import type { Step } from "../src/transactions/coordinator.js";
import { gate } from "./support/gate.js";
import { createTable, singleStore, tableExists } from "./support/single.js";
import { partitionsOf, split } from "./support/splits.js";
import { toldRandom } from "./support/workload.js";

/** The clock of all nodes, the router and the test. It moves only where the test says so, so that each write's time is known to the millisecond. */
let clockMs = Math.ceil(Date.now() / 1_000) * 1_000 + 60_000;
const tick = () => {
  clockMs += 1_000;
};
beforeAll(() => void vi.spyOn(Date, "now").mockImplementation(() => clockMs));
afterAll(() => void vi.restoreAllMocks());

const s = singleStore({ partitionsPerTable: 1, upkeep: { recoverTransactionsAfterMs: 3_600_000 } });
const TableName = "exact";
const NAMES = Array.from({ length: 16 }, (_, i) => `item-${i}`);
const KEY = { partition: { name: "pk", type: "S" } } as const;
type Contents = ReadonlyMap<string, number>;

async function contents(name: string): Promise<Contents> {
  const { Items = [] } = await s.documents.send(new ScanCommand({ TableName: name, ConsistentRead: true }));
  return new Map(Items.map(({ pk, v }) => [pk as string, v as number]));
}

/** Resolves when the transaction is about to do this for the nth time, and stays there until it may go on. */
function stopAt(step: Step, nth: number): { readonly there: Promise<void>; goOn(): void } {
  const there = gate();
  const onwards = gate();
  let count = 0;
  s.store.router.backend.transactions.onStep = async (next) => {
    if (next !== step || ++count !== nth) return;
    there.open();
    await onwards.opened;
  };
  return { there: there.opened, goOn: () => onwards.open() };
}

test("a table that is restored to the millisecond before, of and after a split, or of a transaction over its parts, holds exactly what it held then", {
  timeout: 240_000,
}, async () => {
  const random = toldRandom();
  await createTable(s.dynamo, TableName);
  let value = 0;
  let now: Contents = new Map();
  /** What the table held from each moment on. */
  const history: [sinceMs: number, held: Contents][] = [];
  const note = (sinceMs: number, changes: Iterable<readonly [string, number | undefined]>) => {
    const next = new Map(now);
    for (const [pk, v] of changes) {
      if (v === undefined) next.delete(pk);
      else next.set(pk, v);
    }
    now = next;
    history.push([sinceMs, now]);
  };
  const write = async (atMs: number, names: readonly string[] = NAMES) => {
    const pk = random.pick(names);
    const v = random.int(4) === 0 ? undefined : ++value;
    if (v === undefined) await s.documents.send(new DeleteCommand({ TableName, Key: { pk } }));
    else await s.documents.send(new PutCommand({ TableName, Item: { pk, v } }));
    note(atMs, [[pk, v]]);
  };
  const writeIn = async (parts: readonly PartitionRecord[], atMs: number) =>
    await write(
      atMs,
      NAMES.filter((pk) => parts.some((part) => holds(part, itemKey(KEY, { pk: { S: pk } }).hash))),
    );
  /** Over all items, so over all partitions. */
  const transact = async () => {
    const changes = NAMES.map((pk) => [pk, ++value] as const);
    const TransactItems = changes.map(([pk, v]) => ({ Put: { TableName, Item: { pk, v } } }));
    await s.documents.send(new TransactWriteCommand({ TransactItems }));
    return changes;
  };

  for (let i = 0; i < 8; i++, tick()) await write(clockMs);
  const moments: number[] = [];
  for (let round = 0; round < 2; round++) {
    await write(clockMs);
    const before = await partitionsOf(s.store, TableName);
    await split(s.store, TableName, random.pick(before).partition);
    const parts = (await partitionsOf(s.store, TableName)).filter(
      ({ partition }) => !before.some((one) => one.partition === partition),
    );
    const [takeover = 0] = parts.map(({ sinceMs }) => sinceMs);
    expect(takeover, "the clock stood still").toBe(clockMs + 1);
    // At once: what is written in a part is never earlier.
    await writeIn(parts, takeover);
    moments.push(takeover - 1, takeover);
    tick();
    for (let i = 0; i < 3; i++, tick()) await write(clockMs);

    // Decided a second after it was prepared, and made so in one part a second before the other.
    let stop = stopAt("decide", 1);
    const committed = transact();
    await stop.there;
    tick();
    const decided = clockMs;
    const decision = stop;
    stop = stopAt("finish", 2);
    decision.goOn();
    await stop.there;
    tick();
    stop.goOn();
    note(decided, await committed);
    s.store.router.backend.transactions.onStep = () => undefined;
    moments.push(decided - 1, decided, clockMs);
    tick();
  }
  const [firstMs] = history[0] as (typeof history)[0];
  moments.push(firstMs + random.int(clockMs - firstMs));

  const found = await Promise.all(
    [...new Set(moments)].map(async (moment, i) => {
      const TargetTableName = `restored-${i}`;
      const RestoreDateTime = new Date(moment);
      const request = { SourceTableName: TableName, TargetTableName, RestoreDateTime };
      await s.dynamo.send(new RestoreTableToPointInTimeCommand(request));
      await tableExists(s.dynamo, TargetTableName);
      return { moment, held: await contents(TargetTableName) };
    }),
  );
  for (const { moment, held } of found) {
    const then = history.filter(([sinceMs]) => sinceMs <= moment).at(-1)?.[1];
    expect(held, `at ${moment - firstMs} ms`).toEqual(then);
  }
});
