import {
  BatchWriteItemCommand,
  DeleteTableCommand,
  paginateQuery,
  paginateScan,
  QueryCommand,
  type QueryCommandInput,
  ScanCommand,
} from "@aws-sdk/client-dynamodb";
import fc from "fast-check";
import { beforeAll, describe, expect, it } from "vitest";
import { createTable, type Subject } from "../harness.js";

/** Query and Scan, whatever stands behind the router. */
export function queriesSuite(h: Subject): void {
  const TableName = "events";
  const DAYS = 30;

  const item = (user: string, day: number) => ({
    user: { S: user },
    day: { N: String(day) },
    even: { BOOL: day % 2 === 0 },
    note: { M: { text: { S: `note ${day}` }, score: { N: String(DAYS - day) } } },
  });

  const createEvents = (name: string) =>
    createTable(h, {
      TableName: name,
      KeySchema: [
        { AttributeName: "user", KeyType: "HASH" },
        { AttributeName: "day", KeyType: "RANGE" },
      ],
      AttributeDefinitions: [
        { AttributeName: "user", AttributeType: "S" },
        { AttributeName: "day", AttributeType: "N" },
      ],
      BillingMode: "PAY_PER_REQUEST",
    });

  beforeAll(async () => {
    await createEvents(TableName);
    for (const user of ["ann", "bob", "bobby"]) {
      const days = Array.from({ length: DAYS }, (_, i) => i - 15);
      for (const part of [days.slice(0, 15), days.slice(15)]) {
        const RequestItems = { [TableName]: part.map((day) => ({ PutRequest: { Item: item(user, day) } })) };
        await h.client.send(new BatchWriteItemCommand({ RequestItems }));
      }
    }
  });

  const days = (items: readonly Record<string, { N?: string }>[] | undefined) =>
    items?.map(({ day }) => Number(day?.N));

  async function query(condition: string, values: object = {}, rest: Partial<QueryCommandInput> = {}) {
    return h.client.send(
      new QueryCommand({
        TableName,
        KeyConditionExpression: `#u = :u${condition}`,
        ConsistentRead: true,
        ...rest,
        ExpressionAttributeNames: { "#u": "user", ...rest.ExpressionAttributeNames },
        ExpressionAttributeValues: { ":u": { S: "bob" }, ...values, ...rest.ExpressionAttributeValues },
      }),
    );
  }

  describe("a query", () => {
    it("finds one collection, in order of the sort key", async () => {
      const answer = await query("");
      expect(days(answer.Items as never)).toEqual(Array.from({ length: DAYS }, (_, i) => i - 15));
      expect(answer).toMatchObject({ Count: DAYS, ScannedCount: DAYS });
      expect(answer.LastEvaluatedKey).toBeUndefined();
      expect(answer.Items?.[0]).toEqual(item("bob", -15));
    });

    const two = { ":a": { N: "-2" }, ":b": { N: "1.5" } };
    const one = { ":a": { N: "-12" } };
    it.each<[string, object, number[]]>([
      [" AND #d = :a", one, [-12]],
      [" AND #d < :a", one, [-15, -14, -13]],
      [" AND #d <= :a", one, [-15, -14, -13, -12]],
      [" AND #d > :a", { ":a": { N: "12" } }, [13, 14]],
      [" AND #d >= :a", { ":a": { N: "12" } }, [12, 13, 14]],
      [" AND #d BETWEEN :a AND :b", two, [-2, -1, 0, 1]],
      [" AND :a > #d", one, [-15, -14, -13]],
      [" AND #d = :a", { ":a": { N: "99" } }, []],
    ])("takes a condition on the sort key: %s", async (condition, values, expected) => {
      const names = { ExpressionAttributeNames: { "#d": "day" } };
      expect(days((await query(condition, values, names)).Items as never)).toEqual(expected);
      const backwards = await query(condition, values, { ...names, ScanIndexForward: false });
      expect(days(backwards.Items as never)).toEqual([...expected].reverse());
    });

    it("evaluates up to the limit, then filters", async () => {
      const filter = { FilterExpression: "even = :yes", ExpressionAttributeValues: { ":yes": { BOOL: true } } };
      const answer = await query("", {}, { Limit: 5, ...filter });
      expect(answer).toMatchObject({ Count: 2, ScannedCount: 5 });
      expect(answer.LastEvaluatedKey).toEqual({ user: { S: "bob" }, day: { N: "-11" } });
      const none = await query(
        "",
        {},
        {
          Limit: 1,
          FilterExpression: "even = :yes",
          ExpressionAttributeValues: { ":yes": { BOOL: true } },
        },
      );
      expect(none).toMatchObject({ Count: 0, ScannedCount: 1, Items: [], LastEvaluatedKey: { day: { N: "-15" } } });
      const last = await query("", {}, { Limit: DAYS });
      expect(last.LastEvaluatedKey).toEqual({ user: { S: "bob" }, day: { N: "14" } });
    });

    it("counts and projects", async () => {
      const counted = await query("", {}, { Select: "COUNT", ReturnConsumedCapacity: "TOTAL" });
      expect(counted.Items).toBeUndefined();
      expect(counted).toMatchObject({ Count: DAYS, ConsumedCapacity: { TableName, CapacityUnits: 1 } });
      const projected = await query(
        "",
        {},
        {
          Limit: 1,
          ProjectionExpression: "note.#t, #d",
          ExpressionAttributeNames: { "#t": "text", "#d": "day" },
        },
      );
      expect(projected.Items).toEqual([{ day: { N: "-15" }, note: { M: { text: { S: "note -15" } } } }]);
    });

    it("gives each item once, whatever the page size and direction", async () => {
      await fc.assert(
        fc.asyncProperty(fc.integer({ min: 1, max: DAYS + 2 }), fc.boolean(), async (Limit, ScanIndexForward) => {
          const seen: number[] = [];
          const pages = paginateQuery(
            { client: h.client },
            {
              TableName,
              ConsistentRead: true,
              Limit,
              ScanIndexForward,
              KeyConditionExpression: "#u = :u",
              ExpressionAttributeNames: { "#u": "user" },
              ExpressionAttributeValues: { ":u": { S: "ann" } },
            },
          );
          for await (const page of pages) seen.push(...(days(page.Items as never) ?? []));
          const all = Array.from({ length: DAYS }, (_, i) => i - 15);
          expect(seen).toEqual(ScanIndexForward ? all : all.reverse());
        }),
        { numRuns: 10 },
      );
    });

    const invalid = (problem: string) => `Invalid KeyConditionExpression: ${problem}`;
    it.each<[string, object, string]>([
      ["#u > :u", {}, "Query key condition not supported"],
      ["#d = :d", {}, "Query condition missed key schema element: user"],
      ["#u = :u AND #x = :d", {}, "Query condition missed key schema element: day"],
      [
        "#u = :u AND #d = :d AND #x = :d",
        {},
        "The number of query conditions (3) exceeds the number of key attributes defined in the schema (2)",
      ],
      [
        "#u = :u AND #u = :u",
        {},
        "Invalid KeyConditionExpression: KeyConditionExpressions must only contain one condition per key",
      ],
      ["#u = :u OR #d = :d", {}, "Invalid operator used in KeyConditionExpression: OR"],
      ["NOT #u = :u", {}, "Invalid operator used in KeyConditionExpression: NOT"],
      ["#u <> :u", {}, "Invalid operator used in KeyConditionExpression: <>"],
      ["#u IN (:u)", {}, "Invalid operator used in KeyConditionExpression: IN"],
      ["contains(#u, :u)", {}, "Invalid operator used in KeyConditionExpression: contains"],
      ["attribute_exists(#u)", {}, "Invalid operator used in KeyConditionExpression: attribute_exists"],
      ["#u = :u AND size(#d) = :d", {}, "KeyConditionExpressions cannot contain nested operations"],
      ["#u.#x = :u", {}, "KeyConditionExpressions cannot have conditions on nested attributes"],
      ["#u = #d", {}, "Invalid condition in KeyConditionExpression: Multiple attribute names used in one condition"],
      [":u = :u", {}, "Invalid condition in KeyConditionExpression: No key attribute specified"],
      [
        "#u = :u AND :d BETWEEN #d AND :d",
        {},
        "Invalid condition in KeyConditionExpression: BETWEEN operator must have the key attribute as its first operand",
      ],
      ["#u = :d", {}, "One or more parameter values were invalid: Condition parameter type does not match schema type"],
      [
        "#u = :u AND begins_with(#d, :d)",
        {},
        invalid("Incorrect operand type for operator or function; operator or function: begins_with, operand type: N"),
      ],
      ["", {}, invalid("The expression can not be empty;")],
      [
        "#u = :empty",
        { ExpressionAttributeValues: { ":empty": { S: "" } } },
        "One or more parameter values are not valid. The AttributeValue for a key attribute cannot contain an empty string value. Key: user",
      ],
      [
        "#u = :u",
        { FilterExpression: "#d = :d" },
        "Filter Expression can only contain non-primary key attributes: Primary key attribute: day",
      ],
      ["#u = :u", { IndexName: "by-day" }, "The table does not have the specified index: by-day"],
      ["#u = :u", { ExclusiveStartKey: { user: { S: "bob" } } }, "The provided starting key is invalid"],
      [
        "#u = :u",
        { ExclusiveStartKey: { user: { S: "ann" }, day: { N: "1" } } },
        "The provided starting key is outside query boundaries based on provided conditions",
      ],
      [
        "#u = :u AND #d > :d",
        { ExclusiveStartKey: { user: { S: "bob" }, day: { N: "1" } } },
        "The provided starting key does not match the range key predicate",
      ],
      [
        "#u = :u AND #d > :d",
        { ExclusiveStartKey: { user: { S: "ann" }, day: { N: "1" } } },
        "The provided starting key does not match the range key predicate",
      ],
      [
        "#u = :u AND #d > :d",
        { ExclusiveStartKey: { user: { S: "ann" }, day: { N: "6" } } },
        "The query can return at most one row and cannot be restarted",
      ],
      [
        "#u = :u",
        { Select: "COUNT", ProjectionExpression: "a" },
        "1 validation error detected: Cannot specify the ProjectionExpression when choosing to get only the Count",
      ],
      [
        "#u = :u",
        { Select: "SPECIFIC_ATTRIBUTES" },
        "1 validation error detected: Must specify the AttributesToGet or ProjectionExpression when choosing to get SPECIFIC_ATTRIBUTES",
      ],
      [
        "#u = :u",
        { Select: "ALL_PROJECTED_ATTRIBUTES" },
        "1 validation error detected: ALL_PROJECTED_ATTRIBUTES can be used only when Querying using an IndexName",
      ],
      [
        "#u = :u",
        { Limit: 0 },
        "1 validation error detected: Value at 'Limit' failed to satisfy constraint: Member must have value greater than or equal to 1",
      ],
      [
        "#u = :u",
        { QueryFilter: {} },
        "Can not use both expression and non-expression parameters in the same request: Non-expression parameters: {QueryFilter} Expression parameters: {KeyConditionExpression}",
      ],
    ])("with %s %j is refused", async (KeyConditionExpression, rest, message) => {
      const text = JSON.stringify([KeyConditionExpression, rest]);
      const used = (all: object) =>
        Object.fromEntries(Object.entries(all).filter(([name]) => new RegExp(`${name}\\b`).test(text)));
      const names = used({ "#u": "user", "#d": "day", "#x": "x" });
      const values = used({ ":u": { S: "bob" }, ":d": { N: "5" } });
      const request = new QueryCommand({
        TableName,
        KeyConditionExpression,
        ...(Object.keys(names).length > 0 && { ExpressionAttributeNames: names }),
        ...(Object.keys(values).length > 0 && { ExpressionAttributeValues: values as never }),
        ...rest,
      });
      await expect(h.client.send(request)).rejects.toMatchObject({ name: "ValidationException", message });
    });

    it("needs a condition", async () => {
      await expect(h.client.send(new QueryCommand({ TableName }))).rejects.toThrow(
        "Either the KeyConditions or KeyConditionExpression parameter must be specified in the request.",
      );
    });
  });

  describe("a scan", () => {
    it("sees every item once, whatever the page size and the number of segments", async () => {
      await fc.assert(
        fc.asyncProperty(
          fc.integer({ min: 1, max: 40 }),
          fc.integer({ min: 1, max: 5 }),
          async (Limit, TotalSegments) => {
            const seen: string[] = [];
            for (let Segment = 0; Segment < TotalSegments; Segment++) {
              const pages = paginateScan(
                { client: h.client },
                { TableName, ConsistentRead: true, Limit, Segment, TotalSegments },
              );
              for await (const page of pages) {
                seen.push(...(page.Items ?? []).map(({ user, day }) => `${user?.S} ${day?.N}`));
              }
            }
            expect(new Set(seen).size).toBe(3 * DAYS);
            expect(seen).toHaveLength(3 * DAYS);
          },
        ),
        { numRuns: 10 },
      );
    });

    it("filters, also by key, and counts what it looked at", async () => {
      const answer = await h.client.send(
        new ScanCommand({
          TableName,
          FilterExpression: "begins_with(#u, :b) AND note.score > :r",
          ExpressionAttributeNames: { "#u": "user" },
          ExpressionAttributeValues: { ":b": { S: "bob" }, ":r": { N: "42" } },
          ReturnConsumedCapacity: "TOTAL",
          ConsistentRead: true,
        }),
      );
      expect(answer).toMatchObject({ Count: 6, ScannedCount: 90, ConsumedCapacity: { CapacityUnits: 1 } });
    });

    it("stops after a megabyte", async () => {
      await createEvents("large");
      const data = { S: "x".repeat(300_000) };
      for (let day = 0; day < 5; day++) {
        const Item = { user: { S: "u" }, day: { N: String(day) }, data };
        await h.client.send(new BatchWriteItemCommand({ RequestItems: { large: [{ PutRequest: { Item } }] } }));
      }
      const first = await h.client.send(new ScanCommand({ TableName: "large", ConsistentRead: true }));
      expect(first).toMatchObject({ Count: 4, LastEvaluatedKey: { user: { S: "u" }, day: { N: "3" } } });
      const second = await h.client.send(
        new ScanCommand({ TableName: "large", ConsistentRead: true, ExclusiveStartKey: first.LastEvaluatedKey }),
      );
      expect(second.Count).toBe(1);
      expect(second.LastEvaluatedKey).toBeUndefined();
      await h.client.send(new DeleteTableCommand({ TableName: "large" }));
    });

    const start = (user: string) => ({ user: { S: user }, day: { N: "0" } });
    it.each<[object, string]>([
      [
        { Segment: 1 },
        "The TotalSegments parameter is required but was not present in the request when Segment parameter is present",
      ],
      [
        { TotalSegments: 2 },
        "The Segment parameter is required but was not present in the request when parameter TotalSegments is present",
      ],
      [
        { Segment: 2, TotalSegments: 2 },
        "The Segment parameter is zero-based and must be less than parameter TotalSegments: Segment: 2 is not less than TotalSegments: 2",
      ],
      [{ ExclusiveStartKey: { user: { N: "1" }, day: { N: "0" } } }, "The provided starting key is invalid"],
      [
        { ExclusiveStartKey: { user: {} } },
        "The provided starting key is invalid: Supplied AttributeValue is empty, must contain exactly one of the supported datatypes",
      ],
      [
        { FilterExpression: "a = :v" },
        "Invalid FilterExpression: An expression attribute value used in expression is not defined; attribute value: :v",
      ],
      [
        { ExpressionAttributeNames: { "#a": "a" } },
        "ExpressionAttributeNames can only be specified when using expressions",
      ],
      [
        { ExpressionAttributeValues: { ":a": { S: "a" } } },
        "ExpressionAttributeValues can only be specified when using expressions: FilterExpression is null",
      ],
    ])("with %j is refused", async (rest, message) => {
      const request = new ScanCommand({ TableName, ...rest });
      await expect(h.client.send(request)).rejects.toMatchObject({ name: "ValidationException", message });
    });

    it("goes on only within its own segment", async () => {
      const refused = await Promise.all(
        [0, 1].map((Segment) =>
          h.client
            .send(new ScanCommand({ TableName, Segment, TotalSegments: 2, ExclusiveStartKey: start("ann") }))
            .then(() => "taken")
            .catch((error) => error.message),
        ),
      );
      expect(refused.sort()).toEqual([
        "The provided starting key is invalid: Invalid ExclusiveStartKey. Please use ExclusiveStartKey with correct Segment. ",
        "taken",
      ]);
    });
  });
}
