/** The service has renewed the checks of some operations and not of others: what is said of the same mistake depends on who was asked. */
import { beforeAll, describe, expect, test } from "vitest";
import { call, createPlainTable, harness } from "./harness.js";

const h = harness();
const T = "worded";
const key = { id: { S: "a" } };

beforeAll(async () => {
  await createPlainTable(h, T);
});

const said = async (operation: string, body: object) => (await call(h.port, operation, body)).json().message;
const enveloped = (message: string) => `1 validation error detected: ${message}`;
const asItIs = (message: string) => message;
const wrapped = (message: string) => `ExpressionAttributeValues contains invalid value: ${message} for key :v`;

type Value = Record<string, unknown>;
const condition = (value: Value) => ({
  ConditionExpression: "a = :v",
  ExpressionAttributeValues: { ":v": value },
});

/** Where a value may stand, and how its mistakes are told there. */
const NEWER: [string, (value: Value) => object, (message: string) => string][] = [
  ["PutItem", (a) => ({ TableName: T, Item: { ...key, a } }), enveloped],
  ["PutItem", (a) => ({ TableName: T, Item: { ...key, m: { M: { l: { L: [a] } } } } }), enveloped],
  ["PutItem", (a) => ({ TableName: T, Item: key, ...condition(a) }), enveloped],
  ["PutItem", (Value) => ({ TableName: T, Item: key, Expected: { a: { Value } } }), enveloped],
  ["UpdateItem", (a) => ({ TableName: T, Key: { id: a } }), enveloped],
  ["UpdateItem", (Value) => ({ TableName: T, Key: key, AttributeUpdates: { a: { Value } } }), enveloped],
  ["DeleteItem", (a) => ({ TableName: T, Key: key, ...condition(a) }), enveloped],
  ["GetItem", (a) => ({ TableName: T, Key: { id: a } }), asItIs],
  ["BatchGetItem", (a) => ({ RequestItems: { [T]: { Keys: [{ id: a }] } } }), asItIs],
  [
    "Query",
    (a) => ({ TableName: T, KeyConditionExpression: "id = :v", ExpressionAttributeValues: { ":v": a } }),
    asItIs,
  ],
  [
    "Query",
    (a) => ({
      TableName: T,
      KeyConditions: { id: { ComparisonOperator: "EQ", AttributeValueList: [key.id] } },
      ExclusiveStartKey: { id: a },
    }),
    asItIs,
  ],
];
const OLDER: typeof NEWER = [
  ["BatchWriteItem", (a) => ({ RequestItems: { [T]: [{ PutRequest: { Item: { ...key, a } } }] } }), asItIs],
  ["TransactWriteItems", (a) => ({ TransactItems: [{ Put: { TableName: T, Item: { ...key, a } } }] }), asItIs],
  ["TransactGetItems", (a) => ({ TransactItems: [{ Get: { TableName: T, Key: { id: a } } }] }), asItIs],
  [
    "TransactWriteItems",
    (a) => ({ TransactItems: [{ ConditionCheck: { TableName: T, Key: key, ...condition(a) } }] }),
    wrapped,
  ],
  ["Scan", (a) => ({ TableName: T, FilterExpression: "a = :v", ExpressionAttributeValues: { ":v": a } }), wrapped],
];

const INVALID = "One or more parameter values were invalid: ";
const NO_NUMBER = "The parameter cannot be converted to a numeric value";
const VALUES: [string, Value, { newer: string; older: string }][] = [
  ["a word for a number", { N: "abc" }, { newer: `${NO_NUMBER}: abc`, older: `${NO_NUMBER}: abc` }],
  ["nothing for a number", { N: "" }, { newer: `${NO_NUMBER}: `, older: NO_NUMBER }],
  [
    "a string twice",
    { SS: ["b", "a", "b"] },
    {
      newer: `${INVALID}Input collection ["a", "b", "b"] contains duplicates.`,
      older: `${INVALID}Input collection [b, a, b] contains duplicates.`,
    },
  ],
  [
    "bytes twice",
    { BS: ["/w==", "AA==", "AA=="] },
    {
      newer: `${INVALID}Input collection ["AA==","/w==","AA=="]of type BS contains duplicates.`,
      older: `${INVALID}Input collection [/w==, AA==, AA==]of type BS contains duplicates.`,
    },
  ],
  [
    "a number twice",
    { NS: ["2", "1", "2.0"] },
    { newer: `${INVALID}Input collection contains duplicates.`, older: "Input collection contains duplicates" },
  ],
];

describe.each(VALUES)("%s", (_, value, { newer, older }) => {
  test.each(NEWER)("is told by %s in newer words: %s", async (operation, request, as) => {
    expect(await said(operation, request(value))).toBe(as(newer));
  });
  test.each(OLDER)("is told by %s as ever: %s", async (operation, request, as) => {
    expect(await said(operation, request(value))).toBe(as(older));
  });
});

describe.each([
  ["PutItem", { Item: key }],
  ["DeleteItem", { Key: key }],
])("%s", (operation, rest) => {
  const request = { TableName: T, ...rest };
  test.each<[string, object, string]>([
    [
      "values for nobody",
      { ExpressionAttributeValues: { ":v": { S: "" } } },
      "ExpressionAttributeValues can only be specified when using expressions",
    ],
    [
      "names for nobody",
      { ExpressionAttributeNames: { "#a": "a" } },
      "ExpressionAttributeNames can only be specified when using expressions",
    ],
    [
      "an empty condition",
      { ConditionExpression: "" },
      "Invalid ConditionExpression: The expression can not be empty;",
    ],
    [
      "a type that is none",
      { ConditionExpression: "attribute_type(a, :t)", ExpressionAttributeValues: { ":t": { S: "X" } } },
      "Invalid ConditionExpression: Invalid attribute type name found; type: X, valid types: {S,SS,N,NS,B,BS,BOOL,NULL,L,M}",
    ],
    [
      "a path for a type",
      { ConditionExpression: "attribute_type(a, b)" },
      "Invalid ConditionExpression: Incorrect operand type for operator or function; operator or function: attribute_type, operand type: {S,SS,N,NS,B,BS,BOOL,NULL,L,M,HD,DOUBLE,FLOAT,HDS,FS,DOUBLESET,DICT,DECIMAL,INT,DECIMALSET,INTSET}",
    ],
    ["what it has not", { ReturnValues: "ALL_NEW" }, "ReturnValues can only be ALL_OLD or NONE"],
    [
      "Exists without a value",
      { Expected: { a: { Exists: true } } },
      `${INVALID}Value must be provided when Exists is true for Attribute: a`,
    ],
    [
      "no such return values",
      { ReturnValues: "X" },
      "Failed to satisfy constraint: Member must satisfy enum value set: [ALL_OLD, UPDATED_OLD, ALL_NEW, UPDATE_NEW, NONE]",
    ],
    ["no such metrics", { ReturnItemCollectionMetrics: "X" }, "ReturnItemCollectionMetrics can only be SIZE or NONE"],
    [
      "no such operator, and more",
      {
        ConditionalOperator: "XOR",
        Expected: { a: { Exists: false }, b: { Exists: false } },
        ReturnConsumedCapacity: "X",
      },
      "Failed to satisfy constraint: Member must satisfy enum value set: [ALL, OR]",
    ],
    [
      "no table's name, and more",
      { TableName: "", ReturnValues: "X" },
      "Value at 'TableName' failed to satisfy constraint: Member must have length greater than or equal to 1",
    ],
    [
      "a long table's name",
      { TableName: "a".repeat(256) },
      `Value '${"a".repeat(256)}' at 'tableName' failed to satisfy constraint: Member must have length less than or equal to 255`,
    ],
    [
      "no table",
      { TableName: undefined },
      "Value null at 'tableName' failed to satisfy constraint: Member must not be null",
    ],
  ])("counts %s as one error", async (_, more, message) => {
    expect(await said(operation, { ...request, ...more })).toBe(enveloped(message));
  });

  test("counts what needs the table as none", async () => {
    const elsewhere = { TableName: T, Item: { id: { N: "1" } }, Key: { id: { N: "1" } } };
    expect(await said(operation, elsewhere)).not.toContain("validation error detected");
    expect(await said(operation, { ...request, TableName: "no" })).toBe("Requested resource not found");
  });

  test("counts several that its members have", async () => {
    expect(await said(operation, { ...request, ReturnConsumedCapacity: "X", ReturnValues: "X" })).toBe(
      "2 validation errors detected: Value 'X' at 'returnConsumedCapacity' failed to satisfy constraint: Member must satisfy enum value set: [INDEXES, TOTAL, NONE]; Failed to satisfy constraint: Member must satisfy enum value set: [ALL_OLD, UPDATED_OLD, ALL_NEW, UPDATE_NEW, NONE]",
    );
  });
});

test("UpdateItem tells of its return values before all else, and of a long update without its length", async () => {
  const request = { TableName: T, Key: key };
  expect(await said("UpdateItem", { ...request, ReturnValues: "X", ReturnConsumedCapacity: "X" })).toBe(
    enveloped(
      "Failed to satisfy constraint: Member must satisfy enum value set: [ALL_OLD, UPDATED_OLD, ALL_NEW, UPDATE_NEW, NONE]",
    ),
  );
  expect(await said("UpdateItem", { ...request, UpdateExpression: `REMOVE ${"a".repeat(4_096)}` })).toBe(
    enveloped("Invalid UpdateExpression: Expression size has exceeded the maximum allowed size;"),
  );
});

test("UpdateItem looks at its condition before its update, a transaction the other way round", async () => {
  const update = { TableName: T, Key: key, UpdateExpression: "SET a = size(b)", ConditionExpression: "size(a)" };
  const inCondition =
    "Invalid ConditionExpression: The function is not allowed to be used this way in an expression; function: size";
  const inUpdate = "Invalid UpdateExpression: The function is not allowed in an update expression; function: size";
  expect(await said("UpdateItem", update)).toBe(enveloped(inCondition));
  expect(await said("TransactWriteItems", { TransactItems: [{ Update: update }] })).toBe(inUpdate);
});

describe("UpdateItem without a key", () => {
  const NO_KEY = "Value null at 'key' failed to satisfy constraint: Member must not be null";
  test.each<[string, object, string[]]>([
    [
      "what it has not",
      { ConditionalOperator: "XOR" },
      [
        "Value 'XOR' at 'conditionalOperator' failed to satisfy constraint: Member must satisfy enum value set: [OR, AND]",
      ],
    ],
    [
      "all it has not",
      { TableName: "", ReturnConsumedCapacity: "X", ReturnValues: "X" },
      [
        "Value 'X' at 'returnConsumedCapacity' failed to satisfy constraint: Member must satisfy enum value set: [INDEXES, TOTAL, NONE]",
        "Value '' at 'tableName' failed to satisfy constraint: Member must have length greater than or equal to 1",
        "Value 'X' at 'returnValues' failed to satisfy constraint: Member must satisfy enum value set: [ALL_NEW, UPDATED_OLD, ALL_OLD, NONE, UPDATED_NEW]",
      ],
    ],
  ])("counts %s beside it, in older words", async (_, request, others) => {
    const message = `${others.length + 1} validation errors detected: ${[...others, NO_KEY].join("; ")}`;
    expect(await said("UpdateItem", { TableName: T, ...request })).toBe(message);
  });
});

test("Query tells of an operator that it does not have before all else and counts nothing, Scan counts it", async () => {
  const request = { TableName: "absent", KeyConditions: {}, ConditionalOperator: "XOR", Select: "X" };
  expect(await said("Query", request)).toBe(
    "Failed to satisfy constraint: Member must satisfy enum value set: [ALL, OR]",
  );
  expect(await said("Scan", { TableName: "absent", ConditionalOperator: "XOR" })).toBe(
    enveloped(
      "Value 'XOR' at 'conditionalOperator' failed to satisfy constraint: Member must satisfy enum value set: [OR, AND]",
    ),
  );
});

test.each<[object, string]>([
  [
    { Select: "SPECIFIC_ATTRIBUTES" },
    "Must specify the AttributesToGet or ProjectionExpression when choosing to get SPECIFIC_ATTRIBUTES",
  ],
  [
    { Select: "ALL_PROJECTED_ATTRIBUTES" },
    "ALL_PROJECTED_ATTRIBUTES can be used only when Querying using an IndexName",
  ],
  [
    { Select: "COUNT", AttributesToGet: ["id"] },
    "Cannot specify the AttributesToGet when choosing to get only the Count",
  ],
  [
    { Select: "ALL_ATTRIBUTES", AttributesToGet: ["id"] },
    "Cannot specify the AttributesToGet when choosing to get ALL_ATTRIBUTES",
  ],
])("what %j does not go with is counted by Query and not by Scan", async (asked, message) => {
  const KeyConditions = { id: { ComparisonOperator: "EQ", AttributeValueList: [key.id] } };
  expect(await said("Query", { TableName: T, KeyConditions, ...asked })).toBe(enveloped(message));
  expect(await said("Scan", { TableName: T, ...asked })).toBe(message);
});

describe("a table's name that is none", () => {
  const KEYS =
    "at 'requestItems' failed to satisfy constraint: Map keys must satisfy constraint: [Member must have length less than or equal to 255, Member must have length greater than or equal to 3, Member must satisfy regular expression pattern: [a-zA-Z0-9_.-]+]";
  const CAPACITY =
    "Value 'X' at 'returnConsumedCapacity' failed to satisfy constraint: Member must satisfy enum value set: [INDEXES, TOTAL, NONE]";

  test("is shown by BatchGetItem as JSON, whatever else is wrong", async () => {
    const request = { RequestItems: { "b!d": { Keys: [{ id: { S: "a" } }] } } };
    const problem = `Value '{"b!d":{"Keys":[{"id":{"S":"a"}}]}}' ${KEYS}`;
    expect(await said("BatchGetItem", request)).toBe(enveloped(problem));
    expect(await said("BatchGetItem", { ...request, ReturnConsumedCapacity: "X" })).toBe(
      `2 validation errors detected: ${problem}; ${CAPACITY}`,
    );
  });

  test("is told by BatchWriteItem where nothing else is wrong", async () => {
    const request = { RequestItems: { "b!d": [{ DeleteRequest: { Key: { id: { S: "a" } } } }] } };
    const shown = "{b!d=[WriteRequest(putRequest=null, deleteRequest=DeleteRequest(key={id={S=a}}))]}";
    expect(await said("BatchWriteItem", request)).toBe(enveloped(`Value '${shown}' ${KEYS}`));
    expect(await said("BatchWriteItem", { ...request, ReturnConsumedCapacity: "X" })).toBe(enveloped(CAPACITY));
  });
});

test("a batch of writes says of an item's key what is said of a key alone", async () => {
  const put = (Item: object) => ({ RequestItems: { [T]: [{ PutRequest: { Item } }] } });
  for (const item of [{ other: { S: "x" } }, { id: { N: "1" } }, { id: { L: [] } }])
    expect(await said("BatchWriteItem", put(item))).toBe("The provided key element does not match the schema");
  expect(await said("BatchWriteItem", put({ id: { S: "" } }))).toContain(
    "cannot contain an empty string value. Key: id",
  );
});

test("a null in a set is a member that may not be", async () => {
  const put = (a: Value) => said("PutItem", { TableName: T, Item: { ...key, a } });
  expect(await put({ SS: ["x", null] })).toBe(
    enveloped("One or more parameter values were invalid: An string set may not have a null string as a member"),
  );
  for (const a of [{ NS: ["1", null] }, { BS: ["AA==", null] }])
    expect(await put(a)).toContain("must contain exactly one of the supported datatypes");
});

test.each(["BatchGetItem", "BatchWriteItem"])("%s of nothing is told by the member's name", async (operation) => {
  expect(await said(operation, { RequestItems: {} })).toBe(
    enveloped(
      "Value at 'RequestItems' failed to satisfy constraint: Member must have length greater than or equal to 1",
    ),
  );
});

test.each<[object[], string]>([
  [[], "Member must have length greater than or equal to 1"],
  [Array.from({ length: 101 }, (_, i) => ({ id: { N: `${i}` } })), "Member must have length less than or equal to 100"],
])("BatchGetItem of too few or too many keys names the member, and does not show it", async (Keys, rule) => {
  expect(await said("BatchGetItem", { RequestItems: { [T]: { Keys } } })).toBe(
    enveloped(`Value at 'RequestItems.${T}.member.Keys' failed to satisfy constraint: ${rule}`),
  );
});

test("BatchGetItem takes parameters of one kind for all of its tables", async () => {
  const RequestItems = {
    [T]: { Keys: [key], ProjectionExpression: "id" },
    another: { Keys: [key], AttributesToGet: ["id"] },
  };
  expect(await said("BatchGetItem", { RequestItems })).toContain("Can not use both expression and non-expression");
});

test("a transaction does not look at names and values for no expression", async () => {
  const [names, values] = [
    { ExpressionAttributeNames: { "#n": "n" } },
    { ExpressionAttributeValues: { ":v": { N: "1" } } },
  ];
  const of = (more: object) => [
    { Put: { TableName: T, Item: { id: { S: "put" } }, ...more } },
    { Delete: { TableName: T, Key: { id: { S: "gone" } }, ...more } },
  ];
  for (const more of [names, values])
    expect((await call(h.port, "TransactWriteItems", { TransactItems: of(more) })).json()).toEqual({});
  const Get = { TableName: T, Key: { id: { S: "put" } }, ...names };
  const answer = await call(h.port, "TransactGetItems", { TransactItems: [{ Get }] });
  expect(answer.json()).toEqual({ Responses: [{ Item: { id: { S: "put" } } }] });
  expect(await said("TransactGetItems", { TransactItems: [{ Get: { ...Get, ProjectionExpression: "id" } }] })).toBe(
    "Value provided in ExpressionAttributeNames unused in expressions: keys: {#n}",
  );
});
