import { subscribe, unsubscribe } from "node:diagnostics_channel";
import { once } from "node:events";
import { Worker } from "node:worker_threads";
import { afterAll, afterEach, beforeAll, describe, expect, it } from "vitest";
import { Absent } from "../src/index.js";
import { all, cacheOf, ManualSource, route, turn, until } from "./helpers.js";

const unhandled: unknown[] = [];
const note = (error: unknown) => unhandled.push(error);
beforeAll(() => {
  process.on("unhandledRejection", note);
});
afterAll(() => {
  process.off("unhandledRejection", note);
});
afterEach(async () => {
  await turn(3);
  expect(unhandled.splice(0)).toEqual([]);
});

describe("a source that fails", () => {
  it("keeps serving known keys through an outage, and rejects misses with the cause", async () => {
    let down = false;
    const fetchMany = async (keys: readonly string[]) => {
      if (down) throw new Error("connection refused");
      return all(keys, route(1));
    };
    const cache = cacheOf({ source: { fetchMany } });
    await cache.get("a");
    down = true;
    for (let i = 0; i < 50; i++) {
      expect(cache.get("a")).toEqual(route(1));
      await turn();
    }
    await expect(cache.get("b")).rejects.toMatchObject({
      name: "CacheError",
      code: "ERR_CACHE_SOURCE",
      cause: new Error("connection refused"),
    });
    expect(cache.stats()).toMatchObject({ amplification: 1, framesFailed: 51 });
    down = false;
    expect(await cache.get("b")).toEqual(route(1));
  });

  it.each([
    [
      "throws instead of rejecting",
      () => {
        throw new Error("at once");
      },
    ],
    ["answers nothing", () => undefined],
    ["answers an array of too many", () => [route(1), route(1)]],
    ["answers an array of too few", () => []],
    ["answers an object that is no Map", () => ({ get: 1, has: 2 })],
    ["rejects with undefined", () => Promise.reject(undefined)],
    ["rejects with a string", () => Promise.reject("no")],
  ])("is an error for the miss and for nobody else: %s", async (_what, fetchMany) => {
    const cache = cacheOf({ source: { fetchMany: fetchMany as never } });
    await expect(cache.get("a")).rejects.toMatchObject({ code: "ERR_CACHE_SOURCE" });
    expect(cache.stats()).toMatchObject({ inFlight: 0, framesFailed: 1 });
  });

  it("is no unhandled rejection where nobody waits for the miss", async () => {
    const cache = cacheOf({
      source: { fetchMany: () => Promise.reject(new Error("down")) },
      queueMax: 0,
      batchMax: 1,
      inFlightMax: 1,
    });
    for (let i = 0; i < 20; i++) void cache.get(`k${i}`);
    await turn(3);
    void cache.get("after", { signal: AbortSignal.abort() });
    cache.close();
    void cache.get("closed");
    expect(cache.stats().missesDropped).toBe(19);
  });

  it("takes an answer that comes synchronously", async () => {
    const cache = cacheOf({ source: { fetchMany: (keys) => all(keys, route(3)) } });
    expect(await cache.get("a")).toEqual(route(3));
  });
});

describe("a source that hangs", () => {
  it("holds no more calls than allowed, aborts them, and answers hits meanwhile", async () => {
    const source = new ManualSource();
    const cache = cacheOf({ source, inFlightMax: 2, batchMax: 1, timeoutMs: 30 });
    cache.learn("known", route(1));
    const misses = ["a", "b", "c"].map((key) => Promise.resolve(cache.get(key)).catch((error: unknown) => error));
    await turn();
    expect(cache.stats()).toMatchObject({ inFlight: 2, queued: 1 });
    expect(cache.get("known")).toEqual(route(1));
    for (const error of await Promise.all(misses)) expect(error).toMatchObject({ code: "ERR_CACHE_TIMEOUT" });
    expect(source.call(0).signal.aborted).toBe(true);
    expect(cache.stats().framesTimedOut).toBeGreaterThanOrEqual(2);
    await until(() => cache.stats().inFlight === 0, "all calls to end");
  });

  it("does not take what a call answers after it was given up", async () => {
    const source = new ManualSource();
    const cache = cacheOf({ source, timeoutMs: 5 });
    await expect(cache.get("a")).rejects.toMatchObject({ code: "ERR_CACHE_TIMEOUT" });
    source.call(0).answer(all(["a"], route(1)));
    await turn();
    expect(cache.stats()).toMatchObject({ entries: 0, inFlight: 0 });
  });

  it("drops refreshes and counts them, queues misses to their bound, then refuses them", async () => {
    const source = new ManualSource();
    const cache = cacheOf({ source, inFlightMax: 1, batchMax: 2, queueMax: 3, timeoutMs: 60_000 });
    cache.learn("known", route(1));
    void cache.get("m0");
    await turn();
    const queued = ["m1", "m2", "m3"].map((key) => cache.get(key));
    await expect(cache.get("m4")).rejects.toMatchObject({ code: "ERR_CACHE_OVERLOADED" });
    for (let i = 0; i < 10; i++) {
      expect(cache.get("known")).toEqual(route(1));
      await turn();
    }
    expect(cache.stats()).toMatchObject({ refreshesDropped: 10, missesDropped: 1, queued: 3, inFlight: 1, lookups: 1 });

    // It comes back: the three misses are sent, in order; the ten refreshes are gone. No burst.
    source.call(0).answer(all(["m0"], route(1)));
    await turn();
    expect(source.call(1).keys).toEqual(["m1", "m2"]);
    source.call(1).answer(all(["m1", "m2"], route(1)));
    await turn();
    expect(source.call(2).keys).toEqual(["m3"]);
    source.call(2).answer(all(["m3"], route(1)));
    expect(await Promise.all(queued)).toEqual([route(1), route(1), route(1)]);
    expect(source.lookups).toBe(4);
    expect(cache.stats().amplification).toBeLessThan(1);
  });

  it("never asks for more than its callers do after an outage", async () => {
    const source = {
      hang: false,
      perTurn: 0,
      fetchMany: (keys: readonly string[]) => {
        source.perTurn += keys.length;
        return source.hang ? new Promise<never>(() => {}) : all(keys, route(1));
      },
    };
    const cache = cacheOf({ source, timeoutMs: 20, inFlightMax: 2, batchMax: 64, queueMax: 0 });
    const traffic = async () => {
      source.perTurn = 0;
      for (let i = 0; i < 50; i++) cache.peek(`k${i}`);
      await turn();
      return source.perTurn;
    };
    expect(await traffic()).toBe(50);
    source.hang = true;
    while (cache.stats().refreshesDropped < 200) expect(await traffic()).toBeLessThanOrEqual(50);
    source.hang = false;
    await until(() => cache.stats().inFlight === 0, "the hanging calls to end");
    for (let i = 0; i < 10; i++) expect(await traffic()).toBe(50);
  });

  it("does not take a stall of the event loop for a slow source", async () => {
    // The answer comes from another thread, as it would from a socket: it lies ready while this thread does not look.
    const echo = new Worker(
      "const { parentPort } = require('node:worker_threads'); parentPort.on('message', (m) => parentPort.postMessage(m))",
      { eval: true },
    );
    await once(echo, "online");
    const fetchMany = async (keys: readonly string[]) => {
      echo.postMessage(keys);
      await once(echo, "message");
      return all(keys, route(1));
    };
    const cache = cacheOf({ source: { fetchMany }, timeoutMs: 50 });
    const miss = cache.get("a");
    await turn();
    Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, 300);
    expect(await miss).toEqual(route(1));
    expect(cache.stats().framesTimedOut).toBe(0);
    await echo.terminate();
  });

  it("lets a caller leave, queued or sent", async () => {
    const source = new ManualSource();
    const cache = cacheOf({ source, inFlightMax: 1, batchMax: 1 });
    const leaving = new AbortController();
    const sent = cache.get("sent", { signal: leaving.signal });
    await turn();
    const queued = cache.get("queued", { signal: leaving.signal });
    const staying = cache.get("sent");
    leaving.abort(new Error("client gone"));
    await expect(sent).rejects.toThrow("client gone");
    await expect(queued).rejects.toThrow("client gone");
    source.call(0).answer(all(["sent"], route(1)));
    await turn();
    source.call(1).answer(all(["sent"], route(1)));
    expect(await staying).toEqual(route(1));
    expect(cache.stats()).toMatchObject({ missesDropped: 1, queued: 0 });
  });
});

describe("an answer in the order of its keys", () => {
  it("is taken for each key, one that was asked for twice and one that does not exist included", async () => {
    const source = {
      fetchMany: async (keys: readonly string[]) =>
        keys.map((key) => (key === "none" ? undefined : key === "gone" ? new Absent(7) : route(1, key))),
    };
    const cache = cacheOf({ source });
    const answers = await Promise.all(["a", "none", "b", "gone", "a"].map((key) => cache.get(key)));
    expect(answers).toEqual([route(1, "a"), undefined, route(1, "b"), undefined, route(1, "a")]);
    expect(cache.stats()).toMatchObject({ entries: 4, negativeEntries: 2, unanswered: 0, framesFailed: 0 });
  });
});

it.each([
  ["sorts", (keys: string[]) => keys.sort()],
  ["takes in parts", (keys: string[]) => keys.splice(0)],
])(
  "a source that %s the keys it is handed is told so: nobody gets another key's value, or none for ever",
  async (_how, change) => {
    const fetchMany = (keys: readonly string[]) => change(keys as string[]).map((key) => ({ version: 1, key }));
    const cache = cacheOf({ source: { fetchMany } as never });
    for (const miss of [cache.get("b"), cache.get("a")])
      await expect(miss).rejects.toMatchObject({ code: "ERR_CACHE_SOURCE" });
  },
);

describe("an answer that is not complete", () => {
  it("fails the miss that was left out, answers the others, and leaves what was known", async () => {
    const source = new ManualSource();
    const cache = cacheOf({ source });
    cache.learn("known", route(1));
    const left = cache.get("left");
    const there = cache.get("there");
    void cache.get("known");
    await turn();
    source.call(0).answer(
      new Map([
        ["there", route(1)],
        ["unasked", route(1)],
      ]),
    );
    expect(await there).toEqual(route(1));
    await expect(left).rejects.toMatchObject({ code: "ERR_CACHE_UNANSWERED" });
    expect(cache.peek("known")).toEqual(route(1));
    expect(cache.peek("unasked")).toBeUndefined();
    expect(cache.stats()).toMatchObject({ unanswered: 2, entries: 2 });
  });

  it("never keeps more than was asked, however much is answered", async () => {
    const source = new ManualSource();
    const cache = cacheOf({ source, batchMax: 2, entriesMax: 100 });
    const miss = cache.get("a");
    await turn();
    source.call(0).answer(new Map(Array.from({ length: 1000 }, (_, i) => [i === 0 ? "a" : `x${i}`, route(1)])));
    await miss;
    expect(cache.stats().entries).toBe(1);
  });

  it("refuses an answer without a usable version", async () => {
    const source = { fetchMany: (keys: readonly string[]) => all(keys, route(Number.NaN)) };
    const cache = cacheOf({ source });
    await expect(cache.get("a")).rejects.toMatchObject({ code: "ERR_CACHE_SOURCE" });
    const throwing = cacheOf({
      source,
      versionOf: () => {
        throw new Error("odd value");
      },
    });
    await expect(throwing.get("a")).rejects.toMatchObject({ code: "ERR_CACHE_SOURCE", cause: new Error("odd value") });
    expect(throwing.stats()).toMatchObject({ inFlight: 0, unanswered: 1, entries: 0 });
  });

  it("resolves a miss that failed with what another look-up has learnt", async () => {
    const source = new ManualSource();
    const cache = cacheOf({ source });
    const miss = cache.get("a");
    await turn();
    cache.learn("a", route(4));
    source.call(0).fail(new Error("down"));
    expect(await miss).toEqual(route(4));
  });
});

describe("clear and close under load", () => {
  it("answers ten thousand misses across a clear, and keeps nothing from before it", async () => {
    const source = new ManualSource();
    const cache = cacheOf({ source, batchMax: 1000, inFlightMax: 10 });
    const misses = Array.from({ length: 10_000 }, (_, i) => cache.get(`k${i}`));
    await turn();
    cache.clear();
    for (const call of source.calls) call.answer(all(call.keys, route(1)));
    const answers = await Promise.all(misses);
    expect(answers.filter((answer) => answer?.version === 1)).toHaveLength(10_000);
    expect(cache.stats()).toMatchObject({ entries: 0, lookups: 10_000, amplification: 1 });
  });

  it("rejects ten thousand waiting misses on close, aborts the calls, and holds nothing", async () => {
    const source = new ManualSource();
    const cache = cacheOf({ source, batchMax: 100, inFlightMax: 10 });
    const misses = Array.from({ length: 10_000 }, (_, i) =>
      Promise.resolve(cache.get(`k${i}`)).catch((error: unknown) => error),
    );
    await turn();
    cache.close();
    cache.close();
    for (const error of await Promise.all(misses)) expect(error).toMatchObject({ code: "ERR_CACHE_CLOSED" });
    expect(source.calls.every((call) => call.signal.aborted)).toBe(true);
    source.call(0).answer(all(source.call(0).keys, route(1)));
    await turn();
    expect(cache.stats()).toMatchObject({ entries: 0, inFlight: 0, queued: 0 });
    expect(() => cache.peek("a")).toThrow(expect.objectContaining({ code: "ERR_CACHE_CLOSED" }));
    await expect(cache.get("a")).rejects.toMatchObject({ code: "ERR_CACHE_CLOSED" });
    expect(cache.learn("a", route(1))).toBe(false);
  });

  it("closes at the end of `await using`'s block", async () => {
    const cache = cacheOf({ source: new ManualSource() });
    await cache[Symbol.asyncDispose]();
    expect(() => cache.peek("a")).toThrow("closed");
  });
});

describe("a listener that throws", () => {
  it("changes nothing for the cache and its callers", async () => {
    const caught: unknown[] = [];
    const name = "evenkeel:constant-work-cache:source-failed";
    const listener = () => {
      throw new Error("bad listener");
    };
    process.setUncaughtExceptionCaptureCallback((error) => caught.push(error));
    subscribe(name, listener);
    try {
      const source = {
        fetchMany: (_keys: readonly string[], { signal }: { signal: AbortSignal }) => {
          signal.addEventListener("abort", listener);
          return new Promise<never>(() => {});
        },
      };
      const cache = cacheOf({ source, timeoutMs: 5 });
      await expect(cache.get("a")).rejects.toMatchObject({ code: "ERR_CACHE_TIMEOUT" });
      await turn();
      expect(cache.stats()).toMatchObject({ inFlight: 0, framesTimedOut: 1, framesFailed: 1 });
      expect(caught).toEqual([new Error("bad listener"), new Error("bad listener")]);
    } finally {
      unsubscribe(name, listener);
      process.setUncaughtExceptionCaptureCallback(null);
    }
  });
});
