import { createHash } from "node:crypto";
import { readFileSync } from "node:fs";
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { compareBytes } from "../../src/api/bytes.js";
import { compareValues } from "../../src/api/compare.js";
import { entryKey, entryRange, inGroups } from "../../src/api/index-keys.js";
import { itemKey, type SortCondition } from "../../src/api/keys.js";
import type { AttributeValue, IndexKeySchema, Item } from "../../src/api/model.js";
import { normalizeNumber } from "../../src/api/number.js";

const digest = (bytes: Uint8Array) => createHash("sha256").update(bytes).digest().subarray(0, 16);
const table = { partition: { name: "id", type: "S" } } as const;

const short = fc.string({ unit: fc.constantFrom("a", "b", "\u0000", "é", "\u{1f600}"), minLength: 1, maxLength: 20 });
const numbers = fc
  .tuple(fc.maxSafeInteger(), fc.integer({ min: -100, max: 80 }))
  .map(([digits, exponent]) => `${digits}e${exponent}`);
const values: Readonly<Record<"S" | "N" | "B", fc.Arbitrary<AttributeValue>>> = {
  S: short.map((S) => ({ S })),
  N: numbers.map((n) => ({ N: normalizeNumber(n) })),
  B: fc.uint8Array({ minLength: 1, maxLength: 20 }).map((b) => ({ B: Buffer.from(b).toString("base64") })),
};
const types = fc.constantFrom("S" as const, "N" as const, "B" as const);

const keyOf = (schema: IndexKeySchema, item: Item) =>
  entryKey(schema, item, itemKey(table, item).bytes, digest)?.bytes as Uint8Array;

test("bytes in groups sort as they did, and none is the beginning of another", () => {
  const bytes = fc.uint8Array({ maxLength: 30 });
  fc.assert(
    fc.property(bytes, bytes, (a, b) => {
      const [x, y] = [inGroups(a), inGroups(b)];
      expect(Math.sign(compareBytes(x, y))).toBe(Math.sign(compareBytes(a, b)));
      if (compareBytes(a, b) !== 0) expect(Buffer.from(x).subarray(0, y.length).equals(y)).toBe(false);
    }),
    { numRuns: 1_000 },
  );
});

describe("an index's entries", () => {
  test("of one collection stand in the order of their sort keys, one attribute after the other", () => {
    const cases = fc.tuple(types, types).chain(([first, second]) =>
      fc.record({
        schema: fc.constant<IndexKeySchema>({
          partition: [{ name: "g", type: "S" }],
          sort: [
            { name: "a", type: first },
            { name: "b", type: second },
          ],
        }),
        one: fc.tuple(values[first], values[second], short),
        two: fc.tuple(values[first], values[second], short),
      }),
    );
    fc.assert(
      fc.property(cases, ({ schema, one, two }) => {
        const item = ([a, b, id]: typeof one): Item => ({ g: { S: "x" }, id: { S: id }, a, b });
        const order =
          compareValues(one[0], two[0]) || compareValues(one[1], two[1]) || (one[2] === two[2] ? 0 : undefined);
        const found = compareBytes(keyOf(schema, item(one)), keyOf(schema, item(two)));
        if (order === undefined) expect(found).not.toBe(0);
        else expect(Math.sign(found)).toBe(Math.sign(order));
      }),
      { numRuns: 1_000 },
    );
  });

  test("are found by exactly the conditions that hold for them", () => {
    const meets = (condition: SortCondition, value: AttributeValue): boolean => {
      if (condition.op === "between")
        return (compareValues(value, condition.low) ?? -1) >= 0 && (compareValues(value, condition.high) ?? 1) <= 0;
      if (condition.op === "begins-with") {
        const text = (one: AttributeValue) =>
          "B" in one
            ? Buffer.from(one.B, "base64").toString("hex")
            : Buffer.from((one as { S: string }).S).toString("hex");
        return text(value).startsWith(text(condition.value));
      }
      const order = compareValues(value, condition.value) as number;
      return { "=": order === 0, "<": order < 0, "<=": order <= 0, ">": order > 0, ">=": order >= 0 }[condition.op];
    };
    const cases = types.chain((type) =>
      fc.record({
        type: fc.constant(type),
        value: values[type],
        other: values[type],
        high: values[type],
        op: fc
          .constantFrom(...(["=", "<", "<=", ">", ">=", "between", "begins-with"] as const))
          .filter((op) => op !== "begins-with" || type !== "N"),
      }),
    );
    fc.assert(
      fc.property(cases, ({ type, value, other, high, op }) => {
        const schema: IndexKeySchema = { partition: [{ name: "g", type: "S" }], sort: [{ name: "s", type }] };
        const condition: SortCondition = op === "between" ? { op, low: other, high } : { op, value: other };
        const key = keyOf(schema, { g: { S: "x" }, id: { S: "1" }, s: value });
        const { from, to } = entryRange([{ S: "x" }], [], condition);
        expect(compareBytes(key, from) >= 0 && compareBytes(key, to) < 0).toBe(meets(condition, value));
        const elsewhere = entryRange([{ S: "y" }], [], condition);
        expect(compareBytes(key, elsewhere.from) >= 0 && compareBytes(key, elsewhere.to) < 0).toBe(false);
      }),
      { numRuns: 2_000 },
    );
  });

  test("are there only for items that have all of the key, in its types", () => {
    const schema: IndexKeySchema = { partition: [{ name: "g", type: "S" }], sort: [{ name: "s", type: "N" }] };
    const id = { S: "1" };
    const of = (item: Item) => entryKey(schema, item, itemKey(table, item).bytes, digest);
    expect(of({ id, g: { S: "x" }, s: { N: "1" } })).toBeDefined();
    const lacking: Item[] = [
      { id },
      { id, g: { S: "x" } },
      { id, s: { N: "1" } },
      { id, g: { S: "" }, s: { N: "1" } },
      { id, g: { N: "1" }, s: { N: "1" } },
      { id, g: { S: "x" }, s: { S: "1" } },
      { id, g: { S: "x".repeat(2_049) }, s: { N: "1" } },
    ];
    for (const item of lacking) expect(of(item)).toBeUndefined();
  });

  test("fit the B-tree at their longest, and long keys of items do not make two entries one", () => {
    const attributes = (prefix: string) => [1, 2, 3, 4].map((i) => ({ name: `${prefix}${i}`, type: "B" as const }));
    const schema: IndexKeySchema = { partition: attributes("g"), sort: attributes("s") };
    const item: Item = { id: { S: "i".repeat(2_048) } };
    const bytes = (n: number) => ({ B: Buffer.alloc(n, 0xff).toString("base64") });
    // Each a byte beyond a whole number of groups.
    schema.partition.forEach(({ name }, i) => {
      item[name] = bytes(i < 3 ? 513 : 509);
    });
    schema.sort.forEach(({ name }, i) => {
      item[name] = bytes(i < 3 ? 257 : 253);
    });
    // Area and partition come before it; lmdb takes 4,026 bytes.
    expect(keyOf(schema, item).length + 5).toBe(3_778);
    const other = keyOf(schema, { ...item, id: { S: `${"i".repeat(2_047)}j` } });
    expect(compareBytes(other, keyOf(schema, item))).not.toBe(0);
  });

  test("have keys that do not change with this program", () => {
    const schema: IndexKeySchema = {
      partition: [{ name: "g", type: "S" }],
      sort: [
        { name: "s", type: "S" },
        { name: "n", type: "N" },
      ],
    };
    const item: Item = { id: { S: "item-1" }, g: { S: "group" }, s: { S: "longer than 8" }, n: { N: "-12.5" } };
    const golden = JSON.parse(readFileSync(new URL("../fixtures/index-keys-v1.json", import.meta.url), "utf8")) as {
      entry: Record<string, string>;
    };
    expect(Buffer.from(keyOf(schema, item)).toString("hex")).toBe(Object.values(golden.entry).join(""));
  });
});
