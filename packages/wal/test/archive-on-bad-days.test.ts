import fc from "fast-check";
import { afterAll, beforeAll, beforeEach, describe, expect, it } from "vitest";
import {
  type ArchiveEntry,
  Archiver,
  type ObjectStore,
  PatientObjectStore,
  restore,
  verifyArchive,
} from "../src/archive/index.js";
import { S3ObjectStore } from "../src/archive/s3/index.js";
import { collect } from "./collect.js";
import type { Fault, Operation } from "./s3-server/faults.js";
import { StrictS3 } from "./s3-server/server.js";

/**
 * What a store can do to an archive, done to it by a server that speaks S3, with the S3 store and its patience in between, as in production. After
 * each bad day the archive is compared with what this file remembers: everything vouched for is there, exactly, and nothing wrong was vouched for.
 */
let server: StrictS3;
beforeAll(async () => {
  server = await StrictS3.start();
});
afterAll(() => server.close());
beforeEach(() => server.reset());

const stream = "orders/7";
const entry = (sequence: number): ArchiveEntry => ({
  sequence,
  timeMs: 1_700_000_000_000 + sequence * 1000,
  data: Buffer.from(`entry ${sequence}, and some more to say`),
});
const entries = (first: number, last: number) => Array.from({ length: last - first + 1 }, (_, n) => entry(first + n));
const plain = (list: readonly ArchiveEntry[]) =>
  list.map(({ sequence, timeMs, data }) => [sequence, timeMs, Buffer.from(data).toString()]);

/** Three objects with their manifests for twelve entries. */
const bytesPerObjectMax = 190;
const openStore = (attemptsMax = 6, at = server, idleTimeoutMs = 30_000): ObjectStore =>
  new PatientObjectStore(new S3ObjectStore({ bucket: at.bucketName, ...at.access, idleTimeoutMs, attemptsMax: 1 }), {
    attemptsMax,
    backoffMs: 1,
  });
const openArchiver = (store: ObjectStore) => Archiver.open({ store, stream, bytesPerObjectMax });
const stage = (on: Operation, fault: Fault, times = 1, key = /orders/) => server.stage({ on, fault, times, key });
const keys = (ending: RegExp) => [...server.bucket.objects.keys()].filter((key) => ending.test(key)).sort();

/** Archives what is still missing of entries 1 to `last`, in as many calls as it takes. */
async function archiveThrough(last: number, store = openStore()): Promise<void> {
  for (let calls = 0; calls < 20; calls++) {
    const archiver = await openArchiver(store);
    if (archiver.archivedThrough >= last) return;
    await archiver.archive(entries(archiver.archivedThrough + 1, last));
  }
  throw new Error("it does not get done");
}

async function expectWhole(last: number): Promise<void> {
  const store = openStore();
  expect(plain(await collect(restore({ store, stream })))).toEqual(plain(entries(1, last)));
  expect(await verifyArchive({ store, stream })).toMatchObject({ wholeThrough: last, problems: [] });
  expect(server.bucket.uploads.size).toBe(0);
}

describe("a store that times out", () => {
  for (const kind of ["silent", "silent after", "cut", "cut after"] as const) {
    it(`in each put of an archive (${kind}): one archive comes of it, with no hole and no duplicate`, async () => {
      stage("PutObject", { kind }, 1, /0001\.log/);
      stage("PutObject", { kind }, 2, /0005\.log/);
      stage("PutObject", { kind }, 1, /manifest/);
      const store = openStore(12, server, kind.startsWith("silent") ? 200 : 30_000);
      const manifests = await (await openArchiver(store)).archive(entries(1, 12));
      expect(manifests.at(-1)?.last).toBe(12);
      await expectWhole(12);
    });
  }

  it("for longer than patience lasts, after having stored: the next archiver finds it equal, and goes on", async () => {
    stage("PutObject", { kind: "cut after" }, 2);
    // The repetition meets what the first attempt stored, and the look at it fails too.
    stage("GetObject", { kind: "cut" }, 99, /0000001\.log/);
    const store = openStore(2);
    const archiver = await openArchiver(store);
    await expect(archiver.archive(entries(1, 12))).rejects.toMatchObject({
      code: "ERR_ARCHIVE_STORE",
      retryable: true,
    });
    expect(archiver.archivedThrough).toBe(0);
    expect(keys(/manifest/)).toEqual([]);
    server.clearFaults();
    await archiveThrough(12);
    await expectWhole(12);
  });
});

describe("a process that dies", () => {
  it("between requests to the store: the next one completes the archive", async () => {
    for (let fatal = 0; fatal < 16; fatal += 3) {
      server.reset();
      let requests = 0;
      const inner = openStore();
      const dying = (call: () => Promise<unknown>) => {
        if (requests++ === fatal) throw new Error("killed");
        return call();
      };
      const store = {
        put: (...args: Parameters<ObjectStore["put"]>) => dying(() => inner.put(...args)),
        get: (...args: Parameters<ObjectStore["get"]>) => dying(() => inner.get(...args)),
        list: (...args: Parameters<ObjectStore["list"]>) => inner.list(...args),
        delete: (...args: Parameters<ObjectStore["delete"]>) => inner.delete(...args),
      } as ObjectStore;
      await archiveThrough(12, store).catch((error: unknown) => expect(error).toMatchObject({ message: "killed" }));
      await archiveThrough(12);
      await expectWhole(12);
    }
  });
});

describe("two replicas at once", () => {
  it("under conflicts and lost answers end with one archive", async () => {
    stage("PutObject", { kind: "refuse", status: 409, code: "ConditionalRequestConflict" }, 3);
    stage("PutObject", { kind: "cut after" }, 3);
    await Promise.all([archiveThrough(12), archiveThrough(12), archiveThrough(9)]);
    await expectWhole(12);
  });
});

describe("a store that returns old listings", () => {
  it("misleads nobody: not who archives on, not who restores, not who verifies", async () => {
    for (const archivedBefore of [0, 4, 8]) {
      server.reset();
      await archiveThrough(archivedBefore);
      server.freezeListing();
      await archiveThrough(12);
      expect((await openArchiver(openStore())).archivedThrough).toBe(12);
      await archiveThrough(14);
      await expectWhole(14);
      server.thawListing();
      await expectWhole(14);
    }
  });
});

describe("a store that changes a byte", () => {
  it("on the way back, before anything is vouched for: no manifest says that it is right", async () => {
    for (const key of [/0001\.log/, /0005\.log/, /0001\.manifest/]) {
      server.reset();
      stage("GetObject", { kind: "rot", at: 7 }, 99, key);
      const archiver = await openArchiver(openStore());
      await expect(archiver.archive(entries(1, 12))).rejects.toMatchObject({
        code: "ERR_ARCHIVE_CORRUPT",
        retryable: false,
      });
      expect(archiver.archivedThrough).toBe(key.source.includes("0005") ? 4 : 0);
      server.clearFaults();
      await archiveThrough(12);
      await expectWhole(12);
    }
  });

  it("at rest: whoever reads is told which object, and gets nothing that is wrong", async () => {
    await archiveThrough(12);
    await fc.assert(
      fc.asyncProperty(
        fc.constantFrom(...keys(/orders.*(log|manifest)$/)),
        fc.nat(),
        fc.integer({ min: 1, max: 255 }),
        async (key, where, flip) => {
          const object = server.bucket.objects.get(key) as NonNullable<ReturnType<typeof server.bucket.objects.get>>;
          const rotten = Buffer.from(object.bytes);
          rotten[where % rotten.length] = (rotten[where % rotten.length] as number) ^ flip;
          server.bucket.objects.set(key, { ...object, bytes: rotten });
          const store = openStore();
          const seen: ArchiveEntry[] = [];
          const reading = (async () => {
            for await (const one of restore({ store, stream })) seen.push(one);
          })();
          await expect(reading).rejects.toMatchObject({ code: "ERR_ARCHIVE_CORRUPT", key });
          expect(plain(seen)).toEqual(plain(entries(1, seen.length)));
          const report = await verifyArchive({ store, stream });
          expect(report.problems[0]).toMatchObject({ code: "ERR_ARCHIVE_CORRUPT", key });
          server.bucket.objects.set(key, object);
        },
      ),
      { numRuns: 12 },
    );
    await expectWhole(12);
  });
});

describe("a store that does not create", () => {
  for (const createOnly of ["refuse", "ignore"] as const) {
    it(`because it would ${createOnly} what is asked: not an object is trusted to it`, async () => {
      const other = await StrictS3.start({ createOnly });
      try {
        const archiver = await openArchiver(openStore(6, other));
        await expect(archiver.archive(entries(1, 12))).rejects.toMatchObject({
          code: "ERR_ARCHIVE_UNSUPPORTED",
          retryable: false,
        });
        expect([...other.bucket.objects.keys()].filter((key) => key.includes("orders"))).toEqual([]);
      } finally {
        await other.close();
      }
    });
  }
});

describe("a store that is full", () => {
  it("says so at once; what was archived stays, and once there is room the rest follows", async () => {
    await archiveThrough(4);
    for (const key of [/0005\.log/, /0005\.manifest/]) {
      stage("PutObject", { kind: "refuse", status: 507, code: "XMinioStorageFull" }, 1, key);
      const archiver = await openArchiver(openStore());
      await expect(archiver.archive(entries(5, 12))).rejects.toMatchObject({ code: "ERR_ARCHIVE_FULL" });
      expect(server.requests.filter(({ status }) => status === 507)).toHaveLength(key.source.includes("log") ? 1 : 2);
      expect(archiver.archivedThrough).toBe(4);
      expect(plain(await collect(restore({ store: openStore(), stream })))).toEqual(plain(entries(1, 4)));
    }
    await archiveThrough(12);
    await expectWhole(12);
  });
});

describe("a store that loses an object", () => {
  it("before it was read back: it is not vouched for, and uploaded again", async () => {
    for (const key of [/0005\.log/, /0005\.manifest/]) {
      server.reset();
      stage("PutObject", { kind: "lost" }, 1, key);
      const archiver = await openArchiver(openStore());
      await expect(archiver.archive(entries(1, 12))).rejects.toMatchObject({ code: "ERR_ARCHIVE_HOLE" });
      expect(archiver.archivedThrough).toBe(4);
      await archiveThrough(12);
      await expectWhole(12);
    }
  });

  it("later: verifying names it, and restoring goes as far as it can be trusted", async () => {
    await archiveThrough(12);
    const lost = keys(/0005\.log/)[0] as string;
    server.bucket.objects.delete(lost);
    const store = openStore();
    const report = await verifyArchive({ store, stream });
    expect(report).toMatchObject({ wholeThrough: 4, problems: [{ code: "ERR_ARCHIVE_HOLE", key: lost }] });
    const seen: ArchiveEntry[] = [];
    const reading = (async () => {
      for await (const one of restore({ store, stream })) seen.push(one);
    })();
    await expect(reading).rejects.toMatchObject({ code: "ERR_ARCHIVE_HOLE", key: lost });
    expect(plain(seen)).toEqual(plain(entries(1, 4)));
  });
});

describe("all of it together", () => {
  it("in any order: what is vouched for is there, and in the end everything is", async () => {
    const fault = fc.constantFrom<Fault>(
      { kind: "cut" },
      { kind: "cut after" },
      { kind: "refuse", status: 503, code: "SlowDown" },
      { kind: "refuse", status: 500, code: "InternalError" },
      { kind: "refuse", status: 409, code: "ConditionalRequestConflict" },
      { kind: "refuse", status: 403, code: "AccessDenied" },
      { kind: "refuse", status: 507, code: "XMinioStorageFull" },
      { kind: "damaged request" },
      { kind: "lost" },
    );
    const operation = fc.constantFrom<Operation>("PutObject", "PutObject", "GetObject", "ListObjectsV2");
    await fc.assert(
      fc.asyncProperty(
        fc.array(fc.tuple(operation, fault, fc.integer({ min: 1, max: 5 })), { maxLength: 8 }),
        async (plan) => {
          server.reset();
          for (const [on, kind, times] of plan) {
            // Reading loses nothing.
            if (kind.kind !== "lost" || on === "PutObject") stage(on, kind, times, /./);
          }
          const store = openStore(3);
          for (let calls = 0; ; calls++) {
            expect(calls).toBeLessThan(100);
            try {
              const archiver = await openArchiver(store);
              if (archiver.archivedThrough >= 12) break;
              await archiver.archive(entries(archiver.archivedThrough + 1, 12));
            } catch (error) {
              expect((error as { name: string }).name).toBe("ArchiveError");
            }
          }
          server.clearFaults();
          await expectWhole(12);
        },
      ),
      { numRuns: 12 },
    );
  });
});
