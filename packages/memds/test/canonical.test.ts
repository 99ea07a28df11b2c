import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { type Entry, encodeBlock } from "../src/core/block.js";
import { Leaf } from "../src/core/node.js";
import { crc32, decodeSnapshot, encodeSnapshot, Place, RangeTree, sha256 } from "../src/index.js";
import { entry } from "./helpers.js";

/** Keys and values of few lengths, so that blocks change between their two forms. */
const key = fc.oneof(
  fc.uint8Array({ minLength: 3, maxLength: 3 }),
  fc.uint8Array({ minLength: 3, maxLength: 3 }).map((bytes) => bytes.map((byte) => byte & 3)),
  fc.uint8Array({ maxLength: 5 }),
);
const value = fc.constantFrom(new Uint8Array(2), Uint8Array.of(1, 2), Uint8Array.of(9), new Uint8Array(300));
const edge = { hash: sha256, checksum: crc32 };

describe("one content", () => {
  it("is refused where its leaves are cut otherwise than a tree cuts them", () => {
    const leaf = (...entries: Entry[]) => new Leaf(encodeBlock(entries, 0, entries.length), entries.length * 2);
    const [a, b] = [entry("a", "1"), entry("b", "2")];
    expect(RangeTree.ofLeaves([leaf(a, b)], sha256)?.size).toBe(2);
    expect(RangeTree.ofLeaves([leaf(a), leaf(b)], sha256)).toBeUndefined();
    expect(RangeTree.ofLeaves([leaf(b), leaf(a)], sha256)).toBeUndefined();
  });

  it("has one root hash and one snapshot, whatever its history", () => {
    const change = fc.record({ key, value: fc.option(value, { freq: 3 }) });
    fc.assert(
      fc.property(fc.array(change, { maxLength: 600 }), (changes) => {
        let tree = RangeTree.empty(sha256);
        const model = new Map<string, { key: Uint8Array; value: Uint8Array }>();
        for (const each of changes) {
          tree = tree.apply([each]);
          if (each.value === null) model.delete(each.key.join());
          else model.set(each.key.join(), { key: each.key, value: each.value });
        }
        const fresh = RangeTree.from(model.values(), sha256);
        expect(tree.rootHash).toEqual(fresh.rootHash);
        const snapshot = encodeSnapshot({ version: 1, tree }, crc32);
        expect(snapshot).toEqual(encodeSnapshot({ version: 1, tree: fresh }, crc32));
        const back = decodeSnapshot(snapshot, edge).tree;
        expect(back.rootHash).toEqual(tree.rootHash);
        expect(back).toMatchObject({ size: model.size, bytes: tree.bytes });
        expect([...back.range()]).toEqual([...tree.range()]);
      }),
      { numRuns: 100 },
    );
  });

  it("is found without allocating exactly as with it, evenly cut or not", () => {
    const place = new Place();
    fc.assert(
      fc.property(fc.uniqueArray(key, { maxLength: 500, selector: (bytes) => bytes.join() }), key, (keys, probe) => {
        const tree = RangeTree.from(
          keys.map((each) => ({ key: each, value: each })),
          sha256,
        );
        for (const each of [probe, ...keys.slice(0, 20)]) {
          const sorted = keys.filter((other) => Buffer.compare(other, each) <= 0).sort(Buffer.compare);
          const wanted = sorted[sorted.length - 1];
          expect(tree.seekFloor(each, place)).toBe(wanted !== undefined);
          expect(tree.floor(each)?.key).toEqual(wanted);
          if (wanted === undefined) continue;
          expect(place.entry()).toEqual({ key: wanted, value: wanted });
          expect(place.bytes.slice(place.valueStart, place.valueEnd)).toEqual(wanted);
          expect(place.keyLength).toBe(wanted.length);
          const below = keys.filter((other) => Buffer.compare(other, each) < 0).sort(Buffer.compare);
          expect(tree.lower(each)?.key).toEqual(below[below.length - 1]);
        }
      }),
      { numRuns: 200 },
    );
  });

  it("is found by prefix: all that begins with it, and nothing else", () => {
    const short = fc.array(fc.constantFrom(0, 1, 254, 255), { maxLength: 4 }).map((bytes) => Uint8Array.from(bytes));
    fc.assert(
      fc.property(
        fc.uniqueArray(short, { maxLength: 200, selector: (bytes) => bytes.join() }),
        short,
        (keys, prefix) => {
          const tree = RangeTree.from(
            keys.map((each) => ({ key: each, value: each })),
            sha256,
          );
          const wanted = keys
            .filter((each) => each.length >= prefix.length && prefix.every((byte, i) => each[i] === byte))
            .sort(Buffer.compare);
          expect([...tree.prefix(prefix)].map(({ key: found }) => found)).toEqual(wanted);
        },
      ),
      { numRuns: 300 },
    );
  });

  it("hashes no more than the path that an update changed", () => {
    let hashed = 0;
    const counting = (bytes: Uint8Array) => {
      hashed++;
      return sha256(bytes);
    };
    const count = 20_000;
    const keyOf = (i: number) => Uint8Array.of(i >> 16, i >> 8, i, 7);
    const tree = RangeTree.from(
      Array.from({ length: count }, (_, i) => ({ key: keyOf(i), value: Uint8Array.of(1) })),
      counting,
    );
    void tree.rootHash;
    hashed = 0;
    const next = tree.apply([{ key: keyOf(777), value: Uint8Array.of(2) }]);
    expect(tree.diff(next)).toEqual([{ key: keyOf(777), value: Uint8Array.of(2) }]);
    expect(hashed).toBeGreaterThan(0);
    expect(hashed).toBeLessThan(20);
  });
});
