/** What is nested too deep: which checks tell it, and in which words, depends on who was asked and on how deep it is. */
import { beforeAll, describe, expect, test } from "vitest";
import { call, createPlainTable, harness } from "./harness.js";

const h = harness();
const T = "nested";
const key = { id: { S: "a" } };

beforeAll(async () => {
  await createPlainTable(h, T);
});

type Value = Record<string, unknown>;
const said = async (operation: string, body: object) => (await call(h.port, operation, body)).json().message;
const enveloped = (message: string) => `1 validation error detected: ${message}`;
const wrapped = (message: string) => `ExpressionAttributeValues contains invalid value: ${message} for key :v`;
const condition = (value: Value) => ({ ConditionExpression: "a = :v", ExpressionAttributeValues: { ":v": value } });

describe("what is nested too deep", () => {
  const deep = (levels: number): Value => (levels === 0 ? { S: "leaf" } : { M: { n: deep(levels - 1) } });
  const NEST =
    "Nesting Levels have exceeded supported limits: Attributes in the item have nested levels beyond supported limit";
  const RETURNED =
    "Value 'X' at 'returnValues' failed to satisfy constraint: Member must satisfy enum value set: [ALL_NEW, UPDATED_OLD, ALL_OLD, NONE, UPDATED_NEW]";
  const OPERATOR =
    "Value 'XOR' at 'conditionalOperator' failed to satisfy constraint: Member must satisfy enum value set: [OR, AND]";
  const expected = (levels: number) => ({ Expected: { a: { Value: deep(levels) }, b: { Exists: false } } });

  // At 62 levels the newer checks end, and with them their words.
  test.each<[string, object]>([
    ["PutItem", { Item: key }],
    ["UpdateItem", { Key: key }],
    ["DeleteItem", { Key: key }],
  ])("leaves %s to the older checks where it is nested deeper than the newer ones read", async (operation, rest) => {
    const asked = async (more: object) => await said(operation, { TableName: "absent", ...rest, ...more });
    expect(await asked({ ...expected(63), ReturnValues: "X" })).toBe(enveloped(RETURNED));
    expect(await asked({ ...expected(63), ConditionalOperator: "XOR" })).toBe(enveloped(OPERATOR));
    expect(await asked({ ...expected(40), ConditionalOperator: "XOR" })).toBe(
      enveloped("Failed to satisfy constraint: Member must satisfy enum value set: [ALL, OR]"),
    );
    expect(await asked(condition(deep(40)))).toBe(enveloped(NEST));
    for (const levels of [63, 1000]) expect(await asked(condition(deep(levels)))).toBe(wrapped(NEST));
    if (operation !== "UpdateItem")
      expect(await asked({ ...condition(deep(63)), ReturnValues: "ALL_NEW" })).toBe(
        "ReturnValues can only be ALL_OLD or NONE",
      );
  });

  const put = (more: object) => ({ Put: { TableName: "absent", Item: { ...key, ...more } } });
  const remove = (levels: number) => ({
    Delete: { TableName: "absent", Key: { id: deep(levels) }, ConditionExpression: "a = = b" },
  });
  test.each<[object[], string]>([
    [[put({ m: { M: { "": { S: "x" } } }, d: deep(40) })], NEST],
    [[put({ d: deep(40), "": { S: "x" } })], "Empty attribute name"],
    [[put({ d: deep(40) }), remove(40)], NEST],
    [[remove(100)], 'Invalid ConditionExpression: Syntax error; token: "=", near: "= = b"'],
  ])("is told by a transaction in its turn (%#)", async (TransactItems, message) => {
    expect(await said("TransactWriteItems", { TransactItems })).toBe(message);
  });

  // What an action's values may be nested is one level more than what an item may be.
  const change = { UpdateExpression: "SET a = :v" };
  test.each<[string, object, object]>([
    ["ConditionCheck", condition(deep(32)), { Code: "ConditionalCheckFailed" }],
    [
      "Update",
      { ...change, ...condition(deep(32)), ConditionExpression: ":v = :v" },
      { Code: "ValidationError", Message: "Nesting Levels have exceeded supported limits" },
    ],
    ["Update", { ...change, ...condition(deep(32)) }, { Code: "ConditionalCheckFailed" }],
  ])("is told of the item that a transaction would write: %s (%#)", async (kind, rest, reason) => {
    const TransactItems = [{ [kind]: { TableName: T, Key: key, ...rest } }];
    const answer = (await call(h.port, "TransactWriteItems", { TransactItems })).json();
    expect(answer.CancellationReasons).toMatchObject([reason]);
  });

  test.each(["ConditionCheck", "Update", "Delete", "Put"])(
    "is told of the value, two levels too deep, in %s",
    async (kind) => {
      const what = kind === "Put" ? { Item: key } : { Key: key };
      const action = { TableName: T, ...what, ...condition(deep(33)), ...(kind === "Update" && change) };
      expect(await said("TransactWriteItems", { TransactItems: [{ [kind]: action }] })).toBe(wrapped(NEST));
    },
  );

  const deepest = `${'{"M":{"n":'.repeat(50_000)}{"S":"leaf"}${"}}".repeat(50_000)}`;
  test.each<[string, object]>([
    ["PutItem", { TableName: T, Item: { ...key, d: "DEEPEST" } }],
    ["BatchGetItem", { RequestItems: { [T]: { Keys: [{ id: "DEEPEST" }] } } }],
    ["TransactWriteItems", { TransactItems: [{ Put: { TableName: T, Item: { ...key, d: "DEEPEST" } } }] }],
    ["ExecuteStatement", { Statement: `SELECT * FROM ${T} WHERE id = ?`, Parameters: ["DEEPEST"] }],
    [
      "ExecuteTransaction",
      { TransactStatements: [{ Statement: `UPDATE ${T} SET d = ? WHERE id = 'a'`, Parameters: ["DEEPEST"] }] },
    ],
  ])("is told by %s though nothing could follow it to its end", async (operation, request) => {
    const answer = await call(h.port, operation, JSON.stringify(request).replace('"DEEPEST"', deepest));
    expect(answer.json()).toMatchObject({ __type: expect.stringMatching(/#ValidationException$/), message: NEST });
  });
});
