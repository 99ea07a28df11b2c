import { randomBytes } from "node:crypto";
import { subscribe, unsubscribe } from "node:diagnostics_channel";
import { once } from "node:events";
import { connect, createServer, type Socket } from "node:net";
import { Duplex } from "node:stream";
import { afterEach, describe, expect, it, vi } from "vitest";
import { decodeChallenge, encodeHello, kinds, messageVersion, proofOf } from "../src/transport/handshake.js";
import { Incoming } from "../src/transport/incoming.js";
import {
  encodeFrame,
  FrameReader,
  frameHeaderBytes,
  type TcpTransport,
  type TcpTransportOptions,
  tcpTransport,
} from "../src/transport/index.js";

const open: (() => Promise<unknown> | unknown)[] = [];
afterEach(async () => {
  for (const close of open.splice(0).reverse()) await close();
});

const until = (condition: () => boolean) =>
  vi.waitFor(() => expect(condition()).toBe(true), { timeout: 60_000, interval: 5 });

async function node(nodeId: string, options: Partial<TcpTransportOptions> = {}) {
  const transport = await tcpTransport({ nodeId, backoffMinMs: 5, backoffMaxMs: 50, ...options });
  const received: [string, string][] = [];
  transport.onMessage((from, bytes) => received.push([from, Buffer.from(bytes).toString("utf8")]));
  open.push(() => transport.close());
  return Object.assign(transport, { received });
}

function introduce(...nodes: TcpTransport[]) {
  for (const a of nodes) for (const b of nodes) if (a !== b) a.setPeer(b.nodeId, { host: b.host, port: b.port });
}

const bytes = (text: string) => Buffer.from(text, "utf8");

async function rawConnection(port: number): Promise<Socket> {
  const socket = connect({ host: "127.0.0.1", port });
  socket.on("error", () => {});
  open.push(() => socket.destroy());
  await once(socket, "connect");
  return socket;
}

/** A connection that has come as far as a peer's. */
async function provedConnection(port: number, { from, to }: { from: string; to: string }): Promise<Socket> {
  const socket = await rawConnection(port);
  const reader = new FrameReader({ frameBytesMax: 1024 });
  const next = async () => {
    for (;;) {
      const frame = reader.next();
      if (frame) return frame;
      reader.push((await once(socket, "data"))[0] as Buffer);
    }
  };
  const hello = { versionMin: messageVersion, versionMax: messageVersion, nonce: randomBytes(32), from, to };
  socket.write(encodeFrame(encodeHello(hello), kinds.hello));
  const challenge = decodeChallenge((await next()).payload);
  socket.write(encodeFrame(proofOf(undefined, "D", hello, challenge), kinds.proof));
  expect((await next()).kind).toBe(kinds.welcome);
  return socket;
}

describe("the TCP transport", () => {
  it("carries messages both ways in order, with the sender's name", async () => {
    const [a, b] = [await node("a"), await node("b")];
    introduce(a, b);
    for (let i = 0; i < 500; i++) a.send("b", bytes(`a${i}`));
    b.send("a", bytes("hello"));
    await until(() => b.received.length === 500 && a.received.length === 1);
    expect(b.received.map(([, text]) => text)).toEqual(Array.from({ length: 500 }, (_, i) => `a${i}`));
    expect(a.received).toEqual([["b", "hello"]]);
    expect(a.stats()).toMatchObject({
      connected: 1,
      messagesSent: 500,
      messagesReceived: 1,
      messagesDropped: 0,
      bytesQueued: 0,
    });
  });

  it("delivers a message as large as the bound, and drops a larger one with a count", async () => {
    const [a, b] = [await node("a", { frameBytesMax: 3_000_000 }), await node("b", { frameBytesMax: 3_000_000 })];
    introduce(a, b);
    a.send("b", new Uint8Array(3_000_001));
    a.send("b", bytes("x".repeat(3_000_000)));
    await until(() => b.received.length === 1);
    expect(b.received[0]?.[1].length).toBe(3_000_000);
    expect(a.stats().messagesDropped).toBe(1);
  });

  it("dials again after the peer has restarted on another port", async () => {
    const [a, b] = [await node("a"), await node("b")];
    introduce(a, b);
    a.send("b", bytes("1"));
    await until(() => b.received.length === 1);
    await b.close();
    const again = await node("b");
    introduce(a, again);
    await until(() => {
      a.send("b", bytes("2"));
      return again.received.length > 0;
    });
    expect(again.received[0]).toEqual(["a", "2"]);
  });

  it("keeps what fits while a peer is away, and lets the oldest go", async () => {
    const [a, b] = [await node("a", { queueBytesMax: 1024 }), await node("b")];
    a.setPeer("b", { host: "127.0.0.1", port: b.port });
    for (let i = 0; i < 100; i++) a.send("b", bytes(String(i).padStart(64)));
    expect(a.stats()).toMatchObject({ bytesQueued: 1024, messagesDropped: 84 });
    // b listens to nobody it does not know: until now a was refused and kept its queue.
    await until(() => b.stats().connectionsRefused > 0);
    b.setPeer("a", { host: "127.0.0.1", port: a.port });
    await until(() => b.received.length === 16);
    expect(b.received.map(([, text]) => Number(text))).toEqual(Array.from({ length: 16 }, (_, i) => 84 + i));
  });

  it("admits only who holds the secret, in both directions", async () => {
    const a = await node("a", { secret: "the right secret, long enough" });
    const b = await node("b", { secret: "another secret, long enough" });
    const refusals: string[] = [];
    const onProblem = (event: unknown) => {
      const { nodeId, problem } = event as { nodeId: string; problem: Error };
      if (/does not hold our secret/.test(problem.message)) refusals.push(nodeId);
    };
    subscribe("evenkeel:paxos:connection", onProblem);
    open.push(() => unsubscribe("evenkeel:paxos:connection", onProblem));
    introduce(a, b);
    a.send("b", bytes("psst"));
    b.send("a", bytes("psst"));
    await until(() => new Set(refusals).size === 2);
    expect(a.stats().connected + b.stats().connected).toBe(0);
    const c = await node("c", { secret: "the right secret, long enough" });
    introduce(a, c);
    c.send("a", bytes("it is me"));
    await until(() => a.received.length === 1);
    expect(a.received).toEqual([["c", "it is me"]]);
    expect(b.received).toEqual([]);
  });

  it("refuses a stranger, and one who means another node", async () => {
    const [a, b, stranger] = [await node("a"), await node("b"), await node("stranger")];
    introduce(a, b);
    stranger.setPeer("a", { host: "127.0.0.1", port: a.port });
    stranger.send("a", bytes("hi"));
    await until(() => a.stats().connectionsRefused > 0);
    // b's port under c's name: the listener is not c.
    a.setPeer("c", { host: "127.0.0.1", port: b.port });
    a.send("c", bytes("hi"));
    await until(() => b.stats().connectionsRefused > 0);
    expect([...a.received, ...b.received]).toEqual([]);
  });

  it("ends connections that send garbage, announce 4 GiB, or messages before a proof", async () => {
    const a = await node("a");
    const huge = encodeFrame(new Uint8Array(0), 1);
    huge.writeUInt32LE(0xffff_ffff, 4);
    const garbage = [
      Buffer.from("GET / HTTP/1.1\r\nHost: x\r\n\r\n"),
      huge,
      encodeFrame(bytes("vote"), 16),
      encodeFrame(bytes(""), 1),
    ];
    for (const [index, wrong] of garbage.entries()) {
      const socket = await rawConnection(a.port);
      socket.resume();
      const closed = once(socket, "close");
      socket.write(wrong);
      await closed;
      expect(a.stats().connectionsRefused).toBe(index + 1);
    }
    expect(a.received).toEqual([]);
  });

  it("ends the connection of a peer that announces more than the bound", async () => {
    const b = await node("b", { frameBytesMax: 100_000 });
    b.setPeer("a", { host: "127.0.0.1", port: 1 });
    const large = encodeFrame(bytes("x".repeat(100_001)), kinds.message);
    const deaf = await provedConnection(b.port, { from: "a", to: "b" });
    const gone = once(deaf, "close");
    deaf.write(encodeFrame(bytes("a message"), kinds.message));
    deaf.write(large.subarray(0, 5000));
    deaf.resume();
    await gone;
    expect(b.received).toEqual([["a", "a message"]]);
    expect(b.stats().connectionsRefused).toBe(1);
  });

  it("ends the connection of a peer that asks on and never reads the answers", async () => {
    const taken: Buffer[] = [];
    // What is written to it stays with us, but for the handshake's two frames.
    const deaf = new Duplex({
      read() {},
      write(chunk, _, done) {
        if (taken.push(chunk as Buffer) <= 2) done();
      },
    });
    const refusals: string[] = [];
    new Incoming(deaf as Socket, 0, {
      nodeId: "b",
      secret: undefined,
      tls: undefined,
      frameBytesMax: 1024,
      knows: () => true,
      onProved: () => {},
      onMessage: () => {},
      onRefused: (problem) => refusals.push(problem.message),
      onClosed: () => {},
    });
    const hello = {
      versionMin: messageVersion,
      versionMax: messageVersion,
      nonce: randomBytes(32),
      from: "a",
      to: "b",
    };
    deaf.push(encodeFrame(encodeHello(hello), kinds.hello));
    await until(() => taken.length === 1);
    const challenge = decodeChallenge((taken[0] as Buffer).subarray(frameHeaderBytes));
    deaf.push(encodeFrame(proofOf(undefined, "D", hello, challenge), kinds.proof));
    await until(() => taken.length === 2);
    const ping = encodeFrame(bytes(""), kinds.ping);
    for (let i = 0; i < 10_000 && !deaf.destroyed; i++) {
      deaf.push(ping);
      if (i % 100 === 0) await new Promise((resolve) => setImmediate(resolve));
    }
    await until(() => deaf.destroyed);
    expect(refusals).toEqual(["answers are not read"]);
    expect(deaf.writableLength).toBeLessThan(100_000);
  });

  it("ends connections that never prove who they are", async () => {
    const a = await node("a", { handshakeTimeoutMs: 100, unprovedMax: 3 });
    const sockets = await Promise.all(Array.from({ length: 3 }, () => rawConnection(a.port)));
    for (const socket of sockets) socket.resume();
    await until(() => sockets.every((socket) => socket.closed));
    expect(a.stats().connectionsRefused).toBe(0);
    // The places are free again.
    const b = await node("b");
    introduce(a, b);
    b.send("a", bytes("now"));
    await until(() => a.received.length === 1);
  });

  it("bounds how many may try to prove who they are", async () => {
    const a = await node("a", { handshakeTimeoutMs: 600_000, unprovedMax: 3 });
    const sockets = await Promise.all(Array.from({ length: 6 }, () => rawConnection(a.port)));
    for (const socket of sockets) socket.resume();
    const open = () => sockets.filter((socket) => !socket.closed);
    await until(() => open().length === 3);
    expect(a.stats().connectionsRefused).toBe(3);
    for (const socket of open()) socket.destroy();
    const b = await node("b");
    introduce(a, b);
    b.send("a", bytes("now"));
    await until(() => a.received.length === 1);
  });

  it("does not grow, and starts anew, when a peer reads nothing", async () => {
    const b = await node("b");
    let deaf = true;
    let stalled = 0;
    // A path to b that swallows everything after the handshake for as long as it is deaf.
    const path = createServer((inner) => {
      const outer = connect({ host: "127.0.0.1", port: b.port });
      open.push(
        () => outer.destroy(),
        () => inner.destroy(),
      );
      inner.on("error", () => {}).on("close", () => outer.destroy());
      outer.on("error", () => {}).on("close", () => inner.destroy());
      outer.pipe(inner);
      let seen = 0;
      inner.on("data", (chunk) => {
        seen += chunk.length;
        outer.write(chunk);
        if (deaf && seen > 100) {
          stalled++;
          inner.pause();
        }
      });
    });
    path.listen(0, "127.0.0.1");
    await once(path, "listening");
    open.push(() => path.close());
    const a = await node("a", { queueBytesMax: 256 * 1024, stallTimeoutMs: 200, handshakeTimeoutMs: 2000 });
    a.setPeer("b", { host: "127.0.0.1", port: (path.address() as { port: number }).port });
    b.setPeer("a", { host: "127.0.0.1", port: a.port });
    const chunk = bytes("y".repeat(64 * 1024));
    await until(() => {
      for (let i = 0; i < 8; i++) a.send("b", chunk);
      expect(a.stats().bytesQueued).toBeLessThanOrEqual(256 * 1024);
      return stalled >= 2 && a.stats().messagesDropped > 0;
    });
    deaf = false;
    await until(() => {
      a.send("b", bytes("after"));
      return b.received.some(([, text]) => text === "after");
    });
  });

  it("listens on loopback unless there is a secret, and names wrong arguments", async () => {
    const wrong: Partial<TcpTransportOptions>[] = [
      { host: "0.0.0.0" },
      { nodeId: "" },
      { nodeId: "n".repeat(129) },
      { port: 70_000 },
      { secret: "short" },
      { frameBytesMax: 0 },
    ];
    for (const options of wrong) {
      await expect(tcpTransport({ nodeId: "a", ...options })).rejects.toMatchObject({ code: "ERR_PAXOS_ARGUMENT" });
    }
    // As they come from a program without types, or from its configuration. A secret of another type must not be as good as none, or found out by the first connection.
    const unlikely: readonly [unknown, RegExp][] = [
      [undefined, /nodeId/],
      [{ nodeId: "a", secret: 1234567890123456 }, /secret/],
      [{ nodeId: "a", host: "0.0.0.0", secret: 1234567890123456 }, /secret/],
      [{ nodeId: "a", peers: ["b"] }, /peers/],
      [{ nodeId: "a", peers: { b: null } }, /host of b/],
      [{ nodeId: "a", peers: { b: { host: 5, port: 7001 } } }, /host of b/],
      [{ nodeId: "a", peers: { b: { host: "127.0.0.1", port: 0 } } }, /port of b/],
    ];
    const servers = () => process.getActiveResourcesInfo().filter((name) => name === "TCPServerWrap").length;
    const before = servers();
    for (const [options, message] of unlikely) {
      await expect(tcpTransport(options as TcpTransportOptions)).rejects.toMatchObject({
        code: "ERR_PAXOS_ARGUMENT",
        message: expect.stringMatching(message),
      });
    }
    expect(servers(), "none of them listens").toBe(before);
    const outside = await node("a", { host: "0.0.0.0", secret: new Uint8Array(32).fill(7) });
    expect(outside.port).toBeGreaterThan(0);
    await expect(
      tcpTransport({ nodeId: "b", port: outside.port, host: "0.0.0.0", secret: "x".repeat(32) }),
    ).rejects.toMatchObject({
      code: "EADDRINUSE",
    });
  });

  it("close leaves nothing behind, and twice is once", async () => {
    const [a, b] = [await node("a"), await node("b")];
    introduce(a, b);
    a.send("b", bytes("1"));
    await until(() => b.received.length === 1);
    await Promise.all([a.close(), a.close(), b.close()]);
    a.send("b", bytes("2"));
    expect(a.stats().connected).toBe(0);
    await expect(rawConnection(a.port)).rejects.toMatchObject({ code: "ECONNREFUSED" });
  });
});
