import { setTimeout } from "node:timers/promises";
import { fileURLToPath } from "node:url";
import { Random } from "@evenkeel/simulation";
import { untimely } from "../../src/control/rounds.js";
import type { Upkeep } from "../../src/control/upkeep.js";
import { MemdsFeed } from "../../src/metadata/feed.js";

/**
 * For a run of the other suites: `STORE_TIMES=early npx vitest run ...`, or all of it by `npm run soak`. `STORE_SEED` has the same chances drawn again;
 * what they meet is another run's, since real disks and processes take part.
 */
const { STORE_TIMES, STORE_SEED = String(Date.now() % 2 ** 31) } = process.env;
const isStaged = STORE_TIMES !== undefined;
/** Nodes that are processes draw their own. */
const random = new Random(`${STORE_SEED} ${process.argv[2] ?? ""}`);
const chance = () => random.next();

/** When background work comes. `together`: whatever is due within the same seven tenths of a second. */
const TIMES: Readonly<Record<string, (plannedMs: number) => number>> = {
  early: () => chance() * 20,
  late: (plannedMs) => plannedMs + chance() * 3_000,
  together: (plannedMs) => plannedMs + 700 - ((performance.now() + plannedMs) % 700),
  "any time": (plannedMs) => (chance() < 0.5 ? 0 : plannedMs + chance() ** 3 * 3_000),
};

/** Archives at once, trims what is archived, and writes states again and again. */
const EAGER: Partial<Upkeep> = { archiveAfterMs: 1, slotsKept: 1, snapshotAfterBytes: 1 };

if (isStaged) {
  const due = TIMES[STORE_TIMES];
  if (due === undefined) throw new Error(`STORE_TIMES is one of ${Object.keys(TIMES).join(", ")}; got ${STORE_TIMES}`);
  untimely.due = due;
  lateNews(due);
  if (process.env.STORE_SEED === undefined) console.log(`STORE_TIMES="${STORE_TIMES}" STORE_SEED=${STORE_SEED}`);
  process.env.STORE_SEED = STORE_SEED;
}

export const ofThisRun: Partial<Upkeep> = isStaged ? EAGER : {};

/** The program of a node's process, and how it is run: from the sources where its times are staged, since the built one has no seam. */
export const nodeOfThisRun = isStaged
  ? {
      nodeProgram: fileURLToPath(new URL("./untimely-node.ts", import.meta.url)),
      nodeExecArgv: ["--import", "tsx", "--conditions=@evenkeel/source"],
    }
  : {
      /** `npm test` builds it first. */
      nodeProgram: fileURLToPath(new URL("../../dist/node-process.js", import.meta.url)),
      nodeExecArgv: [],
    };

/** Each node's member of the routing fleet hears of the metadata as late as background work comes, up to a second, and in their order. */
function lateNews(due: (plannedMs: number) => number): void {
  const { apply } = MemdsFeed.prototype;
  const told = new WeakMap<MemdsFeed, Promise<void>>();
  async function tell(feed: MemdsFeed, at: number, ...change: Parameters<typeof apply>): Promise<void> {
    await told.get(feed);
    await setTimeout(Math.max(0, at - performance.now()), undefined, { ref: false });
    try {
      apply.apply(feed, change);
    } catch {
      // Its node was closed meanwhile.
    }
  }
  MemdsFeed.prototype.apply = function (...change) {
    told.set(this, tell(this, performance.now() + Math.min(due(0), 1_000), ...change));
  };
}
