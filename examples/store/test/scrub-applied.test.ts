import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { PutCommand } from "@aws-sdk/lib-dynamodb";
import { FileObjectStore } from "@evenkeel/wal/archive";
import { expect, test } from "vitest";
import { itemKey } from "../src/api/keys.js";
import { archiveDir, nodeDir } from "../src/control/fleet.js";
import { makeDir } from "../src/control/make-dir.js";
import { Scrubbing } from "../src/scrub/scrubbing.js";
import { Tree } from "../src/storage-node/tree.js";
import { caughtUp } from "./support/replicas.js";
import { createTable, singleStore } from "./support/single.js";
import { partitionsOf } from "./support/splits.js";
import { eventually } from "./support/store.js";

const TableName = "applied";
const s = singleStore({ partitionsPerTable: 1, scrubEveryMs: 2 ** 31 - 1 });

const put = (pk: string) => s.documents.send(new PutCommand({ TableName, Item: { pk, text: `the text of ${pk}` } }));
const keyOf = (pk: string) => itemKey({ partition: { name: "pk", type: "S" } }, { pk: { S: pk } }).bytes;
const hexOf = (pk: string) => Buffer.from(keyOf(pk)).toString("hex");

/** What a bug would have left in a node's tree: values with right checksums, and keys that are there or not. Undefined: it is removed. */
async function applyOn(node: string, partition: number, puts: Readonly<Record<string, string | undefined>>) {
  const tree = Tree.open(`${nodeDir(s.dir, node)}/tree`);
  try {
    const { slot, timeMs } = tree.applied(partition);
    const prepared = Object.entries(puts).map(([pk, text]) => {
      const json = text === undefined ? undefined : Buffer.from(JSON.stringify({ pk: { S: pk }, text: { S: text } }));
      return tree.prepare(partition, { key: keyOf(pk), slot, itemSizeBytes: json?.length ?? 0, json });
    });
    await tree.commit([{ partition, appliedThrough: slot, timeMs, puts: prepared }]);
  } finally {
    await tree.close();
  }
}

async function scrubbed<T>(use: (scrub: Scrubbing, findings: string[], dir: string) => Promise<T>): Promise<T> {
  const findings: string[] = [];
  const dir = join(s.dir, "scrub-of-the-test");
  makeDir(dir);
  const scrub = new Scrubbing({
    fleet: s.store.fleet,
    archive: new FileObjectStore({ dir: archiveDir(s.dir) }),
    dir,
    fullPassEveryMs: 1_000,
    onFinding: (line) => findings.push(line),
  });
  try {
    return await use(scrub, findings, dir);
  } finally {
    await scrub.close();
  }
}

const rounds = async (scrub: Scrubbing, more: number) => {
  const { rounds } = scrub.stats();
  await eventually("whole rounds", () => scrub.stats().rounds >= rounds + more, 60_000);
};

test("replicas that applied something else are named with their keys and told from rot, and put right when asked; where all differ nobody is believed and nothing changed; every group has its turn in each period", {
  timeout: 240_000,
}, async () => {
  await createTable(s.dynamo, TableName);
  for (const pk of ["same", "wrong", "skipped", "everywhere"]) await put(pk);
  await caughtUp(s.store.fleet);
  const [record] = await partitionsOf(s.store, TableName);
  const { partition } = record as NonNullable<typeof record>;
  await s.restart(async () => {
    await applyOn("a1", partition, { wrong: "another one", everywhere: "what a1 has" });
    await applyOn("b1", partition, { skipped: undefined, everywhere: "what b1 has" });
    await applyOn("c1", partition, { deleted: "kept all the same", everywhere: undefined });
  });
  await caughtUp(s.store.fleet);

  await scrubbed(async (scrub, findings, dir) => {
    await rounds(scrub, 2);
    const told = new Set(findings.map((line) => line.replace(/, (seen at|between) slots? .*$/, "")));
    const odd = (node: string, how: string) => `partition ${partition}: ${node} differs${how}`;
    const nobody = (node: string, kind: string, cause: string) =>
      odd(node, `, and no two agree (${kind}) at key ${hexOf("everywhere")}${cause}`);
    const applied = ": another value was applied";
    expect([...told].sort()).toEqual(
      [
        odd("a1", ` from the reference (different) at key ${hexOf("wrong")}${applied}`),
        odd("b1", ` from the reference (missing) at key ${hexOf("skipped")}`),
        odd("c1", ` from the reference (extra) at key ${hexOf("deleted")}${applied}`),
        nobody("a1", "different", applied),
        nobody("b1", "different", applied),
        nobody("c1", "missing", ""),
        nobody("reference", "different", applied),
      ].sort(),
    );

    const outcomes = (await scrub.repair()).map(({ what, outcome }) => `${what} ${outcome}`);
    const what = (pk: string, node: string) => `p${partition}: ${hexOf(pk)} on ${node}`;
    expect(new Set(outcomes)).toEqual(
      new Set([
        `${what("wrong", "a1")} repaired`,
        `${what("skipped", "b1")} repaired`,
        `${what("deleted", "c1")} repaired`,
        ...["a1", "b1", "c1", "reference"].map((node) => `${what("everywhere", node)} refused`),
      ]),
    );
    await rounds(scrub, 2);
    findings.length = 0;
    await rounds(scrub, 1);
    for (const line of findings) expect(line).toContain(`no two agree`);

    const saved = JSON.parse((await readFile(join(dir, "schedule"), "utf8")).split("\n")[0] ?? "") as {
      units: { name: string; verifiedAtMs: number }[];
    };
    const logs = ["log/a1", "log/b1", "log/c1"];
    const groups = ["p0", `p${partition}`].flatMap((group) => [group, `${group}/archive`, `${group}/log`]);
    expect(saved.units.map(({ name }) => name).sort()).toEqual([...logs, ...groups].sort());
    const { passes, incomplete, rounds: done } = scrub.stats();
    expect(passes + incomplete).toBeGreaterThanOrEqual(done * saved.units.length);
  });
});
