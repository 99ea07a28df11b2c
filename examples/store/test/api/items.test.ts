import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { base64Bytes, compareBase64, decodeBase64, encodeBase64, isBase64 } from "../../src/api/base64.js";
import { readUnits, writeUnits } from "../../src/api/capacity.js";
import { ApiError, type ApiErrorType } from "../../src/api/errors.js";
import type { AttributeValue, Item, WriteOp } from "../../src/api/model.js";
import { parseExpressions } from "../../src/api/requests/expressions.js";
import { includesBytes, includesText } from "../../src/api/search.js";
import { itemBytes, valueBytes } from "../../src/api/size.js";
import { compareText, utf8Bytes } from "../../src/api/text.js";
import { checkItem } from "../../src/api/value-check.js";
import { evaluateWrite } from "../../src/api/write.js";
import { item } from "./arbitraries.js";

describe("an item", () => {
  it("in normal form stays as it is when it is checked", () => {
    fc.assert(
      fc.property(item, (any) => {
        const json = JSON.stringify(any);
        const sent: unknown = JSON.parse(json);
        checkItem(sent);
        expect(JSON.stringify(sent)).toBe(json);
      }),
    );
  });

  it.each<[string, AttributeValue, number]>([
    ["a string", { S: "grüße" }, 7],
    ["a number", { N: "-12.5" }, 4],
    ["binary", { B: "AQID" }, 3],
    ["true", { BOOL: true }, 1],
    ["nothing", { NULL: true }, 1],
    ["a set of strings", { SS: ["ab", "c"] }, 3],
    ["a set of numbers", { NS: ["1", "10"] }, 4],
    ["a set of binaries", { BS: ["AQ==", ""] }, 1],
    ["an empty list", { L: [] }, 3],
    ["a list", { L: [{ S: "ab" }, { BOOL: false }] }, 3 + 2 + 3],
    ["a map", { M: { name: { S: "x" }, l: { L: [] } } }, 3 + 2 + 5 + 4],
  ])("weighs its parts: %s", (_, value, bytes) => {
    expect(valueBytes(value)).toBe(bytes);
    expect(itemBytes({ ä: value })).toBe(2 + bytes);
  });
});

describe("an attribute's name", () => {
  const name = "é".repeat(32_767);
  const TOO_LARGE = "Attribute name is too large, must be less than 65536 bytes";

  it.each<[string, (name: string) => unknown, (problem: string) => string]>([
    ["in an item", (name) => checkItem({ [name]: { S: "" } }), (problem) => problem],
    ["in a map of one", (name) => checkItem({ a: { M: { [name]: { S: "" } } } }), (problem) => problem],
    ["asked for", (name) => parseExpressions({ AttributesToGet: [name] }, []), (problem) => problem],
    [
      "to update",
      (name) => parseExpressions({ AttributeUpdates: { [name]: { Action: "DELETE" } } }, []),
      (problem) => problem,
    ],
    ["expected", (name) => parseExpressions({ Expected: { [name]: { Exists: false } } }, []), (problem) => problem],
    [
      "behind a placeholder",
      (name) => parseExpressions({ ProjectionExpression: "#a", ExpressionAttributeNames: { "#a": name } }, []),
      (problem) => `ExpressionAttributeNames contains invalid value: ${problem} for key #a`,
    ],
  ])("has at most 65,535 bytes: %s", (_, takes, told) => {
    takes(`${name}x`);
    expect(() => takes(`${name}xx`)).toThrow(
      expect.objectContaining({ type: "ValidationException", message: told(TOO_LARGE) }),
    );
  });
});

describe("capacity", () => {
  it.each([
    [0, 1, 0.5, 1],
    [1024, 1, 0.5, 1],
    [1025, 1, 0.5, 2],
    [4096, 1, 0.5, 4],
    [4097, 2, 1, 5],
    [409_600, 100, 50, 400],
  ])("for %i bytes", (bytes, consistent, eventual, write) => {
    expect(readUnits(bytes, true)).toBe(consistent);
    expect(readUnits(bytes, false)).toBe(eventual);
    expect(writeUnits(bytes, 0)).toBe(write);
    expect(writeUnits(0, bytes)).toBe(write);
  });
});

describe("a write", () => {
  const there: Item = { id: { S: "x" }, n: { N: "1" } };
  const put: WriteOp = { kind: "put", item: { id: { S: "x" }, n: { N: "2" } }, returnValues: "ALL_OLD" };
  const only = (name: string) => ({ kind: "exists", path: [name] }) as const;

  it("puts, deletes and returns what was", () => {
    expect(evaluateWrite(put, there)).toEqual({ after: put.kind === "put" && put.item, attributes: there });
    expect(evaluateWrite(put, undefined)).toEqual({ after: put.kind === "put" && put.item });
    expect(evaluateWrite({ kind: "delete", returnValues: "ALL_OLD" }, there)).toEqual({ attributes: there });
    expect(evaluateWrite({ kind: "delete", returnValues: "NONE" }, undefined)).toEqual({});
  });

  it("happens only when its condition holds, and shows the item only when asked", () => {
    expect(evaluateWrite({ ...put, condition: only("n") }, there).attributes).toBe(there);
    const failure = (op: WriteOp, before: Item | undefined) => {
      try {
        evaluateWrite(op, before);
      } catch (error) {
        return error as ApiError;
      }
      throw new Error("the condition held");
    };
    const refused = { ...put, condition: only("m") };
    expect(failure(refused, there)).toMatchObject({ type: "ConditionalCheckFailedException", extra: undefined });
    const shown = { ...refused, returnOldOnConditionFailure: true };
    expect(failure(shown, there).extra).toEqual({ Item: there });
    expect(failure(shown, undefined).extra).toBeUndefined();
  });
});

describe("an error", () => {
  it("is the same behind a process border", () => {
    const error = new ApiError("ConditionalCheckFailedException", undefined, { extra: { Item: { id: { S: "x" } } } });
    const copy = ApiError.fromData(JSON.parse(JSON.stringify(error.toData())));
    expect(copy).toBeInstanceOf(ApiError);
    expect(copy.body()).toEqual({
      __type: "com.amazonaws.dynamodb.v20120810#ConditionalCheckFailedException",
      Message: "The conditional request failed",
      Item: { id: { S: "x" } },
    });
    expect(copy.status).toBe(400);
  });

  it.each(["NewerException", "toString"])("of a type that is not known (%s) is ours", (type) => {
    const error = ApiError.fromData({ type: type as ApiErrorType, message: "?" });
    expect(error).toMatchObject({ type: "InternalServerError", status: 500 });
  });
});

describe("text and bytes", () => {
  const anyText = fc.oneof(
    fc.string({ unit: "binary", maxLength: 60 }),
    fc.tuple(fc.string({ unit: "binary", maxLength: 3 }), fc.nat(8000)).map(([text, times]) => text.repeat(times)),
  );

  it("are counted and ordered as UTF-8", () => {
    fc.assert(
      fc.property(anyText, anyText, (a, b) => {
        expect(utf8Bytes(a)).toBe(Buffer.byteLength(a));
        expect(Math.sign(compareText(a, b))).toBe(Buffer.compare(Buffer.from(a), Buffer.from(b)));
      }),
      { numRuns: 300 },
    );
    expect(utf8Bytes("\ud800x\udc00")).toBe(Buffer.byteLength("\ud800x\udc00"));
    expect(utf8Bytes("\ud800".repeat(6000))).toBe(18_000);
  });

  const part = (text: string, from: number, length: number) => {
    const start = from % (text.length + 1);
    return text.slice(start, start + (length % 200));
  };

  it("are found in one another as the engine finds them", () => {
    const ab = (length: number) => fc.string({ unit: fc.constantFrom("a", "b"), maxLength: length });
    const long = fc.tuple(ab(3), fc.integer({ min: 20, max: 60 }), ab(3)).map(([a, n, b]) => a.repeat(n) + b);
    fc.assert(
      fc.property(
        fc.oneof(long, ab(300)),
        fc.oneof(long, ab(6)),
        fc.nat(),
        fc.nat(),
        (haystack, other, from, length) => {
          for (const needle of [other, part(haystack, from, length)]) {
            expect(includesText(haystack, needle)).toBe(haystack.includes(needle));
            expect(includesBytes(Buffer.from(haystack), Buffer.from(needle))).toBe(haystack.includes(needle));
          }
        },
      ),
      { numRuns: 300 },
    );
  });

  it("are searched for in linear time, however the needle is made", () => {
    const haystack = "a".repeat(400_000);
    const needle = `b${"a".repeat(200_000)}`;
    expect(includesText(haystack, needle)).toBe(false);
    expect(includesBytes(Buffer.from(haystack), Buffer.from(needle))).toBe(false);
  });

  it("travel as canonical base64", () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 40 }), (bytes) => {
        const text = encodeBase64(bytes);
        expect(text).toBe(Buffer.from(bytes).toString("base64"));
        expect(isBase64(text)).toBe(true);
        expect(base64Bytes(text)).toBe(bytes.length);
        expect(decodeBase64(text)).toEqual(bytes);
      }),
    );
    const few = fc.uint8Array({ max: 3, maxLength: 7 });
    fc.assert(
      fc.property(few, few, (a, b) => {
        const order = compareBase64(encodeBase64(a), encodeBase64(b));
        expect(Math.sign(order)).toBe(Buffer.compare(a, b));
      }),
      { numRuns: 300 },
    );
    fc.assert(
      fc.property(fc.stringMatching(/^[A-Za-z0-9+/=_-]{0,8}$/), (text) => {
        expect(isBase64(text)).toBe(Buffer.from(text, "base64").toString("base64") === text);
      }),
    );
  });
});
