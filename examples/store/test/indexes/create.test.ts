import { describe, expect, it } from "vitest";
import { call, harness } from "../router/harness.js";
import { attributes, keys } from "./support.js";

const h = harness();
const invalid = "One or more parameter values were invalid: ";
const all = { ProjectionType: "ALL" };
const local = (IndexName: string, KeySchema: object[] = keys(["p", "t"]), Projection: object = all) => ({
  IndexName,
  KeySchema,
  Projection,
});
const shown = Array.from({ length: 21 }, (_, i) => `shown-${i}`);
const six = ["i-1", "i-2", "i-3", "i-4", "i-5", "i-6"].map((name) => local(name));

describe("CreateTable with local secondary indexes", () => {
  it.each([
    ["an empty list", { LocalSecondaryIndexes: [] }, `${invalid}List of LocalSecondaryIndexes is empty`],
    [
      "a table without a sort key",
      { KeySchema: keys(["p"]), LocalSecondaryIndexes: [local("idx")] },
      `${invalid}Table KeySchema does not have a range key, which is required when specifying a LocalSecondaryIndex`,
    ],
    [
      "an undefined attribute",
      { LocalSecondaryIndexes: [local("idx", keys(["p", "x"]))] },
      `${invalid}Some index key attributes are not defined in AttributeDefinitions. Keys: [p, x], AttributeDefinitions: [p, s, t]`,
    ],
    [
      "one key twice",
      { LocalSecondaryIndexes: [local("idx", keys(["p", "p"]))] },
      "Both the Hash Key and the Range Key element in the KeySchema have the same name",
    ],
    [
      "a range key first",
      { LocalSecondaryIndexes: [local("idx", keys(["p", "t"], 0))] },
      "Invalid KeySchema: The first KeySchemaElement is not a HASH key type",
    ],
    [
      "two hash keys",
      { LocalSecondaryIndexes: [local("idx", keys(["p", "t"], 2))] },
      "Invalid KeySchema: The second KeySchemaElement is not a RANGE key type",
    ],
    [
      "no sort key",
      { LocalSecondaryIndexes: [local("idx", keys(["p"]))] },
      `${invalid}Index KeySchema does not have a range key for index: idx`,
    ],
    [
      "another hash key",
      { LocalSecondaryIndexes: [local("idx", keys(["s", "t"]))] },
      `${invalid}Index KeySchema does not have the same leading hash key as table KeySchema for index: idx. index hash key: s, table hash key: p`,
    ],
    [
      "no kind of projection",
      { LocalSecondaryIndexes: [local("idx", keys(["p", "t"]), {})] },
      `${invalid}Unknown ProjectionType: null`,
    ],
    [
      "attributes to a projection of all",
      { LocalSecondaryIndexes: [local("idx", keys(["p", "t"]), { ...all, NonKeyAttributes: ["a"] })] },
      `${invalid}ProjectionType is ALL, but NonKeyAttributes is specified`,
    ],
    [
      "a projection of some without attributes",
      { LocalSecondaryIndexes: [local("idx", keys(["p", "t"]), { ProjectionType: "INCLUDE" })] },
      `${invalid}ProjectionType is INCLUDE, but NonKeyAttributes is not specified`,
    ],
    ["one name twice", { LocalSecondaryIndexes: [local("idx"), local("idx")] }, `${invalid}Duplicate index name: idx`],
    [
      "six of them",
      { LocalSecondaryIndexes: six },
      `${invalid}Number of LocalSecondaryIndexes exceeds per-table limit of 5`,
    ],
    [
      "an idle attribute",
      { LocalSecondaryIndexes: [local("idx", keys(["p", "s"]))] },
      `${invalid}Some AttributeDefinitions are not used. AttributeDefinitions: [p, s, t], keys used: [p, s]`,
    ],
    [
      "attributes that no key has: in the order of Java's hash sets",
      {
        AttributeDefinitions: attributes({ pk: "S", sk: "S", a: "S", b: "S", c: "S" }),
        KeySchema: keys(["pk", "sk"]),
        GlobalSecondaryIndexes: [local("idx", keys(["a"]))],
      },
      `${invalid}Some AttributeDefinitions are not used. AttributeDefinitions: [sk, a, b, pk, c], keys used: [a, sk, pk]`,
    ],
    [
      "a projection of one attribute too many",
      {
        LocalSecondaryIndexes: [local("idx", keys(["p", "t"]), { ProjectionType: "INCLUDE", NonKeyAttributes: shown })],
      },
      `1 validation error detected: Value '[${shown.join(", ")}]' at 'localSecondaryIndexes.1.member.projection.nonKeyAttributes' failed to satisfy constraint: Member must have length less than or equal to 20`,
    ],
    [
      "a name too short",
      { LocalSecondaryIndexes: [local("ix")] },
      "1 validation error detected: Value 'ix' at 'localSecondaryIndexes.1.member.indexName' failed to satisfy constraint: Member must have length greater than or equal to 3",
    ],
  ])("refuses %s", async (_, changes, message) => {
    const answer = await call(h.port, "CreateTable", {
      TableName: "invalid",
      KeySchema: keys(["p", "s"]),
      AttributeDefinitions: attributes({ p: "S", s: "S", t: "S" }),
      BillingMode: "PAY_PER_REQUEST",
      ...changes,
    });
    expect(answer.status).toBe(400);
    expect(answer.json()).toEqual({ __type: "com.amazon.coral.validate#ValidationException", message });
  });
});
