import fc from "fast-check";
import { describe, expect, it } from "vitest";
import {
  Archiver,
  memoryObjectStore,
  type ObjectStore,
  restoreState,
  sha256,
  verifyArchive,
  writeSnapshot,
} from "../src/archive/index.js";
import { change, entries, entry, keys, restored, stateAfter, stream } from "./archive-world.js";

const bytesOf = (text: string) => [Buffer.from(text)];

/** 20 entries in objects of four, and snapshots at 6 and 12. */
async function archived(): Promise<ObjectStore> {
  const store = memoryObjectStore();
  await (await Archiver.open({ store, stream, bytesPerObjectMax: 100 })).archive(entries(1, 20));
  for (const sequence of [6, 12]) await snapshotAt(store, sequence);
  return store;
}

const snapshotAt = (store: ObjectStore, sequence: number, text = stateAfter(entries(1, sequence))) =>
  writeSnapshot({ store, stream, sequence, chunks: bytesOf(text), bytesPerObjectMax: 1024 });

describe("a snapshot beside the log", () => {
  it("is where restoring starts: the newest one at or before the moment, then the entries behind it", async () => {
    const store = await archived();
    const from = async (until: { sequence: number } | { timeMs: number }, last: number) => {
      const { state, from: start } = await restored({ store, stream, until });
      expect(state).toBe(stateAfter(entries(1, last)));
      return start;
    };
    expect(await from({ sequence: 20 }, 20)).toBe(12);
    expect(await from({ sequence: 12 }, 12)).toBe(12);
    expect(await from({ sequence: 11 }, 11)).toBe(6);
    expect(await from({ sequence: 6 }, 6)).toBe(6);
    expect(await from({ sequence: 5 }, 5)).toBeUndefined();
    expect(await from({ sequence: 0 }, 0)).toBeUndefined();
    expect(await from({ timeMs: entry(12).timeMs }, 12)).toBe(12);
    expect(await from({ timeMs: entry(12).timeMs - 1 }, 11)).toBe(6);
    expect(await from({ timeMs: 0 }, 0)).toBeUndefined();
    expect(await from({ timeMs: Number.MAX_SAFE_INTEGER }, 20)).toBe(12);
    expect((await restored({ store, stream })).state).toBe(stateAfter(entries(1, 20)));
    expect((await restored({ store, stream, snapshotBefore: 12 })).from).toBe(6);
    await expect(restoreState({ store, stream, until: { sequence: 21 } })).rejects.toMatchObject({
      code: "ERR_ARCHIVE_RANGE",
    });
    expect(await restoreState({ store, stream: "never seen" })).toMatchObject({ archivedThrough: 0 });
  });

  it("may be there before the first entry, may be empty and may have many parts", async () => {
    const store = memoryObjectStore();
    const first = "what was there before".repeat(100);
    await writeSnapshot({ store, stream, sequence: 0, chunks: bytesOf(first), bytesPerObjectMax: 1024 });
    expect(await restored({ store, stream })).toEqual({ state: first, from: 0 });
    await (await Archiver.open({ store, stream })).archive(entries(1, 3));
    expect((await restored({ store, stream })).state).toBe(first + stateAfter(entries(1, 3)));
    await writeSnapshot({ store, stream, sequence: 3, chunks: [] });
    expect(await restored({ store, stream })).toEqual({ state: "", from: 3 });
    expect(await verifyArchive({ store, stream })).toMatchObject({ snapshots: [0, 3], problems: [], orphans: [] });
  });

  it("goes by the latest time of any entry in it, whatever clocks did", async () => {
    const store = memoryObjectStore();
    const jumping = [5000, 9000, 3000, 4000, 6000, 9500].map((timeMs, n) => entry(n + 1, "", timeMs));
    await (await Archiver.open({ store, stream, bytesPerObjectMax: 60 })).archive(jumping);
    for (const sequence of [1, 4]) await snapshotAt(store, sequence, stateAfter(jumping.slice(0, sequence)));
    // Entry 2 is later than 7000: what is behind it does not belong to that moment, though its own times are earlier.
    expect(await restored({ store, stream, until: { timeMs: 7000 } })).toEqual({
      state: stateAfter(jumping.slice(0, 1)),
      from: 1,
    });
    expect((await restored({ store, stream, until: { timeMs: 9000 } })).from).toBe(4);
    expect((await restored({ store, stream, until: { timeMs: 9000 } })).state).toBe(stateAfter(jumping.slice(0, 5)));
  });

  it("is only of what is archived, and of the log beside it", async () => {
    const store = await archived();
    await expect(snapshotAt(store, 21)).rejects.toMatchObject({ code: "ERR_ARCHIVE_RANGE" });
    await expect(snapshotAt(store, -1)).rejects.toMatchObject({ code: "ERR_ARCHIVE_ARGUMENT" });
    const other = memoryObjectStore();
    await (await Archiver.open({ store: other, stream, bytesPerObjectMax: 100 })).archive(entries(1, 20, "!"));
    for (const key of await keys(store)) {
      if (!key.includes("/snapshots/")) await change(store, key, () => undefined);
    }
    for (const key of await keys(other)) {
      const bytes = (await other.get(key)) as Uint8Array;
      await store.put(key, bytes, { sha256: sha256(bytes) });
    }
    await expect(restoreState({ store, stream })).rejects.toMatchObject({ code: "ERR_ARCHIVE_CORRUPT" });
    const { problems } = await verifyArchive({ store, stream });
    expect(problems.map(({ message }) => message)).toEqual([
      expect.stringContaining("another log"),
      expect.stringContaining("another log"),
    ]);
  });

  it("written again, by whomever, is compared: the same is fine however it is cut and packed, another is an alarm", async () => {
    const store = await archived();
    const before = await keys(store);
    const state = Buffer.from(stateAfter(entries(1, 12)));
    const chunks = Array.from(state, (_, n) => state.subarray(n, n + 1));
    await writeSnapshot({ store, stream, sequence: 12, chunks, compression: "none" });
    await expect(snapshotAt(store, 12, "another state")).rejects.toMatchObject({ code: "ERR_ARCHIVE_DIVERGED" });
    expect(await keys(store)).toEqual(before);
  });

  it("is finished by whoever goes on after an interruption at any call to the store, before or after it was carried out", async () => {
    const text = stateAfter(entries(1, 20)).repeat(8);
    for (const when of ["before", "after"] as const) {
      for (let fail = 1; ; fail++) {
        const store = memoryObjectStore();
        await (await Archiver.open({ store, stream })).archive(entries(1, 20));
        let calls = 0;
        const failing = async <T>(call: () => Promise<T>): Promise<T> => {
          calls++;
          if (calls === fail && when === "before") throw new Error("timed out");
          const result = await call();
          if (calls === fail) throw new Error("timed out");
          return result;
        };
        const faulty: ObjectStore = {
          ...store,
          put: (...args) => failing(() => store.put(...args)),
          get: (...args) => failing(() => store.get(...args)),
        };
        const outcome = await snapshotAt(faulty, 20, text).catch((error: unknown) => error);
        if (calls < fail) break;
        expect(outcome).toMatchObject({ message: "timed out" });
        await snapshotAt(store, 20, text);
        expect(await restored({ store, stream })).toEqual({ state: text, from: 20 });
        expect(await verifyArchive({ store, stream })).toMatchObject({ problems: [], orphans: [], snapshots: [20] });
      }
    }
  });

  it("left half-done by a writer with another idea of the state is not in the way", async () => {
    const store = memoryObjectStore();
    await (await Archiver.open({ store, stream })).archive(entries(1, 5));
    const dying: ObjectStore = {
      ...store,
      put: async (key, ...rest) => {
        if (key.endsWith(".snapshot")) throw new Error("died");
        await store.put(key, ...rest);
      },
    };
    await expect(snapshotAt(dying, 5, "another idea")).rejects.toThrow("died");
    await snapshotAt(store, 5);
    expect((await restored({ store, stream })).from).toBe(5);
    expect((await verifyArchive({ store, stream })).orphans).toHaveLength(1);
  });

  it("that is damaged in any byte is found, and an older one is the way round it", async () => {
    const store = await archived();
    const own = (await keys(store)).filter((key) => key.includes("/0000000000000012"));
    expect(own).toHaveLength(2);
    await fc.assert(
      fc.asyncProperty(
        fc.constantFrom(...own),
        fc.nat(),
        fc.integer({ min: 1, max: 255 }),
        async (key, where, flip) => {
          const whole = (await store.get(key)) as Uint8Array;
          await change(store, key, () => whole.map((byte, at) => (at === where % whole.length ? byte ^ flip : byte)));
          await expect(restored({ store, stream })).rejects.toMatchObject({ code: "ERR_ARCHIVE_CORRUPT" });
          const report = await verifyArchive({ store, stream });
          expect(report.problems).toMatchObject([{ code: "ERR_ARCHIVE_CORRUPT", key }]);
          expect(report.snapshots).toEqual([6]);
          const around = await restored({ store, stream, snapshotBefore: 12 });
          expect(around).toEqual({ state: stateAfter(entries(1, 20)), from: 6 });
          await change(store, key, () => whole);
        },
      ),
      { numRuns: 100 },
    );
    for (const lost of own) {
      const whole = (await store.get(lost)) as Uint8Array;
      await store.delete(lost);
      if (lost.endsWith(".part")) {
        await expect(restored({ store, stream })).rejects.toMatchObject({ code: "ERR_ARCHIVE_HOLE", key: lost });
        expect((await verifyArchive({ store, stream })).problems).toMatchObject([{ code: "ERR_ARCHIVE_HOLE" }]);
      } else {
        expect((await restored({ store, stream })).from).toBe(6);
        expect((await verifyArchive({ store, stream })).orphans).toHaveLength(1);
      }
      await store.put(lost, whole, { sha256: sha256(whole) });
    }
  });

  it("that the log no longer reaches is told", async () => {
    const store = await archived();
    for (const key of await keys(store)) if (/\/00000000000000(09|13|17)/.test(key)) await store.delete(key);
    const { problems } = await verifyArchive({ store, stream });
    expect(problems).toMatchObject([{ code: "ERR_ARCHIVE_HOLE", message: expect.stringContaining("log ends at 8") }]);
    await expect(restoreState({ store, stream })).rejects.toMatchObject({ code: "ERR_ARCHIVE_HOLE" });
    expect((await restored({ store, stream, until: { sequence: 8 } })).from).toBe(6);
  });
});
