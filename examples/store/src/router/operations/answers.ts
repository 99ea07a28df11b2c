import type { CapacityDetail } from "../../api/requests/items.js";

/** The part of an answer that says what it cost; empty unless it was asked for. */
export function consumedCapacity(detail: CapacityDetail | undefined, table: string, units: number): object {
  if (detail === undefined || detail === "NONE") return {};
  return { ConsumedCapacity: tableCapacity(detail, table, units) };
}

export function tableCapacity(detail: CapacityDetail, table: string, units: number): object {
  const total = { TableName: table, CapacityUnits: units };
  return detail === "INDEXES" ? { ...total, Table: { CapacityUnits: units } } : total;
}
