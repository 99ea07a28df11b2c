import { type DynamoDBDocumentClient, GetCommand } from "@aws-sdk/lib-dynamodb";
import { FileObjectStore } from "@evenkeel/wal/archive";
import { decodeKey, itemKey } from "../api/keys.js";
import { archiveDir, NODE_IDS, nodeDir } from "../control/fleet.js";
import { PartitionScrubber } from "../scrub/partition-scrubber.js";
import type { Store } from "../store.js";
import type { City } from "./cities.js";
import { flipByteInFile } from "./damage.js";
import { keySchema, leaderOf, partitionOf, statusOf } from "./failover-step.js";
import { TABLE } from "./load-step.js";
import { figure, type Report, until } from "./report.js";

export async function damageAndRepair(
  report: Report,
  store: Store,
  documents: DynamoDBDocumentClient,
  cities: readonly City[],
): Promise<void> {
  report.step("A bit flips in one replica's B-tree file");
  const city = cities.find(({ country, name }) => country === "CH" && name === "Zermatt") as City;
  const partition = await partitionOf(store, city);
  const leader = await leaderOf(store, partition);
  const victim = NODE_IDS.find((node) => node !== leader) as string;
  const scrubber = await PartitionScrubber.open({
    partition,
    members: NODE_IDS,
    callerTo: (node) => store.fleet.callerTo(node),
    archive: new FileObjectStore({ dir: archiveDir(store.dir) }),
  });
  try {
    const clean = await scrubber.pass();
    report.promise(
      clean.complete && clean.divergences.length === 0 && clean.compared.length === 4,
      `before: ${clean.compared.join(", ")} agree at slot ${clean.at}: ${figure(clean.keys)} items, ${figure(clean.bytes / 1024)} KiB, ${clean.exchanges} exchanges of digests`,
    );

    await until(`${victim} has everything on disk`, async () => {
      const found = (await statusOf(store, victim))?.partitions.find((status) => status.partition === partition);
      return found !== undefined && found.durableThrough === found.appliedThrough ? true : undefined;
    });
    const key = itemKey(keySchema, { country: { S: city.country }, place: { S: city.place } });
    const { json } = await store.fleet.callerTo(victim).call("get", { partition, key: key.bytes, consistent: false });
    const offsets = await flipByteInFile(`${nodeDir(store.dir, victim)}/tree/data.mdb`, json ?? new Uint8Array(1));
    report.promise(
      offsets.length > 0,
      `one bit of "${city.name}" flipped in ${victim}'s data.mdb, at offset ${offsets.join(" and ")}; nothing else knows`,
    );

    const startedAt = performance.now();
    const found = await scrubber.pass();
    const [divergence] = found.divergences;
    const named = divergence === undefined ? undefined : decodeKey(keySchema, divergence.key);
    report.promise(
      found.divergences.length === 1 &&
        divergence?.replica === victim &&
        JSON.stringify(named?.place) === JSON.stringify({ S: city.place }),
      `the scrubber found it in ${figure(performance.now() - startedAt)} ms: ${divergence?.replica} holds other bytes than the ${divergence?.against} under ${JSON.stringify(named)}`,
    );

    const [repaired] = await scrubber.repair(found);
    report.promise(
      repaired?.outcome === "repaired",
      `repaired through the group's log, and seen to be right afterwards`,
    );
    const after = await scrubber.pass();
    report.promise(
      after.complete && after.divergences.length === 0 && after.compared.length === 4,
      `after: all four agree again, at slot ${after.at}`,
    );

    // Eventual reads go round the replicas: each of them answers some of these.
    for (let i = 0; i < 2 * NODE_IDS.length; i++) {
      const { Item } = await documents.send(
        new GetCommand({ TableName: TABLE, Key: { country: city.country, place: city.place } }),
      );
      if (Item?.name !== city.name || Item.lat !== city.lat)
        throw new Error("a replica still answers with the damaged item");
    }
    report.promise(true, "every replica answers with the right item");
  } finally {
    await scrubber.close();
  }
}
