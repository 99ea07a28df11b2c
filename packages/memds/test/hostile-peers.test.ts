import { connect, type Socket } from "node:net";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { encodeFrame, FrameReader, frameType } from "../src/core/frame.js";
import { decodeError, encodeQueries } from "../src/core/messages.js";
import { crc32, MemdsServer, type MemdsServerOptions } from "../src/index.js";
import { bytes, entry, until } from "./helpers.js";

let server: MemdsServer;
const sockets: Socket[] = [];
async function listen(options: MemdsServerOptions = {}): Promise<void> {
  server = await MemdsServer.listen({ connectionsMax: 4, ...options });
  server.load({ version: 1, entries: [entry("a", "1")] });
}
beforeEach(() => listen());
afterEach(async () => {
  for (const socket of sockets.splice(0)) socket.destroy();
  await server.close();
});

/** A raw connection; collects what comes back, as frames. */
async function dial() {
  const socket = connect({ host: server.host, port: server.port });
  sockets.push(socket);
  const peer = { socket, closed: false, types: [] as number[], errors: [] as string[] };
  const reader = new FrameReader({ frameBytesMax: 1 << 20, checksum: crc32 });
  socket.on("data", (chunk: Buffer) => {
    for (const { type, payload } of reader.push(chunk)) {
      peer.types.push(type);
      if (type === frameType.error) peer.errors.push(decodeError(payload).code);
    }
  });
  socket.on("error", () => {});
  socket.on("close", () => {
    peer.closed = true;
  });
  await new Promise<void>((resolve) => socket.once("connect", resolve));
  return peer;
}

const question = (request = 1) =>
  encodeFrame({ type: frameType.lookup, request, payload: encodeQueries([{ kind: "floor", key: bytes("b") }]) }, crc32);
const changed = (frame: Uint8Array, at: number, mask: number) =>
  frame.map((byte, i) => (i === at ? byte ^ mask : byte));

describe("a port that strangers find", () => {
  it.each([
    ["garbage", bytes("GET / HTTP/1.1\r\nhost: x\r\n\r\n"), "ERR_MEMDS_PROTOCOL"],
    ["zeros", new Uint8Array(64), "ERR_MEMDS_PROTOCOL"],
    ["a frame of 4 GiB", Uint8Array.of(255, 255, 255, 255), "ERR_MEMDS_PROTOCOL"],
    ["a frame of another protocol", changed(question(), 4, 1), "ERR_MEMDS_PROTOCOL"],
    ["a damaged frame", changed(question(), 20, 1), "ERR_MEMDS_CORRUPT"],
    ["an unknown type", encodeFrame({ type: 99, request: 1, payload: new Uint8Array(0) }, crc32), "ERR_MEMDS_PROTOCOL"],
    [
      "half a query",
      encodeFrame({ type: frameType.lookup, request: 1, payload: Uint8Array.of(5, 0, 1) }, crc32),
      "ERR_MEMDS_PROTOCOL",
    ],
    [
      "too long a query",
      encodeFrame({ type: frameType.lookup, request: 1, payload: Uint8Array.of(0, 0, 1) }, crc32),
      "ERR_MEMDS_PROTOCOL",
    ],
  ])("says why and closes on %s, and serves the next one", async (_what, sent, code) => {
    const peer = await dial();
    peer.socket.write(sent);
    await until(() => peer.closed, "the server to close the connection");
    expect(peer.errors).toEqual([code]);
    expect(server.stats().protocolErrors).toBe(1);
    const next = await dial();
    next.socket.write(question());
    await until(() => next.types.length === 1, "an answer");
    expect(next.types).toEqual([frameType.answer]);
  });

  it("tells a later format apart from damage", async () => {
    const later = question().slice();
    later[6] = 2;
    const sum = crc32(later.subarray(4, later.length - 4));
    new DataView(later.buffer).setUint32(later.length - 4, sum, true);
    const peer = await dial();
    peer.socket.write(later);
    await until(() => peer.closed, "the server to close the connection");
    expect(peer.errors).toEqual(["ERR_MEMDS_UNSUPPORTED"]);
  });

  it("does not wait for ever for the rest of a frame", async () => {
    await server.close();
    await listen({ frameTimeoutMs: 50 });
    const peer = await dial();
    peer.socket.write(question().subarray(0, 11));
    await until(() => peer.closed, "the server to lose patience");
    expect(peer.errors).toEqual(["ERR_MEMDS_PROTOCOL"]);
  });

  it("leaves an idle connection alone", async () => {
    await server.close();
    await listen({ frameTimeoutMs: 50 });
    const peer = await dial();
    peer.socket.write(question());
    await until(() => peer.types.length === 1, "an answer");
    await new Promise((resolve) => setTimeout(resolve, 120));
    peer.socket.write(question(2));
    await until(() => peer.types.length === 2, "a second answer");
    expect(peer.closed).toBe(false);
  });

  it("puts frames together from single bytes, and takes many in one piece", async () => {
    const peer = await dial();
    peer.socket.setNoDelay(true);
    for (const byte of question()) {
      peer.socket.write(Uint8Array.of(byte));
      await new Promise((resolve) => setImmediate(resolve));
    }
    peer.socket.write(Buffer.concat(Array.from({ length: 100 }, (_, i) => question(i + 2))));
    await until(() => peer.types.length === 101, "all answers");
    expect(new Set(peer.types)).toEqual(new Set([frameType.answer]));
  });

  it("holds no more connections than it is told", async () => {
    const peers: { readonly closed: boolean }[] = [];
    for (let i = 0; i < 6; i++) peers.push(await dial());
    await until(() => peers.filter(({ closed }) => closed).length === 2, "two to be turned away");
    expect(server.stats().connections).toBe(4);
  });

  it("does not gather answers for a client that reads nothing", async () => {
    server.load({
      version: 2,
      entries: Array.from({ length: 50 }, (_, i) => ({ key: bytes(`k${i}`), value: new Uint8Array(60_000) })),
    });
    const peer = await dial();
    peer.socket.pause();
    const whole = encodeFrame(
      {
        type: frameType.lookup,
        request: 1,
        payload: encodeQueries([{ kind: "range", from: bytes(""), limitMax: 50 }]),
      },
      crc32,
    );
    peer.socket.write(Buffer.concat(Array.from({ length: 500 }, () => whole)));
    await until(() => server.stats().requests > 0, "the first requests");
    const other = await dial();
    other.socket.write(question());
    await until(() => other.types.length === 1, "another client's answer");
    // 500 answers of 3 MB were asked for; the kernel's buffers take a few.
    expect(server.stats().requests).toBeLessThan(20);
  });
});
