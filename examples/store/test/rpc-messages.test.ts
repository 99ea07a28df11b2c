import { readFileSync } from "node:fs";
import { connect, createServer, type Server, type Socket } from "node:net";
import fc from "fast-check";
import { afterEach, describe, expect, it } from "vitest";
import { ApiError } from "../src/api/errors.js";
import { RpcClient } from "../src/rpc/client.js";
import {
  beginPayload,
  eachMessage,
  type Message,
  type MessageSink,
  readAnswer,
  readRequest,
  writeError,
  writeRequest,
  writeResult,
} from "../src/rpc/messages.js";
import type { Handlers, Method, Params, Result } from "../src/rpc/protocol.js";
import { RpcServer } from "../src/rpc/server.js";
import { StoreError } from "../src/storage-node/errors.js";
import type { NodeWriteOp } from "../src/storage-node/node-write-op.js";

/** All that is written, as one payload. */
class Payload implements MessageSink {
  buffer: Buffer = Buffer.alloc(1);
  #end = beginPayload(this.buffer, 0);

  reserve(bytes: number): number {
    this.buffer = Buffer.concat([this.buffer, Buffer.alloc(bytes)]);
    this.#end += bytes;
    return this.#end - bytes;
  }
}

const key = Buffer.from("a key");
const json = Buffer.from('{"id":{"S":"é"}}');
const plainPut: NodeWriteOp = { kind: "put", json, itemSizeBytes: 4, returnValues: "NONE" };
const requests: readonly (readonly [Method, unknown])[] = [
  ["get", { partition: 7, key, consistent: true }],
  ["get", { partition: 0xffff_ffff, key: Buffer.alloc(0), consistent: false }],
  ["write", { partition: 7, key, op: plainPut }],
  ["write", { partition: 7, key, op: { ...plainPut, returnValues: "ALL_OLD" } }],
  [
    "write",
    { partition: 7, key, op: { kind: "delete", returnValues: "NONE", condition: { kind: "exists", path: ["n"] } } },
  ],
  ["describeTable", { name: "people" }],
];
const answers: readonly (readonly [Method, unknown])[] = [
  ["get", { json, itemSizeBytes: 4 }],
  ["get", { itemSizeBytes: 0 }],
  ["write", { beforeBytes: 3, afterBytes: 4 }],
  ["write", { beforeBytes: 3, afterBytes: 0, attributes: { id: { S: "é" } } }],
  ["releaseMark", null],
];

/** Later than the golden payload. */
const indexed: readonly unknown[] = [
  { beforeBytes: 3, afterBytes: 4, indexUnits: { "by-name": 2 } },
  { beforeBytes: 0, afterBytes: 400 * 1024, attributes: { id: { S: "é" } }, indexUnits: { "by-name": 1 } },
];

function golden(): Payload {
  const payload = new Payload();
  for (const [method, params] of requests) writeRequest(payload, 1, method, params as Params<Method>);
  for (const [method, result] of answers) writeResult(payload, 0xffff_ffff, method, result);
  writeError(payload, 2, new StoreError("ERR_STORE_NOT_LEADER", "another one leads", { leader: "b1" }));
  writeError(payload, 3, new ApiError("ConditionalCheckFailedException"));
  writeError(payload, 4, new TypeError("a bug"));
  return payload;
}

describe("messages between router and nodes", () => {
  it("are the bytes that they always were", () => {
    const fixture = readFileSync(new URL("fixtures/rpc-payload-v1.hex", import.meta.url), "utf8").replace(/\s/g, "");
    expect(golden().buffer.toString("hex")).toBe(fixture);
  });

  it("say what was said", () => {
    const seen: unknown[] = [];
    let at = 0;
    eachMessage(golden().buffer, (...message) => {
      const place = at++;
      if (place < requests.length) seen.push(readRequest(...message));
      else seen.push(readAnswer((answers[place - requests.length]?.[0] ?? "get") as Method, ...message));
    });
    expect(seen.slice(0, requests.length)).toEqual(requests.map(([method, params]) => ({ id: 1, method, params })));
    expect(seen.slice(requests.length, -3)).toEqual(answers.map(([, result]) => ({ result })));
    expect(seen.slice(-3)).toEqual([
      { error: expect.objectContaining({ code: "ERR_STORE_NOT_LEADER", leader: "b1" }) },
      { error: expect.objectContaining({ type: "ConditionalCheckFailedException" }) },
      { error: expect.objectContaining({ message: "TypeError: a bug" }) },
    ]);
  });

  it("bring frames of memds there and back", () => {
    const payload = new Payload();
    const frame = Buffer.from("a frame, whatever is in it");
    writeRequest(payload, 8, "lookUp", { frame });
    writeResult(payload, 8, "lookUp", frame);
    const seen: Message[] = [];
    eachMessage(payload.buffer, (...message) => seen.push(message));
    const [request, answer] = seen as [Message, Message];
    expect(readRequest(...request)).toEqual({ id: 8, method: "lookUp", params: { frame } });
    expect(readAnswer("lookUp", ...answer)).toEqual({ result: frame });
  });

  it("say what a write cost secondary indexes", () => {
    const payload = new Payload();
    for (const result of indexed) writeResult(payload, 1, "write", result);
    const seen: unknown[] = [];
    eachMessage(payload.buffer, (...message) => seen.push(readAnswer("write", ...message)));
    expect(seen).toEqual(indexed.map((result) => ({ result })));
  });

  it("fail with a RangeError, and nothing else, where they are cut off or another's", () => {
    const whole = golden().buffer;
    const read = (bytes: Uint8Array) =>
      eachMessage(bytes, (...message) => {
        readRequest(...message);
      });
    expect(() => read(Buffer.from([2]))).toThrow(RangeError);
    // A get, and what might be the rest of it behind it.
    expect(() => readRequest(1, 1, whole, 10, 14)).toThrow(RangeError);
    expect(() => readAnswer("get", 1, 0, whole, 10, 14)).toThrow(RangeError);
    fc.assert(
      fc.property(fc.integer({ min: 0, max: 120 }), (length) => {
        try {
          read(whole.subarray(0, length));
        } catch (error) {
          expect(error).toBeInstanceOf(RangeError);
        }
      }),
    );
  });
});

describe("a connection to a node", () => {
  const closing: (() => Promise<unknown> | unknown)[] = [];
  afterEach(async () => {
    for (const close of closing.splice(0).reverse()) await close();
  });

  async function served(handlers: Partial<Handlers>): Promise<RpcClient> {
    const server = await RpcServer.listen(handlers as Handlers);
    const client = new RpcClient({ host: "127.0.0.1", port: server.port });
    closing.push(
      () => server.close(),
      () => client.close(),
    );
    return client;
  }

  it("carries messages of any size, many at once, each answer to its question", async () => {
    const client = await served({
      get: ({ key, partition }) => ({ json: Buffer.alloc(partition, key[0]), itemSizeBytes: partition }),
    });
    const sizes = [0, 1, 100, 65_000, 65_536, 70_000, 1_000_000];
    const all = Array.from({ length: 300 }, (_, i) => ({ size: sizes[i % sizes.length] as number, byte: i % 256 }));
    const results = await Promise.all(
      all.map(({ size, byte }) =>
        client.call("get", { partition: size, key: Buffer.of(byte), consistent: true }, { timeoutMs: 60_000 }),
      ),
    );
    results.forEach((result: Result<"get">, i) => {
      const { size, byte } = all[i] as { size: number; byte: number };
      expect(Buffer.alloc(size, byte).equals(result.json ?? Buffer.of())).toBe(true);
    });
  });

  it("is of unknown outcome for a call that is not answered in time, and for all when it ends", async () => {
    const client = await served({ get: () => new Promise<never>(() => undefined) });
    const ask = (timeoutMs: number) =>
      client.call("get", { partition: 1, key: Buffer.of(1), consistent: true }, { timeoutMs });
    await expect(ask(10)).rejects.toMatchObject({ code: "ERR_STORE_UNKNOWN_OUTCOME" });
    const waiting = ask(60_000);
    await Promise.all([expect(waiting).rejects.toMatchObject({ code: "ERR_STORE_UNKNOWN_OUTCOME" }), client.close()]);
  });

  it("is opened anew after it was lost, and unreachable while nobody listens", async () => {
    const client = await served({ get: () => ({ itemSizeBytes: 1 }) });
    const ask = () => client.call("get", { partition: 1, key: Buffer.of(1), consistent: true });
    expect(await ask()).toEqual({ itemSizeBytes: 1 });
    await closing.shift()?.();
    await expect(ask()).rejects.toBeInstanceOf(StoreError);
    await expect(ask()).rejects.toMatchObject({ code: "ERR_STORE_UNREACHABLE" });
    const again = await RpcServer.listen({ get: () => ({ itemSizeBytes: 2 }) } as Partial<Handlers> as Handlers);
    closing.push(() => again.close());
    client.setAddress({ host: "127.0.0.1", port: again.port });
    expect(await ask()).toEqual({ itemSizeBytes: 2 });
  });

  it("ends where the other side speaks another language", async () => {
    const sockets: Socket[] = [];
    const stranger: Server = createServer((socket) => {
      sockets.push(socket);
      socket.on("error", () => undefined).on("data", () => socket.write("HTTP/1.1 400 Bad Request\r\n\r\n"));
    });
    await new Promise<void>((resolve) => stranger.listen(0, "127.0.0.1", resolve));
    closing.push(() => {
      for (const socket of sockets) socket.destroy();
      return new Promise((resolve) => stranger.close(resolve));
    });
    const { port } = stranger.address() as { port: number };
    const client = new RpcClient({ host: "127.0.0.1", port });
    closing.push(() => client.close());
    await expect(client.call("get", { partition: 1, key: Buffer.of(1), consistent: true })).rejects.toMatchObject({
      code: "ERR_STORE_UNKNOWN_OUTCOME",
    });

    const server = await RpcServer.listen({} as Handlers);
    closing.push(() => server.close());
    const caller = connect(server.port, "127.0.0.1");
    await new Promise<void>((resolve) => {
      caller.on("error", () => undefined).on("close", () => resolve());
      caller.write("GET / HTTP/1.1\r\n\r\n");
    });
  });
});
