import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { CreateTableCommand, DynamoDBClient, waitUntilTableExists } from "@aws-sdk/client-dynamodb";
import { Store, type StoreOptions } from "../../src/store.js";

/** The built program of a node's process: `npm test` builds it first. */
export const nodeProgram = fileURLToPath(new URL("../../dist/node-process.js", import.meta.url));
export const cliProgram = fileURLToPath(new URL("../../dist/cli.js", import.meta.url));

export async function temporaryDir(): Promise<{ dir: string; remove: () => Promise<void> }> {
  const dir = await mkdtemp(join(tmpdir(), "evenkeel-store-"));
  return { dir, remove: () => rm(dir, { recursive: true, force: true }) };
}

/** The unmodified SDK, pointed at the store. `maxAttempts: 1` where a test has to see each attempt's own outcome. */
export function client(endpoint: string, maxAttempts = 3): DynamoDBClient {
  return new DynamoDBClient({
    endpoint,
    region: "local",
    credentials: { accessKeyId: "test", secretAccessKey: "test" },
    maxAttempts,
  });
}

export async function createKeyTable(dynamo: DynamoDBClient, name: string): Promise<void> {
  await dynamo.send(
    new CreateTableCommand({
      TableName: name,
      AttributeDefinitions: [{ AttributeName: "id", AttributeType: "S" }],
      KeySchema: [{ AttributeName: "id", KeyType: "HASH" }],
      BillingMode: "PAY_PER_REQUEST",
    }),
  );
  await waitUntilTableExists({ client: dynamo, maxWaitTime: 30, minDelay: 0.1, maxDelay: 0.5 }, { TableName: name });
}

export function openStore(options: StoreOptions): Promise<Store> {
  return Store.open({ port: 0, nodeProgram, nodeExecArgv: [], partitionsPerTable: 4, ...options });
}

/** Resolves when `holds` does, looking again every 50 ms; rejects, saying what was waited for, at the deadline. */
export async function eventually(
  what: string,
  holds: () => Promise<boolean> | boolean,
  deadlineMs = 30_000,
): Promise<void> {
  const giveUpAt = performance.now() + deadlineMs;
  while (!(await holds())) {
    if (performance.now() > giveUpAt) throw new Error(`not within ${deadlineMs} ms: ${what}`);
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
}
