import { afterEach, beforeEach, expect, test, vi } from "vitest";
import type { ItemKey, TableRecord } from "../src/api/model.js";
import { HASH_END } from "../src/metadata/records.js";
import type { VersionedItems } from "../src/storage-node/participant.js";
import type { Reach } from "../src/transactions/coordinator.js";
import { readTogether } from "../src/transactions/read-together.js";

beforeEach(() => void vi.useFakeTimers());
afterEach(() => void vi.useRealTimers());

/** What one round finds of an item. */
interface Found {
  readonly partition: number;
  /** Through which the partition is read; by default 10. */
  readonly through?: number;
  readonly lastDeleteSlot?: number;
  /** That wrote the item; 0: there is none. */
  readonly slot: number;
  readonly prepared?: boolean;
}
const keyOf = (i: number): ItemKey => ({ hash: i, bytes: Uint8Array.of(i) });

/** Reads two items, each of which is found so in one round after the other, in the last way again and again. */
function read(...found: readonly (readonly Found[])[]) {
  const rounds = [0, 0];
  const now = (i: number): Found => {
    const ways = found[i] as readonly Found[];
    return ways[Math.min(rounds[i] as number, ways.length - 1)] as Found;
  };
  const reach = {
    atPartition: async (_: unknown, hash: number, use: (record: object) => unknown) =>
      await use({ partition: now(hash).partition, hashFrom: 0, hashTo: HASH_END }),
    call: async (_: unknown, __: unknown, { keys }: { keys: readonly Uint8Array[] }): Promise<VersionedItems> => {
      const indexes = keys.map(([i]) => i as number);
      const { through = 10, lastDeleteSlot = 0 } = now(indexes[0] as number);
      const items = indexes.map((i) => {
        const { slot, prepared = false } = now(i);
        rounds[i] = (rounds[i] as number) + 1;
        return { slot, prepared, itemSizeBytes: slot, ...(slot > 0 && { json: Uint8Array.of(slot) }) };
      });
      return { slot: through, lastDeleteSlot, items };
    },
  };
  const gets = found.map((_, i) => ({ table: {} as TableRecord, key: keyOf(i) }));
  const items = readTogether(reach as unknown as Pick<Reach, "atPartition" | "call">, gets);
  return { rounds, slots: items.then((all) => all.map(({ slot }) => slot)) };
}

const at7 = (slot: number, more: Partial<Found> = {}): Found => ({ partition: 7, slot, ...more });
const at8 = (slot: number, more: Partial<Found> = {}): Found => ({ partition: 8, slot, ...more });

const cases: [string, Found[], Found[], number, number[]][] = [
  ["of one partition are read once", [at7(3)], [at7(4)], 1, [3, 4]],
  ["of one partition, one of them prepared, are read again", [at7(3, { prepared: true }), at7(5)], [at7(4)], 2, [5, 4]],
  ["of two partitions are read twice", [at7(3)], [at8(4)], 2, [3, 4]],
  ["prepared in the first round alone change nothing", [at7(3, { prepared: true }), at7(3)], [at8(4)], 2, [3, 4]],
  ["prepared in the second round are read again", [at7(3), at7(3, { prepared: true }), at7(3)], [at8(4)], 3, [3, 4]],
  ["that changed between two rounds are read again", [at7(3), at7(5)], [at8(4)], 3, [5, 4]],
  ["that came between two rounds are read again", [at7(0), at7(5)], [at8(4)], 3, [5, 4]],
  ["that went between two rounds are read again", [at7(3), at7(0)], [at8(4)], 3, [0, 4]],
  [
    "that moved to another partition, with the same slot, are read again",
    [at7(3), { ...at7(3), partition: 9 }],
    [at8(4)],
    3,
    [3, 4],
  ],
  ["that are not there are not there", [at7(0, { lastDeleteSlot: 10 })], [at8(4)], 2, [0, 4]],
  [
    "that may have come and gone are read again",
    [at7(0), at7(0, { through: 12, lastDeleteSlot: 11 })],
    [at8(4)],
    3,
    [0, 4],
  ],
  [
    "that are there are what they are, whatever was deleted",
    [at7(3), at7(3, { lastDeleteSlot: 11 })],
    [at8(4)],
    2,
    [3, 4],
  ],
];

test.each(cases)("items %s", async (_, first, second, rounds, slots) => {
  const reading = read(first, second);
  await vi.runAllTimersAsync();
  expect(await reading.slots).toEqual(slots);
  expect(reading.rounds).toEqual([rounds, rounds]);
});

test("what is always prepared is said to be in the way, after a quarter of a second and no later", async () => {
  const reading = read([at7(3)], [at8(4, { prepared: true })]);
  let told: unknown;
  reading.slots.catch((error: unknown) => {
    told = error;
  });
  await vi.advanceTimersByTimeAsync(254);
  expect(told).toMatchObject({
    type: "TransactionCanceledException",
    extra: { CancellationReasons: [{ Code: "None" }, { Code: "TransactionConflict" }] },
  });
  expect(reading.rounds).toEqual([8, 8]);
});
