import { createServer, type Socket } from "node:net";
import { afterEach, describe, expect, it } from "vitest";
import { MemdsClient, MemdsServer, type Query } from "../src/index.js";
import { bytes, entry, show, until } from "./helpers.js";

const open: { close(): Promise<unknown> | unknown }[] = [];
afterEach(async () => {
  for (const each of open.splice(0).reverse()) await each.close();
});

async function member(name: string, version = 1): Promise<MemdsServer> {
  const server = await MemdsServer.listen();
  open.push(server);
  server.load({ version, entries: [entry("a", name)] });
  return server;
}

/** Takes connections and never answers. */
async function silent(): Promise<{ host: string; port: number; connections(): number }> {
  const sockets = new Set<Socket>();
  const server = createServer((socket) => {
    sockets.add(socket);
    socket.on("error", () => {}).on("close", () => sockets.delete(socket));
    socket.resume();
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  open.push({
    close: () => {
      for (const socket of sockets) socket.destroy();
      server.close();
    },
  });
  return { host: "127.0.0.1", port: (server.address() as { port: number }).port, connections: () => sockets.size };
}

/** Hedges nothing: who is asked has to depend on the list alone, not on how busy the machine is. */
function clientOf(servers: ConstructorParameters<typeof MemdsClient>[0]["servers"]): MemdsClient {
  const client = new MemdsClient({ servers, timeoutMs: 20_000, hedgeAfterMs: 2 ** 31 - 1 });
  open.push(client);
  return client;
}

const at = ({ host, port }: { host: string; port: number }) => ({ host, port });
const query: Query = { kind: "floor", key: bytes("b") };
const ask = async (client: MemdsClient) => show((await client.lookup([query]))[0]?.entries[0]);

describe("a fleet that changes", () => {
  it("is asked as it is now: the new member answers, the connection to the former one is closed", async () => {
    const [former, next] = [await member("former"), await member("next")];
    const client = clientOf([at(former)]);
    expect(await ask(client)).toBe("a=former");
    client.setServers([at(next)]);
    for (let i = 0; i < 5; i++) expect(await ask(client)).toBe("a=next");
    await until(() => former.stats().connections === 0, "the former member's connection to close");
    expect(former.stats().requests).toBe(1);
  });

  it("keeps the connection to a member that stays, wherever it stands in the list", async () => {
    const servers = [await member("one"), await member("two"), await member("three")] as const;
    const client = clientOf([at(servers[0]), at(servers[1])]);
    for (let i = 0; i < 4; i++) await ask(client);
    client.setServers([at(servers[2]), at(servers[1])]);
    const answers = new Set<string | undefined>();
    for (let i = 0; i < 4; i++) answers.add(await ask(client));
    expect(answers).toEqual(new Set(["a=two", "a=three"]));
    await until(() => servers[0].stats().connections === 0, "the connection to the one that went");
    expect(servers.map((server) => server.stats().connections)).toEqual([0, 1, 1]);
  });

  it("takes a member of this process in and out", async () => {
    const [near, far] = [await member("near"), await member("far")];
    const client = clientOf([at(far)]);
    client.setServers([near]);
    expect(await ask(client)).toBe("a=near");
    client.setServers([near, at(far)]);
    const answers = [await ask(client), await ask(client)];
    expect(answers.sort()).toEqual(["a=far", "a=near"]);
    expect(near.stats().connections).toBe(0);
  });

  it("asks elsewhere what was under way at a member that goes, even if it was the only one", async () => {
    const hanging = await silent();
    const next = await member("next");
    const client = clientOf([at(hanging)]);
    const answers = Promise.all([ask(client), ask(client)]);
    await until(() => hanging.connections() === 1, "the look-up to be under way");
    client.setServers([at(next)]);
    expect(await answers).toEqual(["a=next", "a=next"]);
    await until(() => hanging.connections() === 0, "the connection to close");
    expect(client.stats()).toMatchObject({ failed: 0, passedOver: { unavailable: 2 } });
  });

  it("does not open a connection to a former member any more", async () => {
    const [hanging, second] = [await silent(), await silent()];
    const next = await member("next");
    const client = clientOf([at(hanging), at(second)]);
    const answer = ask(client);
    await until(() => hanging.connections() === 1, "the look-up to be under way");
    client.setServers([at(next)]);
    expect(await answer).toBe("a=next");
    expect(second.connections()).toBe(0);
  });

  it("does not go back in version with the fleet", async () => {
    const [ahead, behind] = [await member("ahead", 5), await member("behind", 4)];
    const client = clientOf([ahead]);
    await ask(client);
    client.setServers([behind]);
    await expect(client.lookup([query])).rejects.toMatchObject({ code: "ERR_MEMDS_STALE" });
    behind.load({ version: 5, entries: [entry("a", "caught up")] });
    expect(await ask(client)).toBe("a=caught up");
  });

  it("stays what it was after a list that cannot be used, and is not taken after close", async () => {
    const server = await member("one");
    const client = clientOf([server]);
    for (const wrong of [[], "host:1", undefined, [server, { host: 1, port: 1 }], [{ host: "x", port: 0 }]]) {
      expect(() => client.setServers(wrong as never)).toThrow(expect.objectContaining({ code: "ERR_MEMDS_ARGUMENT" }));
    }
    expect(await ask(client)).toBe("a=one");
    await client.close();
    expect(() => client.setServers([server])).toThrow(expect.objectContaining({ code: "ERR_MEMDS_CLOSED" }));
  });
});
