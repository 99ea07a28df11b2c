/** The parameters that were there before expressions against an interpreter that never sees a condition tree. */
import { Decimal } from "decimal.js";
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { matches } from "../../src/api/condition.js";
import type { ComparisonOperator } from "../../src/api/legacy/comparisons.js";
import type { LegacyCondition } from "../../src/api/legacy/conditions.js";
import type { AttributeValue, Item } from "../../src/api/model.js";
import { type Expressions, parseExpressions } from "../../src/api/requests/expressions.js";
import { applyUpdate } from "../../src/api/update.js";
import { attributeValue, binary, normalNumber, text } from "./arbitraries.js";

const invalid = "One or more parameter values were invalid: ";
const NAMES = ["a", "b", "c.d"] as const;

type Scalar = { S: string } | { N: string } | { B: string };

function order(a: AttributeValue, b: AttributeValue): number | undefined {
  if ("S" in a && "S" in b) return Buffer.compare(Buffer.from(a.S), Buffer.from(b.S));
  if ("N" in a && "N" in b) return new Decimal(a.N).cmp(b.N);
  if ("B" in a && "B" in b) return Buffer.compare(Buffer.from(a.B, "base64"), Buffer.from(b.B, "base64"));
  return undefined;
}

/** Sets have no order, maps neither. */
function sorted(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(sorted);
  if (typeof value !== "object" || value === null) return value;
  return Object.entries(value)
    .map(([name, inner]) => [name, /^[SNB]S$/.test(name) ? [...(inner as string[])].sort() : sorted(inner)])
    .sort(([a], [b]) => (String(a) < String(b) ? -1 : 1));
}

const same = (a: AttributeValue, b: AttributeValue) => JSON.stringify(sorted(a)) === JSON.stringify(sorted(b));

function holds(value: AttributeValue, sought: AttributeValue): boolean {
  if ("L" in value) return value.L.some((element) => same(element, sought));
  if ("SS" in value) return "S" in sought && value.SS.includes(sought.S);
  if ("NS" in value) return "N" in sought && value.NS.includes(sought.N);
  if ("BS" in value) return "B" in sought && value.BS.includes(sought.B);
  if ("S" in value) return "S" in sought && value.S.includes(sought.S);
  return "B" in value && "B" in sought && Buffer.from(value.B, "base64").includes(Buffer.from(sought.B, "base64"));
}

const MEANINGS: Record<ComparisonOperator, (value: AttributeValue | undefined, of: AttributeValue[]) => boolean> = {
  EQ: (value, [of]) => value !== undefined && same(value, of as AttributeValue),
  NE: (value, [of]) => value === undefined || !same(value, of as AttributeValue),
  LT: (value, [of]) => value !== undefined && (order(value, of as AttributeValue) ?? 1) < 0,
  LE: (value, [of]) => value !== undefined && (order(value, of as AttributeValue) ?? 1) <= 0,
  GT: (value, [of]) => value !== undefined && (order(value, of as AttributeValue) ?? -1) > 0,
  GE: (value, [of]) => value !== undefined && (order(value, of as AttributeValue) ?? -1) >= 0,
  NULL: (value) => value === undefined,
  NOT_NULL: (value) => value !== undefined,
  CONTAINS: (value, [of]) => value !== undefined && holds(value, of as AttributeValue),
  NOT_CONTAINS: (value, [of]) => value !== undefined && !holds(value, of as AttributeValue),
  BEGINS_WITH: (value, [of]) => {
    if (value === undefined || of === undefined) return false;
    if ("S" in value) return "S" in of && value.S.slice(0, of.S.length) === of.S;
    if (!("B" in value && "B" in of)) return false;
    const prefix = Buffer.from(of.B, "base64");
    return Buffer.from(value.B, "base64").subarray(0, prefix.length).equals(prefix);
  },
  IN: (value, among) => value !== undefined && among.some((of) => same(value, of)),
  BETWEEN: (value, [low, high]) =>
    value !== undefined &&
    (order(value, low as AttributeValue) ?? -1) >= 0 &&
    (order(value, high as AttributeValue) ?? 1) <= 0,
};

const ofType = (type: "S" | "N" | "B"): fc.Arbitrary<Scalar> => {
  if (type === "S") return text.map((S) => ({ S }));
  return type === "N" ? normalNumber.map((N) => ({ N })) : binary.map((B) => ({ B }));
};
const scalar = fc.constantFrom("S" as const, "N" as const, "B" as const).chain(ofType);
const list = (AttributeValueList: fc.Arbitrary<AttributeValue[]>, ...operators: ComparisonOperator[]) =>
  fc.record({ ComparisonOperator: fc.constantFrom(...operators), AttributeValueList });
const condition: fc.Arbitrary<LegacyCondition> = fc.oneof(
  list(fc.tuple(attributeValue), "EQ", "NE"),
  list(fc.tuple(scalar), "LT", "LE", "GT", "GE", "CONTAINS", "NOT_CONTAINS"),
  list(fc.tuple(fc.oneof(ofType("S"), ofType("B"))), "BEGINS_WITH"),
  list(
    fc
      .constantFrom("S" as const, "N" as const, "B" as const)
      .chain((type) => fc.array(ofType(type), { minLength: 1, maxLength: 3 })),
    "IN",
  ),
  list(
    fc
      .constantFrom("S" as const, "N" as const, "B" as const)
      .chain((type) => fc.tuple(ofType(type), ofType(type)))
      .map((bounds) => bounds.sort((a, b) => order(a, b) ?? 0)),
    "BETWEEN",
  ),
  fc.record({ ComparisonOperator: fc.constantFrom("NULL" as const, "NOT_NULL" as const) }),
);
/** Near enough to the conditions' values that they are met now and then. */
const near = ({ AttributeValueList: values = [] }: LegacyCondition): fc.Arbitrary<AttributeValue> =>
  fc.oneof(attributeValue, scalar, ...values.map((value) => fc.constant(value)));

describe("a filter of conditions", () => {
  it("means what a naive reader takes it for", () => {
    const names = fc.uniqueArray(fc.constantFrom(...NAMES), { minLength: 1 });
    const filter = names.chain((all) => fc.tuple(...all.map((name) => fc.tuple(fc.constant(name), condition))));
    const world = filter.chain((conditions) =>
      fc.record({
        conditions: fc.constant(conditions),
        item: fc
          .tuple(...conditions.map(([name, of]) => fc.tuple(fc.constant(name), fc.option(near(of)))))
          .map((pairs) => Object.fromEntries(pairs.filter(([, value]) => value !== null)) as Item),
        operator: fc.constantFrom("AND" as const, "OR" as const, undefined),
      }),
    );
    fc.assert(
      fc.property(world, ({ conditions, item, operator }) => {
        const among = conditions.length > 1 && operator !== undefined ? { ConditionalOperator: operator } : {};
        const asked = structuredClone(Object.fromEntries(conditions));
        const answers = conditions.map(([name, { ComparisonOperator: of, AttributeValueList: values = [] }]) =>
          MEANINGS[of](item[name], values),
        );
        const wanted =
          "ConditionalOperator" in among && operator === "OR" ? answers.some(Boolean) : answers.every(Boolean);
        for (const parameter of ["ScanFilter", "QueryFilter"] as const) {
          const { filter } = parseExpressions({ [parameter]: structuredClone(asked), ...among }, []);
          expect(matches(filter as NonNullable<Expressions["filter"]>, item)).toBe(wanted);
        }
        const { condition } = parseExpressions({ Expected: structuredClone(asked), ...among }, []);
        expect(matches(condition as NonNullable<Expressions["condition"]>, item)).toBe(wanted);
      }),
      { numRuns: 400 },
    );
  });

  it("has as many conditions as an expression has operators, and no more", () => {
    const of = (length: number) =>
      Object.fromEntries(Array.from({ length }, (_, i) => [`a${i}`, { ComparisonOperator: "NULL" as const }]));
    const { filter } = parseExpressions({ ScanFilter: of(300) }, []);
    expect(matches(filter as NonNullable<Expressions["filter"]>, {})).toBe(true);
    expect(() => parseExpressions({ ScanFilter: of(301) }, [])).toThrow(
      "The expression contains too many operators; operator count: 301",
    );
    const AttributeValueList = Array.from({ length: 101 }, (_, i) => ({ N: String(i) }));
    expect(() => parseExpressions({ ScanFilter: { a: { ComparisonOperator: "IN", AttributeValueList } } }, [])).toThrow(
      "Invalid number of argument(s) for the IN ComparisonOperator",
    );
  });

  it("of nothing asks for nothing", () => {
    expect(parseExpressions({ ScanFilter: {}, Expected: {}, AttributeUpdates: {} }, [])).toEqual({ update: [] });
  });
});

describe("what is expected of an attribute", () => {
  const met = (expected: object, item: Item) => {
    const { condition } = parseExpressions({ Expected: { a: expected } }, []);
    return matches(condition as NonNullable<Expressions["condition"]>, item);
  };

  it("is its value, or that there is none", () => {
    expect(met({ Value: { N: "1.0" } }, { a: { N: "1" } })).toBe(true);
    expect(met({ Value: { N: "1" }, Exists: true }, { a: { N: "2" } })).toBe(false);
    expect(met({ Value: { N: "1" } }, {})).toBe(false);
    expect(met({ Exists: false }, {})).toBe(true);
    expect(met({ Exists: false }, { a: { S: "" } })).toBe(false);
    expect(met({ ComparisonOperator: "GT", Value: { N: "1" } }, { a: { N: "2" } })).toBe(true);
  });

  it.each<[object, string]>([
    [
      { Value: { S: "x" }, AttributeValueList: [{ S: "x" }] },
      `${invalid}Value and AttributeValueList cannot be used together for Attribute: a`,
    ],
    [
      { ComparisonOperator: "EQ", Exists: true, Value: { S: "x" } },
      `${invalid}Exists and ComparisonOperator cannot be used together for Attribute: a`,
    ],
    [
      { ComparisonOperator: "EQ" },
      `${invalid}Value or AttributeValueList must be used with ComparisonOperator: EQ for Attribute: a`,
    ],
    [
      { AttributeValueList: [{ S: "x" }] },
      `${invalid}AttributeValueList can only be used with a ComparisonOperator for Attribute: a`,
    ],
    [{}, `${invalid}Value must be provided when Exists is null for Attribute: a`],
    [{ Exists: true }, `${invalid}Value must be provided when Exists is true for Attribute: a`],
    [{ Exists: false, Value: { S: "x" } }, `${invalid}Value cannot be used when Exists is false for Attribute: a`],
    [
      { ComparisonOperator: "NULL", Value: { S: "x" } },
      `${invalid}Invalid number of argument(s) for the NULL ComparisonOperator`,
    ],
    [
      { ComparisonOperator: "BETWEEN", AttributeValueList: [{ N: "2" }, { N: "1" }] },
      "The BETWEEN condition was provided a range where the lower bound is greater than the upper bound",
    ],
    [
      { ComparisonOperator: "IN", AttributeValueList: [{ N: "2" }, { S: "1" }] },
      `${invalid}AttributeValues inside AttributeValueList must be of same type`,
    ],
    [
      { ComparisonOperator: "LT", Value: { SS: ["a"] } },
      `${invalid}ComparisonOperator LT is not valid for SS AttributeValue type`,
    ],
    [{ Value: { N: "x" } }, "The parameter cannot be converted to a numeric value: x"],
  ])("%j is refused", (expected, message) => {
    expect(() => parseExpressions({ Expected: { a: expected } }, [])).toThrow(message);
  });
});

describe("updates of attributes", () => {
  const updated = (AttributeUpdates: object, before: Item): Item =>
    applyUpdate(before, parseExpressions({ AttributeUpdates } as never, []).update ?? []);

  it("put, add and delete", () => {
    const before: Item = {
      gone: { S: "x" },
      n: { N: "1" },
      set: { SS: ["a", "b"] },
      last: { NS: ["1"] },
      list: { L: [{ S: "1" }] },
    };
    const updates = {
      "dotted.name": { Value: { S: "new" } },
      gone: { Action: "DELETE" },
      n: { Action: "ADD", Value: { N: "2.50" } },
      fresh: { Action: "ADD", Value: { N: "7" } },
      set: { Action: "DELETE", Value: { SS: ["a", "z"] } },
      last: { Action: "DELETE", Value: { NS: ["1"] } },
      list: { Action: "ADD", Value: { L: [{ S: "2" }] } },
      absent: { Action: "DELETE", Value: { SS: ["a"] } },
    };
    expect(updated(updates, before)).toEqual({
      "dotted.name": { S: "new" },
      n: { N: "3.5" },
      fresh: { N: "7" },
      set: { SS: ["b"] },
      list: { L: [{ S: "1" }, { S: "2" }] },
    });
  });

  it.each<[object, string]>([
    [{ Action: "PUT" }, `${invalid}Only DELETE action is allowed when no attribute value is specified`],
    [{}, `${invalid}Only DELETE action is allowed when no attribute value is specified`],
    [{ Action: "DELETE", Value: { S: "x" } }, `${invalid}DELETE action with value is not supported for the type S`],
    [{ Action: "ADD", Value: { S: "x" } }, `${invalid}ADD action is not supported for the type S`],
    [{ Action: "ADD", Value: { N: "1" } }, "Type mismatch for attribute to update"],
    [{ Action: "DELETE", Value: { SS: ["1"] } }, "Type mismatch for attribute to update"],
  ])("%j is refused", (update, message) => {
    expect(() => updated({ a: update }, { a: { S: "there" } })).toThrow(message);
  });
});

describe("parameters of both kinds", () => {
  const both = (legacy: string, expressions: string) =>
    `Can not use both expression and non-expression parameters in the same request: Non-expression parameters: {${legacy}} Expression parameters: {${expressions}}`;
  const of = (value: string) => ({ ComparisonOperator: "EQ" as const, AttributeValueList: [{ S: value }] });

  it.each<[object, string]>([
    [
      {
        UpdateExpression: "x",
        ConditionExpression: "x",
        Expected: {},
        ConditionalOperator: "AND",
        AttributeUpdates: {},
      },
      both("AttributeUpdates, Expected, ConditionalOperator", "UpdateExpression, ConditionExpression"),
    ],
    [
      {
        KeyConditions: {},
        QueryFilter: {},
        ConditionalOperator: "OR",
        KeyConditionExpression: "x",
        FilterExpression: "x",
        ProjectionExpression: "x",
      },
      both(
        "QueryFilter, ConditionalOperator, KeyConditions",
        "ProjectionExpression, FilterExpression, KeyConditionExpression",
      ),
    ],
    [{ ScanFilter: {}, ProjectionExpression: "x" }, both("ScanFilter", "ProjectionExpression")],
    [{ AttributesToGet: ["a"], FilterExpression: "x" }, both("AttributesToGet", "FilterExpression")],
    [{ ConditionalOperator: "AND" }, "ConditionalOperator cannot be used without Filter or Expected"],
    [
      { ConditionalOperator: "AND", KeyConditions: { a: of("x"), b: of("y") } },
      "ConditionalOperator cannot be used without Filter or Expected",
    ],
    [
      { ConditionalOperator: "AND", ScanFilter: { a: of("x") } },
      "ConditionalOperator can only be used when Filter or Expected has two or more elements",
    ],
    [{ AttributesToGet: ["a", "b", "a"] }, `${invalid}Duplicate value in attribute name: a`],
    [{ KeyConditions: {} }, "Conditions can be of length 1 or 2 only"],
    [
      { KeyConditions: { a: { ComparisonOperator: "NE", AttributeValueList: [{ S: "x" }] } } },
      "Attempted conditional constraint is not an indexable operation",
    ],
  ])("%j are refused", (request, message) => {
    expect(() => parseExpressions(request, [])).toThrow(message);
  });

  it("stand together where one is for the key", () => {
    const { keyCondition, filter } = parseExpressions(
      {
        KeyConditions: { a: of("x") },
        FilterExpression: "b = :b",
        ExpressionAttributeValues: { ":b": { S: "y" } },
      },
      ["FilterExpression", "KeyConditionExpression"],
    );
    expect(matches(keyCondition as NonNullable<typeof keyCondition>, { a: { S: "x" } })).toBe(true);
    expect(matches(filter as NonNullable<typeof filter>, { b: { S: "y" } })).toBe(true);
  });
});
