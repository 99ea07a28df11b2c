import { DynamoDBClient } from "@aws-sdk/client-dynamodb";
import { DynamoDBDocumentClient } from "@aws-sdk/lib-dynamodb";
import { afterAll, beforeAll } from "vitest";
import { createRouterServer, type RouterServer, type RouterServerOptions } from "../../src/router/http.js";
import { MemoryBackend } from "../memory-backend.js";

export interface Harness {
  backend: MemoryBackend;
  server: RouterServer;
  port: number;
  client: DynamoDBClient;
  documents: DynamoDBDocumentClient;
}

export interface RawAnswer {
  status: number;
  headers: Headers;
  text: string;
  json: () => Record<string, unknown>;
}

/** A router over a memory backend, for all tests of a file, with the unmodified SDK at a real socket. */
export function harness(options: RouterServerOptions = {}): Harness {
  const h = {} as Harness;
  beforeAll(async () => {
    h.backend = new MemoryBackend();
    h.server = createRouterServer(h.backend, options);
    h.port = (await h.server.listen()).port;
    h.client = new DynamoDBClient({
      endpoint: `http://127.0.0.1:${h.port}`,
      region: "local",
      credentials: { accessKeyId: "any", secretAccessKey: "key" },
      maxAttempts: 1,
    });
    h.documents = DynamoDBDocumentClient.from(h.client);
  });
  afterAll(async () => {
    h.client.destroy();
    await h.server.close();
  });
  return h;
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
