import { describe, expect, it } from "vitest";
import { crc32, decodeSnapshot, type Entry, encodeSnapshot, RangeTree, sha256 } from "../src/index.js";
import { bytes, text } from "./helpers.js";

/** `npm run soak` asks for a million. */
const count = Number(process.env.EVENKEEL_MEMDS_PARTITIONS ?? 40_000);

function numbered(name: (i: number) => string, of = count): Entry[] {
  return Array.from({ length: of }, (_, i) => ({ key: bytes(name(i)), value: bytes(`p${i}`) }));
}

const digits = (i: number) => String(i).padStart(7, "0");

describe("trees of extreme shapes", { timeout: 300_000 }, () => {
  it.each([
    [`${count} tables of one partition`, numbered((i) => `table-${digits(i)}/`)],
    [`${count} tables of one partition, names of many lengths`, numbered((i) => `${digits(i)}${"x".repeat(i % 40)}/`)],
    [`one table of ${count} partitions`, numbered((i) => `orders/${digits(i)}`)],
  ])("find every partition, change one by one and come back from bytes: %s", (_what, entries) => {
    const tree = RangeTree.from(entries, sha256);
    const wrong = entries.filter(({ key }, i) => {
      const inside = new Uint8Array(key.length + 1);
      inside.set(key);
      const before = key.slice();
      before[6]!--;
      const found = tree.floor(before);
      return (
        text(tree.floor(key)?.value) !== `p${i}` ||
        text(tree.floor(inside)?.value) !== `p${i}` ||
        (found !== undefined && Buffer.compare(found.key, before) > 0)
      );
    });
    expect(wrong).toEqual([]);
    const moved = [0, count >> 1, count - 1].map((i) => ({ key: entries[i]!.key, value: bytes("moved") }));
    const next = moved.reduce((each, change) => each.apply([change]), tree);
    expect(tree.diff(next)).toEqual(moved);
    const back = decodeSnapshot(encodeSnapshot({ version: 1, tree: next }, crc32), { hash: sha256, checksum: crc32 });
    expect(back.tree.rootHash).toEqual(next.rootHash);
  });

  it("are read to their end as they were when the reader began, whatever becomes of them meanwhile", () => {
    const entries = numbered((i) => `orders/${digits(i)}`, 5000);
    let tree = RangeTree.from(entries, sha256);
    const reader = tree.range();
    const read: string[] = [];
    for (const { key } of entries) {
      const next = reader.next();
      read.push(next.done === true ? "the end" : `${text(next.value.key)}=${text(next.value.value)}`);
      // Behind and before the reader, one is removed, one added, one changed.
      const other = entries[(read.length * 1117) % entries.length]!.key;
      tree = tree.apply([
        { key, value: null },
        { key: Uint8Array.of(...key, 1), value: bytes("new") },
        ...(other === key ? [] : [{ key: other, value: bytes("other") }]),
      ]);
    }
    expect(read).toEqual(entries.map(({ key, value }) => `${text(key)}=${text(value)}`));
    expect(reader.next().done).toBe(true);
  });
});
