import { DynamoDBDocumentClient, PutCommand } from "@aws-sdk/lib-dynamodb";
import { afterEach, beforeEach, expect, test } from "vitest";
import { itemKey } from "../src/api/keys.js";
import { nodeDir } from "../src/control/fleet.js";
import type { Store } from "../src/store.js";
import { FORGEABLE_DIGITS, replaceInFiles, sameChecksum } from "./support/forge.js";
import { caughtUp } from "./support/replicas.js";
import { expectAllEqual, holdsItsPlace, round } from "./support/scrub.js";
import { client, createKeyTable, eventually, openStore, temporaryDir } from "./support/store.js";

/** Three processes, as they are run; records in their real log files are replaced by others whose checksums are right. */
let dir: string;
let remove: () => Promise<void>;
let store: Store;
let documents: DynamoDBDocumentClient;
const findings: string[] = [];

beforeEach(async () => {
  findings.length = 0;
  ({ dir, remove } = await temporaryDir());
  store = await openStore({
    dir,
    scrubEveryMs: 1_000,
    partitionsPerTable: 1,
    onFinding: (line) => findings.push(line),
  });
  const dynamo = client(store.endpoint);
  await createKeyTable(dynamo, "forged");
  documents = DynamoDBDocumentClient.from(dynamo);
  for (let i = 0; i < 20; i++) await put(i);
});
afterEach(async () => {
  await store.close();
  await remove();
});

const textOf = (i: number) => `${i} `.padEnd(8) + (0x9e3779b1 * (i + 1)).toString(2).padStart(FORGEABLE_DIGITS, "0");
const put = (i: number) =>
  documents.send(new PutCommand({ TableName: "forged", Item: { id: `item-${i}`, text: textOf(i) } }));

/** Writes another item; then the log of this node says that it is another one. Resolves with its key, in hexadecimal. */
async function forgeIn(nodeId: string): Promise<string> {
  await put(100);
  const digits = textOf(100).slice(-FORGEABLE_DIGITS);
  expect(await replaceInFiles(`${nodeDir(dir, nodeId)}/log`, digits, sameChecksum(digits))).not.toEqual([]);
  return Buffer.from(itemKey({ partition: { name: "id", type: "S" } }, { id: { S: "item-100" } }).bytes).toString(
    "hex",
  );
}

test("a record of a follower's log says something else and all its checksums are right: found by comparing logs, named by its slot, and repaired when asked, while writes go on", {
  timeout: 240_000,
}, async () => {
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
    for (let i = 200; writing; i++) await put(i);
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

test("the same in the log of the leader, which archives it: the log and the reference made of the archive are told of, and no replica is suspected", {
  timeout: 120_000,
}, async () => {
  await round(store);
  const { leader } = (await caughtUp(store.fleet)).get(1) as { leader: string };
  const key = await forgeIn(leader);
  await eventually("both findings", () => new Set(findings).size >= 2);
  for (const finding of findings)
    expect(finding).toMatch(
      new RegExp(
        `^partition 1(/log: the log of ${leader} differs from the majority|: reference differs from the majority \\(different\\) at key ${key})`,
      ),
    );
});
