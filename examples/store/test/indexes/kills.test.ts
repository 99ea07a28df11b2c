import { expect, test } from "vitest";
import { NODE_IDS } from "../../src/control/fleet.js";
import type { ProcessFleet } from "../../src/control/process-fleet.js";
import { expectInAllReplicas } from "../support/replicas.js";
import { beginAnySplit, letGo, splitDone } from "../support/splits.js";
import { client, eventually, openStore, temporaryDir } from "../support/store.js";
import { toldRandom } from "../support/workload.js";
import { converged, createIndexedTable, createLateIndex, INDEXES, LATE, writeSomething } from "./convergence.js";
import { active } from "./support.js";

const CLIENTS = 4;
const KILLS = 4;
/** Between two kills so much is written. */
const PROGRESS = 25;

test("nodes are killed while items are written, an index is made and partitions split: each index comes to be what the items say", {
  timeout: 300_000,
}, async () => {
  const random = toldRandom();
  const { dir, remove } = await temporaryDir();
  const store = await openStore({ dir, partitionsPerTable: 2 });
  const fleet = store.fleet as ProcessFleet;
  const dynamo = client(store.endpoint, 1);
  let running = true;
  try {
    await createIndexedTable(dynamo, "killed");
    const splitting = new Map<number, string | undefined>();
    let written = 0;
    const clients = Array.from({ length: CLIENTS }, async (_, i) => {
      const own = random.fork(`client-${i}`);
      while (running) {
        await writeSomething(dynamo, "killed", own).then(
          () => written++,
          // Done or not: the items say which.
          () => new Promise((resolve) => setTimeout(resolve, 20)),
        );
      }
    });
    for (let kills = 0; kills < KILLS; kills++) {
      const before = written;
      const node = random.pick(NODE_IDS);
      await eventually(`${node} runs`, () => fleet.pidOf(node) !== undefined);
      // The table's own, and those of an index.
      const index = kills % 2 === 1 ? INDEXES[0]?.name : undefined;
      const begun = await beginAnySplit(store, random, "killed", index);
      if (begun !== undefined) splitting.set(begun, index);
      fleet.kill(node);
      if (kills === 1) {
        await eventually("the late index is begun", () =>
          createLateIndex(dynamo, "killed").then(
            () => true,
            ({ message }) => message === "Attempting to create an index which already exists",
          ),
        );
      }
      await eventually(`writes succeed after kill ${kills + 1}, of ${node}`, () => written > before + PROGRESS);
      await new Promise((resolve) => setTimeout(resolve, random.int(300)));
    }
    running = false;
    await Promise.all(clients);
    await eventually("all nodes run again", () => NODE_IDS.every((node) => fleet.pidOf(node) !== undefined));
    for (const [partition, index] of splitting) await splitDone(store, "killed", partition, index);
    expect(splitting.size).toBeGreaterThan(1);
    await active(dynamo, "killed");
    expect(await converged(dynamo, "killed", [...INDEXES, LATE])).toBeGreaterThan(10);
    // What was split goes once its log is archived: not while replicas are compared.
    for (const partition of splitting.keys()) await letGo(store, partition);
    await expectInAllReplicas(fleet, new Map());
  } finally {
    running = false;
    dynamo.destroy();
    await store.close();
    await remove();
  }
});
