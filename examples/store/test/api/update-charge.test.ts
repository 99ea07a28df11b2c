import { describe, expect, test } from "vitest";
import { Placeholders } from "../../src/api/expressions/placeholders.js";
import { parseUpdate } from "../../src/api/expressions/update-parser.js";
import type { Item } from "../../src/api/model.js";
import { assertChargeFits, updateCharge } from "../../src/api/update-charge.js";

const charge = (expression: string, values?: Item) =>
  updateCharge(parseUpdate(expression, new Placeholders(undefined, values)));
const text = (bytes: number) => ({ S: "x".repeat(bytes) });

/** Each beside the three bytes of every update. */
test.each<[string, Item | undefined, number]>([
  ["SET b = :v", { ":v": text(100) }, 19 + 1 + 100],
  ["SET b = :v, c = :v", { ":v": text(100) }, 2 * (19 + 1 + 100)],
  ["SET d.leaf = :v", { ":v": text(10) }, 19 + (1 + 4 + 4) + 10],
  ["SET d[0] = :v", { ":v": text(10) }, 19 + (1 + 4 + 1) + 10],
  ["SET d = :v", { ":v": { M: { leaf: text(10) } } }, 19 + 1 + (3 + 1 + 4 + 10)],
  ["SET c = abcdefghij", undefined, 19 + 1 + (1 + 14 + 10)],
  ["SET c = m.a.z", undefined, 19 + 1 + (1 + 3 * 15)],
  ["SET c = l[10]", undefined, 19 + 1 + (1 + 15 + 16)],
  ["SET n = n + :v", { ":v": { N: "1" } }, 19 + 1 + 34 + 16 + 2],
  ["SET n = n - :v", { ":v": { N: "1" } }, 19 + 1 + 37 + 16 + 2],
  ["SET c = if_not_exists(c, :v)", { ":v": text(10) }, 19 + 1 + 39 + 16 + 10],
  ["SET l = list_append(l, :v)", { ":v": { L: [text(10)] } }, 19 + 1 + 37 + 16 + (3 + 1 + 10)],
  ["ADD abcdefghij :v", { ":v": { N: "1" } }, 19 + 10 + 2],
  ["ADD ss :v", { ":v": { SS: ["x".repeat(500)] } }, 19 + 2 + 500],
  ["REMOVE r", undefined, 1 + 1],
  ["REMOVE m.yyyyyyyyyy", undefined, 1 + (1 + 4 + 10)],
  ["REMOVE l[10]", undefined, 1 + (1 + 4 + 2)],
  ["DELETE ss :v", { ":v": { SS: ["x".repeat(500)] } }, 1 + 2],
  ["SET b = :v REMOVE r ADD n :n", { ":v": text(1), ":n": { N: "1" } }, 19 + 1 + 1 + (1 + 1) + (19 + 1 + 2)],
])("%s with %j costs its clauses and what they name", (expression, values, bytes) => {
  expect(charge(expression, values)).toBe(3 + bytes);
});

describe("a statement", () => {
  const fits = (bytes: number) => () =>
    assertChargeFits(parseUpdate("SET b = :v", new Placeholders(undefined, { ":v": text(bytes) })));

  test("may weigh as much as an item", () => {
    expect(fits(409_600 - 23)).not.toThrow();
    expect(fits(409_600 - 22)).toThrow("Item size to update has exceeded the maximum allowed size");
  });

  test("that uses a value often is weighed at once", () => {
    const actions = parseUpdate(
      `SET ${Array.from({ length: 100 }, (_, i) => `a${i} = if_not_exists(a, :v)`).join(", ")}`,
      new Placeholders(undefined, { ":v": text(5_000) }),
    );
    expect(updateCharge(actions)).toBeGreaterThan(500_000);
  });
});
