import { ApiError, type ApiErrorData, validationError } from "../../api/errors.js";
import { exactKey, itemKey } from "../../api/keys.js";
import { messages } from "../../api/messages.js";
import type { Item, ItemKey, TableRecord } from "../../api/model.js";
import type { CapacityDetail } from "../../api/requests/items.js";
import { cancelled } from "../../api/transactions.js";
import type { Backend } from "../backend.js";

/** Where one action goes: the table's name, and the item or the key alone. */
export interface Target {
  readonly name: string;
  readonly value: Item;
  readonly isItem: boolean;
}

/**
 * The tables and keys of a transaction's actions.
 * @throws ApiError ResourceNotFoundException; ValidationException for an empty key, or one item twice; TransactionCanceledException for keys of the wrong form
 */
export async function located(
  backend: Backend,
  targets: readonly Target[],
): Promise<{ readonly table: TableRecord; readonly key: ItemKey }[]> {
  const tables = new Map<string, TableRecord>();
  for (const { name } of targets) if (!tables.has(name)) tables.set(name, await backend.table(name));
  const found: { table: TableRecord; key: ItemKey }[] = [];
  const refusals: (ApiErrorData | undefined)[] = [];
  const seen = new Set<string>();
  for (const { name, value, isItem } of targets) {
    const table = tables.get(name) as TableRecord;
    try {
      const key = isItem ? itemKey(table.keySchema, value) : exactKey(table.keySchema, value);
      const text = `${table.tableId}/${String.fromCharCode(...key.bytes)}`;
      if (seen.has(text)) throw new Twice();
      seen.add(text);
      found.push({ table, key });
      refusals.push(undefined);
    } catch (error) {
      if (error instanceof Twice) throw validationError(messages.transactionDuplicates);
      // An empty key is seen without looking at the table, and so before the transaction.
      if (!(error instanceof ApiError) || isEmptyKey(table, error)) throw error;
      refusals.push(error.toData());
    }
  }
  if (found.length < targets.length) throw cancelled(refusals);
  return found;
}

class Twice extends Error {}

function isEmptyKey({ keySchema: { partition, sort } }: TableRecord, { message }: ApiError): boolean {
  return [partition, sort].some((key) => key !== undefined && message === messages.keyEmpty(key.name, key.type));
}

/** What each table was used for, as transactions tell it: of which kind the units are, too. */
export function transactCapacity(
  detail: CapacityDetail | undefined,
  used: readonly { readonly name: string; readonly units: number }[],
  kind: "ReadCapacityUnits" | "WriteCapacityUnits",
): object {
  if (detail === undefined || detail === "NONE") return {};
  const sums = new Map<string, number>();
  for (const { name, units } of used) sums.set(name, (sums.get(name) ?? 0) + units);
  return {
    ConsumedCapacity: [...sums].map(([TableName, sum]) => {
      const units = { CapacityUnits: sum, [kind]: sum };
      return { TableName, ...units, ...(detail === "INDEXES" && { Table: units }) };
    }),
  };
}
