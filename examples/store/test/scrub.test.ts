import { readdir, readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { DynamoDBDocumentClient, PutCommand } from "@aws-sdk/lib-dynamodb";
import { expect, test } from "vitest";
import { itemKey } from "../src/api/keys.js";
import { archiveDir, nodeDir } from "../src/control/fleet.js";
import type { ProcessFleet } from "../src/control/process-fleet.js";
import { flipByteInFile } from "../src/tour/damage.js";
import { caughtUp, statuses } from "./support/replicas.js";
import { client, createKeyTable, eventually, openStore, temporaryDir } from "./support/store.js";

test("the store scrubs itself: rot in one replica's B-tree is found without being asked, while writes go on", {
  timeout: 300_000,
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

    // The round that is under way may be past the partition already.
    const before = store.scrub.stats().rounds;
    let writes = 50;
    await eventually("a whole round while writes go on", async () => {
      await put(writes++);
      return store.scrub.stats().rounds > before + 1;
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
    const hex = Buffer.from(key.bytes).toString("hex");
    expect(findings[0]).toContain(
      `b1 differs from the reference (different) at key ${hex}: it has rotted, between slots`,
    );

    const repaired = await store.scrub.repair();
    expect(repaired).toEqual([{ what: expect.stringContaining(`${hex} on b1`), outcome: "repaired" }]);
    const audit = (await readFile(join(dir, "scrub/repairs.jsonl"), "utf8")).trim().split("\n");
    expect(audit.map((line) => JSON.parse(line))).toMatchObject([
      { phase: "intended", replica: "b1", against: "reference", at: expect.any(Number) },
      { phase: "done", replica: "b1", outcome: "repaired" },
    ]);
    // What was under way may tell it once more.
    const { rounds } = store.scrub.stats();
    await eventually("a whole round", () => store.scrub.stats().rounds > rounds + 1);
    findings.splice(0);
    await eventually("another one", () => store.scrub.stats().rounds > rounds + 2);
    expect(findings).toEqual([]);
  } finally {
    await store.close();
    await remove();
  }
});

test("an archive that is damaged is told, and keeps neither its partition's replicas nor the others from being compared", {
  timeout: 300_000,
}, async () => {
  const { dir, remove } = await temporaryDir();
  const findings: string[] = [];
  const store = await openStore({ dir, mode: "single", scrubEveryMs: 1_000, onFinding: (line) => findings.push(line) });
  try {
    const dynamo = client(store.endpoint);
    await createKeyTable(dynamo, "scrubbed");
    await eventually("two rounds, which archive each", () => store.scrub.stats().rounds > 1);
    const archive = archiveDir(dir);
    const [stream] = (await readdir(archive)).filter((name) => !name.startsWith("."));
    const manifests = (await readdir(join(archive, stream as string))).filter((name) => name.endsWith(".manifest"));
    const [manifest] = manifests.sort();
    await writeFile(join(archive, stream as string, manifest as string), "rotten");

    await eventually("the archive's damage is told", () =>
      findings.some((line) => line.includes(`${stream}/${manifest}`)),
    );
    const { rounds, passes } = store.scrub.stats();
    await eventually("more rounds", () => store.scrub.stats().rounds > rounds + 2);
    expect(store.scrub.stats().passes).toBeGreaterThan(passes + 10);
    expect(findings.filter((line) => line.includes("differs"))).toEqual([]);
  } finally {
    await store.close();
    await remove();
  }
});

test("where it was, and since when something is wrong, outlast a restart; whoever leads, and whoever starts anew in the middle of a pass", {
  timeout: 240_000,
}, async () => {
  const { dir, remove } = await temporaryDir();
  const findings: string[] = [];
  const options = { dir, scrubEveryMs: 1_000, partitionsPerTable: 1, onFinding: (line: string) => findings.push(line) };
  let store = await openStore(options);
  try {
    await createKeyTable(client(store.endpoint), "scrubbed");
    const put = async (i: number) => {
      const documents = DynamoDBDocumentClient.from(client(store.endpoint));
      const Item = { id: `item-${i}`, text: `text of item ${i} `.repeat(20) };
      // Whoever leads may be on its way.
      await documents.send(new PutCommand({ TableName: "scrubbed", Item })).catch((error: Error) => {
        if (error.name !== "InternalServerError") throw error;
      });
    };
    for (let i = 0; i < 200; i++) await put(i);
    let writes = 0;
    const rounds = async (more: number) => {
      const { rounds } = store.scrub.stats();
      await eventually(
        "more rounds",
        async () => {
          await put(writes++ % 200);
          return store.scrub.stats().rounds >= rounds + more;
        },
        60_000,
      );
    };
    for (const node of ["a1", "b1"]) {
      (store.fleet as ProcessFleet).kill(node);
      await rounds(1);
    }
    await eventually("everybody takes part again", async () => {
      const { passes, incomplete } = store.scrub.stats();
      await rounds(1);
      return store.scrub.stats().passes > passes && store.scrub.stats().incomplete === incomplete;
    });
    expect(findings, "no false alarm").toEqual([]);

    const state = async () => JSON.parse((await readFile(join(dir, "scrub/schedule"), "utf8")).split("\n")[0] ?? "");
    const seenOf = async (unit: string) =>
      JSON.parse((await readFile(join(dir, `scrub/${unit}/seen`), "utf8")).split("\n")[0] ?? "");
    await store.close();
    const before = await state();
    expect(before.units.map(({ name }: { name: string }) => name)).toEqual(
      expect.arrayContaining(["p0", "p1", "p1/archive"]),
    );
    const seen = await seenOf("p1");
    store = await openStore({ ...options, scrubEveryMs: 3_600_000 });
    await eventually(
      "it goes on",
      async () => store.scrub.stats().unit !== undefined || store.scrub.stats().oldestMs > 0,
    );
    expect(store.scrub.stats().progress, "it knows how much there is").not.toBeUndefined();
    expect(store.scrub.stats().oldestMs, "ages go on").toBeGreaterThan(0);
    expect(seen.read.map(({ replica }: { replica: string }) => replica)).toEqual(["a1", "b1", "c1", "reference"]);
    expect(findings).toEqual([]);
  } finally {
    await store.close();
    await remove();
  }
});
