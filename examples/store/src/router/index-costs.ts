import type { TableRecord } from "../api/model.js";
import type { IndexUnits } from "./backend.js";
import type { Ring } from "./reach.js";
import type { ThrottledBy } from "./throttled.js";

/** A global index, as far as routes and capacity are concerned a table of its own. */
export function globalIndex(table: TableRecord, indexName: string): (Ring & ThrottledBy) | undefined {
  const { name, billingMode, globalIndexes } = table;
  const index = globalIndexes?.find((one) => one.name === indexName);
  if (index === undefined) return undefined;
  // An index that was made on demand, and its table was given figures since, has the table's.
  const { readUnitsPerSecond, writeUnitsPerSecond } = index.readUnitsPerSecond > 0 ? index : table;
  const units = { billingMode, readUnitsPerSecond, writeUnitsPerSecond };
  return {
    name,
    index: indexName,
    tableId: index.indexId,
    ...units,
    ...(index.onDemand && { onDemand: index.onDemand }),
  };
}

/** What a write has cost the indexes, told apart by whose capacity it is; `units` is the sum of all. */
export function spentOnIndexes(
  table: TableRecord,
  spent: Readonly<Record<string, number>> | undefined,
): { local: number; units: number; indexUnits?: IndexUnits } {
  if (spent === undefined) return { local: 0, units: 0 };
  const sums = { local: 0, global: 0 };
  const byName: { local: Record<string, number>; global: Record<string, number> } = { local: {}, global: {} };
  for (const [name, units] of Object.entries(spent)) {
    const kind = table.localIndexes?.some((index) => index.name === name) === true ? "local" : "global";
    sums[kind] += units;
    byName[kind][name] = units;
  }
  const indexUnits = {
    ...(sums.local > 0 && { local: byName.local }),
    ...(sums.global > 0 && { global: byName.global }),
  };
  return { local: sums.local, units: sums.local + sums.global, indexUnits };
}
