import type { Bench } from "../../../scripts/bench-types.js";
import { P99 } from "./support/experiment.js";
import { ScrubbedInWindows, scrubMetrics } from "./support/scrub-windows.js";

const ITEMS = 20_000;
/** A thirtieth of what it can do: what is slow is then slow by itself, and not because of a queue. */
const READS_PER_SECOND = 800;
const CLIENTS = 16;
/** EVENKEEL_BENCH_SECONDS: four times as long has half the interval. */
const SECONDS = Number(process.env.EVENKEEL_BENCH_SECONDS ?? 320);

const store = new ScrubbedInWindows(ITEMS);

/**
 * Constant work has to be work that nobody notices. One experiment, whatever the number of turns: its spread is in the intervals (95 %, drawn over blocks of windows), and how much of a ratio is
 * chance is said by that of quiet windows to others, made in the same way with as many.
 */
const scrub: Bench = {
  name: `consistent GetItem at ${READS_PER_SECOND} a second, ${ITEMS.toLocaleString("en-US")} items, scrubbed as a million an hour are`,
  metrics: scrubMetrics,
  subjects: {
    evenkeel: {
      note: store.note(SECONDS),
      open: store.open,
      close: store.close,
      run: () => store.measured({ readShare: 1, clients: CLIENTS, rate: READS_PER_SECOND }, SECONDS),
    },
  },
  goals: [{ metric: P99, atMost: 1.1 }],
};

export default scrub;
