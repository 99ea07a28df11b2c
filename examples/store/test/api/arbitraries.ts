import { Decimal } from "decimal.js";
import fc from "fast-check";
import type { AttributeValue, Item, KeyAttributeType, KeySchema } from "../../src/api/model.js";
import { normalizeNumber } from "../../src/api/number.js";

/** A number that the service stores, in any spelling. */
export const numberText: fc.Arbitrary<string> = fc
  .tuple(
    fc.boolean(),
    fc.oneof(
      fc.integer({ min: 0, max: 9 }).map(String),
      fc.integer({ min: 0, max: 100_000 }).map(String),
      fc.stringMatching(/^[0-9]{1,38}$/),
    ),
    fc.oneof(
      { weight: 3, arbitrary: fc.integer({ min: -6, max: 6 }) },
      { weight: 1, arbitrary: fc.integer({ min: -90, max: 80 }) },
    ),
  )
  .map(([negative, digits, exponent]) => `${negative ? "-" : ""}${digits}e${exponent}`);

export const normalNumber = numberText.map(normalizeNumber);

export const binary = fc.uint8Array({ maxLength: 12 }).map((bytes) => Buffer.from(bytes).toString("base64"));

/** Well-formed strings, awkward planes included. */
export const text = fc.string({ unit: "grapheme", maxLength: 8 });

export const attributeName = fc.oneof(
  { weight: 8, arbitrary: fc.string({ unit: "grapheme", minLength: 1, maxLength: 6 }) },
  { weight: 1, arbitrary: fc.constantFrom("__proto__", "constructor", "toString", "hasOwnProperty", "length") },
);

const set = (member: fc.Arbitrary<string>, compare: (a: string, b: string) => number) =>
  fc.uniqueArray(member, { minLength: 1, maxLength: 4 }).map((members) => members.sort(compare));
const byBytes = (encoding: "utf8" | "base64") => (a: string, b: string) =>
  Buffer.compare(Buffer.from(a, encoding), Buffer.from(b, encoding));

/** Any value that passes validation, in normal form: its numbers, and the order of its sets. */
export const attributeValue: fc.Arbitrary<AttributeValue> = fc.letrec<{ value: AttributeValue }>((tie) => ({
  value: fc.oneof(
    { maxDepth: 3, withCrossShrink: true },
    text.map((S) => ({ S })),
    normalNumber.map((N) => ({ N })),
    binary.map((B) => ({ B })),
    set(text, byBytes("utf8")).map((SS) => ({ SS })),
    set(normalNumber, (a, b) => new Decimal(a).cmp(b)).map((NS) => ({ NS })),
    set(binary, byBytes("base64")).map((BS) => ({ BS })),
    fc.boolean().map((BOOL) => ({ BOOL })),
    fc.constant({ NULL: true as const }),
    fc.array(tie("value"), { maxLength: 4 }).map((L) => ({ L })),
    entries(tie("value")).map((M) => ({ M })),
  ),
})).value;

function entries(value: fc.Arbitrary<AttributeValue>): fc.Arbitrary<Item> {
  return fc.array(fc.tuple(attributeName, value), { maxLength: 4 }).map((pairs) => Object.fromEntries(pairs) as Item);
}

export const item: fc.Arbitrary<Item> = entries(attributeValue);

export const keyType = fc.constantFrom<KeyAttributeType>("S", "N", "B");

export const keyValue = (type: KeyAttributeType): fc.Arbitrary<AttributeValue> => {
  if (type === "S") return fc.string({ unit: "grapheme", minLength: 1, maxLength: 8 }).map((S) => ({ S }));
  if (type === "N") return normalNumber.map((N) => ({ N }));
  return fc.uint8Array({ minLength: 1, maxLength: 8 }).map((bytes) => ({ B: Buffer.from(bytes).toString("base64") }));
};

export const schemaOf = (partition: KeyAttributeType, sort?: KeyAttributeType): KeySchema => ({
  partition: { name: "p", type: partition },
  ...(sort === undefined ? {} : { sort: { name: "s", type: sort } }),
});
