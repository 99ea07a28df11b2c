import {
  DeleteTableCommand,
  type DynamoDBClient,
  waitUntilTableExists,
  waitUntilTableNotExists,
} from "@aws-sdk/client-dynamodb";
import { DynamoDBDocumentClient } from "@aws-sdk/lib-dynamodb";
import { afterAll, beforeAll } from "vitest";
import { Store, type StoreOptions } from "../../src/store.js";
import { beginTable, client, doneBy, soon, temporaryDir } from "./store.js";
import { ofThisRun } from "./untimely.js";

export interface SingleStore {
  dir: string;
  store: Store;
  dynamo: DynamoDBClient;
  documents: DynamoDBDocumentClient;
  /** Stops the store and opens it again on the same files, to which `meanwhile` may have done something. */
  restart(meanwhile?: () => Promise<void>): Promise<void>;
}

/** One whole store in this process for all tests of a file: three nodes, real files, real sockets in front, the unmodified SDK. */
export function singleStore(options: Partial<StoreOptions> = {}): SingleStore {
  let remove: () => Promise<void>;
  const single = {
    async restart(meanwhile?: () => Promise<void>) {
      await close();
      await meanwhile?.();
      await open();
    },
  } as SingleStore;
  async function open(): Promise<void> {
    single.store = await Store.open({
      partitionsPerTable: 4,
      ...options,
      upkeep: { ...ofThisRun, ...options.upkeep },
      dir: single.dir,
      port: 0,
      mode: "single",
    });
    single.dynamo = client(single.store.endpoint);
    single.documents = DynamoDBDocumentClient.from(single.dynamo);
  }
  async function close(): Promise<void> {
    single.dynamo.destroy();
    await single.store.close();
  }
  beforeAll(async () => {
    ({ dir: single.dir, remove } = await temporaryDir());
    await open();
  });
  afterAll(async () => {
    await close();
    await remove();
  });
  return single;
}

/** A table with the partition key `pk`, of strings, and the sort key `sk` of the given type. Resolves when it is ACTIVE. */
export async function createTable(dynamo: DynamoDBClient, name: string, sortType?: "S" | "N" | "B"): Promise<void> {
  await beginTable(dynamo, {
    TableName: name,
    AttributeDefinitions: [
      { AttributeName: "pk", AttributeType: "S" },
      ...(sortType === undefined ? [] : [{ AttributeName: "sk", AttributeType: sortType }]),
    ],
    KeySchema: [
      { AttributeName: "pk", KeyType: "HASH" },
      ...(sortType === undefined ? [] : [{ AttributeName: "sk", KeyType: "RANGE" as const }]),
    ],
    BillingMode: "PAY_PER_REQUEST",
  });
  await tableExists(dynamo, name);
}

export async function tableExists(dynamo: DynamoDBClient, name: string): Promise<void> {
  await waitUntilTableExists({ client: dynamo, ...soon }, { TableName: name });
}

/** Resolves when the table is gone. */
export async function deleteTable(dynamo: DynamoDBClient, name: string): Promise<void> {
  const sent = dynamo.send(new DeleteTableCommand({ TableName: name }));
  await doneBy(sent, "ResourceNotFoundException", "ResourceInUseException");
  await waitUntilTableNotExists({ client: dynamo, ...soon }, { TableName: name });
}
