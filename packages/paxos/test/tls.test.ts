import { subscribe, unsubscribe } from "node:diagnostics_channel";
import { once } from "node:events";
import { connect, createServer, type Socket } from "node:net";
import { connect as connectTls, createServer as createTlsServer } from "node:tls";
import { afterAll, afterEach, beforeAll, expect, it } from "vitest";
import { describeWith, missingCommand } from "../../../scripts/needs.js";
import { GroupHost, memoryStorage } from "../src/index.js";
import {
  encodeFrame,
  type TcpTransport,
  type TcpTransportOptions,
  type TlsSettings,
  tcpTransport,
} from "../src/transport/index.js";
import { tlsContext } from "../src/transport/tls.js";
import { Authority } from "./support/certificates.js";
import { bytes, Journal, tuning, until } from "./support/cluster.js";

const open: (() => Promise<unknown> | unknown)[] = [];
afterEach(async () => {
  for (const close of open.splice(0).reverse()) await close();
});

async function node(nodeId: string, tls: TlsSettings | undefined, options: Partial<TcpTransportOptions> = {}) {
  const transport = await tcpTransport({ nodeId, backoffMinMs: 5, backoffMaxMs: 50, ...(tls && { tls }), ...options });
  const received: string[] = [];
  transport.onMessage((from, message) => received.push(`${from}: ${Buffer.from(message).toString("utf8")}`));
  open.push(() => transport.close());
  return Object.assign(transport, { received });
}

function introduce(...nodes: TcpTransport[]) {
  for (const a of nodes) for (const b of nodes) if (a !== b) a.setPeer(b.nodeId, { host: b.host, port: b.port });
}

describeWith(missingCommand("openssl", "openssl"), "the TCP transport with TLS", () => {
  let authority: Authority;
  let other: Authority;
  const certificates = new Map<string, TlsSettings>();
  beforeAll(() => {
    authority = new Authority();
    other = new Authority("somebody else's");
    for (const name of ["a", "b", "c"]) certificates.set(name, authority.issue([name]));
  });
  afterAll(() => {
    authority.close();
    other.close();
  });
  const of = (name: string) => certificates.get(name) as TlsSettings;

  it("carries messages both ways, and nobody on the way can read them", async () => {
    const [a, b] = [await node("a", of("a")), await node("b", of("b"))];
    let seen = "";
    const path = createServer((inner) => {
      const outer = connect({ host: "127.0.0.1", port: b.port });
      open.push(
        () => outer.destroy(),
        () => inner.destroy(),
      );
      for (const socket of [inner, outer]) {
        socket.on("error", () => {});
        socket.on("data", (chunk) => {
          seen += chunk.toString("latin1");
        });
      }
      inner.pipe(outer).pipe(inner);
    });
    path.listen(0, "127.0.0.1");
    await once(path, "listening");
    open.push(() => path.close());
    introduce(a, b);
    a.setPeer("b", { host: "127.0.0.1", port: (path.address() as { port: number }).port });
    for (let i = 0; i < 100; i++) a.send("b", bytes(`the plain words ${i}`));
    b.send("a", bytes("back"));
    await until(() => b.received.length === 100 && a.received.length === 1);
    expect(b.received.at(-1)).toBe("a: the plain words 99");
    expect(seen.length).toBeGreaterThan(1000);
    expect(seen).not.toContain("the plain words");
  });

  it("gives nothing to who shows no certificate, another authority's, an old one, or one in another name", async () => {
    const a = await node("a", of("a"));
    const strangers: [string, TlsSettings | undefined][] = [
      ["b", undefined],
      ["b", { ...other.issue(["b"]), ca: authority.ca }],
      ["b", authority.issue(["b"], 0)],
      // A peer, with a good certificate, that says it is another one.
      ["b", of("c")],
      // A good certificate of somebody who is no peer.
      ["d", authority.issue(["d"])],
    ];
    const wait = (count: number) => until(() => a.stats().connectionsRefused >= count);
    for (const [index, [name, tls]] of strangers.entries()) {
      const stranger = await node(name, tls);
      if (name !== "d") a.setPeer(name, { host: "127.0.0.1", port: stranger.port });
      stranger.setPeer("a", { host: "127.0.0.1", port: a.port });
      stranger.send("a", bytes("let me in"));
      await wait(index + 1);
      expect(stranger.stats().connected).toBe(0);
      await stranger.close();
    }
    const anonymous = connectTls({ host: "127.0.0.1", port: a.port, rejectUnauthorized: false });
    anonymous.on("error", () => {});
    let answered = 0;
    anonymous.on("data", (chunk) => {
      answered += chunk.length;
    });
    anonymous.write(encodeFrame(bytes("vote for me"), 16));
    await new Promise((resolve) => anonymous.once("close", resolve));
    expect(answered).toBe(0);
    expect(a.received).toEqual([]);
  });

  it("says nothing to a listener that cannot prove to be the peer", async () => {
    // Who listens there has a good certificate, in another name; then one of another authority.
    const impostors = [of("c"), { ...other.issue(["b"]), ca: authority.ca }];
    for (const tls of impostors) {
      const [a, impostor] = [await node("a", of("a")), await node("b", tls)];
      introduce(a, impostor);
      a.send("b", bytes("secret"));
      await until(() => impostor.stats().connectionsRefused > 0 || a.stats().connected > 0);
      expect(a.stats().connected).toBe(0);
      expect(a.stats().bytesQueued).toBe(6);
      expect(impostor.received).toEqual([]);
    }
  });

  it("speaks no older TLS than 1.3, with whoever dials as with whoever is dialled", async () => {
    const a = await node("a", of("a"));
    const older = { ...tlsContext(of("b")).secure, minVersion: "TLSv1.2", maxVersion: "TLSv1.2" } as const;
    const loopback = { host: "127.0.0.1", port: a.port };
    const dialling = connectTls({ ...loopback, ...older, checkServerIdentity: () => undefined });
    open.push(() => dialling.destroy());
    const dialled = createTlsServer({ ...older, requestCert: true });
    const agreed = await Promise.all([
      new Promise<boolean>((resolve) => {
        dialling.once("secureConnect", () => resolve(true)).once("error", () => resolve(false));
      }),
      new Promise<boolean>((resolve) => {
        dialled.once("secureConnection", () => resolve(true)).once("tlsClientError", () => resolve(false));
        dialled.listen(0, "127.0.0.1", () => {
          a.setPeer("b", { ...loopback, port: (dialled.address() as { port: number }).port });
          a.send("b", bytes("secret"));
        });
        open.push(() => dialled.close());
      }),
    ]);
    expect(agreed).toEqual([false, false]);
  });

  it("ends handshakes that stall, of which there are only so many at once", async () => {
    const a = await node("a", of("a"), { handshakeTimeoutMs: 150, unprovedMax: 3 });
    const stalled: Socket[] = [];
    for (let i = 0; i < 6; i++) stalled.push(await silent(a.port));
    await Promise.all(stalled.map((socket) => socket.closed || once(socket, "close")));
    expect(a.stats().connectionsRefused).toBeGreaterThanOrEqual(3);
    const b = await node("b", of("b"));
    introduce(a, b);
    b.send("a", bytes("the places are free again"));
    await until(() => a.received.length === 1);
  });

  it("closes in the middle of a handshake", async () => {
    const a = await node("a", of("a"), { handshakeTimeoutMs: 600_000, unprovedMax: 1 });
    const [stalls] = [await silent(a.port), await silent(a.port)];
    // The first one is there: the second has found no place.
    await until(() => a.stats().connectionsRefused === 1);
    await a.close();
    await until(() => stalls.closed);
  });

  it("asks for the secret too where there is one, and may listen anywhere without", async () => {
    const [a, b] = [
      await node("a", of("a"), { secret: "the right secret, long enough" }),
      await node("b", of("b"), { secret: "another secret, long enough", host: "0.0.0.0" }),
    ];
    const problems: string[] = [];
    const onProblem = (event: unknown) => problems.push((event as { problem: Error }).problem.message);
    subscribe("evenkeel:paxos:connection", onProblem);
    open.push(() => unsubscribe("evenkeel:paxos:connection", onProblem));
    a.setPeer("b", { host: "127.0.0.1", port: b.port });
    b.setPeer("a", { host: "127.0.0.1", port: a.port });
    b.send("a", bytes("psst"));
    await until(() => problems.some((text) => /does not hold our secret/.test(text)));
    expect(a.received).toEqual([]);
    expect((await node("c", of("c"), { host: "0.0.0.0" })).port).toBeGreaterThan(0);
  });

  it("names what is wrong with its settings", async () => {
    const { cert, key, ca } = of("a");
    const wrong = [
      { cert: "", key, ca },
      { cert: "not PEM", key, ca },
      { cert, key: of("b").key, ca },
      { cert, key, ca: [] },
    ];
    for (const tls of wrong) {
      await expect(tcpTransport({ nodeId: "a", tls })).rejects.toMatchObject({ code: "ERR_PAXOS_ARGUMENT" });
    }
  });

  it("may read the names of a certificate in another way", async () => {
    const namesOf = ({ subject }: { subject: { CN?: unknown } }) => [`node-${String(subject.CN)}`];
    const a = await node("node-a", { ...of("a"), namesOf });
    const b = await node("node-b", { ...of("b"), namesOf });
    introduce(a, b);
    a.send("node-b", bytes("hello"));
    await until(() => b.received.length === 1);
  });

  it("carries a group of three", async () => {
    const members = ["a", "b", "c"];
    const transports = await Promise.all(members.map((name) => node(name, of(name))));
    introduce(...transports);
    const nodes = await Promise.all(
      transports.map(async (transport) => {
        const host = await GroupHost.open({ ...tuning, transport, storage: memoryStorage() });
        open.push(() => host.close());
        return host.join("g", { members, stateMachine: new Journal() });
      }),
    );
    await until(() => nodes.some((group) => group.status().ready));
    const leader = nodes.find((group) => group.status().ready);
    for (let i = 1; i <= 50; i++) expect(await leader?.propose(bytes(`command ${i}`))).toBe(i);
    expect(transports.map((transport) => transport.stats().connectionsRefused)).toEqual([0, 0, 0]);
  });
});

/** One that says the beginning of a handshake, and no more. */
async function silent(port: number): Promise<Socket> {
  const socket = connect({ host: "127.0.0.1", port });
  open.push(() => socket.destroy());
  socket.on("error", () => {});
  await once(socket, "connect");
  socket.write(Uint8Array.of(22, 3, 1, 2, 0, 1));
  socket.resume();
  return socket;
}
