import { subscribe, unsubscribe } from "node:diagnostics_channel";
import { once } from "node:events";
import { connect, createServer, type Socket } from "node:net";
import { Duplex } from "node:stream";
import { afterEach, describe, expect, it } from "vitest";
import { Incoming } from "../src/transport/incoming.js";
import { type TcpTransport, type TcpTransportOptions, tcpTransport } from "../src/transport/index.js";
import { SendQueue } from "../src/transport/send-queue.js";
import { bytes, until } from "./support/cluster.js";

const open: (() => Promise<unknown> | unknown)[] = [];
afterEach(async () => {
  for (const close of open.splice(0).reverse()) await close();
});

async function node(nodeId: string, options: Partial<TcpTransportOptions> = {}) {
  const transport = await tcpTransport({ nodeId, backoffMinMs: 5, backoffMaxMs: 50, ...options });
  const received: string[] = [];
  transport.onMessage((from, message) => received.push(`${from}: ${Buffer.from(message).toString("utf8")}`));
  open.push(() => transport.close());
  return Object.assign(transport, { received });
}

function introduce(...nodes: TcpTransport[]) {
  for (const a of nodes) for (const b of nodes) if (a !== b) a.setPeer(b.nodeId, { host: b.host, port: b.port });
}

describe("a peer", () => {
  it("that is removed is neither listened to nor spoken to, on what is open already as little as anew", async () => {
    const [a, b] = [await node("a"), await node("b")];
    introduce(a, b);
    a.send("b", bytes("1"));
    b.send("a", bytes("1"));
    await until(() => a.received.length === 1 && b.received.length === 1);
    const sent = a.stats().messagesSent;
    a.removePeer("b");
    a.send("b", bytes("2"));
    expect(a.stats()).toMatchObject({ connected: 0, messagesSent: sent, messagesDropped: 1, bytesQueued: 0 });
    await until(() => b.stats().connected === 0);
    b.send("a", bytes("2"));
    await until(() => a.stats().connectionsRefused > 0);
    expect([a.received, b.received]).toEqual([["b: 1"], ["a: 1"]]);
  });

  it("is listened to for as long as it likes once it has proved itself, and takes no place of those who have not", async () => {
    const a = await node("a", { handshakeTimeoutMs: 200, unprovedMax: 1 });
    const others = [await node("b"), await node("c"), await node("d")];
    for (const other of others) {
      introduce(a, other);
      other.send("a", bytes("1"));
      await until(() => a.received.includes(`${other.nodeId}: 1`));
    }
    // By then whoever had not proved himself is gone.
    const socket = await silent(a.port);
    await until(() => socket.closed);
    expect(others.map((other) => other.stats().connected)).toEqual([1, 1, 1]);
    for (const other of others) other.send("a", bytes("2"));
    await until(() => a.received.length === 6);
    expect(others.map((other) => other.stats().messagesDropped)).toEqual([0, 0, 0]);
  });

  it("has one connection to us: a newer one ends the one before, which another process of that name may have left", async () => {
    const a = await node("a");
    const old = await node("b");
    introduce(a, old);
    old.send("a", bytes("of the old one"));
    await until(() => a.received.length === 1 && old.stats().connected === 1);
    const young = await node("b");
    young.setPeer("a", { host: a.host, port: a.port });
    young.send("a", bytes("of the new one"));
    await until(() => a.received.length === 2);
    await until(() => old.stats().connected === 0);
  });

  it("that is removed by what it says is not heard again, though more of it has come already", async () => {
    const [a, b] = [await node("a"), await node("b")];
    introduce(a, b);
    const heard: string[] = [];
    a.onMessage((from, message) => {
      heard.push(Buffer.from(message).toString("utf8"));
      a.removePeer(from);
    });
    // All of them in one piece.
    for (const text of ["1", "2", "3"]) b.send("a", bytes(text));
    await until(() => heard.length > 0 && b.stats().connected === 0);
    expect(heard).toEqual(["1"]);
  });

  it("that is where it was keeps its connection", async () => {
    const [a, b] = [await node("a"), await node("b")];
    introduce(a, b);
    a.send("b", bytes("1"));
    await until(() => b.received.length === 1);
    a.setPeer("b", { host: b.host, port: b.port });
    expect(a.stats().connected).toBe(1);
  });

  it("that has moved is spoken to where it is now, with what waits for it, and no more where it was", async () => {
    const [a, b] = [await node("a"), await node("b")];
    introduce(a, b);
    a.send("b", bytes("1"));
    await until(() => b.received.length === 1);
    const there = await node("b");
    there.setPeer("a", { host: a.host, port: a.port });
    a.setPeer("b", { host: there.host, port: there.port });
    expect(a.stats().connected).toBe(0);
    a.send("b", bytes("2"));
    await until(() => there.received.length === 1);
    expect(b.received).toEqual(["a: 1"]);
    // Nobody was there, and nothing else is sent that would have it dialled.
    const [c, nobody] = [await node("c"), await node("a", { backoffMinMs: 60_000, backoffMaxMs: 60_000 })];
    c.setPeer("a", { host: nobody.host, port: nobody.port });
    nobody.setPeer("c", { host: "127.0.0.1", port: await closedPort() });
    const problem = new Promise<void>((resolve) => {
      const onProblem = (event: unknown) => (event as { peer?: string }).peer === "c" && resolve();
      subscribe("evenkeel:paxos:connection", onProblem);
      open.push(() => unsubscribe("evenkeel:paxos:connection", onProblem));
    });
    nobody.send("c", bytes("waits"));
    await problem;
    nobody.setPeer("c", { host: c.host, port: c.port });
    await until(() => c.received.length === 1);
  });
});

describe("who is refused", () => {
  it("is not listened to for as long as it goes on, nor waited for", async () => {
    const a = await node("a", { handshakeTimeoutMs: 600_000 });
    const socket = connect({ host: "127.0.0.1", port: a.port, allowHalfOpen: true });
    open.push(() => socket.destroy());
    socket.on("error", () => {});
    socket.resume();
    await once(socket, "connect");
    await until(() => {
      if (!socket.destroyed) socket.write("and so on, and so on");
      return socket.closed;
    });
    expect(a.stats()).toMatchObject({ connectionsRefused: 1, messagesReceived: 0 });
  });

  it("has a moment to read why, and is gone then", async () => {
    let over = () => {};
    /** Nothing that is written to it ever arrives. */
    class Deaf extends Duplex {
      override _read(): void {}
      override _write(): void {}
      setTimeout(_: number, idle: () => void): void {
        over = idle;
      }
      destroySoon(): void {
        this.once("finish", () => this.destroy());
      }
    }
    const deaf = new Deaf();
    const refused: Error[] = [];
    new Incoming(deaf as unknown as Socket, 0, {
      ...{ nodeId: "b", secret: undefined, tls: undefined, frameBytesMax: 1024, knows: () => true },
      ...{ onProved: () => {}, onMessage: () => {}, onClosed: () => {} },
      onRefused: (problem) => void refused.push(problem),
    });
    deaf.push("what is this");
    await until(() => refused.length === 1);
    deaf.push("and what is that");
    await until(() => deaf.readableLength === 0);
    expect([refused.length, deaf.destroyed]).toEqual([1, false]);
    over();
    expect(deaf.destroyed).toBe(true);
  });
});

describe("where anybody may come", () => {
  it.each(["0.0.0.0", "::", "10.1.2.3", "a1.example"])(
    "%s asks for a secret, of sixteen bytes at least",
    async (host) => {
      await expect(tcpTransport({ nodeId: "a", host })).rejects.toMatchObject({ code: "ERR_PAXOS_ARGUMENT" });
      await expect(tcpTransport({ nodeId: "a", host, secret: "x".repeat(15) })).rejects.toMatchObject({
        code: "ERR_PAXOS_ARGUMENT",
      });
    },
  );
});

describe("what waits for a peer", () => {
  it("is as much as was told, the newest of it, and never what is larger than that", () => {
    const queue = new SendQueue(100);
    queue.push(new Uint8Array(60).fill(1));
    queue.push(new Uint8Array(101).fill(2));
    expect([queue.length, queue.bytes, queue.dropped]).toEqual([1, 60, 1]);
    queue.push(new Uint8Array(41).fill(3));
    expect([queue.length, queue.bytes, queue.dropped]).toEqual([1, 41, 2]);
    queue.clear();
    expect([queue.length, queue.bytes, queue.dropped]).toEqual([0, 0, 3]);
  });

  it("goes in order, however long the queue has been in use", () => {
    const queue = new SendQueue(1e9);
    let [next, taken] = [0, 0];
    for (let round = 0; round < 40; round++) {
      for (let i = 0; i < 200; i++) queue.push(Buffer.from(String(next++)));
      for (const payload of queue.take(300).payloads) expect(Buffer.from(payload).toString()).toBe(String(taken++));
      expect(queue.length).toBe(next - taken);
    }
    while (queue.length > 0)
      for (const payload of queue.take(1).payloads) expect(Buffer.from(payload).toString()).toBe(String(taken++));
    expect([taken, queue.bytes]).toEqual([next, 0]);
  });
});

/** A connection that never says a word. */
async function silent(port: number): Promise<Socket> {
  const socket = connect({ host: "127.0.0.1", port });
  open.push(() => socket.destroy());
  socket.on("error", () => {});
  socket.resume();
  await once(socket, "connect");
  return socket;
}

async function closedPort(): Promise<number> {
  const server = createServer();
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  const { port } = server.address() as { port: number };
  server.close();
  await once(server, "close");
  return port;
}
