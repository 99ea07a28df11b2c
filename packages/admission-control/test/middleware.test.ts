import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { createServer, get, type IncomingMessage } from "node:http";
import type { AddressInfo } from "node:net";
import { fileURLToPath } from "node:url";
import { afterAll, afterEach, beforeAll, describe, expect, it } from "vitest";
import { Gate, rateLimit, rateLimitFields } from "../src/http/index.js";
import { Admission, memoryCoordinator } from "../src/index.js";

/** Runs an example as people do; resolves with the address that it prints. */
async function start(example: string): Promise<{ url: string; child: ChildProcess }> {
  const path = fileURLToPath(new URL(`../examples/${example}.ts`, import.meta.url));
  const child = spawn(process.execPath, ["--import", "tsx", "--conditions=@evenkeel/source", path], {
    env: { ...process.env, PORT: "0" },
    stdio: ["ignore", "pipe", "inherit"],
  });
  let printed = "";
  for await (const chunk of child.stdout) {
    printed += String(chunk);
    if (printed.includes("\n")) break;
  }
  return { url: printed.trim(), child };
}

describe.each(["express", "fastify", "hono"])("the example for %s, over a socket", (framework) => {
  let url: string;
  let child: ChildProcess;
  beforeAll(async () => {
    ({ url, child } = await start(framework));
  });
  afterAll(() => child?.kill("SIGKILL"));
  const ask = (tenant: string, method = "GET", path = "/") =>
    fetch(url + path, { method, headers: { "x-tenant": tenant } });

  it("says what is left, and refuses with 429 and when to come back", async () => {
    const first = await ask("a");
    expect(first.status).toBe(200);
    expect(await first.json()).toEqual({ hello: "world" });
    expect(first.headers.get("ratelimit-policy")).toBe('"api";q=10;w=10');
    expect(first.headers.get("ratelimit")).toMatch(/^"api";r=9;t=[12]$/);
    // The example's clock is the real one: a unit comes back each second, and how many of them pass meanwhile is not up to the test.
    let refused = await ask("a", "POST");
    expect(refused.headers.get("ratelimit")).toMatch(/^"api";r=[45];t=\d$/);
    while (refused.status === 200) refused = await ask("a", "POST");
    expect(refused.status).toBe(429);
    const seconds = refused.headers.get("retry-after");
    expect(seconds).toMatch(/^[1-5]$/);
    expect(refused.headers.get("ratelimit")).toBe(`"api";r=0;t=${seconds}`);
    expect(refused.headers.get("content-type")).toMatch(/^application\/problem\+json/);
    expect(await refused.json()).toMatchObject({
      type: "https://iana.org/assignments/http-problem-types#quota-exceeded",
      "violated-policies": ["api"],
    });
    expect((await ask("b")).status).toBe(200);
    const free = await fetch(url);
    expect(free.headers.get("ratelimit")).toBeNull();
  });

  it("charges for what was sent when that is known", async () => {
    const report = await ask("c", "GET", "/report");
    expect((await report.text()).length).toBe(25_000);
    const refused = await ask("c");
    expect(refused.status).toBe(429);
    // 25 units of 10: 15 below nothing, and one more to come, at one a second; some of these have passed.
    expect(Number(refused.headers.get("retry-after"))).toBeGreaterThan(5);
  });
});

describe("the example for node:http, over a socket", () => {
  it("charges for what was sent when that is known", async () => {
    const { url, child } = await start("node-http");
    try {
      const ask = () => fetch(url, { headers: { "x-tenant": "a" } });
      const first = await ask();
      expect((await first.text()).length).toBe(25_000);
      // The clock is the real one: after half a second it serves again, and is asked once more.
      let served = 1;
      let refused = await ask();
      for (; refused.status === 200; refused = await ask()) served += 1;
      expect(refused.status).toBe(429);
      // Of 20 units each answer takes 25, one has to be there, and ten come back a second.
      const seconds = Number(refused.headers.get("retry-after"));
      expect(seconds).toBeGreaterThanOrEqual(1);
      expect(seconds).toBeLessThanOrEqual(Math.ceil((served * 25 - 20 + 1) / 10));
      expect((await fetch(url)).status).toBe(200);
    } finally {
      child.kill("SIGKILL");
    }
  });
});

describe("a gate", () => {
  const open: { close(): unknown }[] = [];
  afterEach(async () => {
    for (const one of open.splice(0)) await one.close();
  });
  const admission = (options = {}) => {
    const made = new Admission({
      coordinator: memoryCoordinator({ learnForMs: 0 }),
      member: "m",
      now: () => 0,
      ...options,
    });
    open.push(made);
    return made;
  };
  const limit = { ratePerSecond: 1, burstSeconds: 2 };

  it("charges what a client that left had been sent, once", async () => {
    const charged: number[] = [];
    const limited = rateLimit({
      admission: admission(),
      name: "n",
      limit,
      chargeAfter: ({ bytes }) => {
        charged.push(bytes);
        return bytes;
      },
    });
    const server = createServer((request, response) => {
      limited(request, response, () => response.write("€".repeat(100)));
    });
    server.listen(0, "127.0.0.1");
    await once(server, "listening");
    open.push(server);
    const request = get({ port: (server.address() as AddressInfo).port, host: "127.0.0.1" });
    const [response] = (await once(request, "response")) as [IncomingMessage];
    await once(response, "data");
    request.destroy();
    await expect.poll(() => charged).toEqual([300]);
  });

  it("gives back what was charged too much", () => {
    const gate = new Gate<string>({ admission: admission(), name: "n", limit, cost: 2, chargeAfter: () => 0 });
    for (let i = 0; i < 10; i += 1) {
      const decision = gate.decide("r");
      if (!decision.admitted) throw new Error("refused");
      decision.served?.({ status: 200, bytes: 0 });
      decision.served?.({ status: 200, bytes: 0 });
    }
    expect(gate.decide("r").admitted).toBe(true);
    expect(gate.decide("r").admitted).toBe(false);
  });

  it("tells what can never be from what can be later", () => {
    const gate = new Gate<number>({ admission: admission(), name: "n", limit, cost: (units) => units });
    const never = gate.decide(3);
    expect(never).toMatchObject({ admitted: false, status: 429 });
    expect(never.headers).not.toHaveProperty("Retry-After");
    gate.decide(2);
    expect(gate.decide(2).headers).toMatchObject({ "Retry-After": "2", RateLimit: '"n";r=0;t=2' });
  });

  it.each([
    ["keysMax of its own", { keysMax: 3 }, {}],
    ["limitsMax of the admission", {}, { limitsMax: 3 }],
  ])("closes the key unused for longest at %s, and a throttled one does not come back full", (_what, own, others) => {
    const shared = admission(others);
    const gate = new Gate<string>({ admission: shared, name: "n", limit, key: (key) => key, ...own });
    for (let i = 0; i < 2; i += 1) expect(gate.decide("hot").admitted).toBe(true);
    expect(gate.decide("hot").admitted).toBe(false);
    for (const key of ["a", "b", "c", "d"]) expect(gate.decide(key).admitted).toBe(true);
    expect(shared.stats().limits).toBe(3);
    return shared.settle().then(() => expect(gate.decide("hot").admitted).toBe(false));
  });

  it.each([
    ["a key", (key: string) => key],
    ["no key", undefined],
  ])("opens a limit again that somebody else has closed, with %s", async (_what, key) => {
    const shared = admission();
    const gate = new Gate<string>({ admission: shared, name: "n", limit, ...(key && { key }) });
    expect(gate.decide("a").admitted).toBe(true);
    // As another middleware of that name does when it has too many keys.
    shared.limit(key ? "n:a" : "n", limit).close();
    await shared.settle();
    expect(gate.decide("a").admitted).toBe(true);
  });

  it("refuses and does not throw once the admission is closed, keys that it has not seen too", async () => {
    const closed = admission();
    const gate = new Gate<string>({ admission: closed, name: "n", limit, key: (key) => key });
    expect(gate.decide("known").admitted).toBe(true);
    await closed.close();
    for (const key of ["known", "new"]) {
      const decision = gate.decide(key);
      expect(decision).toMatchObject({ admitted: false, status: 429, headers: { "Cache-Control": "no-store" } });
      expect(decision).toMatchObject({ body: expect.stringContaining("closed") });
    }
  });

  it("refuses arguments and answers that make no sense", () => {
    const options = { admission: admission(), name: "n", limit };
    const code = { code: "ERR_ADMISSION_ARGUMENT" };
    for (const wrong of [
      { admission: undefined },
      { name: "" },
      { limit: { ratePerSecond: -1, burstSeconds: 1 } },
      { key: "x-tenant" },
      { cost: -1 },
      { keysMax: 0 },
    ]) {
      expect(() => new Gate({ ...options, ...wrong } as never)).toThrow(expect.objectContaining(code));
    }
    expect(() => new Gate<number>({ ...options, cost: () => Number.NaN }).decide(1)).toThrow(
      expect.objectContaining(code),
    );
    expect(() => new Gate<number>({ ...options, key: () => 7 as never }).decide(1)).toThrow(
      expect.objectContaining(code),
    );
  });

  it("writes structured fields that can be read again", () => {
    const stats = { ...admission().limit("x", { ratePerSecond: 0.1, burstSeconds: 0 }).stats() };
    expect(rateLimitFields('a"b\\c\n☃', stats, { key: "tenant 7" })).toEqual({
      "RateLimit-Policy": '"a\\"b\\\\c--";q=1;w=10;pk=:dGVuYW50IDc=:',
      RateLimit: '"a\\"b\\\\c--";r=0;t=1;pk=:dGVuYW50IDc=:',
    });
    const huge = rateLimitFields("x", { ...stats, ratePerSecond: 1e12, burstSeconds: 5000, tokens: 5e15 });
    expect(huge["RateLimit-Policy"]).toBe('"x";q=999999999999999;w=5000');
  });
});
