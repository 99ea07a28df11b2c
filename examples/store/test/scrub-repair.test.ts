import { open, readdir, readFile, stat } from "node:fs/promises";
import { join } from "node:path";
import { expect, test } from "vitest";
import { archiveDir, nodeDir } from "../src/control/fleet.js";
import { flipByteInFile } from "../src/tour/damage.js";
import { caughtUp, statuses } from "./support/replicas.js";
import { expectAllEqual, holdsItsPlace, keyOfItem, round, scrubbedStore } from "./support/scrub.js";
import { eventually } from "./support/store.js";

const textOf = (i: number) => `the text of item ${i}, which nobody else has`;
const its = scrubbedStore("damaged", { items: 40, textOf });

async function flip(path: string, offset: number): Promise<void> {
  const file = await open(path, "r+");
  try {
    const byte = Buffer.alloc(1);
    await file.read(byte, 0, 1, offset);
    await file.write(Buffer.of((byte[0] as number) ^ 0x10), 0, 1, offset);
    await file.sync();
  } finally {
    await file.close();
  }
}

test("a bit in the B-tree's file of one running replica, in the log of another, and in an object of the archive: found within a pass, repaired when asked, and all are equal afterwards", {
  timeout: 240_000,
}, async () => {
  const { dir, store, findings, put } = its;
  await round(store);
  for (let i = 0; i < 20; i++) await put(i);
  await round(store);
  await eventually("everything is in the B-trees' files", async () => {
    const all = await statuses(store.fleet);
    return all?.every((node) => node.partitions.every((one) => one.durableThrough === one.appliedThrough)) ?? false;
  });
  expect(findings).toEqual([]);
  // The hardest place for a damaged log: the leader's.
  const { leader, members } = (await caughtUp(store.fleet)).get(1) as { leader: string; members: readonly string[] };
  const other = members.find((node) => node !== leader) as string;

  const json = Buffer.from(JSON.stringify({ id: { S: "item-7" }, text: { S: textOf(7) } }));
  expect(await flipByteInFile(`${nodeDir(dir, other)}/tree/data.mdb`, json)).not.toEqual([]);
  const objects = (await readdir(join(archiveDir(dir), "p1"))).filter((name) => name.endsWith(".log")).sort();
  expect(objects.length).toBeGreaterThan(1);
  const object = join(archiveDir(dir), "p1", objects[0] as string);
  const before = await readFile(object);
  await flip(object, before.length >> 1);
  const { path, offset } = await inTheLog(dir, leader, textOf(11));
  await flip(path, offset);

  await round(store);
  const found = findings.join("\n");
  // Where the node with the damaged log leads, nothing can be archived, and the reference takes no part.
  expect(found).toMatch(
    new RegExp(
      `partition 1: ${other} differs from the (reference|majority) \\(different\\) at key \\w+: it has rotted`,
    ),
  );
  expect(found).toContain(`p1/${objects[0]}`);
  expect(found).toMatch(
    new RegExp(`log/${leader}: ${leader} cannot be read: the log of group/p1 from record \\d+ on: `),
  );
  expect(
    findings.filter(
      (line) => ![`${other} differs`, "partition 1/archive: ", `log/${leader}: `].some((known) => line.includes(known)),
    ),
    "nobody else is suspected",
  ).toEqual([]);

  findings.length = 0;
  const done = await store.scrub.repair();
  // A leader that meets its own damage on the way hands its place over, and whoever leads then goes on.
  expect(done.map(({ what, outcome, why }) => [what.replace(/[0-9a-f]{8,} on/, "an item on"), outcome, why])).toEqual([
    [`p1: an item on ${other}`, "repaired", undefined],
    [`${leader}: its log`, "rebuilding", undefined],
    [expect.stringContaining(`p1/${objects[0]}`), "repaired", undefined],
  ]);
  expect(await readFile(object), "the very bytes that were there").toEqual(before);
  await eventually("it has another name", () => store.fleet.nodeIds().includes(`${leader}-2`), 60_000);
  for (let i = 40; i < 60; i++) await put(i);
  await eventually("it is given its place", () => holdsItsPlace(store, `${leader}-2`), 120_000);
  // Passes went on all the while that members changed; one that began before the repair, and had but two replicas left to ask, could not say which of them is wrong about the item.
  const damaged = `at key ${keyOfItem(7)}`;
  expect(
    findings.filter((line) => /differs|no two/.test(line) && !line.includes(damaged)),
    "no false alarm",
  ).toEqual([]);
  await expectAllEqual(store, dir, findings);
});

async function inTheLog(dir: string, nodeId: string, text: string): Promise<{ path: string; offset: number }> {
  const log = join(nodeDir(dir, nodeId), "log");
  for (const name of await readdir(log)) {
    const path = join(log, name);
    if (!(await stat(path)).isFile()) continue;
    const offset = (await readFile(path)).indexOf(text);
    if (offset >= 0) return { path, offset };
  }
  throw new Error(`the log of ${nodeId} does not say: ${text}`);
}
