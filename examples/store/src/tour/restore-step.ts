import { RestoreTableToPointInTimeCommand, waitUntilTableExists } from "@aws-sdk/client-dynamodb";
import { BatchWriteCommand, type DynamoDBDocumentClient } from "@aws-sdk/lib-dynamodb";
import { FileObjectStore, verifyArchive } from "@evenkeel/wal/archive";
import { archiveDir } from "../control/fleet.js";
import { groupId } from "../metadata/records.js";
import type { Store } from "../store.js";
import type { City } from "./cities.js";
import { partitionOf } from "./failover-step.js";
import { sameCities, scanAll, TABLE } from "./load-step.js";
import { figure, inParallel, type Report } from "./report.js";

const RESTORED = "cities-restored";
const MISTAKE = "NZ";

export async function restoreBeforeMistake(
  report: Report,
  store: Store,
  documents: DynamoDBDocumentClient,
  cities: readonly City[],
): Promise<void> {
  report.step("A mistake, and the table as it was a moment before, from the archive");
  const before = await scanAll(documents, TABLE);
  // Archived times are milliseconds: the mistake has to begin in a later one.
  const moment = Date.now();
  await new Promise((resolve) => setTimeout(resolve, 5));

  const lost = cities.filter(({ country }) => country === MISTAKE);
  const batches: City[][] = [];
  for (let i = 0; i < lost.length; i += 25) batches.push(lost.slice(i, i + 25));
  await inParallel(batches, 4, async (batch) => {
    const requests = batch.map(({ country, place }) => ({ DeleteRequest: { Key: { country, place } } }));
    await documents.send(new BatchWriteCommand({ RequestItems: { [TABLE]: requests } }));
  });
  const after = await scanAll(documents, TABLE);
  report.promise(
    after.size === before.size - lost.length,
    `the mistake: all ${figure(lost.length)} places of New Zealand are deleted from "${TABLE}"`,
  );

  const startedAt = performance.now();
  await documents.send(
    new RestoreTableToPointInTimeCommand({
      SourceTableName: TABLE,
      TargetTableName: RESTORED,
      RestoreDateTime: new Date(moment),
    }),
  );
  await waitUntilTableExists(
    { client: documents, maxWaitTime: 60, minDelay: 0.1, maxDelay: 0.5 },
    { TableName: RESTORED },
  );
  const restored = await scanAll(documents, RESTORED);
  report.say(
    `"${RESTORED}" was built from the archive as of ${new Date(moment).toISOString()}, in ${figure((performance.now() - startedAt) / 1000)} s`,
  );
  report.promise(
    sameCities(restored, [...before.values()]),
    `it holds all ${figure(before.size)} items as they were, New Zealand included; "${TABLE}" is as it was left`,
  );

  const archive = new FileObjectStore({ dir: archiveDir(store.dir) });
  const partition = await partitionOf(store, lost[0] as City);
  const { objects, entries, bytes, problems } = await verifyArchive({ store: archive, stream: groupId(partition) });
  report.promise(
    entries > 0 && problems.length === 0,
    `the archive of that partition: ${figure(objects)} objects, ${figure(entries)} entries without a hole, ${figure(bytes / 1024)} KiB, every checksum holds`,
  );
}
