import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { hashOf, Shortcuts } from "../src/core/shortcuts.js";
import { type Entry, Place, RangeTree, sha256 } from "../src/index.js";
import { bytes, text } from "./helpers.js";

/** Tables cut into ranges where hashes are: `t0042/`, then some bytes of a hash. */
function tables(count: number, ranges: (table: number) => number, hashBytes: number, name = "t"): Entry[] {
  return Array.from({ length: count }, (_, table) =>
    Array.from({ length: ranges(table) }, (_, i) => {
      const start = bytes(`${name}${String(table).padStart(4, "0")}/`);
      const key = new Uint8Array(start.length + hashBytes);
      key.set(start);
      const hash = new DataView(new ArrayBuffer(4));
      hash.setUint32(0, Math.floor((i / ranges(table)) * 2 ** 32));
      key.set(new Uint8Array(hash.buffer).subarray(0, hashBytes), start.length);
      return { key, value: Uint8Array.of(table, i) };
    }),
  ).flat();
}

/** The floor as a sorted list has it. */
function floorOf(entries: readonly Entry[], key: Uint8Array): Entry | undefined {
  let low = 0;
  let high = entries.length;
  while (low < high) {
    const middle = (low + high) >>> 1;
    if (Buffer.compare(entries[middle]!.key, key) <= 0) low = middle + 1;
    else high = middle;
  }
  return entries[low - 1];
}

/** Around a key: itself, a little less and more, cut off and prolonged. */
function around(key: Uint8Array): Uint8Array[] {
  const near = [-1, 0, 1].flatMap((step) =>
    Array.from({ length: Math.min(3, key.length) }, (_, back) =>
      key.map((byte, i) => (i === key.length - 1 - back ? byte + step : byte)),
    ),
  );
  return [key, ...near, key.slice(0, -1), Uint8Array.of(...key, 0), Uint8Array.of(...key, 255, 255)];
}

const show = (entry: Entry | undefined) => entry && `${Buffer.from(entry.key).toString("hex")}=${entry.value}`;
const warm = (tree: RangeTree, key: Uint8Array) => {
  for (let i = 0; i <= tree.size / 64; i++) tree.floor(key);
};
/** Which part of its own keys a tree's shortcuts find. */
const covers = (entries: readonly Entry[]) => {
  const shortcuts = Shortcuts.of(RangeTree.from(entries, sha256).root);
  const place = new Place();
  return entries.filter(({ key }) => shortcuts?.seekFloor(key, place) === true).length / entries.length;
};

describe("shortcuts", () => {
  it("find what a sorted list has, in trees of any such form, however often they were asked", () => {
    const place = new Place();
    fc.assert(
      fc.property(
        fc.integer({ min: 1, max: 30 }),
        fc.array(fc.integer({ min: 1, max: 200 }), { minLength: 1, maxLength: 4 }),
        fc.integer({ min: 1, max: 4 }),
        fc.constantFrom("", "t", "a name of many bytes/"),
        fc.array(fc.tuple(fc.nat(), fc.uint8Array({ maxLength: 14 })), { maxLength: 10 }),
        (count, sizes, hashBytes, name, draws) => {
          const ranges = (table: number) => Math.min(sizes[table % sizes.length]!, 256 ** hashBytes);
          const entries = tables(count, ranges, hashBytes, name);
          const tree = RangeTree.from(entries, sha256);
          warm(tree, entries[0]!.key);
          for (const [draw, free] of draws) {
            const picked = entries[draw % entries.length]!.key;
            const grafted = Uint8Array.of(...picked.subarray(0, draw % (picked.length + 1)), ...free);
            for (const probe of [...around(picked), ...around(grafted), free]) {
              const wanted = floorOf(entries, probe);
              expect(show(tree.floor(probe))).toBe(show(wanted));
              expect(tree.seekFloor(probe, place)).toBe(wanted !== undefined);
              if (wanted === undefined) continue;
              expect(show(place.entry())).toBe(show(wanted));
              expect(place.keyLength).toBe(wanted.key.length);
            }
          }
        },
      ),
      { numRuns: 50 },
    );
  });

  it("know nearly all of tables with names of one length, and of one table cut evenly", () => {
    expect(covers(tables(200, () => 100, 4))).toBe(1);
    expect(covers(tables(1, () => 20_000, 4))).toBeGreaterThan(0.95);
  });

  it("find what crafted keys leave room for, and the walk the rest", () => {
    // Names whose hashes begin at one slot of 256.
    const names: string[] = [];
    for (let n = 0; names.length < 150; n++) {
      const name = n.toString(16).padStart(8, "0");
      const [high, low] = [Buffer.from(name).readInt32BE(0), Buffer.from(name).readInt32BE(4)];
      if ((hashOf(high, low) & 255) === 7 || names.length === 0) names.push(name);
    }
    names.push("x0000000");
    const entries = names
      .sort()
      .flatMap((name) =>
        Array.from({ length: 100 }, (_, i) => ({ key: Uint8Array.of(...bytes(name), i * 2), value: bytes(name) })),
      );
    const tree = RangeTree.from(entries, sha256);
    warm(tree, entries[0]!.key);
    for (let i = 0; i < entries.length; i += 11) {
      for (const probe of around(entries[i]!.key)) expect(show(tree.floor(probe))).toBe(show(floorOf(entries, probe)));
    }
    expect(covers(entries)).toBeGreaterThan(0);
    expect(covers(entries)).toBeLessThan(0.5);
  });

  it("are left out where they would cost more than they find", () => {
    const uneven = Array.from({ length: 2000 }, (_, i) => ({
      key: bytes(`${"x".repeat(i % 90)}${i}`),
      value: bytes("v".repeat(i % 5)),
    }));
    expect(Shortcuts.of(RangeTree.from(uneven, sha256).root)).toBeUndefined();
    expect(Shortcuts.of(RangeTree.empty(sha256).root)).toBeUndefined();
    expect(Shortcuts.of(RangeTree.from([{ key: bytes(""), value: bytes("") }], sha256).root)).toBeUndefined();
  });

  it("belong to their version alone: the next one sees its changes, the former one does not", () => {
    const entries = tables(50, () => 60, 4);
    const before = RangeTree.from(entries, sha256);
    const { key } = entries[1234]!;
    warm(before, key);
    const after = before.apply([{ key, value: bytes("moved") }]);
    for (let i = 0; i < 200; i++) expect(text(after.floor(key)?.value)).toBe("moved");
    expect(before.floor(key)?.value).toEqual(entries[1234]!.value);
    const gone = after.apply([{ key, value: null }]);
    warm(gone, key);
    expect(gone.floor(key)).toEqual(entries[1233]);
  });
});
