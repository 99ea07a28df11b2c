import type { Bench, Subject } from "../../../scripts/bench-types.js";
import { ITEMS } from "./support/loader.js";
import { type ServerUnderTest, servers } from "./support/subjects.js";

const SECONDS = 1.5;

function subject(server: ServerUnderTest, operation: "PutItem" | "GetItem", clients: number): Subject {
  return {
    note: server.note,
    ...(server.skip === undefined ? {} : { skip: server.skip }),
    open: () => server.start(),
    run: () => server.load({ operation, clients, seconds: SECONDS }),
    close: () => server.stop(),
  };
}

/** Items of 900 bytes, keys chosen uniformly, reads consistent; the load comes from a process of its own. */
const benches: Bench[] = [];
for (const operation of ["PutItem", "GetItem"] as const) {
  for (const clients of [1, 16, 64]) {
    benches.push({
      name: `${operation}, ${clients} client${clients === 1 ? "" : "s"}, ${ITEMS} items of 900 B`,
      metrics: {
        throughput: { unit: "ops/s", better: "higher" },
        p50: { unit: "ms", better: "lower" },
        p99: { unit: "ms", better: "lower" },
      },
      subjects: Object.fromEntries(
        Object.entries(servers).map(([name, server]) => [name, subject(server, operation, clients)]),
      ),
      // Three copies, synced, as quick as one: the ratio to each peer stands beside its figures.
      goals: Object.keys(servers)
        .filter((name) => name !== "evenkeel" && servers[name]?.skip === undefined)
        .map((against) => ({ metric: "throughput", against, atLeast: 1 })),
    });
  }
}

export default benches;
