import { BatchWriteCommand, DeleteCommand, PutCommand, QueryCommand, ScanCommand } from "@aws-sdk/lib-dynamodb";
import fc from "fast-check";
import { expect, test } from "vitest";
import { caughtUp } from "./support/replicas.js";
import { createTable, singleStore } from "./support/single.js";
import { beginAnySplit, partitionsOf, splitDone } from "./support/splits.js";
import { toldRandom } from "./support/workload.js";

const s = singleStore({ partitionsPerTable: 1 });
const TableName = "paged";
/** Items that stay, in collections of several sizes. */
const STAYING = Array.from({ length: 120 }, (_, i) => ({ pk: `p${i % 30}`, sk: `stays-${i}` }));
const SPLITS = 3;

type Key = Record<string, unknown>;
interface Asked {
  readonly Items?: Record<string, unknown>[] | undefined;
  readonly LastEvaluatedKey?: Key | undefined;
}

async function allPages(ask: (from: Key | undefined) => Promise<Asked>): Promise<string[]> {
  const found: string[] = [];
  let from: Key | undefined;
  for (let pages = 1; ; pages++) {
    const { Items = [], LastEvaluatedKey } = await ask(from);
    for (const { pk, sk } of Items) found.push(`${pk}/${sk}`);
    from = LastEvaluatedKey;
    if (from === undefined) return found;
    if (pages > 5_000) throw new Error("the pages do not end");
  }
}

/** Each item that stays is there once, and no other twice. */
function expectEachOnce(found: readonly string[], staying: readonly Key[]): void {
  expect(new Set(found).size, "no item comes twice").toBe(found.length);
  const stayed = found.filter((name) => name.includes("/stays-")).sort();
  expect(stayed).toEqual(staying.map(({ pk, sk }) => `${pk}/${sk}`).sort());
}

test("Scan and Query return each item once, whatever the size of a page, while partitions split and others write", {
  timeout: 240_000,
}, async () => {
  const random = toldRandom();
  await createTable(s.dynamo, TableName, "S");
  for (let i = 0; i < STAYING.length; i += 25) {
    const requests = STAYING.slice(i, i + 25).map((Item) => ({ PutRequest: { Item } }));
    await s.documents.send(new BatchWriteCommand({ RequestItems: { [TableName]: requests } }));
  }
  // Any replica answers an eventual read, and the slowest of them has to have what is there "long before".
  await caughtUp(s.store.fleet);
  let running = true;
  const writers = [0, 1].map(async (writer) => {
    const choices = random.fork(`writer-${writer}`);
    while (running) {
      const Key = { pk: `p${choices.int(30)}`, sk: `comes-${writer}-${choices.int(20)}` };
      if (choices.int(2) === 0) await s.documents.send(new PutCommand({ TableName, Item: Key }));
      else await s.documents.send(new DeleteCommand({ TableName, Key }));
    }
  });
  let splits = 0;
  const splitting = (async () => {
    while (splits < SPLITS && running) {
      const partition = await beginAnySplit(s.store, random, TableName);
      if (partition === undefined) continue;
      await splitDone(s.store, TableName, partition);
      splits++;
    }
  })();

  const page = (from: Key | undefined) => (from === undefined ? {} : { ExclusiveStartKey: from });
  const scan = (options: { Limit: number; ConsistentRead: boolean; Segment?: number; TotalSegments?: number }) =>
    allPages((from) => s.documents.send(new ScanCommand({ TableName, ...options, ...page(from) })));
  try {
    const scans = fc.record({
      Limit: fc.integer({ min: 1, max: 60 }),
      ConsistentRead: fc.boolean(),
      TotalSegments: fc.integer({ min: 1, max: 4 }),
      pk: fc.constantFrom(...STAYING.slice(0, 30).map(({ pk }) => pk)),
      ScanIndexForward: fc.boolean(),
    });
    const property = fc.asyncProperty(scans, async ({ Limit, ConsistentRead, TotalSegments, pk, ScanIndexForward }) => {
      const segments = await Promise.all(
        Array.from({ length: TotalSegments }, (_, Segment) =>
          scan({ Limit, ConsistentRead, ...(TotalSegments > 1 && { Segment, TotalSegments }) }),
        ),
      );
      // Eventual reads may be behind, but never without what was there long before.
      expectEachOnce(segments.flat(), STAYING);
      const queried = await allPages((from) =>
        s.documents.send(
          new QueryCommand({
            TableName,
            KeyConditionExpression: "pk = :pk",
            ExpressionAttributeValues: { ":pk": pk },
            ConsistentRead,
            ScanIndexForward,
            Limit: 1 + (Limit % 7),
            ...page(from),
          }),
        ),
      );
      expectEachOnce(
        queried,
        STAYING.filter((key) => key.pk === pk),
      );
      expect(queried).toEqual(ScanIndexForward ? [...queried].sort() : [...queried].sort().reverse());
    });
    // As long as partitions split, and once more.
    for (let last = false; !last; ) {
      last = splits === SPLITS;
      await fc.assert(property, { numRuns: 2, seed: random.int(2 ** 31) });
    }
  } finally {
    running = false;
    await Promise.all([...writers, splitting]);
  }
  expect(await partitionsOf(s.store, TableName)).toHaveLength(1 + SPLITS);
});
