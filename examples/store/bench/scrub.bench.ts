import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { FileObjectStore } from "@evenkeel/wal/archive";
import type { Bench } from "../../../scripts/bench-types.js";
import { archiveDir } from "../src/control/fleet.js";
import { Scrubbing } from "../src/scrub/scrubbing.js";
import { Store } from "../src/store.js";
import { ITEMS, Loader, storeRoot } from "./support/loader.js";

const READS_PER_SECOND = 400;
const CLIENTS = 16;
const TURN_SECONDS = 2;
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

interface Turn {
  readonly p50: number;
  readonly p99: number;
  readonly bytes: number;
}

async function turn(scrubs: boolean): Promise<Turn> {
  const scrub = scrubs ? scrubbing() : undefined;
  const { p50, p99 } = await (shared.loader as Loader).load({
    readShare: 1,
    clients: CLIENTS,
    seconds: TURN_SECONDS,
    rate: READS_PER_SECOND,
  });
  const { bytes = 0 } = scrub?.stats() ?? {};
  await scrub?.close();
  return { p50, p99, bytes };
}

let scrubsFirst = false;

/** Constant work has to be work that nobody notices. One turn with it and one without make a pair, and change places: what else the machine does falls on both. */
const scrub: Bench = {
  name: `consistent GetItem at ${READS_PER_SECOND} a second, ${ITEMS} items, everything scrubbed every ${PERIOD_MS / 1000} s`,
  metrics: {
    "p50, of that without scrub": { unit: "x", better: "lower" },
    "p99, of that without scrub": { unit: "x", better: "lower" },
    p99: { unit: "ms", better: "lower" },
    "p99 without scrub": { unit: "ms", better: "lower" },
    "scrubbed kB/s": { unit: "kB/s", better: "higher" },
  },
  subjects: {
    evenkeel: {
      note: "replicas, logs and archive are compared and read meanwhile; each value is a pair's",
      open,
      close,
      async run() {
        scrubsFirst = !scrubsFirst;
        const first = await turn(scrubsFirst);
        const second = await turn(!scrubsFirst);
        const [on, off] = scrubsFirst ? [first, second] : [second, first];
        return {
          "p50, of that without scrub": on.p50 / off.p50,
          "p99, of that without scrub": on.p99 / off.p99,
          p99: on.p99,
          "p99 without scrub": off.p99,
          "scrubbed kB/s": on.bytes / 1e3 / TURN_SECONDS,
        };
      },
    },
  },
  runs: 15,
  goals: [{ metric: "p99, of that without scrub", atMost: 1.1 }],
};

export default scrub;
