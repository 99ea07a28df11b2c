import type { Group } from "@evenkeel/paxos";
import { Archiver, memoryObjectStore } from "@evenkeel/wal/archive";
import { expect, test, vi } from "vitest";
import { Archiving } from "../src/storage-node/archiving.js";
import { encodeCommand } from "../src/storage-node/command.js";
import type { StateEntry } from "../src/storage-node/partition-state.js";
import type { Replica } from "../src/storage-node/replica.js";
import { encodeStored } from "../src/storage-node/stored-value.js";
import { encodeTally } from "../src/storage-node/tally-record.js";

const SLOTS = 10;
const command = encodeCommand({ kind: "mark", timeMs: 1 });

const group = {
  status: () => ({ ready: true, appliedThrough: SLOTS, trimmedThrough: 0 }),
  async *entries({ from, through }: { from: number; through: number }) {
    for (let slot = from; slot <= through; slot++) yield { slot, command, kind: "command" };
  },
} as unknown as Group<number>;

const entries = Array.from({ length: SLOTS }, (_, i) => ({ sequence: i + 1, timeMs: 1, data: command }));

test("an object whose uploader died before its manifest, and that reaches past what is asked for, is vouched for", async () => {
  const store = memoryObjectStore();
  const { put } = store;
  let puts = 0;
  store.put = async (...args) => {
    if (++puts > 1) throw new Error("the uploader died");
    return await put.apply(store, args);
  };
  const died = await Archiver.open({ store, stream: "p1" });
  await expect(died.archive(entries)).rejects.toThrow("the uploader died");
  store.put = put;
  const archiving = new Archiving(group, store, "p1");
  expect(await archiving.archive(6)).toBe(SLOTS);
  expect(await archiving.archive()).toBe(SLOTS);
});

test("how far the archive was compared does not go back where the next piece ends within an object", async () => {
  const store = memoryObjectStore();
  const archiver = await Archiver.open({ store, stream: "p1" });
  await archiver.archive(entries.slice(0, 4));
  await archiver.archive(entries.slice(4));
  const archiving = new Archiving(group, store, "p1");
  expect(await archiving.compare(4)).toBe(4);
  expect(await archiving.compare(7)).toBe(4);
  expect(await archiving.compare(SLOTS)).toBe(SLOTS);
});

/** How often others had the thread for themselves while so many entries of so many bytes were uploaded. */
async function pausesOf(slots: number, bytes: number): Promise<number> {
  const long = encodeCommand({
    kind: "writes",
    timeMs: 1,
    writes: [{ op: "put", key: Buffer.from("key"), bytes: Buffer.alloc(bytes), itemSizeBytes: bytes }],
  });
  const written = {
    status: () => ({ ready: true, appliedThrough: slots, trimmedThrough: 0 }),
    async *entries({ from, through }: { from: number; through: number }) {
      for (let slot = from; slot <= through; slot++) yield { slot, command: long, kind: "command" };
    },
  } as unknown as Group<number>;
  const timers = vi.spyOn(globalThis, "setTimeout");
  try {
    expect(await new Archiving(written, memoryObjectStore(), "p1").archive()).toBe(slots);
    return timers.mock.calls.length;
  } finally {
    timers.mockRestore();
  }
}

test("an upload pauses after each slice of what it reads, and hurries only where it has fallen behind", async () => {
  const mebibyte = 1024 * 1024;
  expect(await pausesOf(1_024, 1_024)).toBeGreaterThanOrEqual(mebibyte / (64 * 1024) - 1);
  expect(await pausesOf(45_000, 1)).toBeLessThanOrEqual((45_000 * 100) / (128 * 1024));
});

const PAGE_BYTES = 64 * 1024;

/** A replica whose state is so many pages, and of which it is known how much it holds. */
function replicaOf(pages: number) {
  const seen = { isClosed: false, pages: 0 };
  const tally = { items: pages, bytes: pages * PAGE_BYTES, locals: new Map() };
  function* statePages(): Generator<StateEntry[], void, undefined> {
    for (; seen.pages < pages; seen.pages++) {
      const key = Buffer.alloc(8);
      key.writeUInt32BE(seen.pages, 4);
      yield [{ key, bytes: encodeStored(key, 1, PAGE_BYTES, Buffer.alloc(PAGE_BYTES)) }];
    }
  }
  const replica = {
    get: () => ({ json: encodeTally(tally) }),
    state: () => ({
      slot: SLOTS,
      timeMs: 1,
      pages: statePages,
      close: () => {
        seen.isClosed = true;
      },
    }),
  } as unknown as Replica;
  return { replica, seen };
}

test("a state that nobody waits for takes its time, and is the same bytes", async () => {
  const store = memoryObjectStore();
  const began = performance.now();
  const slowly = await new Archiving(group, store, "p1").snapshot(replicaOf(8).replica, { isAwaited: false });
  // 2 MiB a second; a timer may be a millisecond early.
  expect(performance.now() - began).toBeGreaterThan((1000 * 8 * PAGE_BYTES) / (2 * 1024 * 1024) - 16);
  // Another one of the same slot is compared with it, not written.
  expect(await new Archiving(group, store, "p1").snapshot(replicaOf(8).replica)).toEqual(slowly);
});

test("a node that closes does not wait until such a state is written", async () => {
  const { replica, seen } = replicaOf(100_000);
  const archiving = new Archiving(group, memoryObjectStore(), "p1");
  const writing = archiving.snapshot(replica, { isAwaited: false });
  await vi.waitUntil(() => seen.pages > 2);
  await archiving.close();
  await expect(writing).rejects.toMatchObject({ code: "ERR_STORE_CLOSED" });
  expect(seen.isClosed).toBe(true);
  expect(seen.pages).toBeLessThan(64);
});
