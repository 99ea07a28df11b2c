/** Whatever a WHERE says, a SELECT finds each item that meets it, once, or refuses: which ranges are read for it is nobody's concern but the bill's. */
import { ExecuteStatementCommand } from "@aws-sdk/client-dynamodb";
import fc from "fast-check";
import { beforeAll, expect, test } from "vitest";
import { matches } from "../../src/api/condition.js";
import type { Item } from "../../src/api/model.js";
import { parseStatement } from "../../src/api/partiql/parse.js";
import { createTable } from "../support/single.js";
import { call, harness } from "./harness.js";

const h = harness();
const TableName = "spread";
const items: Item[] = ["a", "b", "c"].flatMap((pk) =>
  [1, 2, 3, 4].map((sk) => ({
    pk: { S: pk },
    sk: { N: String(sk) },
    n: { N: String((sk * 7 + pk.charCodeAt(0)) % 3) },
  })),
);

beforeAll(async () => {
  await createTable(h.client, TableName, "N");
  for (const { pk, sk, n } of items as { pk: { S: string }; sk: { N: string }; n: { N: string } }[])
    await h.client.send(
      new ExecuteStatementCommand({
        Statement: `INSERT INTO "${TableName}" VALUE {'pk': '${pk.S}', 'sk': ${sk.N}, 'n': ${n.N}}`,
      }),
    );
});

const letter = fc.constantFrom("'a'", "'b'", "'c'", "'d'");
const figure = fc.constantFrom("1", "2", "3", "4");
const comparator = fc.constantFrom("=", "<", "<=", ">", ">=", "<>");
const term = fc.oneof(
  letter.map((value) => `pk = ${value}`),
  letter.map((value) => `${value} = pk`),
  fc.uniqueArray(letter, { minLength: 1, maxLength: 3 }).map((values) => `pk IN [${values.join()}]`),
  fc.tuple(comparator, figure).map(([op, value]) => `sk ${op} ${value}`),
  fc.tuple(figure, figure).map(([low, high]) => `sk BETWEEN ${low} AND ${high}`),
  fc.uniqueArray(figure, { minLength: 1, maxLength: 3 }).map((values) => `sk IN (${values.join()})`),
  figure.map((value) => `n = ${value}`),
  fc.constantFrom("attribute_exists(n)", "n IS MISSING"),
);
const { where } = fc.letrec<{ where: string }>((tie) => ({
  where: fc.oneof(
    { depthSize: "small", withCrossShrink: true },
    term,
    tie("where").map((one) => `NOT (${one})`),
    fc.tuple(tie("where"), tie("where")).map(([a, b]) => `(${a} AND ${b})`),
    fc.tuple(tie("where"), tie("where")).map(([a, b]) => `(${a} OR ${b})`),
    fc.tuple(letter, tie("where")).map(([pk, rest]) => `pk = ${pk} AND (${rest})`),
  ),
}));

const named = (item: Record<string, unknown>) => {
  const { pk, sk } = item as { pk: { S: string }; sk: { N: string } };
  return `${pk.S}${sk.N}`;
};

interface Answer {
  readonly Items?: Record<string, unknown>[];
  readonly NextToken?: string;
  readonly message?: string;
}

test("a SELECT agrees with its WHERE, asked of every item", async () => {
  let answered = 0;
  await fc.assert(
    fc.asyncProperty(where, fc.integer({ min: 2, max: 12 }), async (clause, Limit) => {
      const Statement = `SELECT * FROM "${TableName}" WHERE ${clause}`;
      const parsed = parseStatement(Statement);
      if (parsed.kind !== "select" || parsed.where === undefined) throw new Error("a SELECT with a WHERE");
      const condition = parsed.where;
      const wanted = items.filter((item) => matches(condition, item)).map(named);
      const found: string[] = [];
      let NextToken: string | undefined;
      do {
        const body = { Statement, Limit, ConsistentRead: true, ...(NextToken && { NextToken }) };
        const page = (await call(h.port, "ExecuteStatement", body)).json() as Answer;
        if (page.message !== undefined) {
          expect(page.message).toMatch(/^Overlapping conditions|^Too many decomposed read/);
          return;
        }
        found.push(...(page.Items ?? []).map(named));
        NextToken = page.NextToken;
      } while (NextToken !== undefined);
      answered++;
      expect([...found].sort()).toEqual(wanted.sort());
    }),
    { numRuns: 60 },
  );
  expect(answered).toBeGreaterThan(0);
});
