import { setTimeout as delay } from "node:timers/promises";
import type { Bench } from "../../../scripts/bench-types.js";
import { cpuOf, experiment, figuresOf, metrics, P99 } from "./support/experiment.js";
import { NEVER_MS, OwnStore } from "./support/own-store.js";
import { archived } from "./support/partitions.js";
import { ScrubbedInWindows, scrubMetrics } from "./support/scrub-windows.js";

/** EVENKEEL_BENCH_ITEMS=1000000 EVENKEEL_BENCH_SECONDS=1800: an upload of the whole state then takes a minute or more. */
const ITEMS = Number(process.env.EVENKEEL_BENCH_ITEMS ?? 20_000);
const SECONDS = Number(process.env.EVENKEEL_BENCH_SECONDS ?? 160);
const LOAD = { readShare: 0.5, clients: 32, rate: 300 };
/** An upload takes ten seconds, or half a minute where there is much of it. */
const UPLOAD_SECONDS = Number(process.env.EVENKEEL_BENCH_SECONDS ?? 240);
const UPLOAD_WINDOW_MS = 5_000;
/** Of one that takes longer its beginning counts. */
const UPLOAD_MS_MAX = 40_000;

const during = (what: string) =>
  `open loop, ${LOAD.rate} a second, half GetItem and half PutItem, ${ITEMS.toLocaleString("en-US")} items of 900 B, during ${what}`;

const scrubbed = new ScrubbedInWindows(ITEMS);
const own = new OwnStore({ items: ITEMS, scrubEveryMs: NEVER_MS });
let uploads: Promise<Record<string, number>> | undefined;

async function uploaded(): Promise<Record<string, number>> {
  const tookMs: number[] = [];
  const { windows, spans } = await experiment({
    loader: own.loader,
    load: LOAD,
    seconds: UPLOAD_SECONDS,
    windowMs: UPLOAD_WINDOW_MS,
    async during(_windowMs, over) {
      const begunAt = performance.now();
      const upload = archived(own.store).finally(over);
      await Promise.race([upload, delay(UPLOAD_MS_MAX)]);
      over();
      await upload;
      tookMs.push(performance.now() - begunAt);
    },
  });
  return {
    ...figuresOf(windows),
    "processor time of the upload": cpuOf(spans),
    "it took": tookMs.reduce((sum, ms) => sum + ms, 0) / tookMs.length / 1000,
  };
}

/** What those who call notice of what a store does beside. One experiment each, as in `scrub.bench.ts`: windows with it and without it, in an order by lot, and quiet ones over quiet ones as what chance comes to. */
const benches: Bench[] = [
  {
    name: during("a scrub"),
    metrics: scrubMetrics,
    subjects: {
      evenkeel: {
        note: scrubbed.note(SECONDS),
        open: scrubbed.open,
        close: scrubbed.close,
        run: () => scrubbed.measured(LOAD, SECONDS),
      },
    },
    goals: [{ metric: P99, atMost: 1.5 }],
  },
  {
    name: during("an archive upload and snapshot"),
    metrics: {
      ...metrics,
      "processor time of the upload": { unit: "% of one", better: "lower" },
      "it took": { unit: "s", better: "lower" },
    },
    subjects: {
      evenkeel: {
        note: `what the log has, and beside it the whole state of every partition, again and again for ${UPLOAD_SECONDS} s, in windows as long as it takes, those without of ${UPLOAD_WINDOW_MS / 1000} s, and an order by lot; all turns show the same one experiment`,
        open: own.open,
        close: own.close,
        run: () => (uploads ??= uploaded()),
      },
    },
    goals: [{ metric: P99, atMost: 1.5 }],
  },
];

export default benches;
