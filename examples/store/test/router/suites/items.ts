import {
  type AttributeValue,
  BatchGetItemCommand,
  BatchWriteItemCommand,
  ConditionalCheckFailedException,
  DeleteItemCommand,
  ExecuteStatementCommand,
  GetItemCommand,
  PutItemCommand,
  TransactWriteItemsCommand,
  UpdateItemCommand,
} from "@aws-sdk/client-dynamodb";
import { GetCommand, PutCommand } from "@aws-sdk/lib-dynamodb";
import fc from "fast-check";
import { beforeAll, describe, expect, it } from "vitest";
import { item as anyItem } from "../../api/arbitraries.js";
import { call, createTable, type Subject } from "../harness.js";

/** The operations on items, whatever stands behind the router. */
export function itemsSuite(h: Subject, TableName: string): void {
  beforeAll(() =>
    createTable(h, {
      TableName,
      KeySchema: [{ AttributeName: "id", KeyType: "HASH" }],
      AttributeDefinitions: [{ AttributeName: "id", AttributeType: "S" }],
      BillingMode: "PAY_PER_REQUEST",
    }),
  );

  const key = (id: string) => ({ id: { S: id } });
  const put = (id: string, rest: object = {}) =>
    h.client.send(new PutItemCommand({ TableName, Item: { ...key(id), ...rest } }));
  const get = async (id: string) =>
    (await h.client.send(new GetItemCommand({ TableName, Key: key(id), ConsistentRead: true }))).Item;

  describe("put and get", () => {
    it("carry documents of the document client", async () => {
      const Item = {
        id: "document",
        text: "grüße 🌍",
        number: -12.5,
        yes: true,
        nothing: null,
        bytes: Uint8Array.of(0, 255, 7),
        list: [1, "two", [3]],
        map: { deep: { deeper: [] } },
        strings: new Set(["a", "b"]),
        numbers: new Set([1, 2.5]),
        empty: "",
      };
      await h.documents.send(new PutCommand({ TableName, Item }));
      const read = async (ConsistentRead: boolean) =>
        (await h.documents.send(new GetCommand({ TableName, Key: { id: "document" }, ConsistentRead }))).Item;
      expect(await read(true)).toEqual(Item);
      // An eventual read may come to a replica that has not heard of it yet.
      await expect.poll(() => read(false)).toEqual(Item);
    });

    it("bring any item back as it was", async () => {
      await fc.assert(
        fc.asyncProperty(anyItem, async (attributes) => {
          const Item = { ...attributes, id: { S: "round trip" } };
          const body = JSON.stringify({ TableName, Item });
          expect((await call(h.port, "PutItem", body)).text).toBe("{}");
          const answer = await call(h.port, "GetItem", {
            TableName,
            Key: { id: { S: "round trip" } },
            ConsistentRead: true,
          });
          expect(answer.json().Item).toEqual(JSON.parse(body).Item);
        }),
        { numRuns: 60 },
      );
    });

    it("normalize numbers", async () => {
      await put("numbers", { n: { N: "1.50E1" }, s: { NS: ["007", "0.10"] }, l: { L: [{ N: "-0" }] } });
      expect(await get("numbers")).toEqual({
        ...key("numbers"),
        n: { N: "15" },
        s: { NS: ["0.1", "7"] },
        l: { L: [{ N: "0" }] },
      });
    });

    it("answer without an item where there is none", async () => {
      expect(await get("nobody")).toBeUndefined();
    });

    it("tell what they cost when asked", async () => {
      const Item = { ...key("large"), data: { S: "x".repeat(5000) } };
      const written = await h.client.send(new PutItemCommand({ TableName, Item, ReturnConsumedCapacity: "TOTAL" }));
      expect(written.ConsumedCapacity).toEqual({ TableName, CapacityUnits: 5 });
      const read = (ConsistentRead: boolean) =>
        h.client.send(
          new GetItemCommand({ TableName, Key: key("large"), ConsistentRead, ReturnConsumedCapacity: "INDEXES" }),
        );
      expect((await read(true)).ConsumedCapacity).toEqual({ TableName, CapacityUnits: 2, Table: { CapacityUnits: 2 } });
      await expect.poll(async () => (await read(false)).ConsumedCapacity?.CapacityUnits).toBe(1);
    });

    it("project nested paths", async () => {
      await put("nested", {
        a: { M: { b: { S: "b" }, c: { S: "c" } } },
        l: { L: [{ S: "0" }, { S: "1" }, { M: { x: { N: "2" }, y: { N: "3" } } }] },
        other: { S: "no" },
      });
      const answer = await h.client.send(
        new GetItemCommand({
          TableName,
          Key: key("nested"),
          ConsistentRead: true,
          ProjectionExpression: "#a.b, l[2].x, l[0], absent, l[9]",
          ExpressionAttributeNames: { "#a": "a" },
        }),
      );
      expect(answer.Item).toEqual({
        a: { M: { b: { S: "b" } } },
        l: { L: [{ S: "0" }, { M: { x: { N: "2" } } }] },
      });
    });

    it("return what a put replaced and what a delete removed", async () => {
      await put("old", { v: { N: "1" } });
      const replaced = await h.client.send(
        new PutItemCommand({ TableName, Item: key("old"), ReturnValues: "ALL_OLD" }),
      );
      expect(replaced.Attributes).toEqual({ ...key("old"), v: { N: "1" } });
      const remove = () =>
        h.client.send(new DeleteItemCommand({ TableName, Key: key("old"), ReturnValues: "ALL_OLD" }));
      expect((await remove()).Attributes).toEqual(key("old"));
      expect((await remove()).Attributes).toBeUndefined();
      expect(await get("old")).toBeUndefined();
    });
  });

  describe("conditions", () => {
    const once = (rest: object = {}) =>
      h.client.send(
        new PutItemCommand({
          TableName,
          Item: { ...key("once"), v: { N: "2" } },
          ConditionExpression: "attribute_not_exists(id)",
          ...rest,
        }),
      );

    it("let the first put through and refuse the second", async () => {
      await once();
      const failure = await once().catch((error) => error);
      expect(failure).toBeInstanceOf(ConditionalCheckFailedException);
      expect(failure.message).toBe("The conditional request failed");
      expect(failure.Item).toBeUndefined();
    });

    it("bring the item along when asked", async () => {
      const failure = await once({ ReturnValuesOnConditionCheckFailure: "ALL_OLD" }).catch((error) => error);
      expect(failure.Item).toEqual({ ...key("once"), v: { N: "2" } });
    });

    it("guard updates and deletes", async () => {
      await put("guarded", { v: { N: "1" } });
      const values = { ":one": { N: "1" }, ":two": { N: "2.0" } };
      const update = () =>
        h.client.send(
          new UpdateItemCommand({
            TableName,
            Key: key("guarded"),
            UpdateExpression: "SET v = :two",
            ConditionExpression: "v = :one",
            ExpressionAttributeValues: values,
          }),
        );
      await update();
      await expect(update()).rejects.toBeInstanceOf(ConditionalCheckFailedException);
      const remove = (v: string) =>
        h.client.send(
          new DeleteItemCommand({
            TableName,
            Key: key("guarded"),
            ConditionExpression: "v BETWEEN :v AND :v",
            ExpressionAttributeValues: { ":v": { N: v } },
          }),
        );
      await expect(remove("1")).rejects.toBeInstanceOf(ConditionalCheckFailedException);
      await remove("2");
      expect(await get("guarded")).toBeUndefined();
    });
  });

  describe("updates", () => {
    const update = async (id: string, UpdateExpression: string, values?: object, rest: object = {}) => {
      const answer = await h.client.send(
        new UpdateItemCommand({
          TableName,
          Key: key(id),
          UpdateExpression,
          ...(values && { ExpressionAttributeValues: values as never }),
          ReturnValues: "ALL_NEW",
          ...rest,
        }),
      );
      return answer.Attributes;
    };

    it("create what is not there, count, and default", async () => {
      const count = () =>
        update("count", "SET n = if_not_exists(n, :zero) + :one", { ":zero": { N: "0" }, ":one": { N: "1" } });
      expect(await count()).toEqual({ ...key("count"), n: { N: "1" } });
      expect(await count()).toEqual({ ...key("count"), n: { N: "2" } });
      expect(await update("count", "SET n = n - :x", { ":x": { N: "0.5" } })).toMatchObject({ n: { N: "1.5" } });
    });

    it("see the item as it was before", async () => {
      await put("swap", { a: { S: "1" }, b: { S: "2" } });
      expect(await update("swap", "SET a = b, b = a")).toMatchObject({ a: { S: "2" }, b: { S: "1" } });
    });

    it("reach into maps and lists", async () => {
      await put("deep", { m: { M: { k: { S: "x" } } }, l: { L: ["0", "1", "2", "3"].map((N) => ({ N })) } });
      expect(
        await update(
          "deep",
          "SET m.k = :v, m.#new = :v, l[9] = :last, l[8] = :v, l[0] = :v REMOVE l[1], l[3]",
          {
            ":v": { S: "v" },
            ":last": { S: "last" },
          },
          { ExpressionAttributeNames: { "#new": "n.e.w" } },
        ),
      ).toEqual({
        ...key("deep"),
        m: { M: { k: { S: "v" }, "n.e.w": { S: "v" } } },
        l: { L: [{ S: "v" }, { N: "2" }, { S: "v" }, { S: "last" }] },
      });
    });

    it("append to lists on either side", async () => {
      await put("append", { l: { L: [{ N: "1" }] } });
      const values = { ":l": { L: [{ N: "0" }] } };
      expect(await update("append", "SET l = list_append(:l, l)", values)).toMatchObject({
        l: { L: [{ N: "0" }, { N: "1" }] },
      });
      expect(await update("append", "SET l = list_append(l, :l)", values)).toMatchObject({
        l: { L: [{ N: "0" }, { N: "1" }, { N: "0" }] },
      });
    });

    it("add to numbers and sets, and delete from sets until they are gone", async () => {
      await update("sets", "ADD n :n, s :s", { ":n": { N: "5" }, ":s": { SS: ["a", "b"] } });
      expect(await update("sets", "ADD n :n, s :s", { ":n": { N: "-7" }, ":s": { SS: ["b", "c"] } })).toEqual({
        ...key("sets"),
        n: { N: "-2" },
        s: { SS: ["a", "b", "c"] },
      });
      expect(await update("sets", "DELETE s :s", { ":s": { SS: ["a", "x"] } })).toMatchObject({
        s: { SS: ["b", "c"] },
      });
      expect(await update("sets", "DELETE s :s", { ":s": { SS: ["b", "c"] } })).toEqual({
        ...key("sets"),
        n: { N: "-2" },
      });
    });

    it("give the members of sets back in their own order: strings and binary by their bytes, numbers by value", async () => {
      const there = { SS: ["b", "é", "", "a", "B", "\u{1f600}", "\uff5e"] };
      await put("ordered", { s: there, l: { L: [{ NS: ["10", "9", "-1", "1e2"] }] } });
      const ordered = { ...key("ordered"), l: { L: [{ NS: ["-1", "9", "10", "100"] }] } };
      const SS = ["", "B", "a", "b", "é", "\uff5e", "\u{1f600}"];
      expect(await get("ordered")).toEqual({ ...ordered, s: { SS } });
      const [one, two] = [Uint8Array.of(1), Uint8Array.of(2)];
      await update("ordered", "ADD s :s SET b = :b", { ":s": { SS: ["c", "aa"] }, ":b": { BS: [two, one] } });
      const added = { SS: ["", "B", "a", "aa", "b", "c", "é", "\uff5e", "\u{1f600}"] };
      expect(await get("ordered")).toEqual({ ...ordered, s: added, b: { BS: [one, two] } });
    });

    it("leave no ghost of an item that they only take from", async () => {
      for (const expression of ["REMOVE a", "REMOVE a.b", "REMOVE a[0], b.c.d"]) {
        expect(await update("ghost", expression)).toBeUndefined();
        expect(await get("ghost")).toBeUndefined();
      }
      await h.client.send(new UpdateItemCommand({ TableName, Key: key("touched") }));
      expect(await get("touched")).toEqual(key("touched"));
    });

    it("return the parts that they touched", async () => {
      await put("parts", { a: { M: { b: { N: "1" }, c: { N: "9" } } }, d: { N: "1" }, e: { N: "1" } });
      const touch = (ReturnValues: string) =>
        update("parts", "SET a.b = a.b + :one REMOVE d", { ":one": { N: "1" } }, { ReturnValues });
      expect(await touch("UPDATED_OLD")).toEqual({ a: { M: { b: { N: "1" } } }, d: { N: "1" } });
      expect(await touch("UPDATED_NEW")).toEqual({ a: { M: { b: { N: "3" } } } });
      expect(await touch("ALL_OLD")).toMatchObject({ a: { M: { b: { N: "3" } } }, e: { N: "1" } });
      expect(await touch("NONE")).toBeUndefined();
    });

    it.each([
      ["SET a.b = :v", "The document path provided in the update expression is invalid for update"],
      ["SET s.b = :v", "The document path provided in the update expression is invalid for update"],
      ["SET a = absent", "The provided expression refers to an attribute that does not exist in the item"],
      ["SET a = s + :v", "An operand in the update expression has an incorrect data type"],
      ["ADD s :v", "An operand in the update expression has an incorrect data type"],
      [
        "SET id = :v",
        "One or more parameter values were invalid: Cannot update attribute id. This attribute is part of the key",
      ],
      [
        "SET a = big + :big",
        "Number overflow. Attempting to store a number with magnitude larger than supported range",
      ],
      [
        "SET a = fine + :v, b = :big",
        "Number overflow. Attempting to store a number with magnitude larger than supported range",
      ],
    ])("refuse %s", async (expression, message) => {
      await put("refuse", { s: { S: "text" }, big: { N: "9E125" }, fine: { N: "1E-100" } });
      const values = { ":v": { N: "1" }, ":big": { N: "9E125" } };
      const used = Object.fromEntries(Object.entries(values).filter(([name]) => expression.includes(`${name}`)));
      const rest = Object.keys(used).length > 0 ? used : undefined;
      await expect(update("refuse", expression, rest)).rejects.toMatchObject({ name: "ValidationException", message });
    });

    it("refuse to grow an item beyond 400 KB, to the byte", async () => {
      const room = 400 * 1024 - "id".length - "full".length - "data".length;
      await put("full", { data: { S: "x".repeat(room) } });
      await expect(put("full", { data: { S: "x".repeat(room + 1) } })).rejects.toMatchObject({
        name: "ValidationException",
        message: "Item size has exceeded the maximum allowed size",
      });
      await expect(update("full", "SET a = :b", { ":b": { S: "" } })).rejects.toMatchObject({
        name: "ValidationException",
        message: "Item size to update has exceeded the maximum allowed size",
      });
    });
  });

  describe("how large an UpdateItem may be", () => {
    const LIMIT = 400 * 1024;
    const TOO_LARGE = {
      name: "ValidationException",
      message: "Item size to update has exceeded the maximum allowed size",
    };
    const set = (id: string, bytes: number, more: object = {}) =>
      h.client.send(
        new UpdateItemCommand({
          TableName,
          Key: key(id),
          UpdateExpression: "SET b = :b",
          ExpressionAttributeValues: { ":b": { S: "x".repeat(bytes) } },
          ...more,
        }),
      );

    it("is said of the statement, where the key is short", async () => {
      const room = LIMIT - 3 - 19 - "b".length;
      await set("k", room);
      await expect(set("l", room + 1)).rejects.toMatchObject(TOO_LARGE);
      expect(await get("l")).toBeUndefined();
    });

    it("is said of the finished item, where the key is long", async () => {
      const id = "k".repeat(100);
      const room = LIMIT - "id".length - id.length - "b".length;
      await set(id, room);
      await expect(set(id, room + 1)).rejects.toMatchObject(TOO_LARGE);
    });

    it("is asked before the condition, also for what is not needed", async () => {
      await put("there", { c: { S: "x" } });
      for (const condition of [undefined, "attribute_exists(c)", "attribute_exists(nope)"]) {
        await expect(
          set("there", LIMIT + 100, {
            UpdateExpression: "SET c = if_not_exists(c, :b)",
            ConditionExpression: condition,
          }),
        ).rejects.toMatchObject(TOO_LARGE);
      }
    });

    it("is that of the finished item for AttributeUpdates, transactions and statements", async () => {
      const room = LIMIT - "id".length - "m".length - "b".length;
      const value = { S: "x".repeat(room) };
      const over = { S: "x".repeat(room + 1) };
      const updated = (Value: AttributeValue) =>
        h.client.send(
          new UpdateItemCommand({
            TableName,
            Key: key("m"),
            AttributeUpdates: { b: { Action: "PUT", Value } },
          }),
        );
      await updated(value);
      await expect(updated(over)).rejects.toMatchObject(TOO_LARGE);
      const statement = (Parameters: AttributeValue[]) =>
        h.client.send(
          new ExecuteStatementCommand({ Statement: `UPDATE "${TableName}" SET b = ? WHERE id = 'm'`, Parameters }),
        );
      await statement([value]);
      await expect(statement([over])).rejects.toMatchObject(TOO_LARGE);
      const transacted = (b: AttributeValue) =>
        h.client.send(
          new TransactWriteItemsCommand({
            TransactItems: [
              {
                Update: {
                  TableName,
                  Key: key("m"),
                  UpdateExpression: "SET b = :b",
                  ExpressionAttributeValues: { ":b": b },
                },
              },
            ],
          }),
        );
      await transacted(value);
      await expect(transacted(over)).rejects.toMatchObject({ name: "TransactionCanceledException" });
    });
  });

  describe("batches", () => {
    const batch = (...ids: string[]) => ({
      RequestItems: { [TableName]: ids.map((id) => ({ PutRequest: { Item: key(id) } })) },
    });

    it("write and read many items, of any table", async () => {
      const ids = Array.from({ length: 25 }, (_, i) => `batch ${i}`);
      await h.client.send(new BatchWriteItemCommand(batch(...ids)));
      const read = async () => {
        const answer = await h.client.send(
          new BatchGetItemCommand({
            RequestItems: { [TableName]: { Keys: [...ids, "missing"].map(key), ConsistentRead: true } },
            ReturnConsumedCapacity: "TOTAL",
          }),
        );
        expect(answer.UnprocessedKeys).toEqual({});
        expect(answer.ConsumedCapacity).toEqual([{ TableName, CapacityUnits: 26 }]);
        return answer.Responses?.[TableName]?.map(({ id }) => id?.S).sort();
      };
      expect(await read()).toEqual([...ids].sort());
      await h.client.send(
        new BatchWriteItemCommand({
          RequestItems: { [TableName]: ids.slice(0, 20).map((id) => ({ DeleteRequest: { Key: key(id) } })) },
        }),
      );
      expect(await read()).toEqual(ids.slice(20).sort());
    });

    it.each([
      [["twice", "twice"], "Provided list of item keys contains duplicates"],
      [
        Array.from({ length: 26 }, (_, i) => `${i}`),
        "failed to satisfy constraint: Map value must satisfy constraint: [Member must have length less than or equal to 25, Member must have length greater than or equal to 1]",
      ],
    ])("refuse too much and too many of one", async (ids, message) => {
      await expect(h.client.send(new BatchWriteItemCommand(batch(...ids)))).rejects.toMatchObject({
        name: "ValidationException",
        message: expect.stringContaining(message),
      });
    });
  });
}
