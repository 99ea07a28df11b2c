import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { FileObjectStore } from "@evenkeel/wal/archive";
import type { Bench } from "../../../scripts/bench-types.js";
import { archiveDir } from "../src/control/fleet.js";
import { Scrubbing } from "../src/scrub/scrubbing.js";
import { Store } from "../src/store.js";
import { quantile } from "./support/answers.js";
import { ITEMS, Loader, storeRoot } from "./support/loader.js";

const READS_PER_SECOND = 800;
const CLIENTS = 16;
/** Short ones, in turns, because what else the machine does comes and goes within seconds; many, because of 800 reads only eight are the slowest hundredth. */
const SLICE_SECONDS = 1.5;
const SLICES = 8;
/** Where a store does so every hour: the pace of 720 times the data. */
const PERIOD_MS = 5_000;
/** None in a store's own schedule while turns are taken. */
const NEVER_MS = 2 ** 31 - 1;

const shared = { dir: "", store: undefined as Store | undefined, loader: undefined as Loader | undefined };

function scrubbing(fullPassEveryMs = PERIOD_MS): Scrubbing {
  const { fleet, dir } = shared.store as Store;
  return new Scrubbing({
    fleet,
    archive: new FileObjectStore({ dir: archiveDir(dir) }),
    // What one turn has begun the next one goes on with.
    dir: join(dir, "scrub"),
    fullPassEveryMs,
    onFinding: (line) => {
      throw new Error(`a false alarm: ${line}`);
    },
  });
}

async function open(): Promise<void> {
  shared.dir = await mkdtemp(join(tmpdir(), "evenkeel-bench-"));
  const program = join(storeRoot, "dist/node-process.js");
  const options = { dir: shared.dir, port: 0, nodeProgram: program, nodeExecArgv: [], scrubEveryMs: NEVER_MS };
  shared.store = await Store.open(options);
  shared.loader = new Loader(shared.store.router.port);
  await shared.loader.fill();
  // Its own schedule takes one look and rests; then it is known how much there is.
  while (shared.store.scrub.stats().rounds === 0) await new Promise((resolve) => setTimeout(resolve, 100));
  await shared.store.scrub.close();
}

async function close(): Promise<void> {
  shared.loader?.stop();
  await shared.store?.close();
  await rm(shared.dir, { recursive: true, force: true });
}

interface Slice {
  readonly times: readonly number[];
  readonly bytes: number;
}

async function slice(scrubs: boolean): Promise<Slice> {
  const scrub = scrubs ? scrubbing() : undefined;
  const answers = await (shared.loader as Loader).answers({
    readShare: 1,
    clients: CLIENTS,
    seconds: SLICE_SECONDS,
    rate: READS_PER_SECOND,
  });
  const { bytes = 0 } = scrub?.stats() ?? {};
  await scrub?.close();
  return { times: answers.map(({ tookMs }) => tookMs), bytes };
}

/** Of all reads of several slices together: the ratio of two such is far steadier than that of two slices. */
function quantileOf(slices: readonly Slice[], share: number): number {
  return quantile(
    slices.flatMap(({ times }) => times),
    share,
  );
}

/**
 * Constant work has to be work that nobody notices. Slices with it and without take turns, and who comes first changes (ABBA): what else the machine does falls on both. How much of a
 * ratio is chance is said by that of slices without it to others without it.
 */
const scrub: Bench = {
  name: `consistent GetItem at ${READS_PER_SECOND} a second, ${ITEMS} items, everything scrubbed every ${PERIOD_MS / 1000} s`,
  metrics: {
    "p50, of that without scrub": { unit: "x", better: "lower" },
    "p99, of that without scrub": { unit: "x", better: "lower" },
    "p99 without scrub, of the same": { unit: "x", better: "lower" },
    p99: { unit: "ms", better: "lower" },
    "p99 without scrub": { unit: "ms", better: "lower" },
    "scrubbed kB/s": { unit: "kB/s", better: "higher" },
  },
  subjects: {
    evenkeel: {
      note: `replicas, logs and archive are compared and read meanwhile; each value is of ${SLICES} slices with it and as many without, put together`,
      open,
      close,
      async run() {
        const [on, off]: [Slice[], Slice[]] = [[], []];
        for (let i = 0; i < SLICES; i++) {
          for (const scrubs of i % 2 === 0 ? [true, false] : [false, true])
            (scrubs ? on : off).push(await slice(scrubs));
        }
        const [even, odd] = [0, 1].map((rest) => off.filter((_, i) => (i >> 1) % 2 === rest)) as [Slice[], Slice[]];
        return {
          "p50, of that without scrub": quantileOf(on, 0.5) / quantileOf(off, 0.5),
          "p99, of that without scrub": quantileOf(on, 0.99) / quantileOf(off, 0.99),
          "p99 without scrub, of the same": quantileOf(even, 0.99) / quantileOf(odd, 0.99),
          p99: quantileOf(on, 0.99),
          "p99 without scrub": quantileOf(off, 0.99),
          "scrubbed kB/s": on.reduce((sum, { bytes }) => sum + bytes, 0) / 1e3 / SLICE_SECONDS / SLICES,
        };
      },
    },
  },
  runs: 5,
  goals: [{ metric: "p99, of that without scrub", atMost: 1.1 }],
};

export default scrub;
