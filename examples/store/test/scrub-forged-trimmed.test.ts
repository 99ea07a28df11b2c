import { join } from "node:path";
import { PutCommand } from "@aws-sdk/lib-dynamodb";
import { FileObjectStore, restore, verifyArchive } from "@evenkeel/wal/archive";
import { expect, test } from "vitest";
import { archiveDir, nodeDir } from "../src/control/fleet.js";
import { makeDir } from "../src/control/make-dir.js";
import { Scrubbing } from "../src/scrub/scrubbing.js";
import { FORGEABLE_DIGITS, replaceInFiles, sameChecksum } from "./support/forge.js";
import { caughtUp, statuses } from "./support/replicas.js";
import { createTable, singleStore } from "./support/single.js";
import { eventually } from "./support/store.js";

const DAY_MS = 86_400_000;
const its = singleStore({
  partitionsPerTable: 1,
  scrubEveryMs: DAY_MS,
  upkeep: { slotsKept: 1, archiveAfterMs: DAY_MS, snapshotAfterBytes: 2 ** 30 },
});
const digits = (0x9e3779b1).toString(2).padStart(FORGEABLE_DIGITS, "0");
const forged = sameChecksum(digits);

test("a leader that forged a record has archived it, written a snapshot behind it and let go of its log: the snapshot is told to contradict the log, and all is archived again as the others have it, whose logs stay", async () => {
  const { dir, store, documents } = its;
  const archive = new FileObjectStore({ dir: archiveDir(dir) });
  const archivedTexts = async () => {
    const texts: string[] = [];
    for await (const { data } of restore({ store: archive, stream: "p1" }))
      texts.push(Buffer.from(data).toString("latin1"));
    return texts.join("\n");
  };
  const put = (id: string, text: string) =>
    documents.send(new PutCommand({ TableName: "forged", Item: { id, pk: id, text } }));
  const atLeader = async (method: "archive" | "snapshot") => {
    const { leader } = (await caughtUp(store.fleet)).get(1) as { leader: string };
    await eventually("all of it is in the B-tree", async () => {
      const held = (await statuses(store.fleet, [leader]))?.[0]?.partitions.find(({ partition }) => partition === 1);
      return held !== undefined && held.durableThrough >= held.appliedThrough;
    });
    await store.fleet.callerTo(leader).call(method, { partition: 1 });
    return leader;
  };
  await createTable(its.dynamo, "forged");
  await put("one", "as it was");
  await atLeader("snapshot");
  let leader = "";
  await eventually("what is archived is forged", async () => {
    await put("two", digits);
    leader = ((await caughtUp(store.fleet)).get(1) as { leader: string }).leader;
    await eventually(
      "its log has what is to be forged",
      async () => (await replaceInFiles(join(nodeDir(dir, leader), "log"), digits, forged)).length > 0,
    );
    return (await atLeader("archive")) === leader && (await archivedTexts()).includes(forged);
  });
  await put("three", "as it is");
  expect(await atLeader("snapshot")).toBe(leader);
  await put("four", "as it will be");
  const forgedAt = (await verifyArchive({ store: archive, stream: "p1" })).wholeThrough;
  await eventually("its log is let go of", async () => {
    const held = (await statuses(store.fleet))?.find(({ nodeId }) => nodeId === leader)?.partitions;
    return (held?.find(({ partition }) => partition === 1)?.trimmedThrough ?? 0) >= forgedAt - 1;
  });

  const findings: string[] = [];
  makeDir(join(dir, "scrub-anew"));
  const scrubbing = () =>
    new Scrubbing({
      fleet: store.fleet,
      archive,
      dir: join(dir, "scrub-anew"),
      fullPassEveryMs: 1_000,
      onFinding: (line) => findings.push(line),
    });
  let scrub = scrubbing();
  try {
    await eventually("the contradiction is found", () => findings.some((line) => line.includes("cannot be built")));
    for (const finding of findings)
      expect(finding).toMatch(
        /^partition 1: the reference cannot be built: the archive's snapshot of p1 at \d+ is not/,
      );
    // Later snapshots, from behind which passes see nothing of it.
    for (let i = 0; i < 2; i++) {
      await put("five", `${i}`);
      await atLeader("snapshot");
    }
    const { rounds } = scrub.stats();
    await eventually("two rounds more", () => scrub.stats().rounds >= rounds + 2);
    // In another life it is known that there is something to repair, though no pass finds it any more.
    await scrub.close();
    scrub = scrubbing();
    await eventually("a round of another life", () => scrub.stats().rounds > 0);
    const [again, ...snapshots] = await scrub.repair();
    expect(again).toEqual({
      what: expect.stringMatching(/^p1: p1\/\d{16}\.log$/),
      outcome: "repaired",
      why: expect.stringContaining("as the logs of"),
    });
    for (const one of snapshots)
      expect(one).toEqual({ what: expect.stringContaining("p1: p1/snapshots/"), outcome: "repaired" });
    const texts = await archivedTexts();
    expect(texts).toContain(digits);
    expect(texts).not.toContain(forged);
    expect((await verifyArchive({ store: archive, stream: "p1" })).problems).toEqual([]);
    findings.length = 0;
    const done = scrub.stats().rounds;
    await eventually("two rounds more", () => scrub.stats().rounds >= done + 2);
    expect(findings).toEqual([]);
    expect(await scrub.repair()).toEqual([]);
  } finally {
    await scrub.close();
  }
});
