import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { type Change, type Entry, RangeTree, sha256 } from "../src/index.js";
import { bytes, entry, put, remove, show } from "./helpers.js";

const hex = (data: Uint8Array) => Buffer.from(data).toString("hex");
const unhex = (data: string) => Uint8Array.from(Buffer.from(data, "hex"));

/** Short alphabets and lengths so that keys are often prefixes of one another, plus free bytes. */
const keys = fc.oneof(
  fc.array(fc.constantFrom(0, 1, 127, 128, 255), { maxLength: 5 }).map((key) => Uint8Array.from(key)),
  fc.uint8Array({ maxLength: 12 }),
  fc.nat(5000).map((n) => bytes(`table-${n % 7}/range-${n}`)),
);
const values = fc.oneof(
  fc.uint8Array({ maxLength: 8 }),
  fc.nat(5000).map((n) => new Uint8Array(n).fill(n & 255)),
);

/** The model: hex keeps bytewise order, apart from prefixes, which a sort of hex strings puts first as well. */
class Model {
  readonly #held = new Map<string, string>();
  apply(changes: readonly Change[]): void {
    for (const { key, value } of changes)
      value === null ? this.#held.delete(hex(key)) : this.#held.set(hex(key), hex(value));
  }
  entries(): [string, string][] {
    return [...this.#held].sort(([a], [b]) => (a < b ? -1 : 1));
  }
}

const plain = (entries: Iterable<Entry>) => [...entries].map(({ key, value }) => [hex(key), hex(value)]);
const plainOne = (found: Entry | undefined) => found && [hex(found.key), hex(found.value)];
const batches = fc.array(
  fc.uniqueArray(fc.record({ key: keys, value: fc.option(values, { freq: 4 }) }), {
    selector: ({ key }) => hex(key),
    maxLength: 60,
  }),
  { maxLength: 8 },
);

describe("a tree of ranges", () => {
  it("answers like a sorted list, after any changes", () => {
    fc.assert(
      fc.property(batches, fc.array(keys, { maxLength: 10 }), (steps, probes) => {
        const model = new Model();
        let tree = RangeTree.empty(sha256);
        for (const changes of steps) {
          model.apply(changes);
          tree = tree.apply(changes);
        }
        const expected = model.entries();
        expect(tree.size).toBe(expected.length);
        expect(plain(tree.range())).toEqual(expected);
        for (const probe of [...probes, ...expected.slice(0, 5).map(([key]) => unhex(key))]) {
          const at = hex(probe);
          expect(tree.get(probe) && hex(tree.get(probe)!)).toBe(expected.find(([key]) => key === at)?.[1]);
          expect(plainOne(tree.floor(probe))).toEqual(expected.findLast(([key]) => key <= at));
          expect(plainOne(tree.ceiling(probe))).toEqual(expected.find(([key]) => key >= at));
          expect(plain(tree.range(probe))).toEqual(expected.filter(([key]) => key >= at));
          expect(plain(tree.range(new Uint8Array(0), probe))).toEqual(expected.filter(([key]) => key < at));
        }
      }),
      { numRuns: 80 },
    );
  });

  it("has one hash for one content, whatever its history", () => {
    fc.assert(
      fc.property(batches, (steps) => {
        let tree = RangeTree.empty(sha256);
        for (const changes of steps) {
          tree = tree.apply(changes);
          const fresh = RangeTree.from([...tree.range()].reverse(), sha256);
          expect(hex(tree.rootHash)).toBe(hex(fresh.rootHash));
        }
      }),
      { numRuns: 60 },
    );
  });

  it("differs by exactly what was changed, both ways", () => {
    fc.assert(
      fc.property(batches, batches, (one, other) => {
        const a = one.reduce((tree, changes) => tree.apply(changes), RangeTree.empty(sha256));
        const b = other.reduce((tree, changes) => tree.apply(changes), a);
        for (const [from, to] of [
          [a, b],
          [b, a],
        ] as const) {
          const changes = from.diff(to);
          expect(hex(from.apply(changes).rootHash)).toBe(hex(to.rootHash));
          const changed = new Set(plain(from.range()).map(String));
          for (const line of plain(to.range()).map(String))
            changed.has(line) ? changed.delete(line) : changed.add(line);
          expect(changes.length).toBe(new Set([...changed].map((line) => line.split(",")[0])).size);
          const order = changes.map(({ key }) => hex(key));
          expect(order).toEqual([...order].sort());
        }
      }),
      { numRuns: 60 },
    );
  });

  it("leaves older versions as they were", () => {
    const one = RangeTree.from([entry("a", "1"), entry("m", "1")], sha256);
    const two = one.apply([put("m", "2"), put("t", "2"), remove("a")]);
    expect([...one.range()].map(show)).toEqual(["a=1", "m=1"]);
    expect([...two.range()].map(show)).toEqual(["m=2", "t=2"]);
    expect(two.apply([put("m", "2"), remove("nobody")])).toBe(two);
  });

  it("finds the partition of a key before the first, between, and after the last", () => {
    const tree = RangeTree.from([entry("orders/", "p0"), entry("orders/k", "p1"), entry("orders/s", "p2")], sha256);
    const floor = (key: string) => show(tree.floor(bytes(key)));
    expect(floor("")).toBeUndefined();
    expect(floor("orders")).toBeUndefined();
    expect(floor("orders/")).toBe("orders/=p0");
    expect(floor("orders/jzzz")).toBe("orders/=p0");
    expect(floor("orders/k")).toBe("orders/k=p1");
    expect(floor("orders/zzz")).toBe("orders/s=p2");
    expect(floor("zzz")).toBe("orders/s=p2");
    expect(show(RangeTree.empty(sha256).floor(bytes("a")))).toBeUndefined();
    expect(show(tree.ceiling(bytes("zzz")))).toBeUndefined();
  });

  it("replaces one range by two or not at all", () => {
    const tree = RangeTree.from([entry("a", "p0")], sha256);
    const split = tree.apply([put("a", "p1"), put("m", "p2")]);
    expect([...split.range()].map(show)).toEqual(["a=p1", "m=p2"]);
    expect(() => tree.apply([put("a", "p1"), put("m", "p2"), put("m", "p3")])).toThrow(
      expect.objectContaining({ code: "ERR_MEMDS_ARGUMENT", message: expect.stringContaining("0x6d appears twice") }),
    );
    expect([...tree.range()].map(show)).toEqual(["a=p0"]);
  });

  it("does not overflow on keys crafted to make it deep, and keys of 2 KB", () => {
    const crafted: Entry[] = [];
    for (let length = 0; length < 2048; length += 2) {
      const key = new Uint8Array(length + 1);
      key[length] = 1;
      crafted.push({ key, value: new Uint8Array(600) });
    }
    const bulk = RangeTree.from(crafted, sha256);
    let grown = RangeTree.empty(sha256);
    for (const { key, value } of crafted) grown = grown.apply([{ key, value }]);
    expect(hex(grown.rootHash)).toBe(hex(bulk.rootHash));
    expect(bulk.diff(RangeTree.empty(sha256))).toHaveLength(1024);
    for (const { key } of crafted) grown = grown.apply([{ key, value: null }]);
    expect(grown.size).toBe(0);
    expect(hex(grown.rootHash)).toBe(hex(RangeTree.empty(sha256).rootHash));
  });

  it("computes hashes for what changed only", () => {
    let hashed = 0;
    const counting = (data: Uint8Array) => {
      hashed++;
      return sha256(data);
    };
    const tree = RangeTree.from(
      Array.from({ length: 20_000 }, (_, i) => entry(`table-${i % 100}/${i}`, `node-${i % 7}`)),
      counting,
    );
    void tree.rootHash;
    expect(hashed).toBeGreaterThan(600);
    hashed = 0;
    const next = tree.apply([put("table-5/5", "moved")]);
    void next.rootHash;
    expect(hashed).toBeLessThan(40);
    hashed = 0;
    expect(tree.diff(next).map((change) => show(change as Entry))).toEqual(["table-5/5=moved"]);
    expect(hashed).toBe(0);
  });

  it("hands out copies and keeps copies", () => {
    const key = bytes("k");
    const value = bytes("v");
    const tree = RangeTree.from([{ key, value }], sha256);
    key[0] = 0;
    value[0] = 0;
    const found = tree.get(bytes("k"))!;
    expect(found).toEqual(bytes("v"));
    found[0] = 0;
    expect(tree.get(bytes("k"))).toEqual(bytes("v"));
  });

  it.each([
    [{ key: "text" as never, value: bytes("v") }, "key"],
    [{ key: new Uint8Array(4097), value: bytes("v") }, "key"],
    [{ key: bytes("k"), value: undefined as never }, "value"],
    [{ key: bytes("k"), value: new Uint8Array(65_537) }, "value"],
  ])("refuses what is not an entry and names it (%#)", (bad, name) => {
    const error = expect.objectContaining({ code: "ERR_MEMDS_ARGUMENT", message: expect.stringContaining(name) });
    expect(() => RangeTree.from([bad], sha256)).toThrow(error);
    expect(() => RangeTree.empty(sha256).apply([put("a", "b"), bad])).toThrow(error);
  });
});
