import { DynamoDBDocumentClient, PutCommand } from "@aws-sdk/lib-dynamodb";
import { expect, test } from "vitest";
import { letGo, partitionsOf, split } from "./support/splits.js";
import { client, createKeyTable, eventually, openStore, temporaryDir } from "./support/store.js";

test("partitions that are split while they are scrubbed and written to give no false alarm, before, meanwhile or after", {
  timeout: 300_000,
}, async () => {
  const { dir, remove } = await temporaryDir();
  const findings: string[] = [];
  const store = await openStore({
    dir,
    mode: "single",
    partitionsPerTable: 1,
    scrubEveryMs: 1_000,
    onFinding: (line) => findings.push(line),
  });
  let running = true;
  try {
    const dynamo = client(store.endpoint);
    await createKeyTable(dynamo, "scrubbed");
    const documents = DynamoDBDocumentClient.from(dynamo);
    const put = (i: number) =>
      documents.send(new PutCommand({ TableName: "scrubbed", Item: { id: `item-${i % 300}`, text: `text ${i}` } }));
    for (let i = 0; i < 300; i++) await put(i);
    const writer = (async () => {
      for (let i = 0; running; i++) await put(i);
    })();
    const rounds = async (more: number) => {
      const { rounds } = store.scrub.stats();
      await eventually(`${more} more rounds`, () => store.scrub.stats().rounds >= rounds + more);
    };
    await rounds(1);
    const [whole] = await partitionsOf(store, "scrubbed");
    await split(store, "scrubbed", whole?.partition as number);
    for (const { partition } of await partitionsOf(store, "scrubbed")) await split(store, "scrubbed", partition);
    expect(await partitionsOf(store, "scrubbed")).toHaveLength(4);
    await letGo(store, whole?.partition as number);
    const { passes } = store.scrub.stats();
    await rounds(2);
    // The metadata and four parts, each with more than one unit.
    expect(store.scrub.stats().passes).toBeGreaterThan(passes + 2 * 4);
    running = false;
    await writer;
    expect(findings).toEqual([]);
  } finally {
    running = false;
    await store.close();
    await remove();
  }
});
