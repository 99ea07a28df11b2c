/** When the units of a table, or of an index, went up and down. */

export interface ThroughputHistory {
  readonly throughputIncreasedAtMs?: number;
  readonly throughputDecreasedAtMs?: number;
  /** Of the last day, counted from 1970, on which there were any. */
  readonly throughputDecreases?: { readonly day: number; readonly count: number };
}

export interface Units {
  readonly readUnitsPerSecond: number;
  readonly writeUnitsPerSecond: number;
}

const DAY_MS = 86_400_000;
const dayOf = (ms: number): number => Math.floor(ms / DAY_MS);

export function decreasesToday({ throughputDecreases: counted }: ThroughputHistory, nowMs: number | undefined): number {
  return counted !== undefined && nowMs !== undefined && counted.day === dayOf(nowMs) ? counted.count : 0;
}

/** What becomes of it; one change may be both. Whoever was on demand had no units that could have been more or fewer. */
export function unitsChanged(
  history: ThroughputHistory,
  before: Units,
  after: Units,
  nowMs: number,
): ThroughputHistory {
  if (before.readUnitsPerSecond === 0) return {};
  const { readUnitsPerSecond: reads, writeUnitsPerSecond: writes } = after;
  const more = reads > before.readUnitsPerSecond || writes > before.writeUnitsPerSecond;
  const less = reads < before.readUnitsPerSecond || writes < before.writeUnitsPerSecond;
  return {
    ...(more && { throughputIncreasedAtMs: nowMs }),
    ...(less && {
      throughputDecreasedAtMs: nowMs,
      throughputDecreases: { day: dayOf(nowMs), count: decreasesToday(history, nowMs) + 1 },
    }),
  };
}

/**
 * As descriptions tell units and what has become of them.
 * @param nowMs absent: of no day, and so without what there was on it
 */
export function describedUnits(of: ThroughputHistory & Units, nowMs?: number): Record<string, unknown> {
  const { throughputIncreasedAtMs: increasedAtMs, throughputDecreasedAtMs: decreasedAtMs } = of;
  return {
    ...(increasedAtMs !== undefined && { LastIncreaseDateTime: increasedAtMs / 1000 }),
    ...(decreasedAtMs !== undefined && { LastDecreaseDateTime: decreasedAtMs / 1000 }),
    NumberOfDecreasesToday: decreasesToday(of, nowMs),
    ReadCapacityUnits: of.readUnitsPerSecond,
    WriteCapacityUnits: of.writeUnitsPerSecond,
  };
}
