import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { type CreateTableCommandInput, DynamoDBClient, waitUntilTableExists } from "@aws-sdk/client-dynamodb";
import { DynamoDBDocumentClient } from "@aws-sdk/lib-dynamodb";
import { afterAll, beforeAll } from "vitest";
import { createRouterServer, type RouterServer, type RouterServerOptions } from "../../src/router/http.js";
import { Store } from "../../src/store.js";
import { MemoryBackend } from "../memory-backend.js";
import { beginTable, soon } from "../support/store.js";

/** The unmodified SDK at the real socket of some router. */
export interface Subject {
  port: number;
  client: DynamoDBClient;
  documents: DynamoDBDocumentClient;
}

export interface Harness extends Subject {
  backend: MemoryBackend;
  server: RouterServer;
}

export interface RawAnswer {
  status: number;
  headers: Headers;
  text: string;
  json: () => Record<string, unknown>;
}

/** A router over a memory backend, for all tests of a file. */
export function harness(options: RouterServerOptions = {}): Harness {
  const h = {} as Harness;
  beforeAll(async () => {
    h.backend = new MemoryBackend();
    h.server = createRouterServer(h.backend, options);
    connect(h, (await h.server.listen()).port);
  });
  afterAll(async () => {
    h.client.destroy();
    await h.server.close();
  });
  return h;
}

/** The whole store in this process, three replicas and all, for all tests of a file. */
export function wholeStore(): Subject {
  const subject = {} as Subject;
  let close = async () => {};
  beforeAll(async () => {
    const dir = await mkdtemp(join(tmpdir(), "evenkeel-router-"));
    const store = await Store.open({ dir, port: 0, mode: "single", partitionsPerTable: 4 });
    // On a busy machine a leader may be deposed, and ask for another attempt.
    connect(subject, store.router.port, 3);
    close = async () => {
      await store.close();
      await rm(dir, { recursive: true, force: true });
    };
  });
  afterAll(async () => {
    subject.client?.destroy();
    await close();
  });
  return subject;
}

function connect(subject: Subject, port: number, maxAttempts = 1): void {
  subject.port = port;
  subject.client = new DynamoDBClient({
    endpoint: `http://127.0.0.1:${port}`,
    region: "local",
    credentials: { accessKeyId: "any", secretAccessKey: "key" },
    maxAttempts,
  });
  subject.documents = DynamoDBDocumentClient.from(subject.client);
}

/** Resolves when the table can be used. */
export async function createTable({ client }: Subject, input: CreateTableCommandInput): Promise<void> {
  await beginTable(client, input);
  const { TableName } = input;
  await waitUntilTableExists({ client, ...soon }, { TableName });
}

/** Its key is `id`, a string; paid on demand. */
export async function createPlainTable(subject: Subject, TableName: string): Promise<void> {
  await createTable(subject, {
    TableName,
    KeySchema: [{ AttributeName: "id", KeyType: "HASH" }],
    AttributeDefinitions: [{ AttributeName: "id", AttributeType: "S" }],
    BillingMode: "PAY_PER_REQUEST",
  });
}

export const SIGNED = {
  "Content-Type": "application/x-amz-json-1.0",
  Authorization: "AWS4-HMAC-SHA256 Credential=a/20260101/local/dynamodb/aws4_request, SignedHeaders=host, Signature=b",
  "X-Amz-Date": "20260101T000000Z",
};

/** One request as a client without manners might send it. */
export async function raw(port: number, init: RequestInit & { headers?: Record<string, string> }): Promise<RawAnswer> {
  const response = await fetch(`http://127.0.0.1:${port}/`, { method: "POST", ...init });
  const text = await response.text();
  return { status: response.status, headers: response.headers, text, json: () => JSON.parse(text) };
}

export function call(port: number, operation: string, body: unknown): Promise<RawAnswer> {
  const headers = { ...SIGNED, "X-Amz-Target": `DynamoDB_20120810.${operation}` };
  return raw(port, { headers, body: typeof body === "string" ? body : JSON.stringify(body) });
}
