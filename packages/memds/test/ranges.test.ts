import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { MemdsServer, RangeTree, type RangeUpdate, sha256 } from "../src/index.js";
import { bytes, entry, text } from "./helpers.js";

const range = (from: string, to?: string) => ({ from: bytes(from), to: to === undefined ? undefined : bytes(to) });
const owned = (from: string, to: string | undefined, value: string) => ({ ...range(from, to), value: bytes(value) });
const failsWith = (code: string) => expect.objectContaining({ name: "MemdsError", code });
const show = (tree: RangeTree) => [...tree.range()].map(({ key, value }) => `${text(key)}=${text(value)}`);

const table = RangeTree.empty(sha256).replaceRanges([
  { replace: [], by: [owned("t/", "t/m", "p0"), owned("t/m", "t0", "p1")] },
]);

describe("changes of ranges", () => {
  it("create a table where nobody owns the keys, and end it there", () => {
    expect(show(table)).toEqual(["t/=p0", "t/m=p1", "t0="]);
    expect(table.rangeOf(bytes("t/x"))).toEqual(owned("t/m", "t0", "p1"));
    expect(table.rangeOf(bytes("s"))).toBeUndefined();
    expect(table.rangeOf(bytes("t0"))).toBeUndefined();
    expect(table.rangeOf(bytes("zz"))).toBeUndefined();
  });

  it("split one range into two, merge two into one, and drop the table without a trace", () => {
    const split = table.replaceRanges([
      { replace: [range("t/", "t/m")], by: [owned("t/", "t/f", "p2"), owned("t/f", "t/m", "p3")] },
    ]);
    expect(show(split)).toEqual(["t/=p2", "t/f=p3", "t/m=p1", "t0="]);
    const merged = split.replaceRanges([
      { replace: [range("t/f", "t/m"), range("t/m", "t0")], by: [owned("t/f", "t0", "p4")] },
    ]);
    expect(show(merged)).toEqual(["t/=p2", "t/f=p4", "t0="]);
    const dropped = merged.replaceRanges([{ replace: [range("t/", "t/f"), range("t/f", "t0")], by: [] }]);
    expect(dropped.rootHash).toEqual(RangeTree.empty(sha256).rootHash);
  });

  const refusals: [string, RangeUpdate][] = [
    ["a gap", { replace: [range("t/", "t/m")], by: [owned("t/", "t/f", "x"), owned("t/g", "t/m", "y")] }],
    ["an overlap", { replace: [range("t/", "t/m")], by: [owned("t/", "t/g", "x"), owned("t/f", "t/m", "y")] }],
    ["keys left over at the end", { replace: [range("t/", "t/m")], by: [owned("t/", "t/f", "x")] }],
    ["keys left over at the beginning", { replace: [range("t/", "t/m")], by: [owned("t/a", "t/m", "x")] }],
    ["keys of a neighbour", { replace: [range("t/", "t/m")], by: [owned("t/", "t/n", "x")] }],
    ["an open end in the middle", { replace: [range("t/", "t/m")], by: [owned("t/", undefined, "x")] }],
    ["a range that was split meanwhile", { replace: [range("t/", "t0")], by: [owned("t/", "t0", "x")] }],
    ["a range that is not there", { replace: [range("u/", "u0")], by: [owned("u/", "u0", "x")] }],
    ["nobody's keys as a range", { replace: [range("t0")], by: [] }],
    ["a table on keys that are taken", { replace: [], by: [owned("t/z", "u", "x")] }],
    ["a table around one", { replace: [], by: [owned("a", "z", "x")] }],
    ["a range without keys", { replace: [], by: [owned("b", "b", "x")] }],
    ["a range of nobody", { replace: [range("t/", "t/m")], by: [owned("t/", "t/m", "")] }],
    ["nothing at all", { replace: [], by: [] }],
  ];
  it.each(refusals)("refuse %s, and change nothing", (_what, update) => {
    const good: RangeUpdate = { replace: [], by: [owned("a/", "a0", "p9")] };
    expect(() => table.replaceRanges([good, update])).toThrow(failsWith("ERR_MEMDS_RANGE"));
    expect(show(table)).toEqual(["t/=p0", "t/m=p1", "t0="]);
  });

  it("keep each key with exactly one owner, as a list of owners has it, over any history", () => {
    // The model: 40 keys and who owns each; a change moves, splits, merges, creates or drops some.
    const keys = Array.from({ length: 40 }, (_, i) => `k${String(i).padStart(2, "0")}`);
    const step = fc.record({
      at: fc.nat(39),
      length: fc.integer({ min: 1, max: 12 }),
      cut: fc.nat(11),
      drop: fc.nat(3),
    });
    fc.assert(
      fc.property(fc.array(step, { maxLength: 60 }), (steps) => {
        let owners: (string | undefined)[] = keys.map(() => undefined);
        let tree = RangeTree.empty(sha256);
        let name = 0;
        for (const { at, length, cut, drop } of steps) {
          const end = Math.min(40, at + length);
          const middle = Math.min(end, at + 1 + cut);
          const held: [number, number][] = [];
          for (let i = at; i < end; i++) {
            if (i > at && owners[i] === owners[i - 1]) held[held.length - 1]![1] = i + 1;
            else held.push([i, i + 1]);
          }
          const isFree = owners.slice(at, end).every((owner) => owner === undefined);
          const isWhole =
            owners.slice(at, end).every((owner) => owner !== undefined) &&
            (at === 0 || owners[at - 1] !== owners[at]) &&
            (end === 40 || owners[end] !== owners[end - 1]);
          const tile = (from: number, to: number) => ({ from: bytes(keys[from]!), to: bytes(keys[to] ?? "z") });
          const replace = isFree ? [] : held.map(([from, to]) => tile(from, to));
          const tiles =
            middle === end
              ? [[at, end]]
              : [
                  [at, middle],
                  [middle, end],
                ];
          const by =
            drop === 0 && !isFree
              ? []
              : tiles.map(([from, to]) => ({ ...tile(from!, to!), value: bytes(`p${name++}`) }));
          if (!isFree && !isWhole) {
            expect(() => tree.replaceRanges([{ replace, by }])).toThrow(failsWith("ERR_MEMDS_RANGE"));
            continue;
          }
          tree = tree.replaceRanges([{ replace, by }]);
          owners = owners.map((owner, i) => {
            if (i < at || i >= end) return owner;
            return by.length === 0 ? undefined : text(by[by.length === 1 || i < middle ? 0 : 1]!.value);
          });
          expect(keys.map((key) => text(tree.rangeOf(bytes(key))?.value))).toEqual(owners);
        }
        // One form for one content: holes leave no trace of how they came about.
        const entries: [string, string][] = [];
        owners.forEach((owner, i) => {
          if (owner !== owners[i - 1] && (owner !== undefined || i > 0)) entries.push([keys[i]!, owner ?? ""]);
        });
        if (owners[39] !== undefined) entries.push(["z", ""]);
        expect(show(tree)).toEqual(entries.map(([key, value]) => `${key}=${value}`));
      }),
      { numRuns: 200 },
    );
  });
});

describe("a server that is told of ranges", () => {
  it("takes a split whole or not at all, a repetition as such, and refuses what does not fit", async () => {
    await using server = await MemdsServer.listen();
    server.load({ version: 1, entries: [entry("t/", "p0"), entry("t0", "")] });
    const split: RangeUpdate = {
      replace: [range("t/", "t0")],
      by: [owned("t/", "t/m", "p1"), owned("t/m", "t0", "p2")],
    };
    const half: RangeUpdate = { replace: [range("t/", "t0")], by: [owned("t/", "t/m", "p1")] };
    expect(() => server.apply({ version: 2, ranges: [half] })).toThrow(failsWith("ERR_MEMDS_RANGE"));
    expect(server.version).toBe(1);
    expect(server.apply({ version: 2, ranges: [split] })).toBe(true);
    expect(server.apply({ version: 2, ranges: [split] })).toBe(false);
    // A merge thought before the split, arriving after it.
    const crossing: RangeUpdate = { replace: [range("t/", "t0")], by: [owned("t/", "t0", "p3")] };
    expect(() => server.apply({ version: 3, ranges: [crossing] })).toThrow(failsWith("ERR_MEMDS_RANGE"));
    const answers = server.lookup([{ kind: "range", from: bytes(""), limitMax: 9 }]);
    expect(answers[0]!.entries.map(({ key, value }) => `${text(key)}=${text(value)}`)).toEqual([
      "t/=p1",
      "t/m=p2",
      "t0=",
    ]);
  });

  it("counts bytes as well as entries, and keeps serving when there is no more room", async () => {
    await using server = await MemdsServer.listen({ bytesMax: 20 });
    server.load({ version: 1, entries: [entry("a", "123456789")] });
    expect(server.apply({ version: 2, changes: [entry("b", "123456789")] })).toBe(true);
    expect(server.stats()).toMatchObject({ entries: 2, bytes: 20 });
    expect(() => server.apply({ version: 3, changes: [entry("c", "")] })).toThrow(failsWith("ERR_MEMDS_FULL"));
    expect(() => server.load({ version: 3, entries: [entry("a", "x".repeat(20))] })).toThrow(
      failsWith("ERR_MEMDS_FULL"),
    );
    expect(server.lookup([{ kind: "floor", key: bytes("z") }])[0]).toMatchObject({ version: 2 });
  });
});
