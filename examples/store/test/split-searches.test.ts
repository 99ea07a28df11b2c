import { expect, test } from "vitest";
import { Splitting } from "../src/control/splitting.js";
import { HASH_END, type PartitionRecord } from "../src/metadata/records.js";
import { middleOf, type SplitPoint } from "../src/storage-node/split-point.js";
import { SplitSearches } from "../src/storage-node/split-searches.js";
import type { TreeEntry, TreeRange } from "../src/storage-node/tree.js";
import { gate } from "./support/gate.js";

const PARTITION = 7;
const WHOLE = { hashFrom: 0, hashTo: HASH_END };
/** A second later a caller has given up: here it has as soon as anybody else has had a turn. */
const ANSWER_MS = 1;
const always = () => true;

/** So many items of so many partition keys, their hashes evenly apart. */
function replicaOf(count: number) {
  const items: TreeEntry[] = Array.from({ length: count }, (_, i) => {
    const key = Buffer.alloc(8);
    key.writeUInt32BE(Math.floor((i * HASH_END) / count));
    return { key, value: { slot: 1, itemSizeBytes: 100, json: Buffer.alloc(100) } };
  });
  return {
    *range({ from }: TreeRange): IterableIterator<TreeEntry> {
      for (const item of items) if (from === undefined || Buffer.compare(item.key, from) >= 0) yield item;
    },
  };
}

test("a middle that takes longer to find than a request may take is found by asking again, in one search", async () => {
  const searches = new SplitSearches(ANSWER_MS);
  const replica = replicaOf(3_000);
  let begun = 0;
  const ask = () =>
    searches.ask(PARTITION, always, (goesOn) => {
      begun++;
      return middleOf(replica, WHOLE, goesOn);
    });
  expect(await ask()).toBeUndefined();
  let found: SplitPoint | undefined;
  while (found === undefined) found = await ask();
  expect(begun).toBe(1);
  expect(found).toEqual(await middleOf(replica, WHOLE));
  expect(found.at).toBeCloseTo(HASH_END / 2, -8);
});

test("a search that fails is told to whoever asks, and begun anew for the next one", async () => {
  const searches = new SplitSearches();
  const rotten = new Error("a value has rotted");
  await expect(searches.ask(PARTITION, always, () => Promise.reject(rotten))).rejects.toBe(rotten);
  const point = { bytes: 100, at: 5 };
  expect(await searches.ask(PARTITION, always, () => Promise.resolve(point))).toBe(point);
});

test("what a search has seen of half a partition, because the leadership was lost, is told to nobody", async () => {
  const searches = new SplitSearches(ANSWER_MS);
  const lost = gate();
  let leads = true;
  const look = async (goesOn: () => boolean) => {
    await lost.opened;
    expect(goesOn()).toBe(false);
    return { bytes: 50, at: 1 };
  };
  expect(await searches.ask(PARTITION, () => leads, look)).toBeUndefined();
  leads = false;
  const asked = searches.ask(PARTITION, always, () => Promise.reject(new Error("not begun twice")));
  lost.open();
  // It may be answered that it is still being looked for; in the end it is not found.
  await expect(asked.then((found) => found ?? Promise.reject({ code: "ERR_STORE_CLOSED" }))).rejects.toMatchObject({
    code: "ERR_STORE_CLOSED",
  });
});

test("a split whose middle is still being looked for is begun once that is found, and decided once", async () => {
  const record: PartitionRecord = { partition: PARTITION, tableId: "t", ...WHOLE, members: ["a", "b", "c"] };
  const view = { partitions: new Map([[PARTITION, record]]), closed: new Map() };
  const answers: { found?: SplitPoint }[] = [{}, {}, { found: { bytes: 100, at: 77 } }];
  const begun: number[] = [];
  const splitting = new Splitting({
    view,
    calls: { call: (() => Promise.resolve(answers.shift())) as never },
    splits: {
      async begin(partition: number, at: number) {
        begun.push(at);
        const split: PartitionRecord = { ...record, splitting: { at, lower: 8, upper: 9 } };
        view.partitions.set(partition, split);
        return split;
      },
    } as never,
    restorableMs: 1,
    nowMs: () => 0,
  });
  expect(await splitting.begin(PARTITION)).toBeUndefined();
  expect(await splitting.begin(PARTITION)).toBeUndefined();
  expect((await splitting.begin(PARTITION))?.splitting?.at).toBe(77);
  // Whoever asks once more is told of the same, and nothing is looked for.
  expect((await splitting.begin(PARTITION))?.splitting?.at).toBe(77);
  expect(begun).toEqual([77, 77]);
});
