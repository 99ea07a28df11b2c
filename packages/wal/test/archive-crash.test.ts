import { crc32 } from "node:zlib";
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import {
  type ArchiveEntry,
  Archiver,
  type Compression,
  memoryObjectStore,
  type ObjectStore,
  restore,
  sha256,
  verifyArchive,
} from "../src/archive/index.js";
import { change, entries, entry, keys, plain, stream } from "./archive-world.js";
import { collect } from "./collect.js";

const opened = (store: ObjectStore, bytesPerObjectMax = 100, compression: Compression = "none") =>
  Archiver.open({ store, stream, bytesPerObjectMax, compression });

/** The process is gone at the `at`-th call to the store, before or after that was carried out; nothing it does later arrives. */
function dying(inner: ObjectStore, at: number, after: boolean): ObjectStore & { readonly calls: () => number } {
  let calls = 0;
  const call = async <T>(work: () => Promise<T>): Promise<T> => {
    const mine = ++calls;
    if (mine > at || (mine === at && !after)) throw new Error("killed");
    const result = await work();
    if (mine === at) throw new Error("killed");
    return result;
  };
  return {
    put: (...args) => call(() => inner.put(...args)),
    get: (...args) => call(() => inner.get(...args)),
    delete: (...args) => call(() => inner.delete(...args)),
    async *list(...args) {
      yield* await call(() => collect(inner.list(...args)));
    },
    calls: () => calls,
  };
}

describe("an archiver that is killed", () => {
  it("at any call to the store, before or after it was carried out, is followed by another without a hole or a duplicate, whatever that one's sizes and codec", async () => {
    const all = entries(1, 9).map((one) => ({ ...one, data: Buffer.concat(Array(20).fill(one.data)) }));
    const sizes = fc.constantFrom(1, 700, 1400, 100_000);
    const codecs = fc.constantFrom<Compression>("none", "brotli", "deflate");
    await fc.assert(
      fc.asyncProperty(
        sizes,
        codecs,
        sizes,
        codecs,
        fc.boolean(),
        async (size, codec, sizeAfter, codecAfter, after) => {
          for (let at = 1; ; at++) {
            const inner = memoryObjectStore();
            const store = dying(inner, at, after);
            const died = await opened(store, size, codec)
              .then((archiver) => archiver.archive(all))
              .then(
                () => false,
                (error: Error) => error.message === "killed",
              );
            const left = await verifyArchive({ store: inner, stream });
            expect(left.problems).toEqual([]);
            // One object at most is there that nothing vouches for yet, or two while the first one's manifest is written.
            expect(left.orphans.length).toBeLessThanOrEqual(2);
            const next = await opened(inner, sizeAfter, codecAfter);
            expect(next.archivedThrough).toBe(left.wholeThrough);
            await next.archive(all.slice(next.archivedThrough));
            const whole = await verifyArchive({ store: inner, stream });
            expect(whole).toMatchObject({ wholeThrough: 9, entries: 9, problems: [], orphans: [] });
            expect(plain(await collect(restore({ store: inner, stream })))).toEqual(plain(all));
            if (!died) break;
          }
        },
      ),
      { numRuns: 8 },
    );
  });
});

describe("what an archiver does at one time", () => {
  it("is bounded: an object is stored once the one before it was read back, manifests follow in order", async () => {
    const inner = memoryObjectStore();
    const done: string[] = [];
    let inFlight = 0;
    let inFlightMax = 0;
    const counted = async <T>(what: string, work: () => Promise<T>): Promise<T> => {
      inFlightMax = Math.max(inFlightMax, ++inFlight);
      await new Promise(setImmediate);
      const result = await work();
      done.push(what);
      inFlight--;
      return result;
    };
    const short = (key: string) => key.slice(key.lastIndexOf("/") + 1).replace(/^0+/, "");
    const store: ObjectStore = {
      ...inner,
      put: (key, ...rest) => counted(`put ${short(key)}`, () => inner.put(key, ...rest)),
      get: (key, ...rest) => counted(`get ${short(key)}`, () => inner.get(key, ...rest)),
    };
    const manifests = await (await opened(store)).archive(entries(1, 20));
    expect(manifests.map(({ first }) => first)).toEqual([1, 5, 9, 13, 17]);
    expect(inFlightMax).toBe(2);
    const order = done.filter((what) => !what.startsWith("get .") && what.includes("."));
    for (const [n, { first }] of manifests.entries()) {
      const next = manifests[n + 1]?.first;
      const steps = [`put ${first}.log`, `get ${first}.log`, `put ${first}.manifest`].map((step) =>
        order.indexOf(step),
      );
      expect(steps).toEqual([...steps].sort((a, b) => a - b));
      if (next === undefined) continue;
      expect(order.indexOf(`put ${next}.log`)).toBeGreaterThan(order.indexOf(`get ${first}.log`));
      expect(order.indexOf(`put ${next}.manifest`)).toBeGreaterThan(order.indexOf(`put ${first}.manifest`));
    }
  });

  it("stops with the signal, and goes on from there", async () => {
    const inner = memoryObjectStore();
    const stop = new AbortController();
    const store: ObjectStore = {
      ...inner,
      put: async (key, ...rest) => {
        await inner.put(key, ...rest);
        if (key.endsWith("0005.log")) stop.abort(new Error("enough"));
      },
    };
    const archiver = await opened(store);
    await expect(archiver.archive(entries(1, 20), { signal: stop.signal })).rejects.toThrow("enough");
    const before = await keys(inner);
    await new Promise(setImmediate);
    expect(await keys(inner)).toEqual(before);
    await archiver.archive(entries(archiver.archivedThrough + 1, 20));
    expect(plain(await collect(restore({ store, stream })))).toEqual(plain(entries(1, 20)));
  });

  it("is one call", async () => {
    const archiver = await opened(memoryObjectStore());
    const first = archiver.archive(entries(1, 3));
    await expect(archiver.compare(entries(1, 3))).rejects.toMatchObject({ code: "ERR_ARCHIVE_ARGUMENT" });
    await first;
  });

  it("uploads nothing that another replica has archived meanwhile", async () => {
    const inner = memoryObjectStore();
    const late = await opened({ ...inner, put: () => Promise.reject(new Error("nothing is to be stored")) });
    await (await opened(inner)).archive(entries(1, 20));
    expect(await late.archive(entries(1, 20))).toHaveLength(5);
    expect(late.archivedThrough).toBe(20);
    const other = await opened(inner);
    const behind = await opened(memoryObjectStore());
    expect([other.archivedThrough, behind.archivedThrough]).toEqual([20, 0]);
  });
});

describe("entries that an archiver is given", () => {
  it("may say which stream they are of and what their checksum is, and are refused when that is wrong", async () => {
    const archiver = await opened(memoryObjectStore());
    const gap = { code: "ERR_ARCHIVE_GAP" };
    const right = { ...entry(1), stream, crc32: crc32(entry(1).data) };
    await expect(archiver.archive([{ ...right, stream: "other" }])).rejects.toMatchObject(gap);
    await expect(archiver.archive([{ ...right, crc32: right.crc32 ^ 1 }])).rejects.toMatchObject(gap);
    await expect(archiver.archive([{ ...right, data: "text" as unknown as Uint8Array }])).rejects.toMatchObject(gap);
    expect(await archiver.archive([right])).toHaveLength(1);
  });

  it("may be changed as soon as the next one is asked for", async () => {
    const store = memoryObjectStore();
    const data = new Uint8Array(30);
    await (await opened(store)).archive(
      (function* () {
        for (let n = 1; n <= 20; n++) yield { sequence: n, timeMs: n, data: data.fill(n) };
      })(),
    );
    let n = 0;
    for await (const one of restore({ store, stream })) expect([...new Set(one.data)]).toEqual([++n]);
    expect(n).toBe(20);
  });

  it("may be larger than an object", async () => {
    const store = memoryObjectStore();
    const all: ArchiveEntry[] = [1, 300_000, 2, 0, 70_000].map((size, n) => ({
      sequence: n + 1,
      timeMs: n,
      data: Buffer.alloc(size, n),
    }));
    await (await opened(store, 100)).archive(all);
    expect(plain(await collect(restore({ store, stream })))).toEqual(plain(all));
  });
});

describe("a walk through an archive", () => {
  const overlapping = async () => {
    const store = memoryObjectStore();
    await (await opened(store)).archive(entries(1, 20));
    const other = memoryObjectStore();
    await (await opened(other, 50)).archive(entries(1, 20));
    return { store, other };
  };
  const move = async (from: ObjectStore, to: ObjectStore, key: string) => {
    const bytes = (await from.get(key)) as Uint8Array;
    await to.put(key, bytes, { sha256: sha256(bytes) });
  };

  it("finds ranges that overlap; restoring is not misled by them", async () => {
    const { store, other } = await overlapping();
    for (const suffix of ["log", "manifest"]) await move(other, store, `orders%2F7/0000000000000007.${suffix}`);
    const report = await verifyArchive({ store, stream });
    expect(report.problems).toMatchObject([{ code: "ERR_ARCHIVE_OVERLAP", key: "orders%2F7/0000000000000007.log" }]);
    expect(report.wholeThrough).toBe(20);
    // From the middle of the intruder on there is no telling which of the two is right before the next object says so.
    await expect(collect(restore({ store, stream, from: 8 }))).rejects.toMatchObject({ code: "ERR_ARCHIVE_CORRUPT" });
    expect(plain(await collect(restore({ store, stream })))).toEqual(plain(entries(1, 20)));
  });

  it("finds holes, wrong neighbours and manifests of another stream", async () => {
    const { store, other } = await overlapping();
    const foreign = await Archiver.open({ store, stream: "other", bytesPerObjectMax: 100 });
    await foreign.archive(entries(1, 20));
    const key = (first: number, suffix = "manifest") => `orders%2F7/${String(first).padStart(16, "0")}.${suffix}`;
    const whole = (await store.get(key(5))) as Uint8Array;
    const theirs = (await store.get(key(5).replace("orders%2F7", "other"))) as Uint8Array;
    await change(store, key(5), () => theirs);
    const report = await verifyArchive({ store, stream });
    expect(report.problems).toMatchObject([
      { code: "ERR_ARCHIVE_CORRUPT", message: expect.stringContaining('"other"') },
    ]);
    expect(report.wholeThrough).toBe(4);
    await change(store, key(5), () => undefined);
    const hole = await verifyArchive({ store, stream });
    expect(hole.problems).toMatchObject([{ code: "ERR_ARCHIVE_HOLE", message: expect.stringContaining("5 to 8") }]);
    expect(hole.orphans).toEqual([key(5, "log")]);
    await store.put(key(5), whole, { sha256: sha256(whole) });
    expect((await verifyArchive({ store, stream })).problems).toEqual([]);
    // The object and the manifest of an archive that was cut elsewhere: right in themselves, but following from something else.
    await (await opened(other, 50)).archive([]);
    for (const suffix of ["log", "manifest"]) await move(other, store, key(13, suffix));
    const wrong = await verifyArchive({ store, stream });
    expect(wrong.problems.map(({ code }) => code)).toContain("ERR_ARCHIVE_CORRUPT");
    expect(wrong.wholeThrough).toBe(12);
    await expect(collect(restore({ store, stream }))).rejects.toMatchObject({ code: "ERR_ARCHIVE_CORRUPT" });
  });

  it("tells what nothing vouches for", async () => {
    const { store, other } = await overlapping();
    await move(other, store, "orders%2F7/0000000000000003.log");
    await store.put("orders%2F7/readme.txt", new Uint8Array(1), { sha256: sha256(new Uint8Array(1)) });
    const report = await verifyArchive({ store, stream });
    expect(report.problems).toEqual([]);
    expect(report.orphans).toEqual(["orders%2F7/0000000000000003.log", "orders%2F7/readme.txt"]);
  });
});
