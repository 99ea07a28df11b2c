/** The service's quotas of an account that never asked for more. */
import { ApiError } from "../errors.js";
import { REGION } from "../region.js";
import { controlMessages } from "./messages.js";
import type { Throughput } from "./throughput.js";
import { decreasesToday, type ThroughputHistory, type Units } from "./throughput-history.js";

/** Units a second, of a table or of an index: what may be provisioned, and what is there on demand. */
export const UNITS_PER_SECOND_MAX = 40_000;

const limitExceeded = (message: string) => new ApiError("LimitExceededException", message);

/**
 * Whether a table, or an index of it, may have such figures, maxima and warmth.
 * @param of whatever of them was asked for @throws ApiError LimitExceededException
 */
export function assertGranted(of: Partial<Units> & Throughput, index?: string): void {
  const { readUnitsPerSecond: reads, writeUnitsPerSecond: writes, onDemand, warm } = of;
  for (const [direction, units = 0, maximum = 0, warmth = 0] of [
    ["Read", reads, onDemand?.readUnitsMax, warm?.readUnits],
    ["Write", writes, onDemand?.writeUnitsMax, warm?.writeUnits],
  ] as const) {
    if (units > UNITS_PER_SECOND_MAX)
      throw limitExceeded(controlMessages.unitsNotGranted(direction, units, UNITS_PER_SECOND_MAX, REGION, index));
    if (maximum > UNITS_PER_SECOND_MAX)
      throw limitExceeded(controlMessages.maximumNotGranted(direction, REGION, index));
    if (warmth > UNITS_PER_SECOND_MAX) throw limitExceeded(controlMessages.warmthNotGranted(direction, REGION, index));
  }
}

const DECREASES_AT_ANY_TIME = 4;
const HOUR_MS = 3_600_000;
const DAY_MS = 24 * HOUR_MS;

/** @throws ApiError LimitExceededException where units fell often enough today, and a moment ago */
export function assertMayFall(history: ThroughputHistory, before: Units, after: Units, nowMs: number): void {
  const { readUnitsPerSecond: reads, writeUnitsPerSecond: writes } = after;
  if (reads >= before.readUnitsPerSecond && writes >= before.writeUnitsPerSecond) return;
  const decreases = decreasesToday(history, nowMs);
  const last = history.throughputDecreasedAtMs ?? Number.NEGATIVE_INFINITY;
  const next = Math.min(last + HOUR_MS, (Math.floor(nowMs / DAY_MS) + 1) * DAY_MS);
  if (decreases < DECREASES_AT_ANY_TIME || nowMs >= next) return;
  throw limitExceeded(controlMessages.fellTooOften(decreases, inWords(last), inWords(next)));
}

const TIME = new Intl.DateTimeFormat("en-US", { dateStyle: "full", timeStyle: "full", timeZone: "UTC" });

/** Some versions of Node.js put a narrow space before AM and PM. */
const inWords = (ms: number): string => TIME.format(ms).replaceAll("\u202f", " ");
