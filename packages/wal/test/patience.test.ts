import { subscribe, unsubscribe } from "node:diagnostics_channel";
import { getEventListeners } from "node:events";
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { ArchiveError, memoryObjectStore, type ObjectStore, PatientObjectStore, sha256 } from "../src/archive/index.js";
import { objectStoreCases } from "../src/testing/index.js";
import { collect } from "./collect.js";
import { quiet, Timeline } from "./timeline.js";

const bytes = (text: string) => Buffer.from(text);
const create = (store: ObjectStore, key: string, text: string, signal?: AbortSignal) =>
  store.put(key, bytes(text), {
    sha256: sha256(bytes(text)),
    createOnly: true,
    ...(signal === undefined ? {} : { signal }),
  });
const busy = () => new ArchiveError("ERR_ARCHIVE_STORE", "busy", { retryable: true });

type Fault = "fine" | "before" | "after" | "refused" | "hangs" | "hangs after";

/** A store whose calls end as planned, one fault a call; without a plan they are fine. */
function faulty(plan: Fault[], inner = memoryObjectStore()) {
  const state = { calls: 0, now: 0, most: 0, signals: [] as (AbortSignal | undefined)[] };
  const call = async <T>(signal: AbortSignal | undefined, work: () => Promise<T>): Promise<T> => {
    state.calls++;
    state.signals.push(signal);
    state.most = Math.max(state.most, ++state.now);
    try {
      const fault = plan.shift() ?? "fine";
      await Promise.resolve();
      if (fault === "before") throw busy();
      if (fault === "refused") throw new ArchiveError("ERR_ARCHIVE_DENIED", "no");
      if (fault === "hangs") await new Promise(() => {});
      const result = await work();
      if (fault === "after") throw busy();
      if (fault === "hangs after") await new Promise(() => {});
      return result;
    } finally {
      state.now--;
    }
  };
  const store: ObjectStore = {
    put: (key, data, options) => call(options.signal, () => inner.put(key, data, options)),
    get: (key, options) => call(options?.signal, () => inner.get(key, options)),
    delete: (key, options) => call(options?.signal, () => inner.delete(key, options)),
    async *list(prefix, options) {
      for await (const key of inner.list(prefix, options)) {
        await call(options?.signal, async () => undefined);
        yield key;
      }
    },
  };
  return { store, inner, state };
}

function patient(plan: Fault[], options: ConstructorParameters<typeof PatientObjectStore>[1] = {}) {
  const time = new Timeline();
  const parts = faulty(plan);
  const { now, timer } = time;
  const store = new PatientObjectStore(parts.store, { now, timer, random: () => 0.5, ...options });
  return { ...parts, store, faulty: parts.store, time };
}

/** The waits between attempts, without the attempts' own time-outs. */
const waits = (time: Timeline) => time.delays.filter((delayMs) => delayMs < 30_000);

describe("a PatientObjectStore keeps the contract: it", () => {
  const make = () => new PatientObjectStore(memoryObjectStore());
  for (const { name, run } of objectStoreCases(make, { largeBytes: 100_000 })) it(name, run);
});

describe("over a store that fails every third time, before or after it stored, a PatientObjectStore still", () => {
  const make = () => {
    let calls = 0;
    const { store } = faulty([]);
    const failing = <T>(work: () => Promise<T>) => {
      const fault = ++calls % 3 === 0 ? (calls % 2 === 0 ? "before" : "after") : "fine";
      return fault === "before"
        ? Promise.reject(busy())
        : work().then((result) => (fault === "after" ? Promise.reject(busy()) : result));
    };
    const flaky: ObjectStore = {
      put: (...args) => failing(() => store.put(...args)),
      get: (...args) => failing(() => store.get(...args)),
      delete: (...args) => failing(() => store.delete(...args)),
      async *list(...args) {
        await failing(async () => undefined);
        yield* store.list(...args);
      },
    };
    return new PatientObjectStore(flaky, { backoffMs: 0 });
  };
  for (const { name, run } of objectStoreCases(make, { keysMany: 60, largeBytes: 100_000 })) {
    // Behind a lost answer nobody can tell one's own bytes from equal ones of another: equal is done.
    if (name !== "refuses to create the same again") it(name, run);
  }
});

describe("trying again", () => {
  it("waits a random part of a growing time, up to a bound", async () => {
    const { store, time, state } = patient(Array<Fault>(7).fill("before"), { backoffMs: 100, backoffMaxMs: 1000 });
    await time.run(create(store, "k", "one"));
    expect(state.calls).toBe(8);
    expect(waits(time)).toEqual([50, 100, 200, 400, 500, 500, 500]);
    expect(store.stats()).toMatchObject({ attempts: 8, retries: 7, gaveUp: 0, bytesPut: 24, inFlight: 0, waiting: 0 });
  });

  it("spreads over the whole of that time: full jitter", async () => {
    const random = [0, 0.25, 0.999];
    const { store, time } = patient(["before", "before", "before"], { random: () => random.shift() ?? 0 });
    await time.run(store.get("k"));
    expect(waits(time)).toEqual([0, 50, 399.6]);
  });

  it("ends with what the last attempt met, and says so to whoever listens", async () => {
    const { store, time, state } = patient(Array<Fault>(9).fill("before"), { attemptsMax: 3 });
    const seen: unknown[] = [];
    const listen = (message: unknown) => seen.push(message);
    subscribe("evenkeel:wal:archive-gave-up", listen);
    const error = await time.run(create(store, "k", "one").catch((caught: unknown) => caught));
    unsubscribe("evenkeel:wal:archive-gave-up", listen);
    expect(state.calls).toBe(3);
    expect(error).toMatchObject({ code: "ERR_ARCHIVE_STORE", retryable: true, key: "k", cause: { message: "busy" } });
    expect(seen).toEqual([{ operation: "put", key: "k", attempts: 3, elapsedMs: 150, error }]);
    expect(store.stats()).toMatchObject({ attempts: 3, gaveUp: 1, inFlight: 0 });
    expect(time.pending).toBe(0);
  });

  it("ends at the deadline, before a wait that would lead past it", async () => {
    const plan = Array<Fault>(99).fill("before");
    const { store, time, state } = patient(plan, { attemptsMax: 99, backoffMs: 100, deadlineMs: 1000 });
    const startedAt = time.now();
    await expect(time.run(store.get("k"))).rejects.toMatchObject({ retryable: true });
    // Each attempt may last as long as there is time left; between them the waits.
    expect(time.delays).toEqual([1000, 50, 950, 100, 850, 200, 650, 400, 250]);
    expect(state.calls).toBe(5);
    expect(time.now() - startedAt).toBe(750);
  });

  it("does not happen to what does not ask for it", async () => {
    const { store, time, state } = patient(["refused"]);
    await expect(time.run(store.get("k"))).rejects.toMatchObject({ code: "ERR_ARCHIVE_DENIED", message: "no" });
    expect(state.calls).toBe(1);
    const plain: ObjectStore = { ...memoryObjectStore(), get: () => Promise.reject(new Error("busy, please retry")) };
    await expect(new PatientObjectStore(plain).get("k")).rejects.toThrow("busy, please retry");
    expect(store.stats()).toMatchObject({ attempts: 1, gaveUp: 0 });
  });

  it("gets over a store that never answers, whether it listens to its signal or not", async () => {
    const { store, time, state, inner } = patient(["hangs", "hangs after"], { attemptTimeoutMs: 7000 });
    await time.run(create(store, "k", "one"));
    expect(await inner.get("k")).toEqual(new Uint8Array(bytes("one")));
    expect(state.signals.slice(0, 2).map((signal) => signal?.aborted)).toEqual([true, true]);
    expect(store.stats()).toMatchObject({ attempts: 3, inFlight: 0 });
    expect(time.now()).toBeGreaterThan(14_000);
  });

  it("stops in the middle of a wait when told to, and leaves no timer behind", async () => {
    const { store, time, state } = patient(["before", "before"]);
    const stop = new AbortController();
    const call = create(store, "k", "one", stop.signal);
    await quiet();
    await quiet();
    expect(time.pending).toBe(1);
    stop.abort(new Error("enough"));
    await expect(call).rejects.toThrow("enough");
    expect(state.calls).toBe(1);
    expect(time.pending).toBe(0);
  });

  it("goes on with a listing where it was, with no key twice and none left out", async () => {
    await fc.assert(
      fc.asyncProperty(
        fc.array(fc.constantFrom<Fault>("fine", "before", "after", "hangs"), { maxLength: 30 }),
        fc.integer({ min: 0, max: 12 }),
        async (plan, count) => {
          const { store, time, inner } = patient(plan, { attemptsMax: 50, deadlineMs: 2 ** 31 - 1 });
          const keys = Array.from({ length: count }, (_, n) => `k/${String(n).padStart(3, "0")}`);
          for (const key of keys) await create(inner, key, key);
          expect(await time.run(collect(store.list("k/")))).toEqual(keys);
          expect(await time.run(collect(store.list("k/", { after: "k/004" })))).toEqual(keys.slice(5));
        },
      ),
      { numRuns: 100 },
    );
  });
});

describe("a create-only put", () => {
  it("that finds what its own earlier attempt stored is done", async () => {
    for (const fault of ["after", "hangs after"] as const) {
      const { store, time, inner } = patient([fault]);
      await time.run(create(store, "k", "one"));
      expect(await inner.get("k")).toEqual(new Uint8Array(bytes("one")));
    }
  });

  it("that finds another's bytes is told, however often it tried", async () => {
    const { store, time, inner } = patient(["before"]);
    await create(inner, "k", "another's");
    await expect(time.run(create(store, "k", "one"))).rejects.toMatchObject({ code: "ERR_ARCHIVE_EXISTS" });
  });

  it("that is told so at its first attempt does not look whose it is", async () => {
    const { store, time, inner, state } = patient([]);
    await create(inner, "k", "one");
    await expect(time.run(create(store, "k", "one"))).rejects.toMatchObject({ code: "ERR_ARCHIVE_EXISTS" });
    expect(state.calls).toBe(1);
  });
});

describe("under many calls", () => {
  it("only so many attempts are under way; what waits is bounded, served in order, and can give up", async () => {
    const { store, time, state } = patient([], { inFlightMax: 2, waitingMax: 3 });
    const stop = new AbortController();
    const done: string[] = [];
    const calls = ["a", "b", "c", "d", "e"].map((key) =>
      create(store, key, key, key === "d" ? stop.signal : undefined).then(() => done.push(key)),
    );
    expect(store.stats()).toMatchObject({ inFlight: 2, waiting: 3 });
    const refused = store.get("f");
    stop.abort(new Error("enough"));
    await expect(refused).rejects.toMatchObject({ code: "ERR_ARCHIVE_OVERLOADED", retryable: true });
    await expect(time.run(calls[3] as Promise<number>)).rejects.toThrow("enough");
    await time.run(Promise.all([calls[0], calls[1], calls[2], calls[4]]));
    expect(done).toEqual(["a", "b", "c", "e"]);
    expect(state.most).toBe(2);
    expect(store.stats()).toMatchObject({ inFlight: 0, waiting: 0, attempts: 4 });
  });

  it("a call that waits for its next attempt keeps no place", async () => {
    const { store, time } = patient(["before"], { inFlightMax: 1 });
    const first = create(store, "a", "a");
    await quiet();
    await quiet();
    expect(store.stats().inFlight).toBe(0);
    await create(store, "b", "b");
    await time.run(first);
  });
});

describe("the throttle", () => {
  const meter = () => {
    const takes: number[] = [];
    return { takes, throttle: { take: async (tokens: number) => void takes.push(tokens) } };
  };

  it("is paid a token a byte, in slices, for each attempt of a put and behind each get", async () => {
    const { takes, throttle } = meter();
    const { store, time } = patient(["before"], { throttle });
    const data = Buffer.alloc(150_000, 1);
    await time.run(store.put("k", data, { sha256: sha256(data) }));
    expect(takes).toEqual([65_536, 65_536, 18_928, 65_536, 65_536, 18_928]);
    takes.length = 0;
    await time.run(store.get("k"));
    expect(takes).toEqual([65_536, 65_536, 18_928]);
    takes.length = 0;
    expect(await time.run(store.get("none"))).toBeUndefined();
    expect(takes).toEqual([]);
    expect(store.stats()).toMatchObject({ bytesPut: 300_000, bytesGot: 150_000 });
  });

  it("may take longer than any deadline: only the store's time counts", async () => {
    const time = new Timeline();
    const { now, timer } = time;
    const throttle = { take: () => new Promise<void>((resolve) => void timer(10_000_000, resolve)) };
    const store = new PatientObjectStore(memoryObjectStore(), { now, timer, throttle, deadlineMs: 1000 });
    await time.run(create(store, "k", "one"));
    expect(time.now()).toBeGreaterThan(10_000_000);
  });

  it("that refuses is the call's end", async () => {
    const throttle = { take: () => Promise.reject(new Error("queue full")) };
    const { store, time, state } = patient([], { throttle });
    await expect(time.run(create(store, "k", "one"))).rejects.toThrow("queue full");
    expect(state.calls).toBe(0);
    expect(store.stats().inFlight).toBe(0);
  });
});

it("listens once to a signal, however many calls are under it, tells them all, and leaves nothing on it", async () => {
  // Eight are with the store, the other twelve wait for a place.
  const { store, state } = patient(Array.from({ length: 8 }, () => "hangs"));
  const life = new AbortController();
  const { signal } = life;
  const listeners = () => getEventListeners(signal, "abort").length;
  const calls = Array.from({ length: 20 }, () => store.get("k", { signal }));
  while (state.now < 8) await new Promise(setImmediate);
  expect([store.stats().inFlight, store.stats().waiting, listeners()]).toEqual([8, 12, 1]);
  life.abort(new Error("the node closes"));
  const reasons = (await Promise.allSettled(calls)).map((one) => one.status === "rejected" && String(one.reason));
  expect(reasons).toEqual(calls.map(() => "Error: the node closes"));
  const other = new AbortController();
  const answered = await Promise.all(Array.from({ length: 20 }, () => store.get("k", { signal: other.signal })));
  expect(answered).toEqual(answered.map(() => undefined));
  expect(getEventListeners(other.signal, "abort")).toEqual([]);
});

it("refuses bad options by name", () => {
  const make = (options: object) => () => new PatientObjectStore(memoryObjectStore(), options);
  for (const name of ["attemptsMax", "backoffMs", "backoffMaxMs", "attemptTimeoutMs", "deadlineMs", "inFlightMax"]) {
    for (const value of [-1, 0.5, Number.NaN, 2 ** 40, "3"]) {
      expect(make({ [name]: value }), `${name} ${value}`).toThrow(new RegExp(`^${name} must be`));
    }
  }
  expect(make({ throttle: {} })).toThrow(/^throttle must be/);
});
