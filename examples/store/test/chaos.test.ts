import { DescribeTableCommand, ScanCommand } from "@aws-sdk/client-dynamodb";
import { assertLinearizable, kvKey, kvModel } from "@evenkeel/simulation";
import { expect, test } from "vitest";
import type { Item } from "../src/api/model.js";
import { itemBytes } from "../src/api/size.js";
import { NODE_IDS } from "../src/control/fleet.js";
import type { ProcessFleet } from "../src/control/process-fleet.js";
import { expectInAllReplicas } from "./support/replicas.js";
import { beginAnySplit, letGo, splitDone } from "./support/splits.js";
import { client, createKeyTable, eventually, openStore, temporaryDir } from "./support/store.js";
import { newHistory, read, runClient, toldRandom } from "./support/workload.js";

const KILLS = 15;
const CLIENTS = 5;
/** Between two kills this much has to be acknowledged: an outage that outlasts the kill is a failure of its own. */
const PROGRESS_OPERATIONS = 30;

test("nodes are killed again and again while partitions split: nothing acknowledged is lost, and the history is linearizable", {
  timeout: 300_000,
}, async () => {
  const random = toldRandom();
  const { dir, remove } = await temporaryDir();
  const store = await openStore({ dir });
  const fleet = store.fleet as ProcessFleet;
  try {
    const dynamo = client(store.endpoint, 1);
    await createKeyTable(dynamo, "chaos");
    const history = newHistory();
    const acknowledged = new Map<string, string>();
    const splitting = new Set<number>();
    const keys = Array.from({ length: 12 }, (_, i) => `key-${i}`);
    let running = true;
    const clients = Array.from({ length: CLIENTS }, (_, i) =>
      runClient(`client-${i}`, {
        endpoint: () => dynamo,
        table: "chaos",
        history,
        random: random.fork(`client-${i}`),
        keys,
        running: () => running,
        acknowledged,
      }),
    );
    for (let kills = 0; kills < KILLS; kills++) {
      const before = history.stats().ok;
      const node = random.pick(NODE_IDS);
      if (kills % 4 === 1) {
        const begun = await beginAnySplit(store, random, "chaos");
        if (begun !== undefined) splitting.add(begun);
        await new Promise((resolve) => setTimeout(resolve, random.int(60)));
      }
      await eventually(`${node} runs`, () => fleet.pidOf(node) !== undefined);
      fleet.kill(node);
      await eventually(
        `operations succeed after kill ${kills + 1}, of ${node}`,
        () => history.stats().ok > before + PROGRESS_OPERATIONS,
      );
      await new Promise((resolve) => setTimeout(resolve, random.int(500)));
    }
    running = false;
    await Promise.all(clients);
    await eventually("all nodes run again", () => NODE_IDS.every((node) => fleet.pidOf(node) !== undefined));
    for (const partition of splitting) {
      await splitDone(store, "chaos", partition);
      await letGo(store, partition);
    }
    for (const key of keys) await read(dynamo, "chaos", history, "reader", key);

    const { ok, unknown } = history.stats();
    console.info(
      `${KILLS} kills, ${splitting.size} splits, ${ok} operations, ${unknown} of unknown outcome, ${acknowledged.size} items that must be there`,
    );
    expect(ok).toBeGreaterThan(KILLS * PROGRESS_OPERATIONS);
    expect(acknowledged.size).toBeGreaterThan(10);
    expect(splitting.size).toBeGreaterThan(0);
    await expectInAllReplicas(fleet, acknowledged);
    const { Items = [] } = await dynamo.send(new ScanCommand({ TableName: "chaos", ConsistentRead: true }));
    const bytes = Items.reduce((sum, item) => sum + itemBytes(item as Item), 0);
    await eventually("every replica knows how much there is", async () => {
      const { Table } = await dynamo.send(new DescribeTableCommand({ TableName: "chaos" }));
      return Table?.ItemCount === Items.length && Table.TableSizeBytes === bytes;
    });
    assertLinearizable(history, kvModel<string>(), { partitionBy: kvKey });
  } finally {
    await store.close();
    await remove();
  }
});
