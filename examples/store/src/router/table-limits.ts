import type { Admission, Limit } from "@evenkeel/admission-control";
import { UNITS_PER_SECOND_MAX } from "../api/control/quotas.js";
import type { TableRecord } from "../api/model.js";

/** Seconds of unused capacity that a table may spend at once. */
const BURST_SECONDS = 300;
/** Far more than tables in use: one that is given up and asked for again has nothing until its share has come back. */
const LIMITS_MAX = 20_000;

type Direction = "read" | "write";

/** What there is a limit for in either direction: a table, or a global index. */
export type LimitedTable = Pick<
  TableRecord,
  "tableId" | "billingMode" | "readUnitsPerSecond" | "writeUnitsPerSecond" | "onDemand"
>;

/** Units a second that a table on demand may use by its owner's own wish; undefined: there is none. */
export function maximumOf({ billingMode, onDemand }: LimitedTable, direction: Direction): number | undefined {
  if (billingMode === "PROVISIONED" || onDemand === undefined) return undefined;
  const asked = direction === "read" ? onDemand.readUnitsMax : onDemand.writeUnitsMax;
  return asked === undefined || asked < 1 || asked >= UNITS_PER_SECOND_MAX ? undefined : asked;
}

interface Known {
  readonly tableId: string;
  readonly limit: Limit;
  readonly ratePerSecond: number;
}

interface Limits {
  /** In the order of their last use. */
  readonly byTable: Map<string, Known>;
  /** The last one of that order, which most requests want again. */
  latest: Known | undefined;
}

/** One limit for each table and direction. Those of deleted tables are given up in time: past the bound, the one that was unused longest goes. */
export class TableLimits {
  readonly #admission: Admission;
  readonly #limitsMax: number;
  readonly #limits: Readonly<Record<Direction, Limits>> = { read: newLimits(), write: newLimits() };

  constructor(admission: Admission, { limitsMax = LIMITS_MAX } = {}) {
    this.#admission = admission;
    this.#limitsMax = limitsMax;
  }

  of(table: LimitedTable, direction: Direction): Limit {
    const { tableId } = table;
    const provisioned = direction === "read" ? table.readUnitsPerSecond : table.writeUnitsPerSecond;
    const onDemand = maximumOf(table, direction) ?? UNITS_PER_SECOND_MAX;
    const ratePerSecond = table.billingMode === "PROVISIONED" ? provisioned : onDemand;
    const limits = this.#limits[direction];
    const { latest } = limits;
    if (latest?.tableId === tableId && latest.ratePerSecond === ratePerSecond) return latest.limit;
    let known = limits.byTable.get(tableId);
    // What was given to it and is not used yet stays with a limit whose rate is another one from now on.
    if (known?.ratePerSecond !== ratePerSecond) {
      const limit = this.#admission.limit(`${tableId}:${direction}`, { ratePerSecond, burstSeconds: BURST_SECONDS });
      known = { tableId, limit, ratePerSecond };
    }
    limits.latest = known;
    limits.byTable.delete(tableId);
    limits.byTable.set(tableId, known);
    // Half of the bound for either direction.
    if (limits.byTable.size * 2 > this.#limitsMax) giveUpOldest(limits.byTable);
    return known.limit;
  }
}

const newLimits = (): Limits => ({ byTable: new Map(), latest: undefined });

function giveUpOldest(byTable: Limits["byTable"]): void {
  for (const [tableId, { limit }] of byTable) {
    byTable.delete(tableId);
    limit.close();
    return;
  }
}
