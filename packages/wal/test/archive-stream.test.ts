import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import {
  Archiver,
  archiveStream,
  memoryObjectStore,
  type ObjectStore,
  restore,
  verifyArchive,
} from "../src/archive/index.js";
import { Wal } from "../src/index.js";
import { collect } from "./collect.js";

let work: string;
let logs = 0;
beforeAll(async () => {
  work = await mkdtemp(join(tmpdir(), "evenkeel-archive-stream-"));
});
afterAll(async () => {
  await rm(work, { recursive: true, force: true });
});

const opened = () => Wal.open({ dir: join(work, `log-${logs++}`), segmentBytes: 65_536 });
const record = (n: number) => Buffer.from(`record ${n}`);
const texts = async (store: ObjectStore, stream = "s") =>
  (await collect(restore({ store, stream }))).map(({ data }) => Buffer.from(data).toString());
const expected = (last: number) => Array.from({ length: last }, (_, n) => `record ${n + 1}`);
/** A busy machine may take long; nothing here depends on how long. */
const eventually = <T>(seen: () => T) => expect.poll(seen, { interval: 5 });
/** Refuses to store anything for as long as `broken` says. */
const failing = (inner: ObjectStore, broken: () => boolean): ObjectStore => ({
  ...inner,
  put: async (...args) => {
    if (broken()) throw new Error("store is away");
    await inner.put(...args);
  },
});

describe("a stream that is archived as it grows", () => {
  it("is in the archive after a flush, in objects of bounded size, and is truncated up to there", async () => {
    await using wal = await opened();
    const stream = wal.stream("s");
    const store = memoryObjectStore();
    await using archiving = archiveStream({ stream, store, bytesPerObjectMax: 200 });
    for (let n = 1; n <= 100; n++) await stream.append(record(n));
    expect(await archiving.flush()).toBe(100);
    expect(await texts(store)).toEqual(expected(100));
    expect(archiving.stats()).toMatchObject({ archivedThrough: 100, behind: 0, retries: 0, failure: undefined });
    const { problems, objects } = await verifyArchive({ store, stream: "s" });
    expect(problems).toEqual([]);
    expect(objects).toBeGreaterThanOrEqual(Math.ceil(100 / 7));
    await eventually(() => stream.firstSequence).toBe(101);
    await stream.append([record(101), record(102)]);
    expect(await archiving.flush()).toBe(102);
    expect(await texts(store)).toEqual(expected(102));
  });

  it("is restored to a time in whole appends, whose records have one time, and to a sequence in parts of one", async () => {
    let time = 1000;
    const dir = join(work, `log-${logs++}`);
    await using wal = await Wal.open({ dir, now: () => time++ });
    const stream = wal.stream("s");
    const store = memoryObjectStore();
    await using archiving = archiveStream({ stream, store, bytesPerObjectMax: 70 });
    for (let n = 1; n <= 30; n += 3) await stream.append([record(n), record(n + 1), record(n + 2)]);
    await archiving.flush();
    const until = async (point: { timeMs: number } | { sequence: number }) =>
      (await collect(restore({ store, stream: "s", until: point }))).length;
    for (let timeMs = 999; timeMs <= time; timeMs++) expect((await until({ timeMs })) % 3).toBe(0);
    expect(await until({ timeMs: time })).toBe(30);
    expect(await until({ sequence: 17 })).toBe(17);
  });

  it("is archived when its records get old, without a flush", async () => {
    await using wal = await opened();
    const stream = wal.stream("s");
    const store = memoryObjectStore();
    await using archiving = archiveStream({ stream, store, ageMaxMs: 5 });
    await stream.append([record(1), record(2)]);
    await eventually(() => archiving.archivedThrough).toBe(2);
    await stream.append(record(3));
    await eventually(() => archiving.archivedThrough).toBe(3);
    expect(await texts(store)).toEqual(expected(3));
  });

  it("keeps what is still needed here", async () => {
    await using wal = await opened();
    const stream = wal.stream("s");
    const store = memoryObjectStore();
    let keepFrom = 4;
    await using archiving = archiveStream({ stream, store, keepFrom: () => keepFrom });
    await stream.append(Array.from({ length: 10 }, (_, n) => record(n + 1)));
    await archiving.flush();
    await eventually(() => stream.firstSequence).toBe(4);
    keepFrom = 100;
    await stream.append(record(11));
    await archiving.flush();
    await eventually(() => stream.firstSequence).toBe(12);
  });

  it("waits out a store that is away: nothing is dropped meanwhile, and then all is archived", async () => {
    await using wal = await opened();
    const stream = wal.stream("s");
    const inner = memoryObjectStore();
    let away = true;
    const store = failing(inner, () => away);
    await using archiving = archiveStream({ stream, store, retryAfterMs: 1, ageMaxMs: 1 });
    await stream.append(Array.from({ length: 10 }, (_, n) => record(n + 1)));
    await eventually(() => archiving.stats().retries).toBeGreaterThan(2);
    expect(stream.firstSequence).toBe(1);
    away = false;
    expect(await archiving.flush()).toBe(10);
    expect(await texts(inner)).toEqual(expected(10));
  });

  it("compares what is here and archived already before it drops it, and stops at a difference", async () => {
    await using wal = await opened();
    const stream = wal.stream("s");
    const store = memoryObjectStore();
    await stream.append(Array.from({ length: 10 }, (_, n) => record(n + 1)));
    const records = await collect(stream.read());
    await (await Archiver.open({ store, stream: "s" })).archive(records.slice(0, 6));
    {
      await using archiving = archiveStream({ stream, store, keepFrom: () => 1 });
      expect(await archiving.flush()).toBe(10);
    }
    const other = memoryObjectStore();
    const changed = records.map((one) => (one.sequence === 3 ? { ...one, data: record(33) } : one));
    await (await Archiver.open({ store: other, stream: "s" })).archive(changed);
    await using archiving = archiveStream({ stream, store: other });
    await expect(archiving.finished).rejects.toMatchObject({ code: "ERR_ARCHIVE_DIVERGED" });
    await expect(archiving.flush()).rejects.toMatchObject({ code: "ERR_ARCHIVE_DIVERGED" });
    expect(archiving.stats().failure).toMatchObject({ code: "ERR_ARCHIVE_DIVERGED" });
    expect(stream.firstSequence).toBe(1);
  });

  it("refuses a log that begins behind the archive's end, and one that was cut back below it", async () => {
    await using wal = await opened();
    const stream = wal.stream("s");
    await stream.append([record(1), record(2), record(3)]);
    await stream.truncateBefore(3);
    await using gap = archiveStream({ stream, store: memoryObjectStore() });
    await expect(gap.finished).rejects.toMatchObject({ code: "ERR_ARCHIVE_GAP" });

    const cut = wal.stream("cut");
    await cut.append([record(1), record(2), record(3)]);
    await using archiving = archiveStream({ stream: cut, store: memoryObjectStore(), keepFrom: () => 1 });
    await archiving.flush();
    await cut.truncateAfter(1);
    await expect(archiving.finished).rejects.toMatchObject({ code: "ERR_ARCHIVE_DIVERGED" });
  });

  it("is shared by two replicas with one archive: both end with the same, and with nothing of their own left", async () => {
    await using one = await opened();
    await using two = await opened();
    const store = memoryObjectStore();
    const entryOf = ({ sequence, data }: { sequence: number; data: Uint8Array }) => ({ timeMs: sequence, data });
    const both = [one, two].map((wal, n) => {
      const stream = wal.stream("s");
      return { stream, archiving: archiveStream({ stream, store, entryOf, bytesPerObjectMax: 100 + n * 70 }) };
    });
    for (let n = 1; n <= 60; n += 3) {
      for (const { stream } of both) await stream.append([record(n), record(n + 1), record(n + 2)]);
    }
    for (const { archiving } of both) expect(await archiving.flush()).toBe(60);
    for (const { archiving, stream } of both) {
      await eventually(() => stream.firstSequence).toBe(61);
      await archiving.close();
    }
    expect(await texts(store)).toEqual(expected(60));
    expect((await verifyArchive({ store, stream: "s" })).problems).toEqual([]);
  });

  it("ends with its log, and on close and abort, without a word", async () => {
    const wal = await opened();
    const stream = wal.stream("s");
    await stream.append(record(1));
    const store = memoryObjectStore();
    const ending = archiveStream({ stream, store });
    const closing = archiveStream({ stream, store });
    const stop = new AbortController();
    const aborting = archiveStream({ stream, store, signal: stop.signal });
    await closing.close();
    stop.abort(new Error("enough"));
    await aborting.finished;
    await wal.close();
    await ending.finished;
    await Promise.all([closing.finished, aborting.close()]);
    expect(() => archiveStream({ stream, store, ageMaxMs: 0 })).toThrow(/ageMaxMs/);
  });
});
