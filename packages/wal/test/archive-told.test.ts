import { subscribe, unsubscribe } from "node:diagnostics_channel";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import {
  Archiver,
  archiveStream,
  leaveGap,
  memoryObjectStore,
  type ObjectStore,
  restoreState,
  retain,
  sha256,
  verifyArchive,
  writeSnapshot,
} from "../src/archive/index.js";
import type { WalRecord } from "../src/reader.js";
import { change, entries, entry, stream } from "./archive-world.js";

const prefix = "orders%2F7/";
const manifest = (first: number) => `${prefix}${String(first).padStart(16, "0")}.manifest`;
const snapshot = (sequence: number) => `${prefix}snapshots/${String(sequence).padStart(16, "0")}.snapshot`;
const corrupt = { code: "ERR_ARCHIVE_CORRUPT" };
const hole = { code: "ERR_ARCHIVE_HOLE" };

let store: ObjectStore;
let ends: (() => void)[];
beforeEach(async () => {
  ends = [];
  store = memoryObjectStore();
  for (const [first, last] of [
    [1, 10],
    [11, 20],
  ] as const)
    await (await Archiver.open({ store, stream })).archive(entries(first, last));
  for (const sequence of [5, 15]) await writeState(sequence);
});
afterEach(() => {
  for (const end of ends) end();
});

const writeState = (sequence: number) =>
  writeSnapshot({ store, stream, sequence, chunks: [Buffer.from(`state ${sequence}`)] });
const latest = () => restoreState({ store, stream });

/** Changes what is said and seals it again, as a program with a mistake would, or what was moved there from elsewhere. */
async function say(key: string, edit: (fields: Record<string, unknown>) => object): Promise<void> {
  await change(store, key, (bytes) => {
    const text = Buffer.from(bytes).toString().split("\n").slice(0, -2).join("\n");
    const said = `${JSON.stringify(edit(JSON.parse(text)), null, 1)}\n`;
    return Buffer.from(`${said}${sha256(Buffer.from(said))}\n`);
  });
}

function heard(name: string): unknown[] {
  const messages: unknown[] = [];
  const listener = (message: unknown) => void messages.push(message);
  subscribe(`evenkeel:wal:${name}`, listener);
  ends.push(() => unsubscribe(`evenkeel:wal:${name}`, listener));
  return messages;
}

/** Hides keys from listings, as a store does whose listings are behind. */
const hiding = (hidden: RegExp): ObjectStore => ({
  put: store.put.bind(store),
  get: store.get.bind(store),
  delete: store.delete.bind(store),
  async *list(of, options) {
    for await (const key of store.list(of, options)) if (!hidden.test(key)) yield key;
  },
});

describe("a state whose manifest is sealed and cannot be right is refused:", () => {
  const part = { bytes: 1, storedBytes: 1, compression: "none", sha256: "0".repeat(64), storedSha256: "0".repeat(64) };
  it.each<[string, object, string]>([
    ["another stream's", { stream: "orders/8" }, "belongs to stream"],
    ["of another sequence", { sequence: 14 }, "speaks of sequence 14"],
    ["without parts", { parts: undefined }, "names no parts"],
    ["with a part from elsewhere", { parts: [{ ...part, object: "orders%2F8/part" }] }, "part 0 is"],
    ["that says what cannot be", { bytes: 999 }, "contradict each other"],
    ["tied to no log", { logSha256: "none" }, "contradict each other"],
    ["of no time", { timeMaxMs: -1 }, "contradict each other"],
  ])("%s", async (_, fields, why) => {
    await say(snapshot(15), (said) => ({ ...said, ...fields }));
    await expect(latest()).rejects.toMatchObject({ ...corrupt, message: expect.stringContaining(why) });
    expect((await verifyArchive({ store, stream })).snapshots).toEqual([5]);
  });

  it("packed in a way that comes later", async () => {
    await say(snapshot(15), (said) => ({
      ...said,
      parts: (said.parts as object[]).map((one) => ({ ...one, compression: "lzma" })),
    }));
    await expect(latest()).rejects.toMatchObject({ code: "ERR_ARCHIVE_UNSUPPORTED" });
  });
});

describe("a floor", () => {
  it("is found by name where listings are behind, however many came since", async () => {
    await retain({ store, stream, promise: { sinceSequence: 5 } });
    await retain({ store, stream, promise: { sinceSequence: 15 } });
    for (const hidden of [/floors/, /floors\/000002/])
      expect((await verifyArchive({ store: hiding(hidden), stream })).floor).toBe(15);
  });

  it("that cannot be right, or is listed and gone, is refused: nobody takes the archive to begin elsewhere", async () => {
    await retain({ store, stream, promise: { sinceSequence: 5 } });
    const floor = `${prefix}floors/000001.floor`;
    const sound = (await store.get(floor)) as Uint8Array;
    const gap = { from: 21, first: 30, timeMaxMs: 1 };
    for (const fields of [
      { stream: "orders/8" },
      { generation: 2 },
      { first: 6 },
      { sequence: 0 },
      { gaps: [{ ...gap, first: 21 }] },
      { gaps: [gap, { ...gap, from: 25 }] },
    ]) {
      await say(floor, (said) => ({ ...said, ...fields }));
      await expect(latest(), JSON.stringify(fields)).rejects.toMatchObject(corrupt);
      await store.put(floor, sound, { sha256: sha256(sound) });
    }
    const gone = { ...hiding(/^$/), get: async (key: string) => (key === floor ? undefined : await store.get(key)) };
    await expect(restoreState({ store: gone, stream })).rejects.toMatchObject(hole);
  });
});

describe("what is missing is told:", () => {
  it("the newest manifest, which is listed; the oldest, where a floor is; a listed state", async () => {
    const without = (gone: string): ObjectStore => ({
      ...hiding(/^$/),
      get: async (key) => (key === gone ? undefined : await store.get(key)),
    });
    await expect(Archiver.open({ store: without(manifest(11)), stream })).rejects.toMatchObject(hole);
    await expect(restoreState({ store: without(snapshot(15)), stream })).rejects.toMatchObject(hole);
    expect((await verifyArchive({ store: without(snapshot(15)), stream })).problems).toMatchObject([hole]);
    await retain({ store, stream, promise: { sinceSequence: 15 } });
    await store.delete(manifest(11));
    const { problems } = await verifyArchive({ store, stream });
    expect(problems[0]).toMatchObject({ ...hole, key: `${prefix}0000000000000011.log` });
    await expect(latest()).rejects.toMatchObject(hole);
  });

  it("entries of a gap, to who writes a state of them", async () => {
    await leaveGap({ store, stream, first: 31, timeMaxMs: 2e12 });
    await expect(writeState(25)).rejects.toMatchObject({ ...hole, message: expect.stringContaining("21 to 30") });
  });

  it("that times are others than a manifest says", async () => {
    await say(manifest(11), (said) => ({ ...said, timeMaxMs: 3e12 }));
    const { problems, wholeThrough } = await verifyArchive({ store, stream });
    expect([problems.map(({ message }) => message), wholeThrough]).toEqual([
      [expect.stringContaining("other times than its manifest says")],
      10,
    ]);
  });
});

it("two replicas with different entries: who comes second is told, on the channel as well, and overwrites nothing", async () => {
  const told = heard("archive-diverged");
  const second = await Archiver.open({ store, stream });
  await (await Archiver.open({ store, stream })).archive(entries(21, 25));
  const theirs = await store.get(`${prefix}0000000000000021.log`);
  const other = entries(21, 25).map((one) => ({ ...one, timeMs: one.timeMs + 1 }));
  const diverged = { code: "ERR_ARCHIVE_DIVERGED" };
  await expect(second.archive(other)).rejects.toMatchObject(diverged);
  // The same where the manifest is not there yet.
  await store.delete(manifest(21));
  const third = await Archiver.open({ store, stream });
  await expect(third.archive(other)).rejects.toMatchObject(diverged);
  expect(await store.get(`${prefix}0000000000000021.log`)).toEqual(theirs);
  expect(told).toMatchObject([1, 2].map(() => ({ stream, key: `${prefix}0000000000000021.log`, error: diverged })));
});

it("a stream that is being archived tells of failures that are tried again, and of the one that ends it", async () => {
  const [stalled, stopped] = [heard("archive-stalled"), heard("archive-stopped")];
  const records = entries(21, 22) as WalRecord[];
  const log = {
    name: stream,
    firstSequence: 21,
    lastSequence: 22,
    async *follow({ signal }: { signal?: AbortSignal }) {
      yield* records;
      if (!signal?.aborted) await new Promise((resolve) => signal?.addEventListener("abort", resolve, { once: true }));
    },
    truncateBefore: async () => undefined,
  };
  let failures = 2;
  const failing = hiding(/^$/);
  const flaky: ObjectStore = {
    ...failing,
    put: async (...put) => {
      if (failures-- > 0) throw new Error("away for a moment");
      await failing.put(...put);
    },
  };
  const archiving = archiveStream({ stream: log, store: flaky, retryAfterMs: 1 });
  expect(await archiving.flush()).toBe(22);
  expect(stalled).toMatchObject([
    { stream, failures: 1 },
    { stream, failures: 2 },
  ]);
  await archiving.close();
  await expect(archiving.flush()).resolves.toBe(22);
  // A log whose end came to be another one than what is archived.
  const other = {
    ...log,
    follow: async function* () {
      yield { ...entry(21, "!") } as WalRecord;
      yield { ...entry(22, "!") } as WalRecord;
    },
  };
  const ended = archiveStream({ stream: other, store, retryAfterMs: 1 });
  const diverged = { code: "ERR_ARCHIVE_DIVERGED" };
  await expect(ended.flush()).rejects.toMatchObject(diverged);
  await expect(ended.finished).rejects.toMatchObject(diverged);
  expect(stopped).toMatchObject([{ stream, error: diverged }]);
});
