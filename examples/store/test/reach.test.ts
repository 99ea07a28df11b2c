import { afterEach, beforeEach, expect, test, vi } from "vitest";
import { HASH_END, type PartitionRecord } from "../src/metadata/records.js";
import type { LeaderCalls } from "../src/router/leader-calls.js";
import { Reach } from "../src/router/reach.js";
import type { Routes } from "../src/router/routes.js";
import { StoreError } from "../src/storage-node/errors.js";

const TABLE = { name: "orders", tableId: "t" };
const record = (partition: number, hashFrom: number, hashTo: number): PartitionRecord => ({
  partition,
  tableId: "t",
  hashFrom,
  hashTo,
  members: ["a1", "b1", "c1"],
});
const MIDDLE = HASH_END / 2;
const WHOLE = [record(7, 0, HASH_END)];
const PARTS = [record(12, 0, MIDDLE), record(13, MIDDLE, HASH_END)];

/** The fleet, and what is known of it: for each hash what the last look-up brought, as behind a constant-work cache. */
function fleet() {
  const known = new Map<number, PartitionRecord | undefined>();
  const it = { now: WHOLE, looks: 0 };
  const newest = (hash: number) => it.now.find(({ hashFrom, hashTo }) => hash >= hashFrom && hash < hashTo);
  const routes = {
    table: async () => ({ ...TABLE, status: "ACTIVE" }),
    partition(_: string, hash: number) {
      it.looks++;
      const found = known.has(hash) ? known.get(hash) : newest(hash);
      known.set(hash, newest(hash));
      return found;
    },
  } as unknown as Routes;
  const reach = new Reach({
    routes,
    leaders: {} as LeaderCalls,
    callerTo: () => {
      throw new Error("nobody is called");
    },
    deadlineMs: 10_000,
  });
  return { it, reach };
}

const sealed = () => new StoreError("ERR_STORE_SPLIT", "partition 7 is split");

beforeEach(() => {
  vi.useFakeTimers({ toFake: ["setTimeout", "clearTimeout", "performance"] });
});
afterEach(() => {
  vi.useRealTimers();
});

const hashes = Array.from({ length: 200 }, (_, i) => Math.floor((i * HASH_END) / 200));

test("requests that meet a sealed partition go on milliseconds after its parts have taken over, and together look it up a few times only", async () => {
  const { it, reach } = fleet();
  let asked = 0;
  const answered: (readonly [number, number])[] = [];
  const all = Promise.all(
    hashes.map((hash) =>
      reach.atPartition(TABLE, hash, async ({ partition }) => {
        asked++;
        if (partition === 7) throw sealed();
        answered.push([hash, partition]);
      }),
    ),
  );
  await vi.advanceTimersByTimeAsync(10);
  expect(answered).toEqual([]);
  expect(asked).toBe(hashes.length);
  // One look-up each at first, and from then on those of one for all.
  expect(it.looks).toBeLessThan(hashes.length + 10);
  it.now = PARTS;
  await vi.advanceTimersByTimeAsync(8);
  await all;
  expect(asked).toBe(2 * hashes.length);
  for (const [hash, partition] of answered) expect(partition).toBe(hash < MIDDLE ? 12 : 13);
});

test("a node that does not know its partition yet is asked again after a pause, though the route stays", async () => {
  const { reach } = fleet();
  let asked = 0;
  const answer = reach.atPartition(TABLE, 1, async ({ partition }) => {
    if (++asked < 4) throw new StoreError("ERR_STORE_UNKNOWN_PARTITION", "not here yet");
    return partition;
  });
  await vi.advanceTimersByTimeAsync(200);
  expect(await answer).toBe(7);
  expect(asked).toBe(4);
});

test("what no newer route mends is told once the time is over", async () => {
  const { reach } = fleet();
  const answer = reach.atRoute(TABLE, 1, async () => {
    throw sealed();
  });
  const told = expect(answer).rejects.toMatchObject({ code: "ERR_STORE_SPLIT" });
  await vi.advanceTimersByTimeAsync(11_000);
  await told;
});
