import {
  DeleteItemCommand,
  type DynamoDBClient,
  PutItemCommand,
  UpdateItemCommand,
  UpdateTableCommand,
} from "@aws-sdk/client-dynamodb";
import type { Random } from "@evenkeel/simulation";
import { eventually } from "../support/store.js";
import { attributes, createTable, keys, type SdkItem, scanned } from "./support.js";

interface Index {
  readonly name: string;
  readonly hash: string;
  readonly sort?: string;
  /** Absent: all. */
  readonly shows?: readonly string[];
}

const TYPES = { id: "S", team: "S", points: "N" } as const;
const ALL = { ProjectionType: "ALL" } as const;

export const INDEXES: readonly Index[] = [
  { name: "by-team", hash: "team", sort: "points" },
  { name: "by-points", hash: "points", shows: ["id", "points"] },
];
/** Made while writes go on. */
export const LATE: Index = { name: "late", hash: "team", shows: ["id", "team", "note"] };

const request = ({ name, hash, sort, shows }: Index) => ({
  IndexName: name,
  KeySchema: keys(sort === undefined ? [hash] : [hash, sort]),
  Projection:
    shows === undefined
      ? ALL
      : shows.includes("note")
        ? { ProjectionType: "INCLUDE" as const, NonKeyAttributes: ["note"] }
        : { ProjectionType: "KEYS_ONLY" as const },
});

export async function createIndexedTable(dynamo: DynamoDBClient, TableName: string): Promise<void> {
  await createTable(dynamo, {
    TableName,
    AttributeDefinitions: attributes(TYPES),
    KeySchema: keys(["id"]),
    GlobalSecondaryIndexes: INDEXES.map(request),
  });
}

export async function createLateIndex(dynamo: DynamoDBClient, TableName: string): Promise<void> {
  await dynamo.send(
    new UpdateTableCommand({
      TableName,
      AttributeDefinitions: attributes(TYPES),
      GlobalSecondaryIndexUpdates: [{ Create: request(LATE) }],
    }),
  );
}

/** One write of a random kind to one of few items, so that entries move, go and come back. Rejects as the SDK does. */
export async function writeSomething(dynamo: DynamoDBClient, TableName: string, random: Random): Promise<void> {
  const Key = { id: { S: `item-${random.int(40)}` } };
  const team = { S: `team-${random.int(4)}` };
  const points = { N: String(random.int(5)) };
  const dice = random.int(10);
  if (dice < 4) {
    const note = { S: "n".repeat(random.int(30)) };
    const Item = { ...Key, ...(random.int(4) > 0 && { team }), ...(random.int(4) > 0 && { points }), note };
    await dynamo.send(new PutItemCommand({ TableName, Item }));
  } else if (dice < 9) {
    const [UpdateExpression, ExpressionAttributeValues] = random.pick([
      ["SET team = :v", { ":v": team }],
      ["SET points = :v", { ":v": points }],
      ["ADD points :v", { ":v": { N: "1" } }],
      ["SET note = :v", { ":v": { S: "changed" } }],
      ["REMOVE team", undefined],
      ["REMOVE points", undefined],
    ] as const);
    await dynamo.send(
      new UpdateItemCommand({
        TableName,
        Key,
        UpdateExpression,
        ...(ExpressionAttributeValues && { ExpressionAttributeValues: ExpressionAttributeValues as SdkItem }),
      }),
    );
  } else await dynamo.send(new DeleteItemCommand({ TableName, Key }));
}

/** What an index is to show of these items. */
function naive({ hash, sort, shows }: Index, items: readonly SdkItem[]): SdkItem[] {
  return items
    .filter((item) => item[hash] !== undefined && (sort === undefined || item[sort] !== undefined))
    .map((item) =>
      shows === undefined ? item : Object.fromEntries(Object.entries(item).filter(([name]) => shows.includes(name))),
    );
}

const inOrder = (items: readonly SdkItem[]): string[] =>
  items.map((item) => JSON.stringify(Object.entries(item).sort(([a], [b]) => (a < b ? -1 : 1)))).sort();

/** Resolves when every index shows what a naive function of the items says, entry for entry. Nothing may be written meanwhile. */
export async function converged(dynamo: DynamoDBClient, TableName: string, indexes: readonly Index[]): Promise<number> {
  const items = await scanned(dynamo, { TableName, ConsistentRead: true });
  for (const index of indexes) {
    const wanted = inOrder(naive(index, items));
    let found: string[] = [];
    await eventually(`${index.name} is what the items say`, async () => {
      found = inOrder(await scanned(dynamo, { TableName, IndexName: index.name, Limit: 7 }));
      return JSON.stringify(found) === JSON.stringify(wanted);
    }).catch((error: unknown) => {
      throw new Error(`${index.name}: ${found.length} entries instead of ${wanted.length}`, { cause: error });
    });
  }
  return items.length;
}
