import { CreateTableCommand, waitUntilTableExists } from "@aws-sdk/client-dynamodb";
import {
  BatchWriteCommand,
  type DynamoDBDocumentClient,
  GetCommand,
  QueryCommand,
  ScanCommand,
} from "@aws-sdk/lib-dynamodb";
import type { City } from "./cities.js";
import { figure, inParallel, quantile, type Report } from "./report.js";

export const TABLE = "cities";
const BATCH_ITEMS = 25;
const READS = 2_000;

/** Every item of a table, by its place. */
export async function scanAll(documents: DynamoDBDocumentClient, table: string): Promise<Map<string, City>> {
  const found = new Map<string, City>();
  let start: Record<string, unknown> | undefined;
  do {
    const page = await documents.send(
      new ScanCommand({
        TableName: table,
        ConsistentRead: true,
        ...(start === undefined ? {} : { ExclusiveStartKey: start }),
      }),
    );
    for (const item of page.Items ?? []) found.set(`${item.country}/${item.place}`, item as City);
    start = page.LastEvaluatedKey;
  } while (start !== undefined);
  return found;
}

export function sameCities(found: ReadonlyMap<string, City>, wanted: readonly City[]): boolean {
  return (
    found.size === wanted.length &&
    wanted.every((city) => {
      const item = found.get(`${city.country}/${city.place}`);
      return item !== undefined && (Object.keys(city) as (keyof City)[]).every((name) => item[name] === city[name]);
    })
  );
}

export async function loadAndRead(
  report: Report,
  documents: DynamoDBDocumentClient,
  cities: readonly City[],
): Promise<void> {
  report.step("Write and read: real places of sixteen countries, through the unmodified AWS SDK");
  await documents.send(
    new CreateTableCommand({
      TableName: TABLE,
      AttributeDefinitions: [
        { AttributeName: "country", AttributeType: "S" },
        { AttributeName: "place", AttributeType: "S" },
      ],
      KeySchema: [
        { AttributeName: "country", KeyType: "HASH" },
        { AttributeName: "place", KeyType: "RANGE" },
      ],
      BillingMode: "PAY_PER_REQUEST",
    }),
  );
  await waitUntilTableExists(
    { client: documents, maxWaitTime: 30, minDelay: 0.1, maxDelay: 0.5 },
    { TableName: TABLE },
  );

  const batches: City[][] = [];
  for (let i = 0; i < cities.length; i += BATCH_ITEMS) batches.push(cities.slice(i, i + BATCH_ITEMS));
  const writeStart = performance.now();
  await inParallel(batches, 8, async (batch) => {
    let requests: Record<string, unknown>[] = batch.map((Item) => ({ PutRequest: { Item } }));
    while (requests.length > 0) {
      const { UnprocessedItems } = await documents.send(
        new BatchWriteCommand({ RequestItems: { [TABLE]: requests as never } }),
      );
      requests = (UnprocessedItems?.[TABLE] ?? []) as Record<string, unknown>[];
    }
  });
  const writeSeconds = (performance.now() - writeStart) / 1000;
  report.say(
    `${figure(cities.length)} items written in ${figure(writeSeconds)} s (${figure(cities.length / writeSeconds)} a second), each on two disks of three before its answer`,
  );

  const times: number[] = [];
  const sample = Array.from({ length: READS }, (_, i) => cities[Math.floor((i * cities.length) / READS)] as City);
  await inParallel(sample, 8, async (city) => {
    const start = performance.now();
    const { Item } = await documents.send(
      new GetCommand({ TableName: TABLE, Key: { country: city.country, place: city.place }, ConsistentRead: true }),
    );
    times.push(performance.now() - start);
    if (Item?.name !== city.name) throw new Error(`${city.country}/${city.place} does not read as it was written`);
  });
  report.say(
    `${figure(READS)} consistent reads of single items: p50 ${figure(quantile(times, 0.5))} ms, p99 ${figure(quantile(times, 0.99))} ms (the SDK's own time included)`,
  );

  const query = new QueryCommand({
    TableName: TABLE,
    KeyConditionExpression: "country = :c AND begins_with(place, :p)",
    ExpressionAttributeValues: { ":c": "JP", ":p": "Kyo" },
  });
  const names = ((await documents.send(query)).Items ?? []).map((item) => item.name as string);
  const wanted = cities.filter(({ country, place }) => country === "JP" && place.startsWith("Kyo")).length;
  report.promise(
    names.length === wanted && wanted > 0,
    `a query finds the ${wanted} places of Japan that begin with "Kyo": ${names.join(", ")}`,
  );
  report.promise(
    sameCities(await scanAll(documents, TABLE), cities),
    `a scan returns all ${figure(cities.length)} items, each as it was written`,
  );
}
