import { expect, test } from "vitest";
import { expectInAllReplicas } from "../support/replicas.js";
import { singleStore } from "../support/single.js";
import { toldRandom } from "../support/workload.js";
import { converged, createIndexedTable, createLateIndex, INDEXES, LATE, writeSomething } from "./convergence.js";
import { active } from "./support.js";

const CLIENTS = 6;
const WRITES = 48;

const single = singleStore();

test("indexes come to be a function of the items, also one that is made while they are written", {
  timeout: 240_000,
}, async () => {
  const random = toldRandom();
  await createIndexedTable(single.dynamo, "busy");
  let late: Promise<void> | undefined;
  const clients = Array.from({ length: CLIENTS }, async (_, i) => {
    const own = random.fork(`client-${i}`);
    for (let n = 0; n < WRITES; n++) {
      await writeSomething(single.dynamo, "busy", own);
      if (n === WRITES / 4) late ??= createLateIndex(single.dynamo, "busy");
    }
  });
  await Promise.all(clients);
  await late;
  await active(single.dynamo, "busy");
  expect(await converged(single.dynamo, "busy", [...INDEXES, LATE])).toBeGreaterThan(10);
  // A scrub would find no difference in anything that indexes keep.
  await expectInAllReplicas(single.store.fleet, new Map());
  await single.restart();
  await converged(single.dynamo, "busy", [...INDEXES, LATE]);
});
