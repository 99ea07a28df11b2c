import {
  Archiver,
  memoryObjectStore,
  type ObjectStore,
  retain,
  sha256,
  verifyArchive,
  writeSnapshot,
} from "@evenkeel/wal/archive";
import { expect, test } from "vitest";
import { mendArchive } from "../src/storage-node/archive-mending.js";

const stream = "p1";
const SLOTS = 30;

const entry = (sequence: number) => ({
  sequence,
  timeMs: sequence,
  data: Buffer.from(`command ${sequence} `.repeat(9)),
});

async function* entries(from: number, through: number) {
  for (let sequence = from; sequence <= through; sequence++) yield entry(sequence);
}

/** Three objects of ten entries each. */
async function archived(): Promise<ObjectStore> {
  const store = memoryObjectStore();
  for (let from = 1; from <= SLOTS; from += 10) {
    const archiver = await Archiver.open({ store, stream });
    await archiver.archive(entries(from, from + 9));
  }
  return store;
}

async function keysOf(store: ObjectStore): Promise<string[]> {
  const keys: string[] = [];
  for await (const key of store.list(`${stream}/`)) keys.push(key);
  return keys.filter((key) => /\/\d{16}\./.test(key));
}

async function rot(store: ObjectStore, key: string): Promise<Uint8Array> {
  const before = (await store.get(key)) as Uint8Array;
  const bytes = Uint8Array.from(before);
  bytes[bytes.length >> 1] = (bytes[bytes.length >> 1] as number) ^ 4;
  await store.put(key, bytes, { sha256: sha256(bytes) });
  return before;
}

const signal = new AbortController().signal;
const firstOf = (key: string) => Number(key.slice(stream.length + 1, stream.length + 17));

test("any object and any manifest is made anew out of a log that reaches, to the very bytes that it had", async () => {
  for (const key of await keysOf(await archived())) {
    const store = await archived();
    const before = await rot(store, key);
    expect((await verifyArchive({ store, stream })).problems, key).not.toEqual([]);
    const first = firstOf(key);
    const next = first + 10 > SLOTS ? undefined : first + 10;
    await mendArchive({ store, stream, first, next, entries, through: SLOTS, signal });
    expect((await verifyArchive({ store, stream })).problems, key).toEqual([]);
    expect(Buffer.from((await store.get(key)) as Uint8Array).equals(Buffer.from(before)), key).toBe(true);
  }
});

test("a log that says something else, or does not reach so far, changes nothing", async () => {
  const store = await archived();
  const [key] = (await keysOf(store)).filter((one) => firstOf(one) === 11 && one.endsWith(".log"));
  await rot(store, key as string);
  const rotten = await store.get(key as string);
  async function* others(from: number, through: number) {
    for await (const one of entries(from, through))
      yield one.sequence === 15 ? { ...one, data: Buffer.from("else") } : one;
  }
  const order = { store, stream, first: 11, next: 21, through: SLOTS, signal };
  await expect(mendArchive({ ...order, entries: others })).rejects.toThrow();
  await expect(mendArchive({ ...order, entries: (from) => entries(from, 17) })).rejects.toMatchObject({
    code: "ERR_STORE_BEHIND",
  });
  expect(await store.get(key as string)).toEqual(rotten);
});

test("what stands before it must be whole, and still be there", async () => {
  const store = await archived();
  const [second] = (await keysOf(store)).filter((one) => firstOf(one) === 11 && one.endsWith(".manifest"));
  await rot(store, second as string);
  await expect(
    mendArchive({ store, stream, first: 21, next: undefined, entries, through: SLOTS, signal }),
  ).rejects.toThrow();

  const kept = await archived();
  await writeSnapshot({ store: kept, stream, sequence: 20, chunks: [Buffer.from("state")] });
  await retain({ store: kept, stream, promise: { sinceSequence: 20 } });
  const [first] = await keysOf(kept);
  await rot(kept, first as string);
  // Nothing is left of what its first object followed on: that cannot be made anew, and is told.
  await expect(
    mendArchive({
      store: kept,
      stream,
      first: firstOf(first as string),
      next: undefined,
      entries,
      through: SLOTS,
      signal,
    }),
  ).rejects.toThrow("should be there and cannot be read");
});
