import { createServer, type Server, type Socket } from "node:net";
import { afterEach, describe, expect, it } from "vitest";
import { freePort } from "../../../scripts/free-port.js";
import {
  MemdsClient,
  type MemdsClientOptions,
  MemdsServer,
  type MemdsServerOptions,
  type Query,
} from "../src/index.js";
import { bytes, entry, put, show, text, until } from "./helpers.js";

const open: { close(): Promise<unknown> | unknown }[] = [];
afterEach(async () => {
  for (const each of open.splice(0).reverse()) await each.close();
});

async function startServer({ version, ...options }: MemdsServerOptions & { version?: number } = {}) {
  const server = await MemdsServer.listen(options);
  open.push(server);
  if (version !== undefined) server.load({ version, entries: [entry("a", `v${version}`), entry("m", "2")] });
  return server;
}

/** Hedges nothing: who is asked has to depend on the order alone, not on how busy the machine is. `hedging.test.ts` is about the rest. */
function startClient(servers: MemdsClientOptions["servers"], options: Partial<MemdsClientOptions> = {}): MemdsClient {
  const client = new MemdsClient({ servers, timeoutMs: 10_000, hedgeAfterMs: 2 ** 31 - 1, ...options });
  open.push(client);
  return client;
}

/** Takes connections and does with them what the test says. */
async function startFake(
  onSocket: (socket: Socket) => void,
): Promise<{ host: string; port: number; connections: number }> {
  const sockets = new Set<Socket>();
  const fake = { host: "127.0.0.1", port: 0, connections: 0 };
  const server: Server = createServer((socket) => {
    fake.connections++;
    sockets.add(socket);
    socket.on("error", () => {});
    onSocket(socket);
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  fake.port = (server.address() as { port: number }).port;
  open.push({
    close: () => {
      for (const socket of sockets) socket.destroy();
      server.close();
    },
  });
  return fake;
}

const address = ({ host, port }: { host: string; port: number }) => ({ host, port });
const floor = (key: string): Query => ({ kind: "floor", key: bytes(key) });
const failsWith = (code: string) => expect.objectContaining({ name: "MemdsError", code });

describe("asking a server", () => {
  it.each(["over TCP", "in process"])(
    "answers every kind of query, many in one request, from one version: %s",
    async (way) => {
      const server = await startServer({ version: 7 });
      const client = startClient([way === "in process" ? server : address(server)]);
      const answers = await client.lookup([
        { kind: "exact", key: bytes("m") },
        { kind: "exact", key: bytes("n") },
        floor("k"),
        floor(""),
        { kind: "ceiling", key: bytes("b") },
        { kind: "range", from: bytes(""), limitMax: 1 },
        { kind: "range", from: bytes(""), to: bytes("m"), limitMax: 10 },
      ]);
      expect(answers.map(({ entries }) => entries.map(show))).toEqual([
        ["m=2"],
        [],
        ["a=v7"],
        [],
        ["m=2"],
        ["a=v7"],
        ["a=v7"],
      ]);
      expect(answers.map(({ more }) => more)).toEqual([false, false, false, false, false, true, false]);
      expect(new Set(answers.map(({ version }) => version))).toEqual(new Set([7]));
      expect(server.stats()).toMatchObject({ requests: 1, queries: 7, connections: way === "in process" ? 0 : 1 });
      expect(await client.lookup([])).toEqual([]);
    },
  );

  it("has many requests under way on one connection", async () => {
    const server = await startServer({ version: 1 });
    const client = startClient([address(server)]);
    const answers = await Promise.all(
      Array.from({ length: 500 }, (_, i) => client.lookup([floor(i % 2 === 0 ? "b" : "z")])),
    );
    answers.forEach(([answer], i) => {
      expect(show(answer!.entries[0])).toBe(i % 2 === 0 ? "a=v1" : "m=2");
    });
    expect(server.stats()).toMatchObject({ requests: 500, connections: 1 });
  });

  it("carries empty keys, zero bytes, high bytes and 2 KB", async () => {
    const server = await startServer();
    const keys = [new Uint8Array(0), Uint8Array.of(0), Uint8Array.of(0, 0), new Uint8Array(2048).fill(255)];
    server.load({ version: 1, entries: keys.map((key, i) => ({ key, value: Uint8Array.of(i) })) });
    const client = startClient([address(server)]);
    const answers = await client.lookup(keys.map((key) => ({ kind: "exact", key })));
    answers.forEach(({ entries }, i) => {
      expect(entries).toEqual([{ key: keys[i], value: Uint8Array.of(i) }]);
    });
    // The receiver's own: not a view that keeps a frame alive or changes with it.
    expect(answers[3]!.entries[0]!.key.buffer.byteLength).toBe(2048);
  });

  it("splits what does not fit in one frame, and ends a range that does not with `more`", async () => {
    const server = await startServer({ frameBytesMax: 131_072 });
    server.load({
      version: 1,
      entries: Array.from({ length: 10 }, (_, i) => ({ key: bytes(`k${i}`), value: new Uint8Array(50_000).fill(i) })),
    });
    const client = startClient([address(server)], { frameBytesMax: 131_072 });
    const answers = await client.lookup(Array.from({ length: 10 }, (_, i) => ({ kind: "exact", key: bytes(`k${i}`) })));
    answers.forEach(({ entries }, i) => {
      expect(entries[0]!.value[0]).toBe(i);
    });
    const [range] = await client.lookup([{ kind: "range", from: bytes(""), limitMax: 10 }]);
    expect(range).toMatchObject({ more: true });
    expect(range!.entries.map(({ key }) => text(key))).toEqual(["k0", "k1"]);
  });

  it("does not answer faster than its client reads", async () => {
    const server = await startServer();
    server.load({
      version: 1,
      entries: Array.from({ length: 100 }, (_, i) => ({ key: bytes(`k${i}`), value: new Uint8Array(60_000) })),
    });
    const client = startClient([address(server)], { timeoutMs: 20_000 });
    const whole: Query = { kind: "range", from: bytes(""), limitMax: 100 };
    const answers = await Promise.all(Array.from({ length: 10 }, () => client.lookup([whole])));
    for (const [answer] of answers) expect(answer!.entries).toHaveLength(100);
  });
});

describe("a fleet", () => {
  it("spreads look-ups over its servers", async () => {
    const servers = await Promise.all([1, 2, 3].map(() => startServer({ version: 1 })));
    const client = startClient(servers.map(address), { hedgeAfterMs: 10_000 });
    for (let i = 0; i < 30; i++) await client.lookup([floor("b")]);
    expect(servers.map((server) => server.stats().requests)).toEqual([10, 10, 10]);
  });

  it("passes over a dead and a not ready server at once, and comes back when they are there", async () => {
    const port = await freePort();
    const dead = await startServer({ version: 1, port });
    await dead.close();
    const unready = await startServer();
    const good = await startServer({ version: 1 });
    const client = startClient([{ host: "127.0.0.1", port }, address(unready), address(good)], { retryAfterMs: 20 });
    for (let i = 0; i < 6; i++) expect(show((await client.lookup([floor("b")]))[0]!.entries[0])).toBe("a=v1");
    expect(client.stats()).toMatchObject({ failed: 0, lookups: 6 });
    expect(client.stats().passedOver.unavailable).toBeGreaterThanOrEqual(1);
    expect(client.stats().passedOver.notReady).toBeGreaterThanOrEqual(1);

    const back = await startServer({ version: 1, port });
    unready.load({ version: 1, entries: [entry("a", "v1")] });
    for (const server of [back, unready]) {
      const before = server.stats().queries;
      while (server.stats().queries === before) await client.lookup([floor("b")]);
    }
    expect(client.stats().failed).toBe(0);
  });

  it("goes on over a server that is killed with requests under way, and restarted", async () => {
    const first = await startServer({ version: 1, port: await freePort() });
    const second = await startServer({ version: 1 });
    const client = startClient([address(first), address(second)], { retryAfterMs: 10 });
    for (let round = 0; round < 3; round++) {
      const underWay = Array.from({ length: 50 }, () => client.lookup([floor("b")]));
      if (round === 1) await first.close();
      for (const [answer] of await Promise.all(underWay)) expect(show(answer!.entries[0])).toBe("a=v1");
    }
    const again = await startServer({ version: 1, port: first.port });
    while (again.stats().requests === 0) await client.lookup([floor("b")]);
  });

  it("does not wait for a server that takes connections and says nothing", async () => {
    const silent = await startFake(() => {});
    const good = await startServer({ version: 1 });
    const client = startClient([silent, address(good)], { timeoutMs: 4_000, retryAfterMs: 60_000 });
    for (let i = 0; i < 10; i++) expect(await client.lookup([floor("b")])).toHaveLength(1);
    expect(client.stats().passedOver.timedOut).toBe(1);
    // It alone: the whole time is used, no more, and the connection is given up.
    const before = silent.connections;
    const lonely = startClient([silent], { timeoutMs: 50, retryAfterMs: 0 });
    await expect(lonely.lookup([floor("b")])).rejects.toThrow(failsWith("ERR_MEMDS_TIMEOUT"));
    await expect(lonely.lookup([floor("b")])).rejects.toThrow(failsWith("ERR_MEMDS_TIMEOUT"));
    await until(() => silent.connections === before + 2, "a new connection for each attempt");
  });

  it("never goes back in version: another server is asked, then the answer refused", async () => {
    const ahead = await startServer({ version: 5 });
    const behind = await startServer({ version: 4 });
    const client = startClient([address(ahead), address(behind)]);
    for (let i = 0; i < 6; i++) expect((await client.lookup([floor("b")]))[0]!.version).toBe(5);
    expect(client.stats()).toMatchObject({ version: 5, passedOver: { stale: 3 } });
    await ahead.close();
    await expect(client.lookup([floor("b")])).rejects.toThrow(failsWith("ERR_MEMDS_STALE"));
    behind.apply({ version: 5, changes: [put("a", "v5")] });
    expect(show((await client.lookup([floor("b")]))[0]!.entries[0])).toBe("a=v5");
  });

  it("says what each server said when none could answer", async () => {
    const unready = await startServer();
    const closed = await startServer();
    await closed.close();
    const client = startClient([address(unready), address(closed), closed]);
    const error = await client.lookup([floor("b")]).catch((error: unknown) => error as Error);
    expect(error).toMatchObject({ code: "ERR_MEMDS_UNAVAILABLE" });
    expect(((error as Error).cause as AggregateError).errors.map(({ code }) => code).sort()).toEqual([
      "ERR_MEMDS_CLOSED",
      "ERR_MEMDS_NOT_READY",
      "ERR_MEMDS_UNAVAILABLE",
    ]);
  });

  it("ends the wait when the caller or the client ends it", async () => {
    const silent = await startFake(() => {});
    const client = startClient([silent], { timeoutMs: 60_000 });
    const leaving = new AbortController();
    const left = client.lookup([floor("b")], { signal: leaving.signal });
    const closed = client.lookup([floor("b")]);
    leaving.abort(new Error("client gone"));
    await expect(left).rejects.toThrow("client gone");
    await expect(client.lookup([], { signal: AbortSignal.abort(new Error("gone before")) })).rejects.toThrow(
      "gone before",
    );
    const refused = expect(closed).rejects.toThrow(failsWith("ERR_MEMDS_CLOSED"));
    await client.close();
    await refused;
    await expect(client.lookup([])).rejects.toThrow(failsWith("ERR_MEMDS_CLOSED"));
  });

  it("bounds what waits for one server", async () => {
    const silent = await startFake(() => {});
    const client = startClient([silent], { timeoutMs: 300, outstandingMax: 4 });
    const all = await Promise.allSettled(Array.from({ length: 10 }, () => client.lookup([floor("b")])));
    const codes = all.map((each) => (each.status === "rejected" ? (each.reason as { code: string }).code : "answered"));
    expect(codes.filter((code) => code === "ERR_MEMDS_OVERLOADED")).toHaveLength(6);
    // The first one to time out finds that nothing came at all, and gives the connection up for the others too.
    expect(codes.filter((code) => ["ERR_MEMDS_TIMEOUT", "ERR_MEMDS_UNAVAILABLE"].includes(code))).toHaveLength(4);
  });

  it.each([
    ["garbage", Buffer.from("HTTP/1.1 400 Bad Request\r\n\r\n")],
    ["a frame of 4 GiB", Buffer.from([255, 255, 255, 255])],
  ])("takes a server that answers %s for a broken one", async (_what, reply) => {
    const broken = await startFake((socket) => socket.on("data", () => socket.write(reply)));
    const good = await startServer({ version: 1 });
    const client = startClient([broken, address(good)]);
    expect(await client.lookup([floor("b")])).toHaveLength(1);
    const lonely = startClient([broken]);
    await expect(lonely.lookup([floor("b")])).rejects.toThrow(failsWith("ERR_MEMDS_UNAVAILABLE"));
  });

  it.each([
    [{ servers: [] }, "servers"],
    [{ servers: [{ host: 3, port: 1 }] }, "host"],
    [{ servers: [{ host: "a", port: 0 }] }, "port"],
    [{ servers: [{ host: "a", port: 1 }], timeoutMs: 0 }, "timeoutMs"],
  ])("refuses %j and names it", (options, name) => {
    const bad = options as never;
    expect(() => new MemdsClient(bad)).toThrow(
      expect.objectContaining({ code: "ERR_MEMDS_ARGUMENT", message: expect.stringContaining(name) }),
    );
  });

  it.each([
    [{ kind: "prefix" }],
    [{ kind: "exact" }],
    [{ kind: "exact", key: new Uint8Array(5000) }],
    [{ kind: "range", from: bytes(""), limitMax: 0 }],
  ])("refuses what is not a query (%#)", async (query) => {
    const client = startClient([await startServer({ version: 1 })]);
    await expect(client.lookup([query as never])).rejects.toThrow(failsWith("ERR_MEMDS_ARGUMENT"));
  });
});
