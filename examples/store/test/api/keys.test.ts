import { readFileSync } from "node:fs";
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { compareBytes } from "../../src/api/bytes.js";
import { compareValues } from "../../src/api/compare.js";
import { matches } from "../../src/api/condition.js";
import { keyConditionOf } from "../../src/api/expressions/key-condition.js";
import { hash32 } from "../../src/api/hash.js";
import { decodeKey, exactKey, itemKey, queryRange, type SortCondition } from "../../src/api/keys.js";
import type { AttributeValue, Condition, Item, KeySchema } from "../../src/api/model.js";
import { utf8 } from "../../src/api/text.js";
import { keyType, keyValue, schemaOf } from "./arbitraries.js";

describe("keys", () => {
  it("can be read back from their bytes", () => {
    const keyed = fc
      .tuple(keyType, fc.option(keyType, { nil: undefined }))
      .chain(([p, s]) =>
        fc.tuple(
          fc.constant(schemaOf(p, s)),
          fc.record({ p: keyValue(p), ...(s === undefined ? {} : { s: keyValue(s) }) }),
        ),
      );
    fc.assert(
      fc.property(keyed, ([schema, key]) => {
        const { bytes, hash } = itemKey(schema, { ...key, other: { S: "x" } });
        expect(decodeKey(schema, bytes)).toEqual(key);
        expect(new DataView(bytes.buffer).getUint32(0)).toBe(hash);
      }),
    );
  });

  it("sort within a collection as their sort keys do", () => {
    const two = keyType.chain((type) => fc.tuple(fc.constant(type), keyValue(type), keyValue(type)));
    fc.assert(
      fc.property(two, ([type, a, b]) => {
        const schema = schemaOf("S", type);
        const key = (s: AttributeValue) => itemKey(schema, { p: { S: "one" }, s }).bytes;
        expect(Math.sign(compareBytes(key(a), key(b)))).toBe(Math.sign(compareValues(a, b) as number));
      }),
      { numRuns: 300 },
    );
  });

  it("fall into a query's range exactly when they meet its condition", () => {
    const operators = ["=", "<", "<=", ">", ">=", "between", "begins-with"] as const;
    const query = keyType.chain((type) =>
      fc.record({
        type: fc.constant(type),
        op: fc.constantFrom(...operators.filter((op) => op !== "begins-with" || type !== "N")),
        samePartition: fc.boolean(),
        value: keyValue(type),
        other: keyValue(type),
        sort: keyValue(type),
      }),
    );
    fc.assert(
      fc.property(query, ({ type, op, samePartition, value, other, sort }) => {
        const schema = schemaOf("S", type);
        const [low, high] = (compareValues(value, other) as number) <= 0 ? [value, other] : [other, value];
        const condition: SortCondition = op === "between" ? { op, low, high } : { op, value };
        const { from, to } = queryRange(schema, { S: "one" }, condition);
        const key = itemKey(schema, { p: { S: samePartition ? "one" : "another" }, s: sort }).bytes;
        const within = compareBytes(key, from) >= 0 && compareBytes(key, to) < 0;
        expect(within).toBe(samePartition && matches(asCondition(condition), { s: sort }));
      }),
      { numRuns: 500 },
    );
  });

  it("keep collections apart whose partition keys begin alike", () => {
    const schema = schemaOf("B", "B");
    const { from, to } = queryRange(schema, { B: "AQ==" });
    const inside = itemKey(schema, { p: { B: "AQ==" }, s: { B: "////" } }).bytes;
    const outside = itemKey(schema, { p: { B: "AQH/" }, s: { B: "AQ==" } }).bytes;
    expect(compareBytes(inside, from) >= 0 && compareBytes(inside, to) < 0).toBe(true);
    expect(compareBytes(outside, from) >= 0 && compareBytes(outside, to) < 0).toBe(false);
  });

  const long = (bytes: number) => ({ S: "ä".repeat(bytes / 2) });
  it.each<[string, KeySchema, Record<string, AttributeValue>, string]>([
    ["missing", schemaOf("S"), {}, "One or more parameter values were invalid: Missing the key p in the item"],
    [
      "inherited only",
      { partition: { name: "toString", type: "S" } },
      {},
      "One or more parameter values were invalid: Missing the key toString in the item",
    ],
    [
      "of the wrong type",
      schemaOf("S"),
      { p: { N: "1" } },
      "One or more parameter values were invalid: Type mismatch for key p expected: S actual: N",
    ],
    [
      "empty",
      schemaOf("S"),
      { p: { S: "" } },
      "One or more parameter values are not valid. The AttributeValue for a key attribute cannot contain an empty string value. Key: p",
    ],
    [
      "an empty binary",
      schemaOf("S", "B"),
      { p: { S: "a" }, s: { B: "" } },
      "One or more parameter values are not valid. The AttributeValue for a key attribute cannot contain an empty binary value. Key: s",
    ],
    [
      "of 2,050 bytes",
      schemaOf("S"),
      { p: long(2050) },
      "One or more parameter values were invalid: Size of hashkey has exceeded the maximum size limit of2048 bytes",
    ],
    [
      "with a sort key of 1,026 bytes",
      schemaOf("S", "S"),
      { p: long(2048), s: long(1026) },
      "One or more parameter values were invalid: Aggregated size of all range keys has exceeded the size limit of 1024 bytes",
    ],
  ])("are refused when %s", (_, schema, key, message) => {
    expect(() => itemKey(schema, key)).toThrow(expect.objectContaining({ type: "ValidationException", message }));
  });

  it.each<[AttributeValue, string]>([
    [
      { S: "" },
      "One or more parameter values are not valid. The AttributeValue for a key attribute cannot contain an empty string value. Key: s",
    ],
    [
      long(1026),
      "One or more parameter values were invalid: Aggregated size of all range keys has exceeded the size limit of 1024 bytes",
    ],
  ])("are asked for only by what could be one", (value, message) => {
    const operand = { kind: "value", value } as const;
    const path = (name: string) => ({ kind: "path", path: [name] }) as const;
    const asked: Condition[] = [
      { kind: "compare", op: ">", left: path("s"), right: operand },
      { kind: "begins-with", value: path("s"), search: operand },
      { kind: "between", value: path("s"), low: { kind: "value", value: { S: "a" } }, high: operand },
    ];
    const left: Condition = { kind: "compare", op: "=", left: path("p"), right: { kind: "value", value: { S: "a" } } };
    for (const right of asked) {
      expect(() => keyConditionOf({ kind: "and", left, right }, schemaOf("S", "S"))).toThrow(
        expect.objectContaining({ type: "ValidationException", message }),
      );
    }
  });

  it("are taken at their largest", () => {
    const key = { p: long(2048), s: long(1024) };
    expect(decodeKey(schemaOf("S", "S"), itemKey(schemaOf("S", "S"), key).bytes)).toEqual(key);
  });

  it.each([[{}], [{ p: { S: "a" }, s: { S: "b" } }], [{ p: { N: "1" } }], [{ q: { S: "a" } }]])(
    "given alone must match the schema: %j",
    (key) => {
      expect(() => exactKey(schemaOf("S"), key as never)).toThrow("The provided key element does not match the schema");
    },
  );

  it("stand as they stood on the disks of the first version", () => {
    const golden = JSON.parse(readFileSync(new URL("../fixtures/keys-v1.json", import.meta.url), "utf8")) as {
      schema: KeySchema;
      key: Item;
      hash: number;
      hex: string;
    }[];
    expect(golden).toHaveLength(17);
    for (const { schema, key, hash, hex } of golden) {
      expect(itemKey(schema, key)).toEqual({ hash, bytes: new Uint8Array(Buffer.from(hex, "hex")) });
      expect(decodeKey(schema, Buffer.from(hex, "hex"))).toEqual(key);
    }
  });

  it("hash as MurmurHash3 does", () => {
    expect(hash32(utf8(""))).toBe(0);
    expect(hash32(utf8("test"))).toBe(0xba6bd213);
    expect(hash32(utf8("Hello, world!"))).toBe(0xc0363e43);
    expect(hash32(utf8("The quick brown fox jumps over the lazy dog"))).toBe(0x2e4ff723);
  });
});

function asCondition(condition: SortCondition): Condition {
  const value = { kind: "path", path: ["s"] } as const;
  const of = (value: AttributeValue) => ({ kind: "value", value }) as const;
  if (condition.op === "between") return { kind: "between", value, low: of(condition.low), high: of(condition.high) };
  if (condition.op === "begins-with") return { kind: "begins-with", value, search: of(condition.value) };
  return { kind: "compare", op: condition.op, left: value, right: of(condition.value) };
}
