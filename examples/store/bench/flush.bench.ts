import type { Bench, Subject } from "../../../scripts/bench-types.js";
import { ITEMS } from "./support/loader.js";
import { OwnStore } from "./support/own-store.js";

const CLIENTS = 16;
const FLUSH_EVERY_MS = 50;

/** Both subjects load the same store, in turns. */
const own = new OwnStore();

function loaded(note: string, flushEveryMs: number | undefined): Subject {
  return {
    note,
    open: own.open,
    close: own.close,
    async run() {
      const { router } = own.store;
      const before = router.stats();
      const flushing = flushEveryMs === undefined ? undefined : setInterval(() => router.routes.flush(), flushEveryMs);
      const { p50, p99 } = await own.loader.load({
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
