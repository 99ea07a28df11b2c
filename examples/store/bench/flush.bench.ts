import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { Bench, Subject } from "../../../scripts/bench-types.js";
import { Store } from "../src/store.js";
import { ITEMS, Loader, storeRoot } from "./support/loader.js";

const CLIENTS = 16;
const FLUSH_EVERY_MS = 50;

/** Both subjects load the same store, in turns. */
const shared = { users: 0, dir: "", store: undefined as Store | undefined, loader: undefined as Loader | undefined };

async function open(): Promise<void> {
  if (shared.users++ > 0) return;
  shared.dir = await mkdtemp(join(tmpdir(), "evenkeel-bench-"));
  const program = join(storeRoot, "dist/node-process.js");
  shared.store = await Store.open({ dir: shared.dir, port: 0, nodeProgram: program, nodeExecArgv: [] });
  shared.loader = new Loader(shared.store.router.port);
  await shared.loader.fill();
}

async function close(): Promise<void> {
  if (--shared.users > 0) return;
  shared.loader?.stop();
  await shared.store?.close();
  await rm(shared.dir, { recursive: true, force: true });
}

function loaded(note: string, flushEveryMs: number | undefined): Subject {
  return {
    note,
    open,
    close,
    async run() {
      const { router } = shared.store as Store;
      const before = router.stats();
      const flushing = flushEveryMs === undefined ? undefined : setInterval(() => router.routes.flush(), flushEveryMs);
      const { p50, p99 } = await (shared.loader as Loader).load({
        readShare: 1,
        clients: CLIENTS,
        seconds: 1.5,
      });
      clearInterval(flushing);
      const after = router.stats();
      const gets = after.routes.gets - before.routes.gets;
      return {
        p50,
        p99,
        "hit rate": (after.routes.hits - before.routes.hits) / gets,
        "memds look-ups a routing": (after.memds.queries - before.memds.queries) / gets,
      };
    },
  };
}

/** What the routing cache is for: emptying it must change nothing for those who call nor for what stands behind it. */
const flush: Bench = {
  name: `GetItem, ${CLIENTS} clients, ${ITEMS} items, the router's cache flushed every ${FLUSH_EVERY_MS} ms`,
  metrics: {
    p50: { unit: "ms", better: "lower" },
    p99: { unit: "ms", better: "lower" },
    "hit rate": { unit: "", better: "higher" },
    "memds look-ups a routing": { unit: "", better: "lower" },
  },
  subjects: {
    evenkeel: loaded("flushed all the time", FLUSH_EVERY_MS),
    undisturbed: loaded("the same store, left alone", undefined),
  },
  runs: 7,
  goals: [
    { metric: "p50", against: "undisturbed", atMost: 1.5 },
    { metric: "p99", against: "undisturbed", atMost: 1.5 },
    { metric: "memds look-ups a routing", against: "undisturbed", atLeast: 0.98, atMost: 1.02 },
  ],
};

export default flush;
