import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { FileObjectStore, restore } from "@evenkeel/wal/archive";
import { expect, test } from "vitest";
import { archiveDir, nodeDir } from "../src/control/fleet.js";
import { UPKEEP } from "../src/control/upkeep.js";
import { FORGEABLE_DIGITS, replaceInFiles, sameChecksum } from "./support/forge.js";
import { caughtUp } from "./support/replicas.js";
import { expectAllEqual, holdsItsPlace, keyOfItem, round, scrubbedStore } from "./support/scrub.js";
import { eventually } from "./support/store.js";

/** Records in real log files are replaced by others whose checksums are right. */
const textOf = (i: number) => `${i} `.padEnd(8) + (0x9e3779b1 * (i + 1)).toString(2).padStart(FORGEABLE_DIGITS, "0");
const { snapshotAfterBytes } = UPKEEP;
const its = scrubbedStore("forged", { items: 20, textOf, upkeep: { snapshotAfterBytes } });

const digits = textOf(100).slice(-FORGEABLE_DIGITS);

/** Writes another item, the hundredth; then the log of this node says that it is another one. */
async function forgeIn(nodeId: string): Promise<void> {
  await its.put(100);
  // Two logs that have it are enough for its answer; and a replica that lags reads from its log what it has yet to apply.
  await caughtUp(its.store.fleet);
  await eventually(
    "its log has what is to be forged",
    async () => (await replaceInFiles(`${nodeDir(its.dir, nodeId)}/log`, digits, sameChecksum(digits))).length > 0,
  );
}

/** The same in the log of the leader, and its archive says so too: where a pass of the scrubber had it archived before it was forged, it is written once more. */
async function forgeInArchive(leader: string): Promise<void> {
  await eventually("what is archived is forged", async () => {
    await forgeIn(leader);
    await its.store.fleet.callerTo(leader).call("archive", { partition: 1 });
    return (await archivedTexts()).includes(sameChecksum(digits));
  });
}

test("a record of a follower's log says something else and all its checksums are right: found by comparing logs, named by its slot, and repaired when asked, while writes go on", {
  timeout: 240_000,
}, async () => {
  const { dir, store, findings, put } = its;
  await round(store);
  expect(findings).toEqual([]);
  const { leader, members } = (await caughtUp(store.fleet)).get(1) as { leader: string; members: readonly string[] };
  const victim = members.find((node) => node !== leader) as string;
  await forgeIn(victim);
  await round(store);
  expect(new Set(findings)).toEqual(
    new Set([
      expect.stringMatching(
        `^partition 1/log: the log of ${victim} differs from the majority \\(different\\) at slot \\d+$`,
      ),
    ]),
  );

  let writing = true;
  const writes = (async () => {
    // Whoever leads may be on its way, more than once on a busy machine.
    for (let i = 200; writing; i++)
      await put(i).catch((error: Error) => {
        if (error.name !== "InternalServerError") throw error;
      });
  })();
  try {
    expect(await store.scrub.repair()).toEqual([{ what: `${victim}: its log`, outcome: "rebuilding" }]);
    await eventually("it is given its place", () => holdsItsPlace(store, `${victim}-2`), 120_000);
  } finally {
    writing = false;
    await writes;
  }
  await expectAllEqual(store, dir, findings);
});

test("the same in the log of the leader, which archives it: the log and the reference made of the archive are told of, no replica is suspected, and when asked it is archived again as the others have it", {
  timeout: 240_000,
}, async () => {
  const { dir, store, findings, put } = its;
  await round(store);
  const { leader, members } = (await caughtUp(store.fleet)).get(1) as { leader: string; members: readonly string[] };
  await forgeInArchive(leader);
  await eventually("both findings", () => new Set(findings).size >= 2, 60_000);
  for (const finding of findings)
    expect(finding).toMatch(
      new RegExp(
        `^partition 1(/log: the log of ${leader} differs from the majority|: reference differs from the majority \\(different\\) at key ${keyOfItem(100)})`,
      ),
    );
  // What lies behind it is archived already, and a snapshot beside it: both have the hash of what is wrong.
  await put(101);
  await round(store);
  expect(await archivedTexts()).toContain(sameChecksum(digits));

  const others = members.filter((node) => node !== leader);
  expect(await store.scrub.repair()).toEqual([
    { what: `${leader}: its log`, outcome: "rebuilding" },
    {
      what: expect.stringMatching(/^p1: p1\/\d{16}\.log$/),
      outcome: "repaired",
      why: expect.stringMatching(
        new RegExp(`as the logs of (${others.join(" and ")}|${others.reverse().join(" and ")})`),
      ),
    },
  ]);
  const texts = await archivedTexts();
  expect(texts).toContain(digits);
  expect(texts).not.toContain(sameChecksum(digits));
  const lines = (await readFile(join(dir, "scrub/repairs.jsonl"), "utf8")).trim().split("\n");
  const audit = lines.map((line) => JSON.parse(line) as { replica: string; phase: string; outcome?: string });
  expect(audit[0]).toMatchObject({ replica: leader, phase: "intended" });
  // Before it, more than once where somebody archived in between, which is tried again.
  expect(audit.slice(-2)).toMatchObject([
    { replica: "archive", phase: "intended" },
    { replica: "archive", phase: "done", outcome: "repaired" },
  ]);
  await eventually("it is given its place", () => holdsItsPlace(store, `${leader}-2`), 120_000);
  await expectAllEqual(store, dir, findings);
});

/** Of all entries of the table's partition, as a restore reads them. */
async function archivedTexts(): Promise<string> {
  const texts: string[] = [];
  for await (const { data } of restore({ store: new FileObjectStore({ dir: archiveDir(its.dir) }), stream: "p1" }))
    texts.push(Buffer.from(data).toString("latin1"));
  return texts.join("\n");
}
