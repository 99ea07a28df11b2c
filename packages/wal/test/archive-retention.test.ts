import fc from "fast-check";
import { describe, expect, it } from "vitest";
import {
  type ArchiveEntry,
  Archiver,
  memoryObjectStore,
  type ObjectStore,
  restore,
  restoreState,
  retain,
  sha256,
  verifyArchive,
  writeSnapshot,
} from "../src/archive/index.js";
import { change, entries, entry, keys, plain, restored, stateAfter, stream } from "./archive-world.js";
import { collect } from "./collect.js";

async function archived(all: readonly ArchiveEntry[], bytesPerObjectMax: number, snapshots: readonly number[]) {
  const store = memoryObjectStore();
  await (await Archiver.open({ store, stream, bytesPerObjectMax })).archive(all);
  for (const sequence of snapshots) await snapshotAt(store, all, sequence);
  return store;
}

const snapshotAt = (store: ObjectStore, all: readonly ArchiveEntry[], sequence: number) =>
  writeSnapshot({ store, stream, sequence, chunks: [Buffer.from(stateAfter(all.slice(0, sequence)))] });

/** A copy that fails for good at the `fail`-th change, before or after carrying it out. */
async function copy(store: ObjectStore, fail = Number.POSITIVE_INFINITY, after = false): Promise<ObjectStore> {
  const inner = memoryObjectStore();
  for (const key of await keys(store)) {
    const bytes = (await store.get(key)) as Uint8Array;
    await inner.put(key, bytes, { sha256: sha256(bytes) });
  }
  let changes = 0;
  const failing = async (work: () => Promise<void>): Promise<void> => {
    changes++;
    if (changes > fail || (changes === fail && !after)) throw new Error("crash");
    await work();
    if (changes === fail) throw new Error("crash");
  };
  return {
    ...inner,
    put: (...args) => failing(() => inner.put(...args)),
    delete: (...args) => failing(() => inner.delete(...args)),
  };
}

/** The entries up to the first one that is later. */
function at(all: readonly ArchiveEntry[], timeMs: number): readonly ArchiveEntry[] {
  const later = all.findIndex((one) => one.timeMs > timeMs);
  return later < 0 ? all : all.slice(0, later);
}

describe("retention", () => {
  it("lets go of what the promise does not need, says so, and keeps every promised moment", async () => {
    const all = entries(1, 40);
    const store = await archived(all, 100, [6, 14, 22, 30]);
    const promise = { sinceMs: entry(25).timeMs };
    const dry = await retain({ store, stream, promise, dryRun: true });
    expect(await verifyArchive({ store, stream })).toMatchObject({ first: 1, floor: 0, problems: [] });
    const report = await retain({ store, stream, promise });
    expect(report).toEqual(dry);
    expect(report).toMatchObject({ floor: 22, problems: [] });
    const whole = await verifyArchive({ store, stream });
    expect(whole).toMatchObject({
      first: 21,
      floor: 22,
      wholeThrough: 40,
      snapshots: [22, 30],
      problems: [],
      orphans: [],
    });
    expect((await restored({ store, stream, until: promise && { timeMs: promise.sinceMs } })).state).toBe(
      stateAfter(all.slice(0, 25)),
    );
    await expect(restoreState({ store, stream, until: { sequence: 21 } })).rejects.toMatchObject({
      code: "ERR_ARCHIVE_RANGE",
    });
    await expect(restoreState({ store, stream, until: { timeMs: entry(21).timeMs } })).rejects.toMatchObject({
      code: "ERR_ARCHIVE_RANGE",
    });
    await expect(collect(restore({ store, stream }))).rejects.toMatchObject({ code: "ERR_ARCHIVE_RANGE" });
    expect(plain(await collect(restore({ store, stream, from: 23 })))).toEqual(plain(all.slice(22)));
    expect((await retain({ store, stream, promise })).deleted).toEqual([]);
    const archiver = await Archiver.open({ store, stream, bytesPerObjectMax: 100 });
    expect(archiver.archivedThrough).toBe(40);
    await archiver.archive(entries(41, 50));
    expect(await archiver.compare(entries(1, 50))).toBe(50);
    await expect(snapshotAt(store, all, 21)).rejects.toMatchObject({ code: "ERR_ARCHIVE_RANGE" });
    await snapshotAt(store, entries(1, 50), 50);
    expect((await retain({ store, stream, promise: { sinceSequence: 50 } })).floor).toBe(50);
    expect((await restored({ store, stream })).state).toBe(stateAfter(entries(1, 50)));
    expect((await Archiver.open({ store, stream })).archivedThrough).toBe(50);
  });

  it("deletes nothing without a snapshot that keeps the promise", async () => {
    const store = await archived(entries(1, 20), 100, [12]);
    for (const promise of [{ sinceMs: entry(11).timeMs }, { sinceMs: 0 }, { sinceSequence: 11 }]) {
      expect(await retain({ store, stream, promise })).toEqual({ floor: 0, deleted: [], problems: [] });
    }
    for (const promise of [{ sinceMs: Number.NaN }, { sinceSequence: 1.5 }, {} as { sinceMs: number }]) {
      await expect(retain({ store, stream, promise })).rejects.toMatchObject({ code: "ERR_ARCHIVE_ARGUMENT" });
    }
  });

  it("relies on no snapshot that it has not read: a damaged or lost one is passed over for an older one", async () => {
    for (const how of ["flip", "lose"] as const) {
      const store = await archived(entries(1, 20), 100, [6, 12]);
      const part = (await keys(store)).find((key) => /0000000000000012-.*part/.test(key)) as string;
      await change(store, part, (bytes) =>
        how === "lose" ? undefined : bytes.map((byte, n) => (n === 70 ? byte ^ 1 : byte)),
      );
      const report = await retain({ store, stream, promise: { sinceSequence: 20 } });
      expect(report).toMatchObject({ floor: 6, problems: [{ name: "ArchiveError", key: part }] });
      expect((await restored({ store, stream, snapshotBefore: 12 })).state).toBe(stateAfter(entries(1, 20)));
    }
  });

  it("keeps every promised moment whatever it is interrupted at, and goes on from there", async () => {
    await fc.assert(
      fc.asyncProperty(
        fc.array(fc.integer({ min: 0, max: 60 }), { minLength: 1, maxLength: 30 }),
        fc.integer({ min: 1, max: 250 }),
        fc.uniqueArray(fc.integer({ min: 0, max: 30 }), { maxLength: 5 }),
        fc.oneof(
          fc.integer({ min: 0, max: 70 }).map((sinceMs) => ({ sinceMs })),
          fc.integer({ min: 0, max: 30 }).map((sinceSequence) => ({ sinceSequence })),
        ),
        fc.boolean(),
        async (times, size, snapshots, promise, after) => {
          const all = times.map((timeMs, n) => entry(n + 1, "", timeMs));
          const last = all.length;
          const original = await archived(
            all,
            size,
            snapshots.filter((sequence) => sequence <= last),
          );
          for (let fail = 1; ; fail++) {
            const store = await copy(original, fail, after);
            const outcome = await retain({ store, stream, promise }).catch((error: unknown) => error);
            const crashed = outcome instanceof Error;
            if (crashed) expect(outcome.message).toBe("crash");
            const left = await copy(store);
            await keeps(left, all, promise);
            if (!crashed) break;
            const again = await retain({ store: left, stream, promise });
            expect(again.problems).toEqual([]);
            await keeps(left, all, promise);
            expect((await verifyArchive({ store: left, stream })).orphans).toEqual([]);
          }
        },
      ),
      { numRuns: 25 },
    );
  });

  it("run by two at once, with other promises, ends with the promise that needs less, and nothing is broken", async () => {
    await fc.assert(
      fc.asyncProperty(fc.scheduler(), async (scheduler) => {
        const all = entries(1, 24);
        const inner = await archived(all, 100, [6, 12, 18]);
        const slow = <T>(work: () => Promise<T>) => scheduler.schedule(Promise.resolve()).then(work);
        const store: ObjectStore = {
          ...inner,
          put: (...args) => slow(() => inner.put(...args)),
          get: (...args) => slow(() => inner.get(...args)),
          delete: (...args) => slow(() => inner.delete(...args)),
        };
        const runs = [13, 19].map((sinceSequence) => retain({ store, stream, promise: { sinceSequence } }));
        const settled = Promise.allSettled(runs);
        await scheduler.waitFor(settled);
        await retain({ store: inner, stream, promise: { sinceSequence: 19 } });
        await keeps(inner, all, { sinceSequence: 19 });
        expect(await verifyArchive({ store: inner, stream })).toMatchObject({ floor: 18, orphans: [], problems: [] });
      }),
      { numRuns: 50 },
    );
  });
});

async function keeps(
  store: ObjectStore,
  all: readonly ArchiveEntry[],
  promise: { sinceMs: number } | { sinceSequence: number },
): Promise<void> {
  expect((await verifyArchive({ store, stream })).problems).toEqual([]);
  if ("sinceSequence" in promise) {
    for (let sequence = promise.sinceSequence; sequence <= all.length; sequence++) {
      const { state } = await restored({ store, stream, until: { sequence } });
      expect(state).toBe(stateAfter(all.slice(0, sequence)));
    }
    return;
  }
  const moments = new Set([promise.sinceMs, 1000, ...all.map(({ timeMs }) => timeMs)]);
  for (const timeMs of moments) {
    if (timeMs < promise.sinceMs) continue;
    expect((await restored({ store, stream, until: { timeMs } })).state).toBe(stateAfter(at(all, timeMs)));
  }
}
