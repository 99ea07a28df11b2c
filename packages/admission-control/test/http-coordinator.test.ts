import { spawn } from "node:child_process";
import { createServer, type RequestListener } from "node:http";
import type { AddressInfo } from "node:net";
import { fileURLToPath } from "node:url";
import { afterEach, describe, expect, it } from "vitest";
import { freePort } from "../../../scripts/free-port.js";
import { until } from "../../../scripts/redis-server.js";
import { RingOwners } from "../src/core/ring.js";
import {
  CoordinatorServer,
  type CoordinatorServerOptions,
  httpCoordinator,
  type Ring,
} from "../src/http-coordinator/index.js";
import { Admission, type Limit } from "../src/index.js";
import { coordinatorCases } from "../src/testing/index.js";
import { expectSafeShare } from "./safe-share.js";

const LIMIT = { ratePerSecond: 1000, burstSeconds: 1 };
const open: { close(): unknown }[] = [];
afterEach(async () => {
  for (const one of open.splice(0).reverse()) await one.close();
});

async function listen(options: CoordinatorServerOptions = {}): Promise<CoordinatorServer> {
  const server = await CoordinatorServer.listen(options);
  open.push(server);
  return server;
}

function join(nodes: readonly string[], options: { settleEveryMs?: number; whenAway?: "deny" } = {}) {
  const coordinator = httpCoordinator({ nodes });
  const admission = new Admission({ coordinator, member: "m", settleEveryMs: 100, settleTimeoutMs: 500, ...options });
  open.push(admission);
  return { admission, coordinator };
}

/** Servers that look one ring up, as it stands here. */
class Fleet {
  ring: Ring = { epoch: 1, nodes: [] };
  readonly servers = new Map<string, CoordinatorServer>();
  readonly cutOff = new Set<string>();

  async start(count: number, options: CoordinatorServerOptions = {}): Promise<string[]> {
    const ports: number[] = [];
    while (ports.length < count) ports.push(await freePort());
    const urls = ports.map((port) => `http://127.0.0.1:${port}`);
    if (this.ring.nodes.length === 0) this.ring = { epoch: 1, nodes: urls };
    for (const [i, url] of urls.entries()) {
      const ring = async () => {
        if (this.cutOff.has(url)) throw new Error("cut off");
        return this.ring;
      };
      const timing = { leaseMs: 1000, ringEveryMs: 20, ringTtlMs: 400 };
      const server = await listen({ port: ports[i] as number, self: url, ring, ...timing, ...options });
      this.servers.set(url, server);
    }
    return urls;
  }
}

describe("the coordinator over HTTP", () => {
  const cases = coordinatorCases(async ({ leaseMs, learnForMs, learningShare }) => {
    let aheadMs = 0;
    const server = await CoordinatorServer.listen({
      leaseMs,
      learnAtStart: learnForMs > 0,
      learningShare,
      now: () => aheadMs,
    });
    return {
      coordinator: httpCoordinator({ nodes: [server.url] }),
      async pass(ms) {
        aheadMs += ms;
      },
      close: () => server.close(),
    };
  });
  for (const { name, run } of cases) it(name, run);

  it("asks for the token that it was given", async () => {
    const server = await listen({ token: "s3cret", learnAtStart: false });
    const settle = (token?: string) =>
      httpCoordinator({ nodes: [server.url], token }).settle([{ ...settlement, limit: "l" }], {
        signal: AbortSignal.timeout(5000),
      });
    await expect(settle()).rejects.toThrow("401");
    await expect(settle("wrong!")).rejects.toThrow("401");
    expect(await settle("s3cret")).toHaveLength(1);
    expect((await fetch(`${server.url}/health`)).status).toBe(200);
  });

  it("refuses what is no settlement, or more than a message may be", async () => {
    const server = await listen();
    const post = (body: string) => fetch(`${server.url}/v1/settle`, { method: "POST", body });
    for (const body of ["", "{", "[]", '{"version":2,"epoch":0,"settlements":[]}', '{"version":1}']) {
      expect((await post(body)).status).toBe(400);
    }
    const odd = await post(JSON.stringify({ version: 1, epoch: 0, settlements: [null, 7, {}, { limit: 1 }] }));
    expect(await odd.json()).toEqual({ version: 1, grants: [], elsewhere: [] });
    expect((await post("x".repeat(2 ** 20 + 1))).status).toBe(413);
    expect((await fetch(`${server.url}/elsewhere`)).status).toBe(404);
  });
});

const settlement = {
  limit: "l",
  member: "m",
  incarnation: "1",
  sequence: 1,
  ...LIMIT,
  wantedPerSecond: 0,
  weight: 1,
  guaranteedPerSecond: 0,
  holdsPerSecond: 0,
  usedTotal: 0,
  returnedTotal: 0,
  closing: false,
};

describe("a member over HTTP", () => {
  const answers: [string, RequestListener][] = [
    ["500", (_request, response) => response.writeHead(500).end()],
    ["429", (_request, response) => response.writeHead(429).end()],
    [
      "half a body",
      (_request, response) => {
        response.writeHead(200, { "Content-Length": 100 });
        response.write('{"version":1,"gra');
        response.destroy();
      },
    ],
    ["nonsense", (_request, response) => response.end('{"version":1,"grants":[7,null],"elsewhere":[]}')],
    [
      "one byte a second",
      (_request, response) => {
        const timer = setInterval(() => response.write(" "), 1000);
        response.on("close", () => clearInterval(timer));
        response.write(" ");
      },
    ],
  ];
  it("says which server it could not reach, and why", async () => {
    const node = `http://127.0.0.1:${await freePort()}`;
    const { admission } = join([node]);
    admission.limit("l", LIMIT);
    await admission.settle();
    const message = expect.stringMatching(new RegExp(`^${node}: fetch failed: .*ECONNREFUSED`));
    expect(admission.stats().lastError).toMatchObject({ code: "ERR_ADMISSION_AWAY", message });
  });

  it.each(answers)("never waits for a server that answers %s", async (_what, listener) => {
    const server = createServer(listener);
    await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
    open.push({ close: () => [server.closeAllConnections(), server.close()] });
    const { admission } = join([`http://127.0.0.1:${(server.address() as AddressInfo).port}`]);
    const limit = admission.limit("l", LIMIT);
    await until(() => admission.stats().failures > 1);
    expectSafeShare(limit);
    expect(limit.stats().mode).toBe("policy");
  });
});

describe("a ring of coordinators", () => {
  it("is learnt from any of them, and spreads the limits", async () => {
    const fleet = new Fleet();
    const urls = await fleet.start(3, { learnAtStart: false });
    const { admission, coordinator } = join([urls[0] as string]);
    const limits = Array.from({ length: 60 }, (_, i) => admission.limit(`limit-${i}`, LIMIT));
    await until(() => limits.every((limit) => limit.stats().sharePerSecond === 1000));
    expect(coordinator.stats().ring).toEqual(fleet.ring);
    const owned = [...fleet.servers.values()].map((server) => server.stats().limits);
    expect(owned.reduce((sum, count) => sum + count, 0)).toBe(60);
    expect(Math.min(...owned)).toBeGreaterThan(5);
  });

  it("moves about its part of the limits when a server joins, and only those", () => {
    const nodes = Array.from({ length: 9 }, (_, i) => `http://10.0.0.${i}:7070`);
    const before = new RingOwners({ epoch: 1, nodes });
    const after = new RingOwners({ epoch: 2, nodes: [...nodes, "http://10.0.0.9:7070"] });
    const names = Array.from({ length: 10_000 }, (_, i) => `orders:${i}`);
    const moved = names.filter((name) => before.owner(name) !== after.owner(name));
    expect(moved.every((name) => after.owner(name) === "http://10.0.0.9:7070")).toBe(true);
    expect(moved.length).toBeGreaterThan(600);
    expect(moved.length).toBeLessThan(1500);
  });

  it("does not double a limit that changes hands, though the old owner hears of it last", async () => {
    const fleet = new Fleet();
    const urls = await fleet.start(1);
    const old = fleet.servers.get(urls[0] as string) as CoordinatorServer;
    const [early, late] = [join(urls), join(urls)];
    const name = Array.from({ length: 100 }, (_, i) => `limit-${i}`);
    const share = (limit: Limit) => limit.stats().sharePerSecond;
    const first = name.map((one) => early.admission.limit(one, LIMIT));
    await until(() => first.every((limit) => share(limit) === 1000));

    // The ring changes; the old owner is cut off from it, and half of the members too.
    const [second] = await fleet.start(1);
    fleet.cutOff.add(urls[0] as string);
    fleet.ring = { epoch: 2, nodes: [...urls, second as string] };
    const owners = new RingOwners(fleet.ring);
    const moved = name.filter((one) => owners.owner(one) === second);
    expect(moved.length).toBeGreaterThan(10);
    await until(() => fleet.servers.get(second as string)?.stats().ring.epoch === 2);
    const newcomer = join([second as string], { whenAway: "deny" });
    const theirs = moved.map((one) => newcomer.admission.limit(one, LIMIT));
    let most = 0;
    const sums = () => moved.map((one, i) => share(first[name.indexOf(one)] as Limit) + share(theirs[i] as Limit));
    await until(() => {
      most = Math.max(most, ...sums());
      return theirs.every((limit) => share(limit) > 0);
    });
    // Without a ring to go by the old owner soon grants nothing, and says so.
    await until(() => !old.stats().serving);
    fleet.cutOff.clear();
    await until(() => old.stats().ring.epoch === 2);
    await until(() => {
      most = Math.max(most, ...sums());
      return theirs.every((limit) => share(limit) > 300) && early.coordinator.stats().ring.epoch === 2;
    });
    expect(most).toBeLessThanOrEqual(1050 + 1e-6);
    expect(late.admission.stats().limits).toBe(0);
  });

  it("is waited for no longer than it may be old, though its place never answers", { timeout: 60_000 }, async () => {
    let asked = 0;
    let ring = () => new Promise<Ring>(() => {});
    const options = { self: "http://127.0.0.1:1", ring: () => ring(), ringTtlMs: 100, ringEveryMs: 10 };
    await expect(listen(options)).rejects.toMatchObject({ code: "ERR_ADMISSION_TIMEOUT" });
    ring = async () => ({ epoch: 1, nodes: [options.self] });
    const server = await listen(options);
    const answers = ring;
    ring = () => {
      asked += 1;
      return new Promise(() => {});
    };
    await until(() => asked > 1 && !server.stats().serving);
    ring = answers;
    await until(() => server.stats().serving);
    ring = () => {
      asked = -1;
      return new Promise(() => {});
    };
    await until(() => asked === -1);
    let isClosed = false;
    void server.close().then(() => {
      isClosed = true;
    });
    await server.close();
    expect(isClosed, "to everybody who asked for it").toBe(true);
  });

  it("goes on without a server that died, when the ring does", async () => {
    const fleet = new Fleet();
    const urls = await fleet.start(2, { learnAtStart: false });
    const { admission } = join(urls);
    const limits = Array.from({ length: 20 }, (_, i) => admission.limit(`limit-${i}`, LIMIT));
    await until(() => limits.every((limit) => limit.stats().mode === "lease"));
    await fleet.servers.get(urls[0] as string)?.close();
    fleet.ring = { epoch: 2, nodes: [urls[1] as string] };
    await until(() => limits.every((limit) => limit.stats().mode === "lease") && !admission.stats().degraded);
    await until(() => fleet.servers.get(urls[1] as string)?.stats().limits === 20);
  });
});

it.each(["0.0.0.0", "::", "10.0.0.5", "127.example.test"])("listens on %s with a token only", async (host) => {
  const refused = {
    code: "ERR_ADMISSION_ARGUMENT",
    message: `host ${host} can be reached from elsewhere: give a token`,
  };
  await expect(CoordinatorServer.listen({ host })).rejects.toMatchObject(refused);
  if (host !== "0.0.0.0") return;
  open.push(await CoordinatorServer.listen({ host, token: "a token", self: "http://127.0.0.1:1" }));
});

describe("evenkeel-admission", () => {
  it("settles, and stops when told to", async () => {
    const path = fileURLToPath(new URL("../src/http-coordinator/evenkeel-admission.ts", import.meta.url));
    const arguments_ = ["--import", "tsx", "--conditions=@evenkeel/source", path, "--port", "0", "--lease-ms", "500"];
    const child = spawn(process.execPath, arguments_, { stdio: ["ignore", "pipe", "inherit"] });
    open.push({ close: () => child.kill("SIGKILL") });
    let said = "";
    for await (const chunk of child.stdout) {
      said += String(chunk);
      if (said.includes("\n")) break;
    }
    const { admission } = join([said.trim().replace("settling at ", "")]);
    const limit = admission.limit("l", LIMIT);
    await until(() => limit.stats().sharePerSecond === 1000);
    const gone = new Promise((resolve) => child.once("exit", resolve));
    child.kill("SIGTERM");
    expect(await gone).toBe(0);
  });
});
