import type { Item } from "../../api/model.js";
import type { CapacityDetail } from "../../api/requests/items.js";
import type { GetOutcome } from "../backend.js";

/** The part of an answer that says what it cost; empty unless it was asked for. */
export function consumedCapacity(detail: CapacityDetail | undefined, table: string, units: number): object {
  if (detail === undefined || detail === "NONE") return {};
  return { ConsumedCapacity: tableCapacity(detail, table, units) };
}

export function tableCapacity(detail: CapacityDetail, table: string, units: number): object {
  const total = { TableName: table, CapacityUnits: units };
  return detail === "INDEXES" ? { ...total, Table: { CapacityUnits: units } } : total;
}

export function itemOf({ item, json }: GetOutcome): Item | undefined {
  if (json === undefined) return item;
  return JSON.parse(Buffer.from(json.buffer, json.byteOffset, json.byteLength).toString("utf8")) as Item;
}

const ITEM_HEAD = Buffer.from('{"Item":');
const END = Buffer.from("}");

/** `{ Item, ...rest }` around an item that is JSON already. */
export function answerWithItem(item: Uint8Array, rest: object): Buffer {
  const tail = JSON.stringify(rest);
  return Buffer.concat([ITEM_HEAD, item, tail === "{}" ? END : Buffer.from(`,${tail.slice(1)}`)]);
}
