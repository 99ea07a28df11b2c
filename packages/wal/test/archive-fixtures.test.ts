import { readdir, readFile } from "node:fs/promises";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { expect, it } from "vitest";
import {
  Archiver,
  FileObjectStore,
  memoryObjectStore,
  type ObjectStore,
  restore,
  restoreState,
  retain,
  sha256,
  verifyArchive,
  writeSnapshot,
} from "../src/archive/index.js";
import { collect } from "./collect.js";

// Written once by each version of the format and never again: every later version must read them.
const fixtures = fileURLToPath(new URL("./fixtures/", import.meta.url));
const stream = "bücher/7";
const prefix = "b%C3%BCcher%2F7/";

async function inMemory(version: string): Promise<ObjectStore> {
  const store = memoryObjectStore();
  const dir = join(fixtures, version);
  for (const file of await readdir(dir, { recursive: true, withFileTypes: true })) {
    if (!file.isFile()) continue;
    const path = join(file.parentPath, file.name);
    const bytes = await readFile(path);
    await store.put(path.slice(dir.length + 1), bytes, { sha256: sha256(bytes) });
  }
  return store;
}

it("an archive written by format version 1 is read, continued, and the same entries still give the same objects", async () => {
  const store = new FileObjectStore({ dir: join(fixtures, "archive-v1") });
  const entries = await collect(restore({ store, stream }));
  expect(entries.map(({ sequence, timeMs, data }) => [sequence, timeMs, `${Buffer.from(data)}`])).toEqual([
    [1, 1_700_000_000_001, "entry 1"],
    [2, 1_700_000_000_002, "entry 2"],
    [3, 1_700_000_000_003, "entry 3"],
  ]);
  expect(await verifyArchive({ store, stream })).toMatchObject({ wholeThrough: 3, problems: [], orphans: [] });
  const again = memoryObjectStore();
  await (await Archiver.open({ store: again, stream })).archive(entries);
  const key = `${prefix}0000000000000001.log`;
  expect(Buffer.from((await again.get(key)) as Uint8Array)).toEqual(await store.get(key));

  const continued = await inMemory("archive-v1");
  const archiver = await Archiver.open({ store: continued, stream });
  expect(await archiver.compare(entries)).toBe(3);
  const [manifest] = await archiver.archive([{ sequence: 4, timeMs: 5, data: Buffer.from("four") }]);
  expect(manifest).toMatchObject({ format: "evenkeel-archive/2", timeMaxMs: 1_700_000_000_003 });
  for (const sequence of [2, 4]) {
    await writeSnapshot({ store: continued, stream, sequence, chunks: [Buffer.from(`state ${sequence}`)] });
  }
  expect(await verifyArchive({ store: continued, stream })).toMatchObject({ snapshots: [2, 4], problems: [] });
  const early = await restoreState({ store: continued, stream, until: { timeMs: 1_700_000_000_002 } });
  expect(early.snapshot?.sequence).toBe(2);
  await retain({ store: continued, stream, promise: { sinceSequence: 4 } });
  expect(await verifyArchive({ store: continued, stream })).toMatchObject({ first: 4, floor: 4, problems: [] });
});

it("an object of format version 1 whose manifest a crash kept away is taken over", async () => {
  const store = await inMemory("archive-v1");
  await store.delete(`${prefix}0000000000000001.manifest`);
  const entries = [1, 2, 3, 4].map((n) => ({
    sequence: n,
    timeMs: 1_700_000_000_000 + n,
    data: Buffer.from(`entry ${n}`),
  }));
  const manifests = await (await Archiver.open({ store, stream })).archive(entries);
  expect(manifests.map(({ first, last }) => [first, last])).toEqual([
    [1, 3],
    [4, 4],
  ]);
  expect((await verifyArchive({ store, stream })).problems).toEqual([]);
});

it("an archive written by format version 2 is read: three ways of storing, snapshots, what retention left", async () => {
  const store = await inMemory("archive-v2");
  const entry = (n: number) => ({
    sequence: n,
    timeMs: 1_700_000_000_000 + (n === 6 ? 500 : n),
    data: Buffer.from(n % 4 === 0 ? "" : `entry ${n} ${"again and ".repeat(n)}`),
  });
  const range = (first: number, last: number) => Array.from({ length: last - first + 1 }, (_, n) => entry(first + n));
  const state = (last: number) =>
    range(1, last)
      .map(({ sequence, data }) => `${sequence} ${data}\n`)
      .join("");
  expect(await verifyArchive({ store, stream })).toEqual({
    first: 8,
    floor: 9,
    wholeThrough: 18,
    objects: 4,
    entries: 11,
    bytes: 1717,
    storedBytes: 1021,
    snapshots: [9, 15],
    orphans: [],
    problems: [],
  });
  const restored = await collect(restore({ store, stream, from: 8 }));
  expect(restored.map((one) => ({ ...one, data: Buffer.from(one.data) }))).toEqual(range(8, 18));
  for (const [sequence, from] of [
    [10, 9],
    [18, 15],
  ] as const) {
    const { snapshot, entries } = await restoreState({ store, stream, until: { sequence } });
    if (snapshot === undefined) throw new Error("no snapshot was found");
    expect(snapshot.sequence).toBe(from);
    expect(`${Buffer.concat(await collect(snapshot.chunks()))}`).toBe(state(from));
    expect(await collect(entries())).toHaveLength(sequence - from);
  }
  // The latest time of any entry up to 9 is that of entry 6.
  await expect(restoreState({ store, stream, until: { timeMs: 1_700_000_000_499 } })).rejects.toMatchObject({
    code: "ERR_ARCHIVE_RANGE",
  });
  const archiver = await Archiver.open({ store, stream });
  expect(await archiver.compare(range(1, 18))).toBe(18);
  const [next] = await archiver.archive(range(19, 20));
  expect(next).toMatchObject({ first: 19, timeMaxMs: 1_700_000_000_500 });
});

it("an archive that went on behind what it had lost is read, on both sides of that, and continued", async () => {
  const store = await inMemory("archive-gap-v1");
  const entry = (n: number) => ({ sequence: n, timeMs: 1_700_000_000_000 + n, data: Buffer.from(`entry ${n}`) });
  const { problems, ...report } = await verifyArchive({ store, stream });
  expect(report).toMatchObject({ first: 1, floor: 0, wholeThrough: 3, objects: 2, entries: 5, snapshots: [2, 8] });
  expect(problems).toMatchObject([{ code: "ERR_ARCHIVE_CORRUPT", key: `${prefix}0000000000000004.manifest` }]);
  const archiver = await Archiver.open({ store, stream });
  expect([archiver.archivedThrough, archiver.beganAnewAt]).toEqual([9, 8]);
  await archiver.archive([entry(10)]);
  for (const [timeMs, from] of [
    [1_700_000_000_002, 2],
    [1_700_000_000_010, 8],
  ] as const) {
    const { snapshot, entries } = await restoreState({ store, stream, until: { timeMs } });
    expect(snapshot?.sequence).toBe(from);
    expect((await collect(entries())).map((one) => one.sequence)).toEqual(from === 2 ? [] : [9, 10]);
  }
  const { entries } = await restoreState({ store, stream, until: { timeMs: 1_700_000_000_003 } });
  await expect(collect(entries())).rejects.toMatchObject({ code: "ERR_ARCHIVE_HOLE" });
});
