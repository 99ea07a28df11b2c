/** Signatures, made by AWS's own signing library and by the SDK, checked by the router under a clock that the test holds. */
import { request as httpRequest } from "node:http";
import { gzipSync } from "node:zlib";
import { Sha256 } from "@aws-crypto/sha256-js";
import { DynamoDBClient, ListTablesCommand } from "@aws-sdk/client-dynamodb";
import { SignatureV4 } from "@smithy/signature-v4";
import { describe, expect, it } from "vitest";
import { createRouterServer } from "../../src/router/http.js";
import { MemoryBackend } from "../memory-backend.js";
import { harness, raw } from "./harness.js";

const ada = { accessKeyId: "AKIDADA", secretAccessKey: "ada's secret" };
const guest = { accessKeyId: "ASIAGUEST", secretAccessKey: "for a while", sessionToken: "a+token/=" };
const NOW = Date.parse("2026-03-01T12:00:00Z");
let nowMs = NOW;
const h = harness({ credentials: [ada, guest], nowMs: () => nowMs });
const CORAL = "com.amazon.coral.service#";
const MISMATCH =
  "The request signature we calculated does not match the signature you provided. Check your AWS Secret Access Key and signing method. Consult the service documentation for details.";
const INVALID_TOKEN = "The security token included in the request is invalid.";

interface Asked {
  credentials?: { accessKeyId: string; secretAccessKey: string; sessionToken?: string };
  region?: string;
  service?: string;
  at?: number;
  body?: string;
  headers?: Record<string, string>;
  applyChecksum?: boolean;
}

const signer = ({ credentials = ada, region = "eu-somewhere-1", service = "dynamodb", applyChecksum }: Asked) =>
  new SignatureV4({
    credentials,
    region,
    service,
    sha256: Sha256,
    ...(applyChecksum !== undefined && { applyChecksum }),
  });

const request = ({ body = "{}", headers = {} }: Asked) => ({
  method: "POST",
  protocol: "http:",
  hostname: "127.0.0.1",
  port: h.port,
  path: "/",
  query: {},
  headers: {
    host: `127.0.0.1:${h.port}`,
    "content-type": "application/x-amz-json-1.0",
    "x-amz-target": "DynamoDB_20120810.ListTables",
    ...headers,
  },
  body,
});

async function signed(asked: Asked = {}): Promise<{ headers: Record<string, string>; body: string }> {
  const out = await signer(asked).sign(request(asked), { signingDate: new Date(asked.at ?? nowMs) });
  return { headers: out.headers, body: asked.body ?? "{}" };
}

const send = ({ headers, body }: { headers: Record<string, string>; body: string }) => {
  const { host: _, ...rest } = headers;
  return raw(h.port, { headers: rest, body });
};
/** To a target and with a host of its own. */
const sendAs = (path: string, headers: Record<string, string>) =>
  new Promise<unknown>((resolve, reject) => {
    const asked = httpRequest({ port: h.port, path, method: "POST", headers }, (answer) => {
      answer.setEncoding("utf8").on("data", (text) => resolve(JSON.parse(text)));
    });
    asked.on("error", reject).end("{}");
  });
const refusal = (type: string, message: string) => ({ __type: `${CORAL}${type}`, message });

describe("a request", () => {
  it("of somebody known is answered, whatever the region", async () => {
    for (const asked of [{}, { region: "us-east-1" }, { applyChecksum: false }, { credentials: guest }]) {
      expect((await send(await signed(asked))).json()).toEqual({ TableNames: [] });
    }
  });

  it("of the SDK is answered, also on the way that is not the plain one", async () => {
    nowMs = Date.now();
    const client = (credentials: typeof ada) =>
      new DynamoDBClient({ endpoint: `http://127.0.0.1:${h.port}`, region: "local", credentials, maxAttempts: 1 });
    const [known, stranger, wrong] = [ada, { ...ada, accessKeyId: "AKIDEVE" }, { ...ada, secretAccessKey: "x" }].map(
      client,
    ) as [DynamoDBClient, DynamoDBClient, DynamoDBClient];
    await known.send(new ListTablesCommand({}));
    known.middlewareStack.add(
      (next) => (args) => {
        (args.request as { headers: Record<string, string> }).headers.origin = "http://page.example.test";
        return next(args);
      },
      { step: "build" },
    );
    await known.send(new ListTablesCommand({}));
    await expect(stranger.send(new ListTablesCommand({}))).rejects.toMatchObject({
      name: "UnrecognizedClientException",
      message: INVALID_TOKEN,
    });
    await expect(wrong.send(new ListTablesCommand({}))).rejects.toMatchObject({
      name: "InvalidSignatureException",
      message: MISMATCH,
    });
    for (const one of [known, stranger, wrong]) one.destroy();
    nowMs = NOW;
  });

  it("that is compressed is signed as it was sent", async () => {
    const compressed = (text: string) => {
      const bytes = gzipSync(text);
      const unsigned = { ...request({ headers: { "content-encoding": "gzip" } }), body: bytes };
      return signer({}).sign(unsigned, { signingDate: new Date(nowMs) });
    };
    const { headers, body } = await compressed("{}");
    const { host: _, ...rest } = headers;
    expect((await raw(h.port, { headers: rest, body })).json()).toEqual({ TableNames: [] });
    expect((await raw(h.port, { headers: rest, body: gzipSync("{ }") })).json()).toEqual(
      refusal("InvalidSignatureException", MISMATCH),
    );
  });

  it("whose target names the host as well, as a proxy's does, is signed for its path", async () => {
    const { headers } = await signed();
    expect(await sendAs(`http://127.0.0.1:${h.port}/`, headers)).toEqual({ TableNames: [] });
  });

  it.each([
    ["Date alone", { date: "20260301T120000Z" }, "4c8a3a0da615883398ce50a7ba44e607288a6f023776a4981c12cc072a8a9a68"],
    [
      "Date beside X-Amz-Date",
      { date: "Sun, 01 Mar 2026 12:00:00 GMT", "x-amz-date": "20260301T120000Z" },
      "8e6da803d7c91974ab4a82394afc492f25df9cd4c4d29651a9ab1494a97d2fc0",
    ],
  ])("that fog-aws signed over %s is answered", async (_, dates, signature) => {
    const { headers } = request({ headers: { host: "dynamodb.example.test", ...dates } });
    const scope = "Credential=AKIDADA/20260301/eu-somewhere-1/dynamodb/aws4_request";
    const names = Object.keys(headers).sort().join(";");
    const authorization = `AWS4-HMAC-SHA256 ${scope}, SignedHeaders=${names}, Signature=${signature}`;
    expect(await sendAs("/", { ...headers, authorization })).toEqual({ TableNames: [] });
  });

  it("that was changed on its way is refused", async () => {
    const whole = await signed();
    const changes: ((request: typeof whole) => typeof whole)[] = [
      ({ headers }) => ({ headers, body: '{"Limit":1}' }),
      ({ headers, body }) => ({ headers: { ...headers, "x-amz-target": "DynamoDB_20120810.DeleteTable" }, body }),
      ({ headers, body }) => ({
        headers: {
          ...headers,
          authorization: (headers.authorization as string).replace(/.$/, (c) => (c === "0" ? "1" : "0")),
        },
        body,
      }),
      ({ headers, body }) => ({
        headers: { ...headers, authorization: (headers.authorization as string).replace("content-type;", "") },
        body,
      }),
      ({ headers, body }) => ({ headers: { ...headers, "x-amz-date": "20260301T120001Z" }, body }),
    ];
    for (const change of changes) {
      const answer = await send(change(whole));
      expect(answer.status).toBe(400);
      expect(answer.json()).toEqual(refusal("InvalidSignatureException", MISMATCH));
    }
  });

  it("that leaves its payload unsigned, or signs another one, is refused", async () => {
    for (const sum of ["UNSIGNED-PAYLOAD", "STREAMING-AWS4-HMAC-SHA256-PAYLOAD", "0".repeat(64)]) {
      const answer = await send(await signed({ headers: { "x-amz-content-sha256": sum } }));
      expect(answer.json()).toEqual(refusal("InvalidSignatureException", MISMATCH));
    }
  });

  it("must be of our time, give or take fifteen minutes", async () => {
    for (const at of [NOW - 14 * 60_000, NOW + 14 * 60_000])
      expect((await send(await signed({ at }))).status).toBe(200);
    expect((await send(await signed({ at: NOW - 16 * 60_000 }))).json()).toEqual(
      refusal(
        "InvalidSignatureException",
        "Signature expired: 20260301T114400Z is now earlier than 20260301T114500Z (20260301T120000Z - 15 min.)",
      ),
    );
    expect((await send(await signed({ at: NOW + 16 * 60_000 }))).json()).toEqual(
      refusal(
        "InvalidSignatureException",
        "Signature not yet current: 20260301T121600Z is still later than 20260301T121500Z (20260301T120000Z + 15 min.)",
      ),
    );
  });

  it("of temporary credentials needs their token", async () => {
    const { sessionToken: _, ...without } = guest;
    const other = { ...guest, sessionToken: "another" };
    const told = INVALID_TOKEN.slice(0, -1);
    for (const [credentials, message] of [
      [without, INVALID_TOKEN],
      [other, told],
      [{ ...ada, sessionToken: "one too many" }, told],
    ] as const) {
      const answer = await send(await signed({ credentials }));
      expect(answer.json()).toEqual(refusal("UnrecognizedClientException", message));
    }
  });

  it.each<[string, (authorization: string) => string, string, string]>([
    [
      "another service",
      (text) => text.replace("/dynamodb/", "/s3/"),
      "InvalidSignatureException",
      "Credential should be scoped to correct service: 'dynamodb'. ",
    ],
    [
      "no region, and another service",
      (text) => text.replace("/eu-somewhere-1/dynamodb/", "//s3/"),
      "InvalidSignatureException",
      "Credential should be scoped to a valid region. Credential should be scoped to correct service: 'dynamodb'. ",
    ],
    [
      "another end and another day",
      (text) => text.replace("/20260301/", "/20260228/").replace("aws4_request", "aws5"),
      "InvalidSignatureException",
      "Credential should be scoped with a valid terminator: 'aws4_request', not 'aws5'. Date in Credential scope does not match YYYYMMDD from ISO-8601 version of date from HTTP: '20260228' != '20260301', from '20260301T120000Z'. ",
    ],
    [
      "a scope in pieces",
      (text) => text.replace("/dynamodb/aws4_request", ""),
      "IncompleteSignatureException",
      "Credential must have exactly 5 slash-delimited elements, e.g. keyid/date/region/service/term, got 'AKIDADA/20260301/eu-somewhere-1'",
    ],
    [
      "another algorithm",
      (text) => text.replace("AWS4-HMAC-SHA256", "AWS4-HMAC-SHA25"),
      "IncompleteSignatureException",
      "Unsupported AWS 'algorithm': 'AWS4-HMAC-SHA25' (only AWS4-HMAC-SHA256 for now). ",
    ],
    [
      "a host that anybody could change",
      (text) => text.replace("host;", ""),
      "InvalidSignatureException",
      "'Host' or ':authority' must be a 'SignedHeader' in the AWS Authorization.",
    ],
    ["nobody's key", (text) => text.replace("AKIDADA", "toString"), "UnrecognizedClientException", INVALID_TOKEN],
    [
      "no signature of this kind",
      () => "Basic eDp5",
      "MissingAuthenticationTokenException",
      "Request is missing Authentication Token",
    ],
  ])("with %s is refused", async (_, change, type, message) => {
    const { headers, body } = await signed();
    const answer = await send({
      headers: { ...headers, authorization: change(headers.authorization as string) },
      body,
    });
    expect(answer.json()).toEqual(refusal(type, message));
  });

  it("with a date that is none is refused", async () => {
    const { headers, body } = await signed();
    expect((await send({ headers: { ...headers, "x-amz-date": "yesterday" }, body })).json()).toEqual(
      refusal(
        "IncompleteSignatureException",
        "Date must be in ISO-8601 'basic format'. Got 'yesterday'. See http://en.wikipedia.org/wiki/ISO_8601",
      ),
    );
  });

  it("for the health of the store needs no signature", async () => {
    expect((await raw(h.port, { method: "GET" })).status).toBe(200);
  });
});

describe("a presigned request", () => {
  const presigned = async (asked: Asked = {}, expiresIn = 60) => {
    const headers = { "x-amz-target": "DynamoDB_20120810.ListTables", "content-type": "application/x-amz-json-1.0" };
    const out = await signer(asked).presign(request(asked), {
      expiresIn,
      signingDate: new Date(asked.at ?? nowMs),
      unhoistableHeaders: new Set(["x-amz-target"]),
    });
    return { query: new URLSearchParams(out.query as Record<string, string>), headers };
  };
  const post = async (query: URLSearchParams, headers: Record<string, string>) => {
    const response = await fetch(`http://127.0.0.1:${h.port}/?${query}`, { method: "POST", headers, body: "{}" });
    return (await response.json()) as unknown;
  };

  it("is answered for as long as it says", async () => {
    for (const credentials of [ada, guest]) {
      const { query, headers } = await presigned({ credentials });
      expect(await post(query, headers)).toEqual({ TableNames: [] });
    }
    const { query, headers } = await presigned({ at: NOW - 61_000 });
    expect(await post(query, headers)).toMatchObject({ message: expect.stringMatching(/^Signature expired: /) });
  });

  it("that was changed, or is not whole, is refused", async () => {
    const { query, headers } = await presigned();
    const longer = new URLSearchParams(query);
    longer.set("X-Amz-Expires", "3600");
    expect(await post(longer, headers)).toEqual(refusal("InvalidSignatureException", MISMATCH));
    const { authorization = "" } = (await signed()).headers;
    expect(await post(query, { ...headers, authorization })).toEqual(
      refusal(
        "InvalidSignatureException",
        "Found both 'X-Amz-Algorithm' as a query-string param and 'Authorization' as HTTP header.",
      ),
    );
    query.delete("X-Amz-Signature");
    expect(await post(query, headers)).toEqual(
      refusal(
        "IncompleteSignatureException",
        "AWS query-string parameters must include 'X-Amz-Signature'. Re-examine the query-string parameters.",
      ),
    );
  });
});

describe("a router", () => {
  it("opens to other machines only with credentials", async () => {
    await expect(createRouterServer(new MemoryBackend()).listen({ host: "0.0.0.0" })).rejects.toMatchObject({
      code: "ERR_STORE_ARGUMENT",
      message: expect.stringContaining("give credentials"),
    });
    const open = createRouterServer(new MemoryBackend(), { credentials: [ada] });
    expect((await open.listen({ host: "0.0.0.0" })).port).toBeGreaterThan(0);
    await open.close();
  });

  it.each([
    [[{ accessKeyId: "a/b", secretAccessKey: "x" }]],
    [[{ accessKeyId: "a", secretAccessKey: "" }]],
    [[ada, ada]],
  ])("takes no credentials that are none", (credentials) => {
    expect(() => createRouterServer(new MemoryBackend(), { credentials })).toThrow(/^credentials: /);
  });
});
