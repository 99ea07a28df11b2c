import { itemKey } from "../api/keys.js";
import type { AttributeValue, Item, ItemKey, TableDefinition } from "../api/model.js";

/**
 * The ledger is a table that no client can name or see. It has one item for each transaction that was begun: under the client's token, so that a token
 * stands for one request, whatever that was about and whichever router it came to.
 *
 * `id` the token, `txn` this attempt, `state` P (being prepared), C (committed) or O (at once: its one partition knows what became of it), `request` the request's fingerprint, `at` when it was begun or committed
 * (Unix ms), `parts` its partitions, `table` the id of the table that has them where that is one (at once; not in what older programs wrote), `time` the transaction's time, `sizes` what each item weighed before or weighs afterwards, whichever is more (in what older programs wrote: afterwards).
 *
 * An attempt that has no item was cancelled, or is finished and was forgotten: cancelling is deleting, and only what is being prepared can be.
 */
export interface LedgerRecord {
  readonly id: string;
  readonly transaction: string;
  readonly state: "preparing" | "committed" | "at-once";
  readonly fingerprint: string;
  readonly atMs: number;
  readonly partitions: readonly number[];
  readonly tableId?: string;
  readonly committedAtMs: number;
  readonly sizes: readonly number[];
}

const STATES = { preparing: "P", committed: "C", "at-once": "O" } as const;

export const stateText = (state: LedgerRecord["state"]): string => STATES[state];

/** An attempt that has been preparing for so long has lost its coordinator. To take a slow one for lost costs it the attempt, and nothing else. */
export const COORDINATOR_LOST_MS = 5_000;

/** No table that a client creates can have this name. */
export const LEDGER_TABLE = "~transactions";

export const LEDGER_DEFINITION: TableDefinition = {
  name: LEDGER_TABLE,
  keySchema: { partition: { name: "id", type: "S" } },
  billingMode: "PAY_PER_REQUEST",
  readUnitsPerSecond: 0,
  writeUnitsPerSecond: 0,
};

export function ledgerKey(id: string): ItemKey {
  return itemKey(LEDGER_DEFINITION.keySchema, { id: { S: id } });
}

const numbers = (values: readonly number[]): AttributeValue => ({ L: values.map((value) => ({ N: String(value) })) });

export function ledgerItem(record: LedgerRecord): Item {
  return {
    id: { S: record.id },
    txn: { S: record.transaction },
    state: { S: stateText(record.state) },
    request: { S: record.fingerprint },
    at: { N: String(record.atMs) },
    parts: numbers(record.partitions),
    ...(record.tableId === undefined ? {} : { table: { S: record.tableId } }),
    time: { N: String(record.committedAtMs) },
    sizes: numbers(record.sizes),
  };
}

export function ledgerRecord(item: Item): LedgerRecord {
  const text = (name: string) => (item[name] as { S: string }).S;
  const number = (value: AttributeValue | undefined) => Number((value as { N: string }).N);
  const list = (name: string) => (item[name] as { L: AttributeValue[] }).L.map(number);
  return {
    id: text("id"),
    transaction: text("txn"),
    state: text("state") === "P" ? "preparing" : text("state") === "C" ? "committed" : "at-once",
    fingerprint: text("request"),
    atMs: number(item.at),
    partitions: list("parts"),
    ...(item.table === undefined ? {} : { tableId: text("table") }),
    committedAtMs: number(item.time),
    sizes: list("sizes"),
  };
}
