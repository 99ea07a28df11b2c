import type { DynamoDBClient, AttributeValue as SdkValue } from "@aws-sdk/client-dynamodb";
import {
  type CreateTableCommandInput,
  DescribeTableCommand,
  paginateQuery,
  paginateScan,
  type QueryCommandInput,
  type ScanCommandInput,
} from "@aws-sdk/client-dynamodb";
import { beginTable, eventually } from "../support/store.js";

export type SdkItem = Record<string, SdkValue>;

/** `name:TYPE` of each attribute of a key, the first of `hash` names being HASH keys. */
export function keys(attributes: readonly string[], hash = 1) {
  return attributes.map((name, i) => ({
    AttributeName: name,
    KeyType: i < hash ? ("HASH" as const) : ("RANGE" as const),
  }));
}

export const attributes = (types: Readonly<Record<string, "S" | "N" | "B">>) =>
  Object.entries(types).map(([AttributeName, AttributeType]) => ({ AttributeName, AttributeType }));

/** Resolves when the table and its indexes can be used. */
export async function createTable(client: DynamoDBClient, input: CreateTableCommandInput): Promise<void> {
  await beginTable(client, { BillingMode: "PAY_PER_REQUEST", ...input });
  await active(client, input.TableName as string);
}

export async function active(client: DynamoDBClient, TableName: string): Promise<void> {
  await eventually(`${TableName} and its indexes are active`, async () => {
    const { Table } = await client.send(new DescribeTableCommand({ TableName }));
    return (
      Table?.TableStatus === "ACTIVE" &&
      (Table.GlobalSecondaryIndexes ?? []).every(({ IndexStatus }) => IndexStatus === "ACTIVE")
    );
  });
}

/** All pages of a Query. The paginator writes into what it is given. */
export async function queried(client: DynamoDBClient, input: QueryCommandInput): Promise<SdkItem[]> {
  const found: SdkItem[] = [];
  for await (const { Items } of paginateQuery({ client }, { ...input })) found.push(...(Items ?? []));
  return found;
}

export async function scanned(client: DynamoDBClient, input: ScanCommandInput): Promise<SdkItem[]> {
  const found: SdkItem[] = [];
  for await (const { Items } of paginateScan({ client }, { ...input })) found.push(...(Items ?? []));
  return found;
}
