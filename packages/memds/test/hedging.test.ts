import { connect, createServer, type Socket } from "node:net";
import { afterEach, describe, expect, it } from "vitest";
import { MemdsClient, type MemdsClientOptions, MemdsServer, type Query } from "../src/index.js";
import { bytes, entry, show, until } from "./helpers.js";

const open: { close(): Promise<unknown> | unknown }[] = [];
afterEach(async () => {
  for (const each of open.splice(0).reverse()) await each.close();
});

async function member(name: string): Promise<{ host: string; port: number; server: MemdsServer }> {
  const server = await MemdsServer.listen();
  open.push(server);
  server.load({ version: 1, entries: [entry("a", name)] });
  return { host: server.host, port: server.port, server };
}

/** Takes connections and requests, and never answers: a stopped process, or a host behind a wall. */
async function silent(): Promise<{ host: string; port: number; chunks(): number }> {
  let chunks = 0;
  const sockets = new Set<Socket>();
  const server = createServer((socket) => {
    sockets.add(socket);
    socket.on("error", () => {}).on("data", () => chunks++);
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  open.push({
    close: () => {
      for (const socket of sockets) socket.destroy();
      server.close();
    },
  });
  return { host: "127.0.0.1", port: (server.address() as { port: number }).port, chunks: () => chunks };
}

function clientOf(
  servers: readonly { host: string; port: number }[],
  options: Partial<MemdsClientOptions> = {},
): MemdsClient {
  const client = new MemdsClient({
    servers: servers.map(({ host, port }) => ({ host, port })),
    timeoutMs: 60_000,
    hedgeAfterMs: 5,
    ...options,
  });
  open.push(client);
  return client;
}

const query: Query = { kind: "floor", key: bytes("b") };
const ask = async (client: MemdsClient) => show((await client.lookup([query]))[0]?.entries[0]);

describe("hedged look-ups", () => {
  it("asks a second server while the first one is silent, long before it would be given up", async () => {
    const client = clientOf([await silent(), await member("quick")]);
    expect(await ask(client)).toBe("a=quick");
    expect(client.stats()).toMatchObject({ hedged: 1, asked: 2, failed: 0, passedOver: { timedOut: 0 } });
  });

  it("finds out who is silent although somebody else has answered, and asks it last from then on", async () => {
    const quick = await member("quick");
    const client = clientOf([await silent(), quick], { timeoutMs: 4_000, retryAfterMs: 60_000 });
    expect(await ask(client)).toBe("a=quick");
    await until(() => client.stats().passedOver.timedOut === 1, "the silent server's share of the time to be over");
    const { asked, hedged } = client.stats();
    for (let i = 0; i < 10; i++) expect(await ask(client)).toBe("a=quick");
    expect(client.stats().asked - asked - (client.stats().hedged - hedged)).toBe(10);
  });

  it("does not double the load of a fleet that is slow as a whole", async () => {
    const fleet = [await silent(), await silent(), await silent()];
    const client = clientOf(fleet, { hedgeAfterMs: 1 });
    const lookups = Array.from({ length: 300 }, () => ask(client).catch((error: unknown) => error));
    const askedAt = performance.now();
    await until(() => client.stats().hedged === 10 && performance.now() > askedAt + 100, "all to have been slow");
    expect(client.stats()).toMatchObject({ hedged: 10, asked: 310 });
    await client.close();
    for (const error of await Promise.all(lookups)) expect(error).toMatchObject({ code: "ERR_MEMDS_CLOSED" });
  });

  it("ends both when the caller leaves", async () => {
    const fleet = [await silent(), await silent()];
    const client = clientOf(fleet);
    const leaving = new AbortController();
    const left = expect(client.lookup([query], { signal: leaving.signal })).rejects.toThrow("client gone");
    await until(() => client.stats().asked === 2, "the second server to be asked");
    leaving.abort(new Error("client gone"));
    await left;
    expect(client.stats()).toMatchObject({ failed: 1, passedOver: { timedOut: 0, unavailable: 0 } });
  });

  it("ends a cache's look-up too when its caller leaves, before it was late or after", async () => {
    const client = clientOf([await silent(), await silent()]);
    const source = client.sourceOf(({ version }) => version);
    for (const isLate of [false, true]) {
      const asked = client.stats().asked;
      const leaving = new AbortController();
      const left = expect(source.fetchMany(["b"], { signal: leaving.signal })).rejects.toThrow("cache gone");
      if (isLate) await until(() => client.stats().asked === asked + 2, "the second server to be asked");
      leaving.abort(new Error("cache gone"));
      await left;
    }
    expect(client.stats()).toMatchObject({ failed: 2, passedOver: { timedOut: 0, unavailable: 0 } });
  });

  it("goes on with the one that was slow where the second one fails", async () => {
    const slow = await member("slow");
    let release: (() => void) | undefined;
    const wall = createServer((socket) => {
      // Passes nothing on until it is told to.
      socket.on("error", () => {});
      socket.pause();
      release = () => {
        const through = connect(slow.port, slow.host).on("error", () => {});
        socket.pipe(through).pipe(socket);
      };
    });
    await new Promise<void>((resolve) => wall.listen(0, "127.0.0.1", resolve));
    open.push({ close: () => wall.close() });
    const gone = await member("gone");
    await gone.server.close();
    const client = clientOf([{ host: "127.0.0.1", port: (wall.address() as { port: number }).port }, gone]);
    const answer = ask(client);
    await until(() => client.stats().passedOver.unavailable === 1, "the second server to fail");
    await until(() => release !== undefined, "the first server to be reached");
    release!();
    expect(await answer).toBe("a=slow");
  });

  it("refuses a delay that is none", async () => {
    const target = await member("one");
    for (const hedgeAfterMs of [0, -1, 1.5, Number.NaN, Number.POSITIVE_INFINITY]) {
      expect(() => clientOf([target], { hedgeAfterMs })).toThrow(
        expect.objectContaining({ code: "ERR_MEMDS_ARGUMENT", message: expect.stringContaining("hedgeAfterMs") }),
      );
    }
  });
});
