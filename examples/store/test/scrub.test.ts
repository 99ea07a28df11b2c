import { readdir, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { DynamoDBDocumentClient, PutCommand } from "@aws-sdk/lib-dynamodb";
import { expect, test } from "vitest";
import { itemKey } from "../src/api/keys.js";
import { archiveDir, nodeDir } from "../src/control/fleet.js";
import { flipByteInFile } from "../src/tour/damage.js";
import { caughtUp, statuses } from "./support/replicas.js";
import { client, createKeyTable, eventually, openStore, temporaryDir } from "./support/store.js";

test("the store scrubs itself: rot in one replica's B-tree is found without being asked, while writes go on", {
  timeout: 60_000,
}, async () => {
  const { dir, remove } = await temporaryDir();
  const findings: string[] = [];
  const store = await openStore({ dir, mode: "single", scrubEveryMs: 1_000, onFinding: (line) => findings.push(line) });
  try {
    const dynamo = client(store.endpoint);
    await createKeyTable(dynamo, "scrubbed");
    const documents = DynamoDBDocumentClient.from(dynamo);
    const put = (i: number) =>
      documents.send(new PutCommand({ TableName: "scrubbed", Item: { id: `item-${i}`, text: `text of item ${i}` } }));
    for (let i = 0; i < 50; i++) await put(i);

    const { passes } = store.scrub.stats();
    let writes = 50;
    await eventually("passes over every partition while writes go on", async () => {
      await put(writes++);
      return store.scrub.stats().passes > passes + 10;
    });
    expect(findings, "no false alarm").toEqual([]);

    await caughtUp(store.fleet);
    await eventually("everything is in the B-tree's file", async () => {
      const all = await statuses(store.fleet);
      if (all === undefined) return false;
      return all.every((node) => node.partitions.every((found) => found.durableThrough === found.appliedThrough));
    });
    const json = Buffer.from(JSON.stringify({ id: { S: "item-7" }, text: { S: "text of item 7" } }));
    expect(await flipByteInFile(`${nodeDir(dir, "b1")}/tree/data.mdb`, json)).not.toHaveLength(0);
    const key = itemKey({ partition: { name: "id", type: "S" } }, { id: { S: "item-7" } });
    await eventually("the finding", () => findings.length > 0);
    expect(findings[0]).toContain("b1 differs from the reference (different)");
    expect(findings[0]).toContain(Buffer.from(key.bytes).toString("hex"));
  } finally {
    await store.close();
    await remove();
  }
});

test("a partition that cannot be compared does not keep the others waiting", { timeout: 60_000 }, async () => {
  const { dir, remove } = await temporaryDir();
  const findings: string[] = [];
  const store = await openStore({ dir, mode: "single", scrubEveryMs: 1_000, onFinding: (line) => findings.push(line) });
  try {
    const dynamo = client(store.endpoint);
    await createKeyTable(dynamo, "scrubbed");
    await eventually("a pass over every partition, which archives each", () => store.scrub.stats().passes > 10);
    const archive = archiveDir(dir);
    const [stream] = (await readdir(archive)).filter((name) => !name.startsWith("."));
    const [object] = (await readdir(join(archive, stream as string))).filter((name) => name.endsWith(".manifest"));
    await writeFile(join(archive, stream as string, object as string), "rotten");

    const { incomplete } = store.scrub.stats();
    await eventually(
      "the pass over the partition whose archive is damaged",
      () => store.scrub.stats().incomplete > incomplete,
    );
    const { passes } = store.scrub.stats();
    await eventually("passes over the others", () => store.scrub.stats().passes > passes + 10);
    await eventually("the damaged one again", () => store.scrub.stats().incomplete > incomplete + 1);
    expect(findings[0], "what is damaged is told").toContain(`${stream}/${object}`);
    expect(store.scrub.stats().oldestMs, "the age of the one that was not compared").toBeGreaterThan(1_000);
  } finally {
    await store.close();
    await remove();
  }
});
