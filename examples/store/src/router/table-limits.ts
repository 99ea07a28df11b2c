import type { Admission, Limit } from "@evenkeel/admission-control";
import type { TableRecord } from "../api/model.js";

/** What a table may use under PAY_PER_REQUEST: the service's default quota for a table. */
const ON_DEMAND_UNITS_PER_SECOND = 40_000;
/** Seconds of unused capacity that a table may spend at once. */
const BURST_SECONDS = 300;
/** Far more than tables in use: one that is given up and asked for again has nothing until its share has come back. */
const LIMITS_MAX = 20_000;

/** What there is a limit for in either direction: a table, or a global index. */
export type LimitedTable = Pick<TableRecord, "tableId" | "billingMode" | "readUnitsPerSecond" | "writeUnitsPerSecond">;

/** One limit for each table and direction. Those of deleted tables are given up in time: past the bound, the one that was unused longest goes. */
export class TableLimits {
  readonly #admission: Admission;
  readonly #limitsMax: number;
  /** In the order of their last use. */
  readonly #limits = new Map<string, { readonly limit: Limit; readonly ratePerSecond: number }>();

  constructor(admission: Admission, { limitsMax = LIMITS_MAX } = {}) {
    this.#admission = admission;
    this.#limitsMax = limitsMax;
  }

  of(table: LimitedTable, direction: "read" | "write"): Limit {
    const name = `${table.tableId}:${direction}`;
    const provisioned = direction === "read" ? table.readUnitsPerSecond : table.writeUnitsPerSecond;
    const ratePerSecond = table.billingMode === "PROVISIONED" ? provisioned : ON_DEMAND_UNITS_PER_SECOND;
    let known = this.#limits.get(name);
    // What was given to it and is not used yet stays with a limit whose rate is another one from now on.
    if (known?.ratePerSecond !== ratePerSecond) {
      known = { limit: this.#admission.limit(name, { ratePerSecond, burstSeconds: BURST_SECONDS }), ratePerSecond };
    }
    this.#limits.delete(name);
    this.#limits.set(name, known);
    if (this.#limits.size > this.#limitsMax) this.#giveUpOldest();
    return known.limit;
  }

  #giveUpOldest(): void {
    for (const [name, { limit }] of this.#limits) {
      this.#limits.delete(name);
      limit.close();
      return;
    }
  }
}
