import { request as httpRequest, type IncomingHttpHeaders } from "node:http";
import { connect } from "node:net";
import { crc32, deflateSync, gunzipSync, gzipSync, inflateSync } from "node:zlib";
import { PutItemCommand } from "@aws-sdk/client-dynamodb";
import { beforeAll, describe, expect, it } from "vitest";
import { createRouterServer } from "../../src/router/http.js";
import { MemoryBackend } from "../memory-backend.js";
import { createPlainTable, harness, SIGNED } from "./harness.js";

const h = harness();

interface Answer {
  status: number;
  headers: IncomingHttpHeaders;
  bytes: Buffer;
}

/** By node:http: fetch would undo what is to be seen. */
function send(
  operation: string,
  body: Buffer,
  headers: Readonly<Record<string, string>>,
  port = h.port,
): Promise<Answer> {
  return new Promise((resolve, reject) => {
    const target = { "X-Amz-Target": `DynamoDB_20120810.${operation}`, "Content-Length": body.length };
    const asked = httpRequest({ port, method: "POST", headers: { ...SIGNED, ...target, ...headers } }, (answer) => {
      const parts: Buffer[] = [];
      answer.on("data", (part: Buffer) => parts.push(part));
      answer.on("end", () =>
        resolve({ status: answer.statusCode ?? 0, headers: answer.headers, bytes: Buffer.concat(parts) }),
      );
    });
    asked.on("error", reject);
    asked.end(body);
  });
}

const json = (value: unknown): Buffer => Buffer.from(JSON.stringify(value));
const UNDO = { gzip: gunzipSync, deflate: inflateSync } as const;
const KEY = { id: { S: "long" } };
const LONG = { TableName: "things", Key: KEY };
/** The first answer that is too long to go out as it is, and the last one that is not, by their texts. */
const FRAME = JSON.stringify({ Item: { ...KEY, text: { S: "" } } }).length;

beforeAll(async () => {
  await createPlainTable(h, "things");
  for (const [id, bytes] of [
    ["long", 4_097],
    ["same", 4_096],
  ] as const) {
    const text = { S: "x".repeat(bytes - FRAME) };
    await h.client.send(new PutItemCommand({ TableName: "things", Item: { id: { S: id }, text } }));
  }
});

describe("a compressed request", () => {
  const body = json({ Limit: 1 });
  it.each<[string, string, Buffer]>([
    ["in gzip", "gzip", gzipSync(body)],
    ["in several pieces of gzip", "gzip", Buffer.concat([gzipSync(body.subarray(0, 4)), gzipSync(body.subarray(4))])],
    ["in gzip with something else behind it", "gzip", Buffer.concat([gzipSync(body), Buffer.from("junk")])],
    ["in deflate", "deflate", deflateSync(body)],
    ["in deflate with something else behind it", "deflate", Buffer.concat([deflateSync(body), Buffer.from("junk")])],
    ["that is not", "", body],
  ])("%s is read", async (_, coding, bytes) => {
    const answer = await send("ListTables", bytes, { "Content-Encoding": coding });
    expect(answer.status).toBe(200);
    expect(JSON.parse(answer.bytes.toString())).toEqual({ TableNames: ["things"] });
  });

  it.each<[string, string, Buffer]>([
    ["in a coding that nobody knows", "garbage", body],
    ["in gzip that is none", "gzip", body],
    ["in gzip whose end is missing", "gzip", gzipSync(body).subarray(0, -1)],
    [
      "in gzip with another part behind it that is broken",
      "gzip",
      Buffer.concat([gzipSync(body), gzipSync(body), body]),
    ],
    ["in gzip of which nothing is there", "gzip", Buffer.alloc(0)],
    ["in deflate that is none", "deflate", body],
    ["in deflate of which nothing is there", "deflate", Buffer.alloc(0)],
  ])("%s fails inside the service", async (_, coding, bytes) => {
    const answer = await send("ListTables", bytes, { "Content-Encoding": coding });
    expect(answer.status).toBe(500);
    expect(JSON.parse(answer.bytes.toString())).toMatchObject({
      __type: expect.stringContaining("#InternalServerError"),
    });
  });

  it("is told what is wrong with what was compressed", async () => {
    const answer = await send("ListTables", gzipSync("{"), { "Content-Encoding": "gzip" });
    expect(answer.bytes.toString()).toContain("SerializationException");
  });

  it("may become no larger than any other, and no larger than there is room for", async () => {
    const headers = { "Content-Encoding": "gzip" };
    const spaces = (bytes: number) => gzipSync(Buffer.concat([Buffer.alloc(bytes - body.length, " "), body]));
    const options = { bodyBytesMax: 100_000, bodiesBytesMax: 50_000 };
    await using server = createRouterServer(new MemoryBackend(), options);
    const { port } = await server.listen();
    expect((await send("ListTables", spaces(50_000), headers, port)).status).toBe(200);
    expect((await send("ListTables", spaces(50_001), headers, port)).status).toBe(503);
    expect((await send("ListTables", spaces(100_001), headers, port)).status).toBe(413);
    expect(server.stats().bodyBytes).toBe(0);
  });
});

describe("an answer", () => {
  it.each<[string, "gzip" | "deflate" | undefined]>([
    ["identity", undefined],
    ["", undefined],
    ["br", undefined],
    ["x-gzip", undefined],
    ['"gzip"', undefined],
    ["gzip br", undefined],
    ["gzip:q=1", undefined],
    ["gzip, deflate", "gzip"],
    ["br, identity, deflate, gzip", "deflate"],
    ["GZIP, identity", "gzip"],
    ["dog, gzip ,, cat", "gzip"],
    ["gzip;q=0.2, deflate;q=0.5", "deflate"],
    ["br, gzip;q=0, deflate; q = 0.5 , identity;q=0", "deflate"],
    ["*", "gzip"],
    ["*, deflate", "deflate"],
    ["*, deflate;q=0.5", "gzip"],
    ["*, gzip;q=0.5", "deflate"],
    ["*;q=0.5,identity", "gzip"],
    ["*;q=0", undefined],
    ["gzip ;q=0", undefined],
    ["identity;q=0", undefined],
    ["gzip;q=0.5,identity;q=0.8", "gzip"],
    ["br,identity;q=0.5,gzip;q=0.0001", "gzip"],
    ["gzip;q=31,deflate;q=51", "gzip"],
    ["deflate;q=0.5, gzip;q=1;q=0.2", "gzip"],
    ["deflate;q=0.5,gzip;q=0.", "deflate"],
    ["deflate;q=0.5,gzip;q=0.x", "gzip"],
    ["deflate;q=0.5,gzip;q=", "gzip"],
    ["deflate;q=-0.5,gzip;q=0.2", "gzip"],
    ["gzip;q= 0;q=1", undefined],
    ["gzip;q =0;q=1", "gzip"],
    ["gzip;nq=1;q=0 ", undefined],
    ["gzip;q=0, gzip;q=1, gzip;q=0", "gzip"],
    ["*, gzip;q=0, deflate;q=0", undefined],
  ])("to who accepts %j is in %s", async (accepted, coding) => {
    const answer = await send("GetItem", json(LONG), { "Accept-Encoding": accepted });
    expect(answer.headers["content-encoding"]).toBe(coding);
    expect(Number(answer.headers["x-amz-crc32"])).toBe(crc32(answer.bytes));
    const plain = coding === undefined ? answer.bytes : UNDO[coding](answer.bytes);
    expect(JSON.parse(plain.toString())).toMatchObject({ Item: KEY });
  });

  it("that is short goes out as it is", async () => {
    const same = { TableName: "things", Key: { id: { S: "same" } } };
    const answer = await send("GetItem", json(same), { "Accept-Encoding": "gzip" });
    expect(answer.headers["content-encoding"]).toBeUndefined();
    expect(answer.bytes.length).toBe(4_096);
  });

  it("is the same on a connection that is read by the parser of all of HTTP", async () => {
    const headers = { "Accept-Encoding": "deflate", Origin: "http://example.test" };
    const answer = await send("GetItem", json(LONG), headers);
    expect(answer.headers["content-encoding"]).toBe("deflate");
    expect(Number(answer.headers["x-amz-crc32"])).toBe(crc32(answer.bytes));
    expect(JSON.parse(inflateSync(answer.bytes).toString())).toMatchObject({ Item: KEY });
  });

  it("goes by the last Accept-Encoding of several", async () => {
    const body = json(LONG);
    const fields = { Host: "localhost", ...SIGNED, "X-Amz-Target": "DynamoDB_20120810.GetItem" };
    const lines = Object.entries({ ...fields, "Content-Length": body.length }).map(
      ([name, value]) => `${name}: ${value}`,
    );
    const socket = connect(h.port, "127.0.0.1");
    let received = "";
    socket.setEncoding("latin1").on("data", (text: string) => {
      received += text;
    });
    const several = ["Accept-Encoding: gzip", "Accept-Encoding: deflate", "Connection: close"];
    socket.write(`POST / HTTP/1.1\r\n${[...lines, ...several].join("\r\n")}\r\n\r\n${body}`);
    await new Promise((resolve) => socket.once("close", resolve));
    expect(received).toContain("Content-Encoding: deflate\r\n");
  });
});
