import {
  BatchWriteCommand,
  type NativeAttributeValue,
  PutCommand,
  QueryCommand,
  ScanCommand,
} from "@aws-sdk/lib-dynamodb";
import fc from "fast-check";
import { beforeAll, describe, expect, test } from "vitest";
import { createTable, singleStore } from "./support/single.js";

type Item = Record<string, NativeAttributeValue>;

const s = singleStore();

async function load(TableName: string, items: readonly Item[]): Promise<void> {
  for (let i = 0; i < items.length; i += 25) {
    const requests = items.slice(i, i + 25).map((Item) => ({ PutRequest: { Item } }));
    const { UnprocessedItems } = await s.documents.send(
      new BatchWriteCommand({ RequestItems: { [TableName]: requests } }),
    );
    expect(UnprocessedItems).toEqual({});
  }
}

interface Paged {
  readonly items: Item[];
  readonly pages: number;
}

type Ask = (
  from: Record<string, NativeAttributeValue> | undefined,
) => Promise<{ Items?: Item[] | undefined; LastEvaluatedKey?: Item | undefined }>;

async function allPages(ask: Ask): Promise<Paged> {
  const items: Item[] = [];
  let from: Item | undefined;
  for (let pages = 1; ; pages++) {
    const page = await ask(from);
    items.push(...(page.Items ?? []));
    from = page.LastEvaluatedKey;
    if (from === undefined) return { items, pages };
    if (pages > 1_000) throw new Error("the pages do not end");
  }
}

describe("Query", () => {
  const TableName = "numbers";
  // Numbers whose order is not that of their text, and neighbours of the collection that must not come along.
  const numbers = [-1000, -99.5, -7, -0.25, 0, 0.001, 1, 2, 9, 10, 11, 99.9, 100, 1e6, 1e15];
  beforeAll(async () => {
    await createTable(s.dynamo, TableName, "N");
    await load(
      TableName,
      ["here", "her", "heree", "there"].flatMap((pk) => numbers.map((sk) => ({ pk, sk }))),
    );
  });

  const query = async (
    condition: string,
    values: Record<string, NativeAttributeValue>,
    options: { Limit?: number; ScanIndexForward?: boolean } = {},
  ) =>
    await allPages((ExclusiveStartKey) =>
      s.documents.send(
        new QueryCommand({
          TableName,
          ConsistentRead: true,
          KeyConditionExpression: `pk = :pk${condition}`,
          ExpressionAttributeValues: { ":pk": "here", ...values },
          ...options,
          ...(ExclusiveStartKey === undefined ? {} : { ExclusiveStartKey }),
        }),
      ),
    );

  const operators = {
    "=": (n: number, x: number) => n === x,
    "<": (n: number, x: number) => n < x,
    "<=": (n: number, x: number) => n <= x,
    ">": (n: number, x: number) => n > x,
    ">=": (n: number, x: number) => n >= x,
  };

  test("finds by any sort-key condition, in either direction, in pages of any size, what a filter over the list finds", async () => {
    const bound = fc.oneof(fc.constantFrom(...numbers), fc.integer({ min: -2000, max: 2000 }));
    const condition = fc.oneof(
      fc.constant({ text: "", values: {}, holds: () => true }),
      fc
        .record({ operator: fc.constantFrom(...(Object.keys(operators) as (keyof typeof operators)[])), x: bound })
        .map(({ operator, x }) => ({
          text: ` AND sk ${operator} :x`,
          values: { ":x": x },
          holds: (n: number) => operators[operator](n, x),
        })),
      fc
        .tuple(bound, bound)
        .map(([a, b]) => ({ low: Math.min(a, b), high: Math.max(a, b) }))
        .map(({ low, high }) => ({
          text: " AND sk BETWEEN :low AND :high",
          values: { ":low": low, ":high": high },
          holds: (n: number) => low <= n && n <= high,
        })),
    );
    await fc.assert(
      fc.asyncProperty(
        condition,
        fc.boolean(),
        fc.integer({ min: 1, max: 20 }),
        async ({ text, values, holds }, ScanIndexForward, Limit) => {
          const wanted = numbers.filter(holds);
          if (!ScanIndexForward) wanted.reverse();
          const { items, pages } = await query(text, values, { Limit, ScanIndexForward });
          expect(items).toEqual(wanted.map((sk) => ({ pk: "here", sk })));
          expect(pages).toBeLessThanOrEqual(Math.floor(wanted.length / Limit) + 1);
        },
      ),
      { numRuns: 60 },
    );
  });

  test("finds strings by their beginning", async () => {
    await createTable(s.dynamo, "strings", "S");
    const sorts = ["", "a", "aa", "ab", "ab\u{10ffff}", "ab\u{10ffff}b", "ac", "b", "ä", "😀"].map((end) => `x${end}`);
    await load(
      "strings",
      sorts.map((sk) => ({ pk: "p", sk })),
    );
    for (const prefix of ["x", "xa", "xab", "xab\u{10ffff}", "xz", "x😀"]) {
      const { Items } = await s.documents.send(
        new QueryCommand({
          TableName: "strings",
          KeyConditionExpression: "pk = :p AND begins_with(sk, :prefix)",
          ExpressionAttributeValues: { ":p": "p", ":prefix": prefix },
          ConsistentRead: true,
        }),
      );
      expect(Items?.map(({ sk }) => sk)).toEqual(sorts.filter((sk) => sk.startsWith(prefix)));
    }
  });

  test("a page ends at one megabyte, in both directions", async () => {
    await createTable(s.dynamo, "wide", "N");
    const filler = "x".repeat(100_000);
    const sorts = Array.from({ length: 25 }, (_, i) => i);
    for (const sk of sorts)
      await s.documents.send(new PutCommand({ TableName: "wide", Item: { pk: "p", sk, filler } }));
    for (const ScanIndexForward of [true, false]) {
      const { items, pages } = await allPages((ExclusiveStartKey) =>
        s.documents.send(
          new QueryCommand({
            TableName: "wide",
            KeyConditionExpression: "pk = :p",
            ExpressionAttributeValues: { ":p": "p" },
            ScanIndexForward,
            ConsistentRead: true,
            ...(ExclusiveStartKey === undefined ? {} : { ExclusiveStartKey }),
          }),
        ),
      );
      expect(items.map(({ sk }) => sk)).toEqual(ScanIndexForward ? sorts : [...sorts].reverse());
      expect(pages).toBe(3);
    }
  });
});

describe("Scan", () => {
  const TableName = "scanned";
  const items = Array.from({ length: 200 }, (_, i) => ({ pk: `item-${i}`, sk: `s${i}`, even: i % 2 === 0 }));
  const names = items.map(({ pk }) => pk).sort();
  beforeAll(async () => {
    await createTable(s.dynamo, TableName, "S");
    await load(TableName, items);
  });

  const scan = (options: {
    Limit?: number;
    Segment?: number;
    TotalSegments?: number;
    FilterExpression?: string;
    values?: Item;
  }) => {
    const { values, ...rest } = options;
    return allPages((ExclusiveStartKey) =>
      s.documents.send(
        new ScanCommand({
          TableName,
          ConsistentRead: true,
          ...rest,
          ...(values === undefined ? {} : { ExpressionAttributeValues: values }),
          ...(ExclusiveStartKey === undefined ? {} : { ExclusiveStartKey }),
        }),
      ),
    );
  };

  test("returns each item of all partitions once, whatever the size of a page", async () => {
    const { partitions } = await s.store.router.routes.table(TableName);
    expect(partitions).toBe(4);
    await fc.assert(
      fc.asyncProperty(fc.integer({ min: 1, max: 250 }), async (Limit) => {
        const { items: found, pages } = await scan({ Limit });
        expect(found.map(({ pk }) => pk).sort()).toEqual(names);
        expect(pages).toBe(Math.floor(names.length / Limit) + 1);
      }),
      { numRuns: 15, examples: [[1], [200], [199], [250]] },
    );
  });

  test("in segments of any number returns each item in exactly one of them", async () => {
    await fc.assert(
      fc.asyncProperty(
        fc.integer({ min: 1, max: 9 }),
        fc.integer({ min: 5, max: 100 }),
        async (TotalSegments, Limit) => {
          const found: Item[] = [];
          for (let Segment = 0; Segment < TotalSegments; Segment++)
            found.push(...(await scan({ Limit, Segment, TotalSegments })).items);
          expect(found.map(({ pk }) => pk).sort()).toEqual(names);
        },
      ),
      { numRuns: 8 },
    );
  });

  test("with a filter goes on over pages that nothing passes", async () => {
    const { items: found, pages } = await scan({ Limit: 7, FilterExpression: "even = :yes", values: { ":yes": true } });
    expect(found.map(({ pk }) => pk).sort()).toEqual(
      items
        .filter(({ even }) => even)
        .map(({ pk }) => pk)
        .sort(),
    );
    expect(pages).toBe(Math.floor(names.length / 7) + 1);
    expect((await scan({ FilterExpression: "pk = :no", values: { ":no": "nobody" } })).items).toEqual([]);
  });
});
