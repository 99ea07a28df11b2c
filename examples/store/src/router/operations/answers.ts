import { shownOf } from "../../api/index-entries.js";
import type { Item, TableRecord } from "../../api/model.js";
import type { CapacityDetail } from "../../api/requests/item-parts.js";
import { itemOf as parsed } from "../../item-of.js";
import type { GetOutcome, IndexUnits } from "../backend.js";

const NOTHING: Readonly<Record<string, never>> = {};

/** The part of an answer that says what it cost; empty unless it was asked for. @param units those of indexes included */
export function consumedCapacity(
  detail: CapacityDetail | undefined,
  table: string,
  units: number,
  indexUnits?: IndexUnits,
): object {
  if (detail === undefined || detail === "NONE") return NOTHING;
  return { ConsumedCapacity: tableCapacity(detail, table, units, indexUnits) };
}

/** @param told units as the operation says them */
export function tableCapacity(
  detail: CapacityDetail,
  table: string,
  units: number,
  indexUnits: IndexUnits = {},
  told = (CapacityUnits: number): object => ({ CapacityUnits }),
): object {
  const total = { TableName: table, ...told(units) };
  if (detail !== "INDEXES") return total;
  const { local, global } = indexUnits;
  const byIndex = (of: Readonly<Record<string, number>>) =>
    Object.fromEntries(Object.entries(of).map(([name, one]) => [name, told(one)]));
  return {
    ...total,
    Table: told(units - sumOfIndexes(indexUnits)),
    ...(local && { LocalSecondaryIndexes: byIndex(local) }),
    ...(global && { GlobalSecondaryIndexes: byIndex(global) }),
  };
}

export const sumOfIndexes = ({ local = {}, global = {} }: IndexUnits): number =>
  [...Object.values(local), ...Object.values(global)].reduce((sum, one) => sum + one, 0);

/** Adds up what several requests cost their indexes. */
export function addIndexUnits(sum: IndexUnits | undefined, more: IndexUnits | undefined): IndexUnits | undefined {
  if (sum === undefined || more === undefined) return sum ?? more;
  const added = (a: IndexUnits["local"], b: IndexUnits["local"]) => {
    if (a === undefined || b === undefined) return a ?? b;
    const total = { ...a };
    for (const [name, units] of Object.entries(b)) total[name] = (total[name] ?? 0) + units;
    return total;
  };
  const local = added(sum.local, more.local);
  const global = added(sum.global, more.global);
  return { ...(local && { local }), ...(global && { global }) };
}

const GB = 1024 ** 3;

/** The part of a write's answer that tells of its item collection, where that was asked for and the table has local indexes. */
export function collectionMetrics(asked: string | undefined, table: TableRecord, key: Item, bytes?: number): object {
  const metrics = collectionMetricsOf(asked, table, key, bytes);
  return metrics === undefined ? {} : { ItemCollectionMetrics: metrics };
}

/** The size as the service tells it: from so many gigabytes to one more. */
export function collectionMetricsOf(
  asked: string | undefined,
  table: TableRecord,
  key: Item,
  bytes = 0,
): object | undefined {
  if (asked !== "SIZE" || (table.localIndexes?.length ?? 0) === 0) return undefined;
  const from = Math.floor(bytes / GB);
  return { ItemCollectionKey: shownOf(key, [table.keySchema.partition.name]), SizeEstimateRangeGB: [from, from + 1] };
}

export function itemOf({ item, json }: GetOutcome): Item | undefined {
  return json === undefined ? item : parsed(json);
}

const ITEM_HEAD = Buffer.from('{"Item":');
const END = Buffer.from("}");

/** `{ Item, ...rest }` around an item that is JSON already. */
export function answerWithItem(item: Uint8Array, rest: object): readonly Uint8Array[] {
  if (rest === NOTHING) return [ITEM_HEAD, item, END];
  const tail = JSON.stringify(rest);
  return [ITEM_HEAD, item, tail === "{}" ? END : Buffer.from(`,${tail.slice(1)}`)];
}
