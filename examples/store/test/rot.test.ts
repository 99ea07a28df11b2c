import { GetCommand, PutCommand, ScanCommand } from "@aws-sdk/lib-dynamodb";
import { expect, test } from "vitest";
import { NODE_IDS, nodeDir } from "../src/control/fleet.js";
import { flipByteInFile } from "../src/tour/damage.js";
import { caughtUp } from "./support/replicas.js";
import { createTable, singleStore } from "./support/single.js";

const s = singleStore();
const TableName = "rotten";

/** What the request came to: its answer, or the name of its error. */
const outcome = <T>(request: Promise<T>): Promise<T | string> => request.catch((error: Error) => error.name);

test("a value that has rotted in a replica's B-tree is never returned", async () => {
  await createTable(s.dynamo, TableName);
  for (const [i, node] of NODE_IDS.entries()) {
    const item = { pk: `item-${i}`, text: "before it rotted".repeat(i + 1) };
    const get = async (ConsistentRead: boolean) =>
      (await s.documents.send(new GetCommand({ TableName, Key: { pk: item.pk }, ConsistentRead }))).Item;
    await s.documents.send(new PutCommand({ TableName, Item: item }));
    await caughtUp(s.store.fleet);
    await s.restart(async () => {
      const json = Buffer.from(JSON.stringify({ pk: { S: item.pk }, text: { S: item.text } }));
      expect(await flipByteInFile(`${nodeDir(s.dir, node)}/tree/data.mdb`, json)).not.toEqual([]);
    });
    // An eventual read may meet a replica that does not know yet what it had known before.
    await caughtUp(s.store.fleet);

    // One replica cannot answer; whom the others stand in for when it is not the leader.
    for (let n = 0; n < 2 * NODE_IDS.length; n++) expect(await get(false), `${node}, eventual`).toEqual(item);
    expect([item, "InternalServerError"], `${node}, consistent`).toContainEqual(await outcome(get(true)));
    const scan = new ScanCommand({ TableName, ConsistentRead: true });
    const scanned = await outcome(
      s.documents.send(scan).then(({ Items = [] }) => Items.find(({ pk }) => pk === item.pk)),
    );
    expect([item, "InternalServerError"], `${node}, scan`).toContainEqual(scanned);
  }
});
