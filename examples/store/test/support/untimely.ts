import { untimely } from "../../src/control/rounds.js";
import type { Upkeep } from "../../src/control/upkeep.js";

/** When background work comes. `together`: whatever is due within the same seven tenths of a second. */
const TIMES = {
  early: () => Math.random() * 20,
  late: (plannedMs: number) => plannedMs + Math.random() * 3_000,
  together: (plannedMs: number) => plannedMs + 700 - ((performance.now() + plannedMs) % 700),
  "any time": (plannedMs: number) => (Math.random() < 0.5 ? 0 : plannedMs + Math.random() ** 3 * 3_000),
} as const;

/** Archives at once, trims what is archived, and writes states again and again. */
const EAGER: Partial<Upkeep> = { archiveAfterMs: 1, slotsKept: 1, snapshotAfterBytes: 1 };

/** For a run of the other suites: `STORE_TIMES=early npx vitest run ...` */
const { STORE_TIMES } = process.env;
if (STORE_TIMES !== undefined) untimely.due = TIMES[STORE_TIMES as keyof typeof TIMES];
export const ofThisRun: Partial<Upkeep> = STORE_TIMES === undefined ? {} : EAGER;
