/** `npm run tour`: a guided tour against a store of its own, with real data. Every step prints what it did and what it saw. */

import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { DynamoDBClient } from "@aws-sdk/client-dynamodb";
import { DynamoDBDocumentClient } from "@aws-sdk/lib-dynamodb";
import { reason } from "../reason.js";
import { Store } from "../store.js";
import { loadCities } from "./cities.js";
import { damageAndRepair } from "./damage-step.js";
import { killTheLeader } from "./failover-step.js";
import { loadAndRead } from "./load-step.js";
import { figure, Report } from "./report.js";
import { restoreBeforeMistake } from "./restore-step.js";

async function main(): Promise<void> {
  // The SDK has a word to say about Node 20 at each start, to its own users: not to who takes this tour.
  process.env.AWS_SDK_JS_NODE_VERSION_SUPPORT_WARNING_DISABLED ??= "true";
  const startedAt = performance.now();
  const report = new Report();
  const dir = await mkdtemp(join(tmpdir(), "evenkeel-tour-"));
  process.stdout.write(`A store of its own for the tour, with its data under ${dir}\n`);
  const store = await Store.open({ dir, port: 0 });
  const dynamo = new DynamoDBClient({
    endpoint: store.endpoint,
    region: "local",
    credentials: { accessKeyId: "tour", secretAccessKey: "tour" },
  });
  const documents = DynamoDBDocumentClient.from(dynamo);
  try {
    const cities = loadCities();
    await loadAndRead(report, documents, cities);
    await killTheLeader(report, store, documents, cities);
    await damageAndRepair(report, store, documents, cities);
    await restoreBeforeMistake(report, store, documents, cities);
    process.stdout.write(`\nThe tour kept all its promises, in ${figure((performance.now() - startedAt) / 1000)} s.\n`);
  } finally {
    dynamo.destroy();
    await store.close();
    await rm(dir, { recursive: true, force: true });
  }
}

main().then(
  () => process.exit(0),
  (error: unknown) => {
    process.stderr.write(`\nTHE TOUR FAILED: ${reason(error)}\n`);
    process.exit(1);
  },
);
