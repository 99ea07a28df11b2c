import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import fc from "fast-check";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import {
  type ArchiveEntry,
  Archiver,
  FileObjectStore,
  memoryObjectStore,
  type ObjectStore,
  restore,
  sha256,
  verifyArchive,
} from "../src/archive/index.js";
import { change, entries, entry, keys, plain, stream } from "./archive-world.js";
import { collect } from "./collect.js";

let work: string;
beforeAll(async () => {
  work = await mkdtemp(join(tmpdir(), "evenkeel-archive-"));
});
afterAll(async () => {
  await rm(work, { recursive: true, force: true });
});

let stores = 0;
const makers: Record<string, () => ObjectStore> = {
  memoryObjectStore,
  FileObjectStore: () => new FileObjectStore({ dir: join(work, `store-${stores++}`) }),
};

const opened = (store: ObjectStore, bytesPerObjectMax = 100) => Archiver.open({ store, stream, bytesPerObjectMax });

async function filled(): Promise<{ store: ObjectStore; objects: string[]; manifests: string[] }> {
  const store = memoryObjectStore();
  await (await opened(store)).archive(entries(1, 20));
  const all = await keys(store);
  return {
    store,
    objects: all.filter((key) => key.endsWith(".log")),
    manifests: all.filter((key) => key.endsWith(".manifest")),
  };
}

describe("an archiver", () => {
  for (const [name, make] of Object.entries(makers)) {
    it(`brings entries into ${name} and restores them exactly, to a sequence or to a time`, async () => {
      const store = make();
      const archiver = await opened(store);
      expect(archiver.archivedThrough).toBe(0);
      const manifests = await archiver.archive(entries(1, 10));
      expect(manifests.map(({ first, last }) => [first, last])).toEqual([
        [1, 4],
        [5, 8],
        [9, 10],
      ]);
      await (await opened(store)).archive(entries(11, 13));
      expect((await opened(store)).archivedThrough).toBe(13);
      expect(plain(await collect(restore({ store, stream })))).toEqual(plain(entries(1, 13)));
      expect(plain(await collect(restore({ store, stream, from: 3, until: { sequence: 9 } })))).toEqual(
        plain(entries(3, 9)),
      );
      const timeMs = entry(7).timeMs + 500;
      expect(plain(await collect(restore({ store, stream, until: { timeMs } })))).toEqual(plain(entries(1, 7)));
      expect(await collect(restore({ store, stream, until: { timeMs: 0 } }))).toEqual([]);
      expect(await verifyArchive({ store, stream })).toMatchObject({
        wholeThrough: 13,
        objects: 4,
        entries: 13,
        problems: [],
      });
      expect(await verifyArchive({ store, stream: "never seen" })).toMatchObject({
        wholeThrough: 0,
        objects: 0,
        problems: [],
      });
    });
  }

  it("writes the same bytes on each replica", async () => {
    const [a, b] = [memoryObjectStore(), memoryObjectStore()];
    await (await opened(a)).archive(entries(1, 10));
    await (await opened(b)).archive(entries(1, 4));
    await (await opened(b)).archive(
      (async function* () {
        yield* entries(5, 10);
      })(),
    );
    expect(await keys(a)).toEqual(await keys(b));
    for (const key of await keys(a)) expect(await b.get(key)).toEqual(await a.get(key));
  });

  it("refuses a hole, a repetition and an entry without a time", async () => {
    const archiver = await opened(memoryObjectStore());
    await expect(archiver.archive(entries(2, 3))).rejects.toMatchObject({ code: "ERR_ARCHIVE_GAP" });
    await expect(archiver.archive([entry(1), entry(3)])).rejects.toMatchObject({ code: "ERR_ARCHIVE_GAP" });
    await expect(archiver.archive([{ ...entry(1), timeMs: Number.NaN }])).rejects.toMatchObject({
      code: "ERR_ARCHIVE_GAP",
    });
    expect(await archiver.archive(entries(1, 3))).toHaveLength(1);
    await expect(archiver.archive(entries(1, 3))).rejects.toMatchObject({ code: "ERR_ARCHIVE_GAP" });
  });

  it("goes on after a failure at any call to the store, also one that stored and then failed, with no hole and no duplicate", async () => {
    await fc.assert(
      fc.asyncProperty(
        fc.array(fc.constantFrom("fine", "before", "after"), { maxLength: 30 }),
        fc.integer({ min: 1, max: 12 }),
        async (faults, step) => {
          const inner = memoryObjectStore();
          const plan = [...faults];
          const failing = async <T>(call: () => Promise<T>): Promise<T> => {
            const fault = plan.shift();
            if (fault === "before") throw new Error("timed out");
            const result = await call();
            if (fault === "after") throw new Error("timed out");
            return result;
          };
          const store: ObjectStore = {
            ...inner,
            put: (...args) => failing(() => inner.put(...args)),
            get: (...args) => failing(() => inner.get(...args)),
          };
          for (let tries = 0; ; tries++) {
            try {
              const archiver = await opened(store);
              const from = archiver.archivedThrough + 1;
              if (from > 30) break;
              // An interrupted upload may reach further than these entries: a later call with more of them gets it done.
              await archiver.archive(entries(from, Math.min(30, from + step - 1 + tries)));
            } catch (error) {
              expect((error as Error).message).toBe("timed out");
            }
            expect(tries).toBeLessThan(100);
          }
          expect(plain(await collect(restore({ store: inner, stream })))).toEqual(plain(entries(1, 30)));
          expect((await verifyArchive({ store: inner, stream })).problems).toEqual([]);
        },
      ),
      { numRuns: 200 },
    );
  });

  it("meets another uploader: both end with one archive, whatever size of objects each would make", async () => {
    await fc.assert(
      fc.asyncProperty(
        fc.scheduler(),
        fc.integer({ min: 1, max: 400 }),
        fc.integer({ min: 1, max: 400 }),
        async (scheduler, one, other) => {
          const inner = memoryObjectStore();
          const store: ObjectStore = {
            ...inner,
            put: (...args) => scheduler.schedule(Promise.resolve()).then(() => inner.put(...args)),
            get: (...args) => scheduler.schedule(Promise.resolve()).then(() => inner.get(...args)),
          };
          const upload = async (size: number) => (await opened(store, size)).archive(entries(1, 12));
          const both = Promise.all([upload(one), upload(other)].map((call) => call.catch((error: unknown) => error)));
          await scheduler.waitFor(both);
          for (const result of await both)
            if (result instanceof Error) expect(result).toMatchObject({ code: "ERR_ARCHIVE_GAP" });
          expect(plain(await collect(restore({ store: inner, stream })))).toEqual(plain(entries(1, 12)));
          expect((await verifyArchive({ store: inner, stream })).problems).toEqual([]);
        },
      ),
      { numRuns: 100 },
    );
  });

  it("compares a replica's entries wherever they begin and end, and sounds the alarm at a difference", async () => {
    const { store } = await filled();
    const archiver = await opened(store);
    expect(await archiver.compare(entries(1, 20))).toBe(20);
    expect(await archiver.compare(entries(1, 6))).toBe(4);
    expect(await archiver.compare(entries(6, 30))).toBe(20);
    expect(await archiver.compare(entries(21, 30))).toBe(0);
    for (const from of [1, 5, 6]) {
      const differing = [...entries(from, 6), entry(7, "!"), ...entries(8, 20)];
      await expect(archiver.compare(differing)).rejects.toMatchObject({ code: "ERR_ARCHIVE_DIVERGED" });
    }
  });

  it("never overwrites what differs", async () => {
    const { store, objects, manifests } = await filled();
    await store.delete(manifests.at(-1) as string);
    const before = await store.get(objects.at(-1) as string);
    const archiver = await opened(store);
    await expect(archiver.archive(entries(archiver.archivedThrough + 1, 20, "!"))).rejects.toMatchObject({
      code: "ERR_ARCHIVE_DIVERGED",
      key: objects.at(-1),
    });
    expect(await store.get(objects.at(-1) as string)).toEqual(before);
  });

  it("is not misled by a listing that is behind", async () => {
    const { store } = await filled();
    const old: ObjectStore = {
      ...store,
      list: async function* (prefix: string) {
        let count = 0;
        for await (const key of store.list(prefix)) if (count++ < 3) yield key;
      },
    };
    expect((await opened(old)).archivedThrough).toBe(20);
    expect(await collect(restore({ store: old, stream }))).toHaveLength(20);
    expect(await verifyArchive({ store: old, stream })).toMatchObject({ wholeThrough: 20, problems: [] });
  });
});

describe("damage to an archive", () => {
  it("in any byte of any object or manifest is found; restore hands out only what is right", async () => {
    const { store, objects, manifests } = await filled();
    const lastManifest = manifests.at(-1) as string;
    const lastByte = ((await store.get(lastManifest)) as Uint8Array).length - 1;
    await fc.assert(
      fc.asyncProperty(
        fc.constantFrom(...objects, ...manifests),
        fc.nat(),
        fc.integer({ min: 1, max: 255 }),
        async (key, where, flip) => {
          const whole = (await store.get(key)) as Uint8Array;
          const damaged = whole.slice();
          damaged[where % damaged.length] = (damaged[where % damaged.length] as number) ^ flip;
          await store.put(key, damaged, { sha256: sha256(damaged) });
          const seen: ArchiveEntry[] = [];
          const restoring = (async () => {
            for await (const one of restore({ store, stream })) seen.push(one);
          })();
          await expect(restoring).rejects.toMatchObject({ code: "ERR_ARCHIVE_CORRUPT" });
          expect(plain(seen)).toEqual(plain(entries(1, seen.length)));
          const report = await verifyArchive({ store, stream });
          expect(report.problems.map(({ code }) => code)).toContain("ERR_ARCHIVE_CORRUPT");
          expect(report.wholeThrough).toBeLessThan(20);
          await store.put(key, whole, { sha256: sha256(whole) });
        },
      ),
      { numRuns: 150, examples: [[lastManifest, lastByte, 1]] },
    );
  });

  it("a lost object and a lost manifest are holes", async () => {
    for (const lost of ["objects", "manifests"] as const) {
      const archive = await filled();
      await archive.store.delete(archive[lost][2] as string);
      const { store } = archive;
      await expect(collect(restore({ store, stream }))).rejects.toMatchObject({ code: "ERR_ARCHIVE_HOLE" });
      const report = await verifyArchive({ store, stream });
      expect(report.wholeThrough).toBe(8);
      expect(report.problems[0]).toMatchObject({ code: "ERR_ARCHIVE_HOLE" });
    }
  });

  it("a manifest or an object of another stream is refused", async () => {
    const { store, objects, manifests } = await filled();
    const other = await Archiver.open({ store, stream: "other", bytesPerObjectMax: 100 });
    await other.archive(entries(1, 20));
    const foreign = async (key: string) => (await store.get(key.replace("orders%2F7", "other"))) as Uint8Array;
    for (const key of [objects[1] as string, manifests[1] as string]) {
      const whole = (await store.get(key)) as Uint8Array;
      const bytes = await foreign(key);
      await change(store, key, () => bytes);
      await expect(collect(restore({ store, stream }))).rejects.toMatchObject({ code: "ERR_ARCHIVE_CORRUPT" });
      await change(store, key, () => whole);
    }
  });

  it("asking for what is not archived is an error, not an empty answer", async () => {
    const { store } = await filled();
    await expect(collect(restore({ store, stream, until: { sequence: 21 } }))).rejects.toMatchObject({
      code: "ERR_ARCHIVE_RANGE",
    });
    await expect(collect(restore({ store, stream, from: 22 }))).rejects.toMatchObject({ code: "ERR_ARCHIVE_RANGE" });
  });
});
