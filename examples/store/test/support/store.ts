import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import {
  CreateTableCommand,
  type CreateTableCommandInput,
  DynamoDBClient,
  type DynamoDBServiceException as ServiceException,
  waitUntilTableExists,
} from "@aws-sdk/client-dynamodb";
import { Store, type StoreOptions } from "../../src/store.js";
import { nodeOfThisRun, ofThisRun } from "./untimely.js";

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

/** For the SDK's waiters, in seconds: what is here is quick, and the longest is for what hangs. */
export const soon = { maxWaitTime: 100, minDelay: 0.05, maxDelay: 0.2 };

/**
 * Where what became of a request is not known (its leader was deposed: a busy machine needs no other reason) the SDK sends it again, and may be told that what it
 * wants is done already. From such a second attempt this is as good as done; the only attempt, or a first one, is never told so.
 */
export async function doneBy(sent: Promise<unknown>, ...saysItIsDone: string[]): Promise<void> {
  await sent.catch((error: Partial<ServiceException>) => {
    const isRepeated = (error.$metadata?.attempts ?? 1) > 1;
    if (!isRepeated || !saysItIsDone.includes(error.name ?? "")) throw error;
  });
}

/** Without waiting until the table can be used. */
export async function beginTable(dynamo: DynamoDBClient, input: CreateTableCommandInput): Promise<void> {
  await doneBy(dynamo.send(new CreateTableCommand(input)), "ResourceInUseException");
}

export async function createKeyTable(dynamo: DynamoDBClient, name: string): Promise<void> {
  await beginTable(dynamo, {
    TableName: name,
    AttributeDefinitions: [{ AttributeName: "id", AttributeType: "S" }],
    KeySchema: [{ AttributeName: "id", KeyType: "HASH" }],
    BillingMode: "PAY_PER_REQUEST",
  });
  await waitUntilTableExists({ client: dynamo, maxWaitTime: 100, minDelay: 0.1, maxDelay: 0.5 }, { TableName: name });
}

export function openStore(options: StoreOptions): Promise<Store> {
  const upkeep = { ...ofThisRun, ...options.upkeep };
  return Store.open({ port: 0, ...nodeOfThisRun, partitionsPerTable: 4, ...options, upkeep });
}

/** Resolves when `holds` does, looking again every 20 ms; rejects, saying what was waited for, at the deadline. */
export async function eventually(
  what: string,
  holds: () => Promise<boolean> | boolean,
  deadlineMs = 60_000,
): Promise<void> {
  const giveUpAt = performance.now() + deadlineMs;
  while (!(await holds())) {
    if (performance.now() > giveUpAt) throw new Error(`not within ${deadlineMs} ms: ${what}`);
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
}
