import { request as httpRequest } from "node:http";
import { connect } from "node:net";
import * as sdk from "@aws-sdk/client-dynamodb";
import { CreateTableCommand, DynamoDBClient, GetItemCommand, PutItemCommand } from "@aws-sdk/client-dynamodb";
import { beforeAll, describe, expect, it } from "vitest";
import { ApiError, type ApiErrorType } from "../../src/api/errors.js";
import { connectionsWithin } from "../../src/router/descriptors.js";
import { createRouterServer } from "../../src/router/http.js";
import { MemoryBackend } from "../memory-backend.js";
import { call, harness, raw, SIGNED } from "./harness.js";

const h = harness();
const CORAL = "com.amazon.coral.service#";
const TARGET = { "X-Amz-Target": "DynamoDB_20120810.ListTables" };

/** Holds whoever awaits `held` until `release` is called. */
function barrier(): { held: Promise<void>; release: () => void } {
  let release = () => {};
  const held = new Promise<void>((resolve) => {
    release = resolve;
  });
  return { held, release };
}

beforeAll(async () => {
  await h.client.send(
    new CreateTableCommand({
      TableName: "things",
      KeySchema: [{ AttributeName: "id", KeyType: "HASH" }],
      AttributeDefinitions: [{ AttributeName: "id", AttributeType: "S" }],
      BillingMode: "PAY_PER_REQUEST",
    }),
  );
});

describe("an answer", () => {
  it("carries the service's headers", async () => {
    const { crc32 } = await import("node:zlib");
    const answers = [await call(h.port, "ListTables", {}), await call(h.port, "DescribeTable", {})];
    for (const answer of answers) {
      expect(answer.headers.get("content-type")).toBe("application/x-amz-json-1.0");
      expect(answer.headers.get("server")).toBe("Server");
      expect(answer.headers.get("x-amzn-requestid")).toMatch(/^[A-Z2-7]{52}$/);
      expect(Number(answer.headers.get("x-amz-crc32"))).toBe(crc32(Buffer.from(answer.text)));
    }
    expect(answers[0]?.headers.get("x-amzn-requestid")).not.toBe(answers[1]?.headers.get("x-amzn-requestid"));
  });

  it("to a health check is short", async () => {
    const answer = await raw(h.port, { method: "GET" });
    expect(answer).toMatchObject({ status: 200, text: `healthy: 127.0.0.1:${h.port} ` });
    expect((await fetch(`http://127.0.0.1:${h.port}/health`)).status).toBe(404);
  });

  it("to a preflight lets pages of other origins in", async () => {
    const headers = {
      Origin: "http://example.test",
      "Access-Control-Request-Headers": "x-amz-target",
      "Access-Control-Request-Method": "POST",
    };
    const answer = await raw(h.port, { method: "OPTIONS", headers });
    expect(answer.status).toBe(200);
    expect(answer.headers.get("access-control-allow-origin")).toBe("*");
    expect(answer.headers.get("access-control-allow-headers")).toBe("x-amz-target");
    expect(answer.headers.get("access-control-allow-methods")).toBe("POST");
    expect(answer.headers.get("access-control-max-age")).toBe("172800");
  });

  it.each(["GET", "POST"])(
    "to another origin's %s says who may read it, and nothing of a preflight",
    async (method) => {
      const asked = {
        Origin: "http://example.test",
        "Access-Control-Request-Headers": "x-amz-target",
        "Access-Control-Request-Method": "POST",
      };
      const answer = await raw(h.port, { method, headers: { ...SIGNED, ...TARGET, ...asked } });
      expect([...answer.headers.keys()].filter((name) => name.startsWith("access-control"))).toEqual([
        "access-control-allow-origin",
        "access-control-expose-headers",
      ]);
    },
  );
});

describe("a request", () => {
  const signedJson = { ...SIGNED, ...TARGET };
  const without = (header: keyof typeof signedJson) => {
    const { [header]: _, ...rest } = signedJson;
    return rest;
  };
  it.each<[string, RequestInit, number, object]>([
    ["of broken JSON", { headers: signedJson, body: "{" }, 400, { __type: `${CORAL}SerializationException` }],
    ["without a body", { headers: signedJson }, 400, { __type: `${CORAL}SerializationException` }],
    ["that is a list", { headers: signedJson, body: "[]" }, 400, { __type: `${CORAL}SerializationException` }],
    ["that is null", { headers: signedJson, body: "null" }, 400, { __type: `${CORAL}SerializationException` }],
    [
      "without a target",
      { headers: without("X-Amz-Target"), body: "{}" },
      400,
      { __type: `${CORAL}UnknownOperationException` },
    ],
    [
      "for an unknown operation",
      { headers: { ...signedJson, "X-Amz-Target": "DynamoDB_20120810.Nope" }, body: "{}" },
      400,
      { __type: `${CORAL}UnknownOperationException` },
    ],
    [
      "for another service",
      { headers: { ...signedJson, "X-Amz-Target": "Kinesis_20131202.ListTables" }, body: "{}" },
      400,
      { __type: `${CORAL}UnknownOperationException` },
    ],
    [
      "without a signature",
      { headers: without("Authorization"), body: "{}" },
      400,
      { __type: `${CORAL}MissingAuthenticationTokenException`, message: "Request is missing Authentication Token" },
    ],
    [
      "with another kind of signature",
      { headers: { ...signedJson, Authorization: "Basic YTpi" }, body: "{}" },
      400,
      { __type: `${CORAL}MissingAuthenticationTokenException`, message: "Request is missing Authentication Token" },
    ],
    [
      "with half a signature",
      { headers: { ...without("X-Amz-Date"), Authorization: "AWS4-HMAC-SHA256 Credential=a" }, body: "{}" },
      400,
      {
        __type: `${CORAL}IncompleteSignatureException`,
        message:
          "Authorization header requires 'Signature' parameter. Authorization header requires 'SignedHeaders' parameter. Authorization header requires existence of either a 'X-Amz-Date' or a 'Date' header. Authorization=AWS4-HMAC-SHA256 Credential=a",
      },
    ],
  ])("%s is refused", async (_, init, status, body) => {
    const answer = await raw(h.port, init as never);
    expect(answer.status).toBe(status);
    expect(answer.json()).toEqual(body);
  });

  it.each([
    ["of another type", { headers: { ...signedJson, "Content-Type": "text/plain" }, body: "{}" }],
    ["of another method", { method: "PUT", headers: signedJson, body: "{}" }],
    ["for deletion", { method: "DELETE", headers: signedJson }],
  ])("%s is not our protocol", async (_, init) => {
    const answer = await raw(h.port, init);
    expect(answer).toMatchObject({ status: 404, text: "<UnknownOperationException/>\n" });
  });

  it.each<[string, string, object, string]>([
    [
      "GetItem",
      "a list for a map",
      { TableName: "things", Key: [] },
      "Unrecognized collection type java.util.Map<java.lang.String, com.amazonaws.dynamodb.v20120810.AttributeValue>",
    ],
    ["GetItem", "a number for a name", { TableName: 5 }, "NUMBER_VALUE cannot be converted to String"],
    ["GetItem", "a fraction for a name", { TableName: 5.5 }, "DECIMAL_VALUE cannot be converted to String"],
    ["GetItem", "a list for a name", { TableName: [] }, "Unrecognized collection type class java.lang.String"],
    ["GetItem", "a map for a name", { TableName: {} }, "Start of structure or map found where not expected"],
    ["GetItem", "a word for a boolean", { ConsistentRead: "maybe" }, "Unexpected token received from parser"],
    ["GetItem", "a number for a boolean", { ConsistentRead: 1 }, "NUMBER_VALUE cannot be converted to Boolean"],
    ["GetItem", "a string for a map", { Key: "id" }, "Unexpected field type"],
    ["Query", "a string for a number", { Limit: "5" }, "STRING_VALUE cannot be converted to Integer"],
    ["Query", "a boolean for a number", { Limit: true }, "TRUE_VALUE cannot be converted to Integer"],
    ["CreateTable", "a map for a list", { KeySchema: {} }, "Start of structure or map found where not expected"],
    [
      "CreateTable",
      "a list for a structure",
      { KeySchema: [[]] },
      "Unrecognized collection type class com.amazonaws.dynamodb.v20120810.KeySchemaElement",
    ],
    ["PutItem", "a bare value", { TableName: "things", Item: { id: "x" } }, "Unexpected value type in payload"],
    [
      "PutItem",
      "a number in S",
      { TableName: "things", Item: { id: { S: 5 } } },
      "NUMBER_VALUE cannot be converted to String",
    ],
    [
      "PutItem",
      "a number in B",
      { TableName: "things", Item: { id: { B: 5 } } },
      "only base-64-encoded strings are convertible to bytes",
    ],
    [
      "PutItem",
      "short base64",
      { TableName: "things", Item: { id: { B: "abc" } } },
      "Base64 encoded length is expected a multiple of 4 bytes but found: 3",
    ],
    [
      "PutItem",
      "foreign base64",
      { TableName: "things", Item: { id: { B: "ab-_" } } },
      "Invalid last non-pad Base64 character dectected",
    ],
    [
      "PutItem",
      "stray bits in base64",
      { TableName: "things", Item: { id: { B: "AB==" } } },
      "Invalid last non-pad Base64 character dectected",
    ],
    [
      "PutItem",
      "a map for a set",
      { TableName: "things", Item: { id: { SS: {} } } },
      "Start of structure or map found where not expected",
    ],
    [
      "PutItem",
      "a word in a set",
      { TableName: "things", Item: { id: { SS: [true] } } },
      "TRUE_VALUE cannot be converted to String",
    ],
  ])("to %s with %s does not deserialize", async (operation, _, body, Message) => {
    const answer = await call(h.port, operation, body);
    expect(answer.status).toBe(400);
    expect(answer.json()).toEqual({ __type: `${CORAL}SerializationException`, Message });
  });

  it("to a write whose condition fails says so with a capital letter where the item comes with it", async () => {
    const Item = { id: { S: "taken" } };
    const once = { TableName: "things", Item, ConditionExpression: "attribute_not_exists(id)" };
    expect((await call(h.port, "PutItem", once)).status).toBe(200);
    const __type = "com.amazonaws.dynamodb.v20120810#ConditionalCheckFailedException";
    const said = "The conditional request failed";
    const bare = await call(h.port, "PutItem", once);
    expect(bare.json()).toEqual({ __type, message: said });
    const told = await call(h.port, "PutItem", { ...once, ReturnValuesOnConditionCheckFailure: "ALL_OLD" });
    expect(told.json()).toEqual({ __type, Message: said, Item });
    // Without an item there is none to return.
    const none = { ...once, Item: { id: { S: "free" } }, ConditionExpression: "attribute_exists(id)" };
    const absent = await call(h.port, "PutItem", { ...none, ReturnValuesOnConditionCheckFailure: "ALL_OLD" });
    expect(absent.json()).toEqual({ __type, message: said });
  });

  const invalid = "One or more parameter values were invalid: ";
  const TOO_DEEP =
    "Nesting Levels have exceeded supported limits: Attributes in the item have nested levels beyond supported limit";
  const nested = (levels: number): object => (levels === 0 ? { S: "" } : { L: [nested(levels - 1)] });
  it.each<[string, unknown, string]>([
    ["no type", {}, "Supplied AttributeValue is empty, must contain exactly one of the supported datatypes"],
    [
      "an unknown type",
      { X: "1" },
      "Supplied AttributeValue is empty, must contain exactly one of the supported datatypes",
    ],
    [
      "two types",
      { S: "1", N: "1" },
      "Supplied AttributeValue has more than one datatypes set, must contain exactly one of the supported datatypes",
    ],
    ["NULL false", { NULL: false }, `${invalid}Null attribute value types must have the value of true`],
    ["an empty SS", { SS: [] }, `${invalid}An string set  may not be empty`],
    ["an empty NS", { NS: [] }, `${invalid}An number set  may not be empty`],
    ["an empty BS", { BS: [] }, `${invalid}Binary sets should not be empty`],
    ["a double in SS", { SS: ["b", "a", "b"] }, `${invalid}Input collection ["a", "b", "b"] contains duplicates.`],
    ["a double in NS", { NS: ["1", "1.0"] }, `${invalid}Input collection contains duplicates.`],
    [
      "a double in BS",
      { BS: ["AQ==", "AQ=="] },
      `${invalid}Input collection ["AQ==","AQ=="]of type BS contains duplicates.`,
    ],
    ["a word for a number", { N: "ten" }, "The parameter cannot be converted to a numeric value: ten"],
    [
      "1E400",
      { N: "1E400" },
      "Number overflow. Attempting to store a number with magnitude larger than supported range",
    ],
    ["33 levels", nested(32), TOO_DEEP],
    ["60 levels in a map", { M: { deep: nested(60) } }, TOO_DEEP],
    ["a member without a name", { L: [{ M: { "": { S: "x" } } }] }, "Empty attribute name"],
  ])("with a value of %s is refused", async (_, value, problem) => {
    const message = `1 validation error detected: ${problem}`;
    const answer = await call(h.port, "PutItem", { TableName: "things", Item: { id: { S: "x" }, value } });
    expect(answer.json()).toEqual({ __type: "com.amazon.coral.validate#ValidationException", message });
  });

  it("may nest 32 levels, and leave fields empty or unknown", async () => {
    const Item = { id: { S: "deep" }, value: nested(31), known: { S: "s", N: null, X: 1 } };
    expect((await call(h.port, "PutItem", { TableName: "things", Item, Surprise: {}, Expected: null })).text).toBe(
      "{}",
    );
    const answer = await call(h.port, "GetItem", { TableName: "things", Key: { id: { S: "deep" } } });
    expect(answer.json().Item).toEqual({ ...Item, known: { S: "s" } });
  });

  it.each<[string, object, string]>([
    ["PutItem", { Item: {} }, `${invalid}Missing the key id in the item`],
    ["PutItem", { Item: { id: { N: "1" } } }, `${invalid}Type mismatch for key id expected: S actual: N`],
    [
      "PutItem",
      { Item: { id: { S: "" } } },
      "One or more parameter values are not valid. The AttributeValue for a key attribute cannot contain an empty string value. Key: id",
    ],
    [
      "PutItem",
      { Item: { id: { S: "a" } }, ReturnValues: "ALL_NEW" },
      "1 validation error detected: ReturnValues can only be ALL_OLD or NONE",
    ],
    [
      "PutItem",
      { Item: { id: { S: "a" } }, ReturnValues: "SOME" },
      "1 validation error detected: Failed to satisfy constraint: Member must satisfy enum value set: [ALL_OLD, UPDATED_OLD, ALL_NEW, UPDATE_NEW, NONE]",
    ],
    [
      "PutItem",
      {},
      "1 validation error detected: Value null at 'item' failed to satisfy constraint: Member must not be null",
    ],
    ["DeleteItem", { Key: { id: { S: "a" }, more: { S: "b" } } }, "The provided key element does not match the schema"],
    ["UpdateItem", { Key: {} }, "The provided key element does not match the schema"],
    ["GetItem", { Key: { id: { N: "1" } } }, "The provided key element does not match the schema"],
    ["GetItem", { Key: { toString: { S: "1" } } }, "The provided key element does not match the schema"],
  ])("to %s with %j is refused", async (operation, body, message) => {
    const answer = await call(h.port, operation, { TableName: "things", ...body });
    expect(answer.json()).toEqual({ __type: "com.amazon.coral.validate#ValidationException", message });
  });

  it("may name things as objects name their own", async () => {
    const text =
      '{"TableName":"things","Item":{"id":{"S":"p"},"__proto__":{"S":"x"},"constructor":{"M":{"__proto__":{"N":"01"}}}}}';
    expect((await call(h.port, "PutItem", text)).text).toBe("{}");
    const answer = await call(h.port, "GetItem", { TableName: "things", Key: { id: { S: "p" } } });
    expect(answer.text).toBe(
      '{"Item":{"id":{"S":"p"},"__proto__":{"S":"x"},"constructor":{"M":{"__proto__":{"N":"1"}}}}}',
    );
    const batch = '{"RequestItems":{"__proto__":[{"DeleteRequest":{"Key":{"id":{"S":"p"}}}}]}}';
    expect((await call(h.port, "BatchWriteItem", batch)).json()).toMatchObject({
      __type: "com.amazonaws.dynamodb.v20120810#ResourceNotFoundException",
    });
  });
});

describe("an error of the storage side", () => {
  const types: [ApiErrorType, number][] = [
    ["ConditionalCheckFailedException", 400],
    ["InternalServerError", 500],
    ["ItemCollectionSizeLimitExceededException", 400],
    ["LimitExceededException", 400],
    ["ProvisionedThroughputExceededException", 400],
    ["RequestLimitExceeded", 400],
    ["ResourceInUseException", 400],
    ["ResourceNotFoundException", 400],
    ["ServiceUnavailable", 503],
    ["ThrottlingException", 400],
    ["TransactionConflictException", 400],
  ];
  it.each(types)("%s reaches the client as it is, with status %i, from any process", async (type, status) => {
    h.backend.before = () => {
      throw ApiError.fromData(JSON.parse(JSON.stringify(new ApiError(type, "why").toData())));
    };
    const failure = await h.client
      .send(new GetItemCommand({ TableName: "things", Key: { id: { S: "x" } } }))
      .catch((error) => error);
    expect(failure).toMatchObject({ name: type, message: "why", $metadata: { httpStatusCode: status } });
    h.backend.before = () => {};
  });

  it("is told under the name that the SDK's model has for it, which is all that some SDKs read", () => {
    const models = Object.values(sdk).filter((its) => Array.isArray(its) && its[0] === -3);
    const told = models.flatMap(([, , type, , members]) => {
      const body = ApiError.fromData({ type: type as ApiErrorType, message: "why" }).body();
      if (!String(body.__type).endsWith(`#${type}`)) return [];
      return [`${type}: ${members.filter((name: string) => name in body)}`];
    });
    expect(told.filter((its) => !/: message$/i.test(its))).toEqual([]);
    expect(told).toContain("IdempotentParameterMismatchException: Message");
    expect(told).toContain("ConditionalCheckFailedException: message");
  });

  it("that is a bug is not shown", async () => {
    h.backend.before = () => {
      throw new TypeError("secret of the house");
    };
    const answer = await call(h.port, "GetItem", { TableName: "things", Key: { id: { S: "x" } } });
    h.backend.before = () => {};
    expect(answer.status).toBe(500);
    expect(answer.text).not.toContain("secret");
    expect(answer.json().__type).toBe("com.amazonaws.dynamodb.v20120810#InternalServerError");
  });

  it("that throttles is one the SDK recovers from by itself", async () => {
    let calls = 0;
    h.backend.before = () => {
      if (++calls < 3) throw new ApiError("ProvisionedThroughputExceededException");
    };
    const patient = new DynamoDBClient({
      endpoint: `http://127.0.0.1:${h.port}`,
      region: "local",
      credentials: { accessKeyId: "any", secretAccessKey: "key" },
    });
    await patient.send(new PutItemCommand({ TableName: "things", Item: { id: { S: "patience" } } }));
    patient.destroy();
    h.backend.before = () => {};
    expect(calls).toBe(3);
  });
});

describe("a hostile client", () => {
  it.each<[string, string, object]>([
    ["a thousand parentheses", "(".repeat(1000), {}],
    ["a thousand NOTs", `${"NOT ".repeat(1000)}a = :v`, {}],
    ["operators to the brim", Array(400).fill("a=:v").join(" OR "), {}],
    ["a path of a thousand steps", `a${".b".repeat(1000)} = :v`, {}],
    ["an endless expression", `${" ".repeat(5000)}a = :v`, {}],
    ["functions in functions", `${"size(".repeat(500)}a`, {}],
    ["a giant index", "a[99999999999] = :v", {}],
  ])("gains nothing by %s", async (_, ConditionExpression) => {
    const answer = await call(h.port, "PutItem", {
      TableName: "things",
      Item: { id: { S: "x" } },
      ConditionExpression,
      ExpressionAttributeValues: { ":v": { S: "v" } },
    });
    expect(answer.status).toBe(400);
    expect(answer.json().message).toMatch(/^1 validation error detected: Invalid ConditionExpression: /);
  });

  it.each(["Item", "Key", "ExpressionAttributeNames", "Anything"])("gains nothing by a bottomless %s", async (name) => {
    const depth = 1_000_000;
    const body = `{"TableName":"things","${name}":{"id":${'{"L":['.repeat(depth)}${"]}".repeat(depth)}}}`;
    const answer = await call(h.port, "PutItem", body);
    expect(answer.status).toBe(400);
    expect(answer.text.length).toBeLessThan(1000);
  });

  it("may compare two paths", async () => {
    const answer = await call(h.port, "Scan", { TableName: "things", FilterExpression: "a = b" });
    expect(answer.status).toBe(200);
  });

  it("is told that its body is too large", async () => {
    const headers = { ...SIGNED, ...TARGET };
    const announced = await raw(h.port, { headers, body: "x".repeat(17 * 1024 * 1024) });
    expect(announced.status).toBe(413);
    const chunked = await new Promise<number | undefined>((resolve, reject) => {
      const request = httpRequest({ port: h.port, method: "POST", headers }, (response) => {
        response.resume();
        response.on("end", () => resolve(response.statusCode));
      });
      request.on("error", reject);
      for (let sent = 0; sent < 17; sent++) request.write(Buffer.alloc(1024 * 1024, "x"));
      request.end();
    });
    expect(chunked).toBe(413);
    expect(h.server.stats().bodyBytes).toBe(0);
  });

  it("may send a byte at a time, in pieces of characters", async () => {
    const body = Buffer.from(JSON.stringify({ TableName: "things", Item: { id: { S: "grüße 🌍" } } }));
    const headers = { ...SIGNED, "X-Amz-Target": "DynamoDB_20120810.PutItem" };
    const status = await new Promise<number | undefined>((resolve, reject) => {
      const request = httpRequest({ port: h.port, method: "POST", headers }, (response) => {
        response.resume();
        resolve(response.statusCode);
      });
      request.on("error", reject);
      for (const byte of body) request.write(Uint8Array.of(byte));
      request.end();
    });
    expect(status).toBe(200);
  });

  it("may send its requests ahead of the answers", async () => {
    const body = '{"Limit":1}';
    const one = [
      "POST / HTTP/1.1",
      "Host: localhost",
      ...Object.entries({ ...SIGNED, ...TARGET }).map(([name, value]) => `${name}: ${value}`),
      `Content-Length: ${body.length}`,
      "",
      body,
    ].join("\r\n");
    const socket = connect(h.port, "127.0.0.1");
    let received = "";
    await new Promise<void>((resolve, reject) => {
      socket.on("error", reject);
      socket.on("data", (data) => {
        received += data;
        if (received.split('"TableNames":["things"]').length === 4) resolve();
      });
      socket.write(one.repeat(3));
    });
    socket.destroy();
    expect(received.match(/HTTP\/1\.1 200 OK/g)).toHaveLength(3);
  });

  it("that goes away leaves nothing behind", async () => {
    const { held: arrived, release: entered } = barrier();
    const { held, release } = barrier();
    h.backend.before = () => {
      entered();
      return held;
    };
    const controller = new AbortController();
    const get = new GetItemCommand({ TableName: "things", Key: { id: { S: "x" } } });
    const asked = h.client.send(get, { abortSignal: controller.signal }).catch((error) => error.name);
    await arrived;
    controller.abort();
    expect(await asked).toBe("AbortError");
    release();
    h.backend.before = () => {};
    await expect.poll(() => h.server.stats().underway).toBe(0);
    expect((await h.client.send(get)).Item).toBeUndefined();
  });

  it("that never finishes its request is cut off", async () => {
    const server = createRouterServer(new MemoryBackend(), { requestTimeoutMs: 100 });
    const { port } = await server.listen();
    const socket = connect(port, "127.0.0.1");
    const answer = await new Promise<string>((resolve, reject) => {
      let received = "";
      socket.on("error", reject);
      socket.on("data", (data) => {
        received += data;
      });
      socket.on("close", () => resolve(received));
      socket.write("POST / HTTP/1.1\r\nHost: localhost\r\nContent-Length: 100\r\n\r\nhalf");
    });
    expect(answer).toContain("408 Request Timeout");
    await expect.poll(() => server.stats()).toMatchObject({ underway: 0, connections: 0, bodyBytes: 0 });
    await server.close();
  });

  it.each([
    ["64", 32],
    ["256", 128],
    ["1024", 768],
    ["20000", 10_000],
    ["unlimited", 10_000],
  ])("leaves descriptors for everything else where a process may open %s", (files, connections) => {
    expect(connectionsWithin(`Limit  Soft\nMax open files            ${files}   1048576   files\n`)).toBe(connections);
    expect(connectionsWithin("")).toBe(10_000);
  });

  it("finds the door shut when there are too many", async () => {
    const server = createRouterServer(h.backend, { connectionsMax: 1 });
    const { port } = await server.listen();
    const first = connect(port, "127.0.0.1");
    await expect.poll(() => server.stats().connections).toBe(1);
    const second = connect(port, "127.0.0.1");
    await new Promise((resolve) => second.on("close", resolve));
    expect(server.stats().connections).toBe(1);
    first.destroy();
    await server.close();
  });
});

describe("a server", () => {
  it("refuses more than it can hold, and says so", async () => {
    const backend = new MemoryBackend();
    await using server = createRouterServer(backend, { requestsMax: 1, bodiesBytesMax: 1000 });
    const { port } = await server.listen();
    await call(port, "CreateTable", {
      TableName: "tiny",
      KeySchema: [{ AttributeName: "id", KeyType: "HASH" }],
      AttributeDefinitions: [{ AttributeName: "id", AttributeType: "S" }],
      BillingMode: "PAY_PER_REQUEST",
    });
    expect((await call(port, "PutItem", { data: "x".repeat(2000) })).status).toBe(503);
    const { held: gate, release } = barrier();
    backend.before = () => gate;
    const held = call(port, "GetItem", { TableName: "tiny", Key: { id: { S: "x" } } });
    await expect.poll(() => server.stats().underway).toBe(1);
    const refused = await call(port, "ListTables", {});
    expect(refused).toMatchObject({ status: 503 });
    expect(refused.json()).toEqual({
      __type: "com.amazonaws.dynamodb.v20120810#ServiceUnavailable",
      message: "The service is currently unavailable or busy.",
    });
    release();
    await expect.poll(() => server.stats().underway).toBe(0);
    expect((await held).status).toBe(200);
    expect(server.stats()).toMatchObject({ requests: 4, refused: 2, serverErrors: 2 });
  });

  it("takes no more work while its answers are not taken", async () => {
    const backend = new MemoryBackend();
    await using server = createRouterServer(backend, { answersBytesMax: 1_000_000, closeGraceMs: 1 });
    const { port } = await server.listen();
    await call(port, "CreateTable", {
      TableName: "wide",
      KeySchema: [{ AttributeName: "id", KeyType: "HASH" }],
      AttributeDefinitions: [{ AttributeName: "id", AttributeType: "S" }],
      BillingMode: "PAY_PER_REQUEST",
    });
    const Key = { id: { S: "x" } };
    await call(port, "PutItem", { TableName: "wide", Item: { ...Key, data: { S: "x".repeat(400_000) } } });
    const body = JSON.stringify({ TableName: "wide", Key });
    const head = { ...SIGNED, "X-Amz-Target": "DynamoDB_20120810.GetItem", "Content-Length": body.length, Host: "h" };
    const lines = Object.entries(head).map(([name, value]) => `${name}: ${value}`);
    const deaf = connect(port, "127.0.0.1");
    deaf.pause();
    deaf.write(`POST / HTTP/1.1\r\n${lines.join("\r\n")}\r\n\r\n${body}`.repeat(60));
    await expect.poll(() => server.stats().answerBytes).toBeGreaterThan(1_000_000);
    expect((await call(port, "ListTables", {})).status).toBe(503);
    deaf.destroy();
    await expect.poll(() => server.stats().answerBytes).toBe(0);
    expect((await call(port, "ListTables", {})).status).toBe(200);
  });

  it("lets what is under way end before it closes, and keeps no connection", async () => {
    const backend = new MemoryBackend();
    const server = createRouterServer(backend);
    const { port } = await server.listen();
    await call(port, "CreateTable", {
      TableName: "last",
      KeySchema: [{ AttributeName: "id", KeyType: "HASH" }],
      AttributeDefinitions: [{ AttributeName: "id", AttributeType: "S" }],
      BillingMode: "PAY_PER_REQUEST",
    });
    const { held: gate, release } = barrier();
    backend.before = () => gate;
    const last = call(port, "GetItem", { TableName: "last", Key: { id: { S: "x" } } });
    await expect.poll(() => server.stats().underway).toBe(1);
    const closing = server.close();
    expect(server.close()).toBe(closing);
    release();
    await expect.poll(() => server.stats().underway).toBe(0);
    expect((await last).status).toBe(200);
    await closing;
    await expect(call(port, "ListTables", {})).rejects.toThrow();
    expect(server.stats().connections).toBe(0);
  });

  it("cuts off what does not end", async () => {
    const backend = new MemoryBackend();
    const server = createRouterServer(backend, { closeGraceMs: 1 });
    const { port } = await server.listen();
    const socket = connect(port, "127.0.0.1");
    const gone = new Promise((resolve) => socket.on("close", resolve));
    socket.on("error", () => {});
    socket.write("POST / HTTP/1.1\r\nHost: localhost\r\nContent-Length: 100\r\n\r\nhalf");
    await expect.poll(() => server.stats().underway).toBe(1);
    await server.close();
    await gone;
    await expect.poll(() => server.stats().underway).toBe(0);
  });

  it("stays on this machine", async () => {
    const server = createRouterServer(new MemoryBackend());
    await expect(server.listen({ host: "0.0.0.0" })).rejects.toMatchObject({
      code: "ERR_STORE_ARGUMENT",
      message: expect.stringContaining("got 0.0.0.0"),
    });
    await server.close();
  });

  it("says plainly that its port is taken", async () => {
    const server = createRouterServer(new MemoryBackend());
    await expect(server.listen({ port: h.port })).rejects.toMatchObject({
      code: "ERR_STORE_LISTEN",
      message: `cannot listen on 127.0.0.1:${h.port}: the port is in use`,
    });
    await server.close();
  });

  it.each([[{ bodyBytesMax: 0 }], [{ requestsMax: 1.5 }], [{ keepAliveMs: Number.NaN }], [{ closeGraceMs: -1 }]])(
    "checks its options: %j",
    (options) => {
      const [name] = Object.keys(options);
      expect(() => createRouterServer(new MemoryBackend(), options)).toThrow(
        expect.objectContaining({ code: "ERR_STORE_ARGUMENT", message: expect.stringContaining(`${name}: `) }),
      );
    },
  );
});
