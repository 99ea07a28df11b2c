/** What one request can make a node do: expressions that use one large value, or one large attribute, again and again. */
import { describe, expect, test } from "vitest";
import { matches } from "../../src/api/condition.js";
import { parseCondition } from "../../src/api/expressions/condition-parser.js";
import { Placeholders, VALUES_BYTES_MAX } from "../../src/api/expressions/placeholders.js";
import { parseUpdate } from "../../src/api/expressions/update-parser.js";
import type { AttributeValue, Item } from "../../src/api/model.js";
import { ITEM_BYTES_MAX, valueBytes } from "../../src/api/size.js";
import { applyUpdate } from "../../src/api/update.js";
import { writtenBytes } from "../../src/api/update-charge.js";

const list = (length: number): AttributeValue => ({ L: Array.from({ length }, () => ({ N: "1" })) });
const text = (length: number): AttributeValue => ({ S: "x".repeat(length) });
const times = (count: number, one: (i: number) => string, by: string) =>
  Array.from({ length: count }, (_, i) => one(i)).join(by);
/** Lists within lists: none may stand right within another one. */
const nested = (count: number, inner: string) =>
  `list_append(${inner}, if_not_exists(none1, `.repeat(count) + inner + "))".repeat(count);
const update = (expression: string, values?: Item) => parseUpdate(expression, new Placeholders(undefined, values));
const TOO_LARGE_AFTER_UPDATE = "Item size to update has exceeded the maximum allowed size";

describe("values", () => {
  test.each([
    [
      "a condition",
      (v: Item) =>
        parseCondition(
          times(6, (i) => `a${i} = :v`, " OR "),
          new Placeholders(undefined, v),
        ),
    ],
    ["nested calls", (v: Item) => update(`SET a = ${nested(6, ":v")}`, v)],
    ["an update", (v: Item) => update(`DELETE ${times(6, (i) => `a${i} :v`, ", ")}`, v)],
  ])("of 2 MB, counted as often as they are used, are the most: %s", (_, parse) => {
    const value: AttributeValue = _ === "nested calls" ? { L: [text(400_000)] } : { SS: ["x".repeat(400_000)] };
    expect(6 * valueBytes(value)).toBeGreaterThan(VALUES_BYTES_MAX);
    expect(() => parse({ ":v": value })).toThrow("ExpressionAttributeValues exceeds max size");
  });

  test("may be used as often as the grammar allows while they are small", () => {
    const condition = parseCondition(
      times(150, (i) => `a${i} = :v`, " OR "),
      new Placeholders(undefined, { ":v": text(5_000) }),
    );
    expect(matches(condition, { a149: text(5_000) })).toBe(true);
  });

  test("that an update writes are weighed before it is sent, each as often as it is written", () => {
    const value = text(1_000);
    expect(
      writtenBytes(update("SET a = :v, b = if_not_exists(b, :v) ADD c :n", { ":v": value, ":n": { N: "1" } })),
    ).toBe(2_002);
    expect(writtenBytes(update("REMOVE a, b"))).toBe(0);
    expect(writtenBytes(update("SET a = :v, b = :v", { ":v": text(300_000) }))).toBeGreaterThan(ITEM_BYTES_MAX);
  });
});

describe("an update", () => {
  const item: Item = { a: list(100_000) };

  test.each([
    ["one list appended to itself again and again", `SET b = ${nested(100, "a")}`],
    ["many lists made of one", `SET ${times(100, (i) => `b${i} = list_append(a, a)`, ", ")}`],
    ["one attribute put in many places", `SET ${times(200, (i) => `b${i} = a`, ", ")}`],
  ])("makes nothing that could not be stored: %s", (_, expression) => {
    expect(() => applyUpdate(item, update(expression))).toThrow(TOO_LARGE_AFTER_UPDATE);
  });

  test.each(["DELETE nothing.x :v", "DELETE a.x :v", "REMOVE nothing.x", "SET nothing[0] = :v"])(
    "has no place for %s, whether there is something to be taken or not",
    (expression) => {
      const values = expression.includes(":v") ? { ":v": { NS: ["1"] } } : undefined;
      expect(() => applyUpdate(item, update(expression, values))).toThrow(
        "The document path provided in the update expression is invalid for update",
      );
    },
  );

  test("appends to a list what an item has room for", () => {
    const { a } = applyUpdate(item, update("SET a = list_append(a, :v)", { ":v": list(10) }));
    expect((a as { L: unknown[] }).L).toHaveLength(100_010);
  });
});
