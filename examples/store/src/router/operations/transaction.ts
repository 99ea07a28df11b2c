import { createHash } from "node:crypto";
import { ApiError, type ApiErrorData, validationError } from "../../api/errors.js";
import { checkIndexKeys, indexKeys } from "../../api/index-key-checks.js";
import { keyAttributes } from "../../api/key-schema.js";
import { exactKey, itemKey } from "../../api/keys.js";
import { messages } from "../../api/messages.js";
import type { Item, ItemKey, TableRecord } from "../../api/model.js";
import type { CapacityDetail } from "../../api/requests/item-parts.js";
import {
  cancelled,
  canonicalText,
  largerBytes,
  transactReadUnits,
  transactWriteUnits,
} from "../../api/transactions.js";
import type { Backend, IndexUnits, TransactWriteOutcome } from "../backend.js";
import { addIndexUnits, sumOfIndexes, tableCapacity } from "./answers.js";

/** Of a request whose values have not been normalized yet: the same one has the same text. */
export const fingerprintOf = (actions: unknown): string =>
  createHash("sha256").update(canonicalText(actions)).digest("base64");

/** Where one action goes: the table's name, and the item or the key alone. */
export interface Target {
  readonly name: string;
  readonly value: Item;
  readonly isItem: boolean;
}

/** A transaction of writes tells of such keys that are none no more than the first. */
const onlyFirst = <T>(refusals: readonly (T | undefined)[]): (T | undefined)[] => {
  const first = refusals.findIndex((refusal) => refusal !== undefined);
  return refusals.map((refusal, i) => (i === first ? refusal : undefined));
};

/** @throws TransactionCanceledException for the first that has something against it */
export function assertEach<T>(actions: readonly T[], check: (action: T) => void): void {
  const refusals = actions.map((action) => {
    try {
      check(action);
      return undefined;
    } catch (error) {
      if (!(error instanceof ApiError)) throw error;
      return error.toData();
    }
  });
  if (refusals.some((refusal) => refusal !== undefined)) throw cancelled(onlyFirst(refusals));
}

/**
 * The tables and keys of a transaction's actions.
 * @param targets or what is against an action already
 * @param told which of the keys of the wrong form: PartiQL tells them all
 * @throws ApiError ResourceNotFoundException; ValidationException for an empty key, or one item twice; TransactionCanceledException for keys of the wrong form
 */
export async function located(
  backend: Backend,
  targets: readonly (Target | ApiError)[],
  told: "all" | "first",
): Promise<{ readonly table: TableRecord; readonly key: ItemKey }[]> {
  const tables = new Map<string, TableRecord>();
  for (const target of targets) {
    if (!(target instanceof ApiError) && !tables.has(target.name))
      tables.set(target.name, await backend.table(target.name));
  }
  const found: { table: TableRecord; key: ItemKey }[] = [];
  const refusals: (ApiErrorData | undefined)[] = [];
  for (const target of targets) {
    if (target instanceof ApiError) {
      refusals.push(target.toData());
      continue;
    }
    const { name, value, isItem } = target;
    const table = tables.get(name) as TableRecord;
    try {
      const key = isItem ? itemKey(table.keySchema, value) : exactKey(table.keySchema, value);
      if (isItem) checkIndexKeys(table, value);
      found.push({ table, key });
      refusals.push(undefined);
    } catch (error) {
      // An empty key is seen without looking at the table, and so before the transaction.
      if (!(error instanceof ApiError) || isEmptyKey(table, error)) throw error;
      refusals.push(error.toData());
    }
  }
  if (found.length < targets.length) throw cancelled(told === "all" ? refusals : onlyFirst(refusals));
  const items = new Set(found.map(({ table, key }) => `${table.tableId}/${String.fromCharCode(...key.bytes)}`));
  if (items.size < found.length) throw validationError(messages.transactionDuplicates);
  return found;
}

function isEmptyKey(table: TableRecord, { message }: ApiError): boolean {
  if (keyAttributes(table.keySchema).some(({ name, type }) => message === messages.keyEmpty(name, type))) return true;
  return [...indexKeys(table)].some(
    ({ index, attribute }) => message === messages.indexKeyEmpty(attribute.name, attribute.type, index.name),
  );
}

export interface Used {
  readonly name: string;
  /** Without those of indexes. */
  readonly units: number;
  readonly indexUnits?: IndexUnits | undefined;
}

/** What each table was used for, as transactions tell it: of which kind the units are, too. */
export function transactCapacity(
  detail: CapacityDetail | undefined,
  used: readonly Used[],
  kind: "ReadCapacityUnits" | "WriteCapacityUnits",
): object {
  if (detail === undefined || detail === "NONE") return {};
  const sums = new Map<string, Omit<Used, "name">>();
  for (const { name, units, indexUnits } of used) {
    const sum = sums.get(name);
    sums.set(name, { units: (sum?.units ?? 0) + units, indexUnits: addIndexUnits(sum?.indexUnits, indexUnits) });
  }
  const told = (units: number) => ({ CapacityUnits: units, [kind]: units });
  return {
    ConsumedCapacity: [...sums].map(([name, { units, indexUnits = {} }]) =>
      tableCapacity(detail, name, units + sumOfIndexes(indexUnits), indexUnits, told),
    ),
  };
}

/** The same of writes: what they cost, or what reading the items costs where the request was carried out before. */
export function writeCapacity(
  detail: CapacityDetail | undefined,
  places: readonly { readonly table: TableRecord }[],
  { sizes, repeated }: TransactWriteOutcome,
): object {
  const used = places.map(({ table: { name } }, i) => {
    const { beforeBytes = 0, afterBytes = 0, indexUnits } = sizes[i] ?? {};
    if (repeated) return { name, units: transactReadUnits(largerBytes({ beforeBytes, afterBytes })) };
    return { name, units: transactWriteUnits(beforeBytes, afterBytes), indexUnits };
  });
  return transactCapacity(detail, used, repeated ? "ReadCapacityUnits" : "WriteCapacityUnits");
}
