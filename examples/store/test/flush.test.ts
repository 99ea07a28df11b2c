import { DynamoDBDocumentClient, GetCommand, PutCommand } from "@aws-sdk/lib-dynamodb";
import { expect, test } from "vitest";
import { client, createKeyTable, openStore, temporaryDir } from "./support/store.js";

const clients = 16;
const requestsEach = 100;
const items = 200;

test("flushing the router's cache under load changes nothing for the memds fleet behind it, and for nobody's answer", {
  timeout: 240_000,
}, async () => {
  const { dir, remove } = await temporaryDir();
  const store = await openStore({ dir });
  try {
    // A request that is tried again, because a busy machine changed its leader, asks for its routes again: what is counted is what each asking costs.
    const dynamo = client(store.endpoint, 10);
    await createKeyTable(dynamo, "flushed");
    const documents = DynamoDBDocumentClient.from(dynamo);
    const key = (i: number) => ({ id: `item-${i % items}` });
    for (let i = 0; i < items; i += clients)
      await Promise.all(
        Array.from({ length: clients }, (_, n) =>
          documents.send(
            new PutCommand({ TableName: "flushed", Item: { ...key(i + n), text: `text ${(i + n) % items}` } }),
          ),
        ),
      );

    /** What a round of requests asks of the cache and of the fleet, the cache emptied before every `flushEvery`th of them. */
    async function round(flushEvery: number): Promise<{ gets: number; hits: number; queriesAGet: number }> {
      const before = store.router.stats();
      let sent = 0;
      await Promise.all(
        Array.from({ length: clients }, async (_, n) => {
          for (let i = 0; i < requestsEach; i++) {
            if (++sent % flushEvery === 0) store.router.routes.flush();
            const { Item } = await documents.send(
              new GetCommand({ TableName: "flushed", Key: key(n * 31 + i), ConsistentRead: true }),
            );
            expect(Item?.text).toBe(`text ${(n * 31 + i) % items}`);
          }
        }),
      );
      const after = store.router.stats();
      const gets = after.routes.gets - before.routes.gets;
      // Where the fleet is slow some are dropped in place of being sent, and counted.
      const dropped = after.routes.refreshesDropped - before.routes.refreshesDropped;
      return {
        gets,
        hits: after.routes.hits - before.routes.hits,
        queriesAGet: (after.memds.queries - before.memds.queries + dropped) / gets,
      };
    }

    await round(Number.POSITIVE_INFINITY);
    const calm = await round(Number.POSITIVE_INFINITY);
    const flushed = await round(10);
    expect(calm.hits / calm.gets, "hits while nothing is flushed").toBeGreaterThan(0.99);
    expect(flushed.hits / flushed.gets, "hits while it is flushed all the time").toBeLessThan(0.9);
    expect(flushed.queriesAGet / calm.queriesAGet).toBeGreaterThan(0.98);
    expect(flushed.queriesAGet / calm.queriesAGet).toBeLessThan(1.02);
  } finally {
    await store.close();
    await remove();
  }
});
