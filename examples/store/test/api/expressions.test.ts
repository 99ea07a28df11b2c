import { describe, expect, it } from "vitest";
import { matches } from "../../src/api/condition.js";
import { ApiError } from "../../src/api/errors.js";
import type { Condition, Item } from "../../src/api/model.js";
import { parseExpressions } from "../../src/api/requests/expressions.js";
import type { ExpressionParameters } from "../../src/api/requests/items.js";

type Kind = "ConditionExpression" | "UpdateExpression" | "ProjectionExpression";

const NAMES = { "#a": "a", "#b": "b.c" };
const VALUES: Item = {
  ":n": { N: "1" },
  ":m": { M: {} },
  ":two": { N: "2" },
  ":b": { B: "" },
  ":s": { S: "text" },
  ":l": { L: [] },
  ":set": { SS: ["x"] },
  ":bool": { BOOL: true },
  ":null": { NULL: true },
};

const TOO_MANY = "The expression contains too many operators; operator count: 301";
const times = (count: number, one: (i: number) => string, between: string) =>
  Array.from({ length: count }, (_, i) => one(i)).join(between);

function request(kind: Kind, expression: string): ExpressionParameters {
  const used = <T extends object>(all: T) =>
    Object.fromEntries(Object.entries(all).filter(([name]) => new RegExp(`${name}(?![A-Za-z0-9_])`).test(expression)));
  const names = used(NAMES);
  const values = structuredClone(used(VALUES)) as Item;
  return {
    [kind]: expression,
    ...(Object.keys(names).length > 0 && { ExpressionAttributeNames: names }),
    ...(Object.keys(values).length > 0 && { ExpressionAttributeValues: values }),
  };
}

function parse(kind: Kind, expression: string) {
  return parseExpressions(request(kind, expression), ["ConditionExpression", "UpdateExpression"]);
}

function problem(kind: Kind, expression: string): string {
  try {
    parse(kind, expression);
  } catch (error) {
    if (error instanceof ApiError && error.type === "ValidationException") return error.message;
    throw error;
  }
  return "taken";
}

describe("a condition", () => {
  const condition = (expression: string) => parse("ConditionExpression", expression).condition;
  const path = (...path: (string | number)[]) => ({ kind: "path", path });
  const is = (name: string) => ({
    kind: "compare",
    op: "=",
    left: path(name),
    right: { kind: "value", value: VALUES[":n"] },
  });

  it("binds NOT before AND before OR", () => {
    expect(condition("x = :n OR NOT y = :n AND z = :n")).toEqual({
      kind: "or",
      left: is("x"),
      right: { kind: "and", left: { kind: "not", condition: is("y") }, right: is("z") },
    });
    expect(condition("(x = :n OR y = :n) and not (z = :n)")).toEqual({
      kind: "and",
      left: { kind: "or", left: is("x"), right: is("y") },
      right: { kind: "not", condition: is("z") },
    });
  });

  it("knows names, paths and lists", () => {
    expect(condition("#a.#b[2][0].x=:n")).toMatchObject({ left: path("a", "b.c", 2, 0, "x") });
    expect(condition("size ( x ) between :n AND :two")).toMatchObject({
      kind: "between",
      value: { kind: "size", path: ["x"] },
    });
    expect(condition("x IN (:n,:two, y)")).toMatchObject({ kind: "in", among: [{}, {}, path("y")] });
  });

  it.each([
    ["x = (:n)", "x = :n"],
    ["(x) = :n", "x = :n"],
    ["(x[1].y) = :n AND y = :n", "x[1].y = :n AND y = :n"],
    ["((x) = :n OR (y) = (:n)) AND z = :n", "(x = :n OR y = :n) AND z = :n"],
    ["NOT (size((x))) > :n OR y = :n", "NOT size(x) > :n OR y = :n"],
    ["(:n) BETWEEN (x) AND (y)", ":n BETWEEN x AND y"],
    ["(#a) IN ((:n), y)", "#a IN (:n, y)"],
    ["contains((x), (:s))", "contains(x, :s)"],
  ])("reads %s as %s", (expression, plain) => {
    expect(condition(expression)).toEqual(condition(plain));
  });

  it.each([
    "(x = :n) OR (y = :n)",
    "begins_with(x, y)",
    "contains(x, :n)",
    "size(x) = size(y)",
    ":n = x",
    "x=:n AND(y=:n)",
  ])("may read %s", (expression) => {
    expect(problem("ConditionExpression", expression)).toBe("taken");
  });

  it.each([
    ["", "The expression can not be empty;"],
    ["x", 'Syntax error; token: "<EOF>", near: "x"'],
    ["x = ", 'Syntax error; token: "<EOF>", near: "="'],
    ["x == :n", 'Syntax error; token: "=", near: "== :n"'],
    ["x = :n y", 'Syntax error; token: "y", near: ":n y"'],
    ["x = :n AND", 'Syntax error; token: "<EOF>", near: "AND"'],
    ["(x = :n", 'Syntax error; token: "<EOF>", near: ":n"'],
    ["x = :n)", 'Syntax error; token: ")", near: ":n)"'],
    ["x & :n", 'Syntax error; token: "&", near: "x & :n"'],
    ["a. = :n", 'Syntax error; token: "=", near: ". = :n"'],
    ["a[x] = :n", 'Syntax error; token: "x", near: "[x]"'],
    ["x IN ()", 'Syntax error; token: ")", near: "()"'],
    ["x BETWEEN :n", 'Syntax error; token: "<EOF>", near: ":n"'],
    ["(x)", 'Syntax error; token: "<EOF>", near: ")"'],
    ["(x.y) AND y = :n", 'Syntax error; token: "AND", near: ") AND y"'],
    ["(x) = :n)", 'Syntax error; token: ")", near: ":n)"'],
    ["((x) = :n", 'Syntax error; token: "<EOF>", near: ":n"'],
    ["x = (:n", 'Syntax error; token: "<EOF>", near: ":n"'],
    ["((x)) = :n", "The expression has redundant parentheses;"],
    ["x = ((:n))", "The expression has redundant parentheses;"],
    ["name = :n", "Attribute name is a reserved keyword; reserved keyword: name"],
    ["x.Size = :n", "Attribute name is a reserved keyword; reserved keyword: Size"],
    ["#nope = :n", "An expression attribute name used in the document path is not defined; attribute name: #nope"],
    ["x = :nope", "An expression attribute value used in expression is not defined; attribute value: :nope"],
    ["nope(x)", "Invalid function name; function: nope"],
    ["toString(x)", "Invalid function name; function: toString"],
    ["Contains(x, :n)", "Invalid function name; function: Contains"],
    ["if_not_exists(x, :n) = :n", "The function is not allowed in a condition expression; function: if_not_exists"],
    ["contains(x, :n) = :n", "The function is not allowed to be used this way in an expression; function: contains"],
    [":n = contains(x, :n)", "The function is not allowed to be used this way in an expression; function: contains"],
    ["size(x)", "The function is not allowed to be used this way in an expression; function: size"],
    ["(size(x))", "The function is not allowed to be used this way in an expression; function: size"],
    ["size(:l)", "The function is not allowed to be used this way in an expression; function: size"],
    ["attribute_exists(size(x))", "The function is not allowed to be used this way in an expression; function: size"],
    [
      "attribute_exists(x, y)",
      "Incorrect number of operands for operator or function; operator or function: attribute_exists, number of operands: 2",
    ],
    [
      "begins_with(x)",
      "Incorrect number of operands for operator or function; operator or function: begins_with, number of operands: 1",
    ],
    [
      "size(x, y) = :n",
      "Incorrect number of operands for operator or function; operator or function: size, number of operands: 2",
    ],
    ["attribute_exists(:n)", "Operator or function requires a document path; operator or function: attribute_exists"],
    ["size(:n) = :n", "Incorrect operand type for operator or function; operator or function: size, operand type: N"],
    [
      "size(:bool) = :n",
      "Incorrect operand type for operator or function; operator or function: size, operand type: BOOL",
    ],
    [
      "size(size(x)) = :n",
      "Incorrect operand type for operator or function; operator or function: size, operand type: N",
    ],
    ["_x = :n", 'Syntax error; token: "_", near: "_x"'],
    ["x = :n AND _x = :n", 'Syntax error; token: "_", near: "AND _x"'],
    ["_nope(x)", 'Syntax error; token: "_", near: "_nope"'],
    ["# = :n", 'Syntax error; token: "#", near: "# ="'],
    ["x = ☃", 'Syntax error; token: "☃", near: "= ☃"'],
    [
      "begins_with(x, :n)",
      "Incorrect operand type for operator or function; operator or function: begins_with, operand type: N",
    ],
    [
      "attribute_type(x, :n)",
      "Incorrect operand type for operator or function; operator or function: attribute_type, operand type: N",
    ],
    [
      "attribute_type(x, :s)",
      "Invalid attribute type name found; type: text, valid types: {N,BS,L,B,NULL,M,S,SS,NS,BOOL}",
    ],
    [
      "attribute_type(x, size(y))",
      "Incorrect operand type for operator or function; operator or function: attribute_type, operand type: N",
    ],
    [
      "attribute_type(x, y)",
      "Incorrect operand type for operator or function; operator or function: attribute_type, operand type: {SS,M,DECIMAL,DOUBLESET,HDS,N,B,DICT,INTSET,BOOL,HD,BS,INT,DECIMALSET,NULL,FLOAT,FS,S,L,NS,DOUBLE}",
    ],
    ["x < :bool", "Incorrect operand type for operator or function; operator or function: <, operand type: BOOL"],
    [
      "x BETWEEN :l AND :n",
      "Incorrect operand type for operator or function; operator or function: BETWEEN, operand type: L",
    ],
    [
      "x BETWEEN :n AND :s",
      "The BETWEEN operator requires same data type for lower and upper bounds; lower bound operand: AttributeValue: {N:1}, upper bound operand: AttributeValue: {S:text}",
    ],
    [
      "x BETWEEN :two AND :n",
      "The BETWEEN operator requires upper bound to be greater than or equal to lower bound; lower bound operand: AttributeValue: {N:2}, upper bound operand: AttributeValue: {N:1}",
    ],
    [
      "x.y[1] = x.y[1]",
      "The first operand must be distinct from the remaining operands for this operator or function; operator: =, first operand: [x, y, [1]]",
    ],
    [
      "begins_with(x, x)",
      "The first operand must be distinct from the remaining operands for this operator or function; operator: begins_with, first operand: [x]",
    ],
    ["((x = :n))", "The expression has redundant parentheses;"],
    ["y = :n AND ((x = :n))", "The expression has redundant parentheses;"],
  ])("refuses %s", (expression, message) => {
    expect(problem("ConditionExpression", expression)).toBe(`Invalid ConditionExpression: ${message}`);
  });

  it.each([
    ["too many operators", times(301, () => "x = y", " OR "), TOO_MANY],
    ["too many of them within one another", `${"NOT ".repeat(1_000)}x = y`, TOO_MANY],
    [
      "and a function that nobody knows",
      `${times(301, () => "x = y", " OR ")} OR f(x)`,
      "Invalid function name; function: f",
    ],
    ["calls within calls", `x < ${"f(".repeat(1_355)}y${")".repeat(1_355)}`, "Invalid function name; function: f"],
    ["parentheses", `${"(".repeat(2_046)}x<y${")".repeat(2_046)}`, "The expression has redundant parentheses;"],
    ["nothing else", "(".repeat(4_096), 'Syntax error; token: "<EOF>", near: "("'],
  ])("is told what is wrong with one of %s", (_, expression, message) => {
    expect(problem("ConditionExpression", expression)).toBe(`Invalid ConditionExpression: ${message}`);
  });

  it.each([
    ["N", true],
    ["S", false],
  ])("knows at once whether a number is of type %s", (type, is) => {
    const ExpressionAttributeValues = { ":v": { N: "1" }, ":t": { S: type } };
    const { condition } = parseExpressions(
      { ConditionExpression: "attribute_type(:v, :t)", ExpressionAttributeValues },
      ["ConditionExpression"],
    );
    expect(matches(condition as Condition, {})).toBe(is);
  });

  it("knows at once how large a value is", () => {
    expect(condition("size(:s) = x")).toMatchObject({ left: { kind: "value", value: { N: "4" } } });
  });

  it.each(["((x = :n) OR y = :n)", "(y = :n OR (x = :n))", "((x = :n) AND (y = :n))"])("takes %s", (expression) => {
    expect(problem("ConditionExpression", expression)).toBe("taken");
  });

  it.each([
    ["((x = :n)) AND name = :nope (", 'Syntax error; token: "(", near: ":nope ("'],
    ["((x = :n)) AND nope(x)", "The expression has redundant parentheses;"],
    ["name = :n AND nope(x)", "Invalid function name; function: nope"],
    ["x = :nope AND name = :n", "Attribute name is a reserved keyword; reserved keyword: name"],
    [
      "begins_with(x, :n) AND x = :nope",
      "Incorrect operand type for operator or function; operator or function: begins_with, operand type: N",
    ],
    [
      "x = :nope AND begins_with(x, :n)",
      "An expression attribute value used in expression is not defined; attribute value: :nope",
    ],
    [
      "begins_with(:nope, :n) AND x = x",
      "An expression attribute value used in expression is not defined; attribute value: :nope",
    ],
    [
      "x = x AND begins_with(:n)",
      "The first operand must be distinct from the remaining operands for this operator or function; operator: =, first operand: [x]",
    ],
    ["begins_with(x, :n) AND name = :n", "Attribute name is a reserved keyword; reserved keyword: name"],
  ])("with several mistakes, %s, is told the service's first", (expression, message) => {
    expect(problem("ConditionExpression", expression)).toBe(`Invalid ConditionExpression: ${message}`);
  });
});

describe("an update", () => {
  it("reads all sections in any order and case", () => {
    expect(
      parse("UpdateExpression", "remove x, y[1] Set #a = :n, z = if_not_exists(z, :l) ADD n :n DELETE s :set").update,
    ).toEqual([
      { kind: "remove", path: ["x"] },
      { kind: "remove", path: ["y", 1] },
      { kind: "set", path: ["a"], value: { kind: "value", value: { N: "1" } } },
      {
        kind: "set",
        path: ["z"],
        value: { kind: "if-not-exists", path: ["z"], otherwise: { kind: "value", value: { L: [] } } },
      },
      { kind: "add", path: ["n"], value: { N: "1" } },
      { kind: "delete", path: ["s"], value: { SS: ["x"] } },
    ]);
  });

  it.each([
    ["x = :n", 'Syntax error; token: "x", near: "x ="'],
    ["SET", 'Syntax error; token: "<EOF>", near: "SET"'],
    ["SET x", 'Syntax error; token: "<EOF>", near: "x"'],
    ["SET x = :n +", 'Syntax error; token: "<EOF>", near: "+"'],
    ["SET x = :n + :n + :n", 'Syntax error; token: "+", near: ":n + :n"'],
    ["SET x = :n,", 'Syntax error; token: "<EOF>", near: ","'],
    ["ADD x y", 'Syntax error; token: "y", near: "x y"'],
    ["REMOVE :n", 'Syntax error; token: ":n", near: "REMOVE :n"'],
    ["SET x = :n SET y = :n", 'The "SET" section can only be used once in an update expression;'],
    ["SET x = nope(:n)", "Invalid function name; function: nope"],
    ["SET x = size(y)", "The function is not allowed in an update expression; function: size"],
    [
      "SET x = if_not_exists(y)",
      "Incorrect number of operands for operator or function; operator or function: if_not_exists, number of operands: 1",
    ],
    [
      "SET x = if_not_exists(:n, :n)",
      "Operator or function requires a document path; operator or function: if_not_exists",
    ],
    [
      "SET x = list_append(y, :n)",
      "Incorrect operand type for operator or function; operator or function: list_append, operand type: N",
    ],
    ["SET x = y + :s", "Incorrect operand type for operator or function; operator or function: +, operand type: S"],
    ...(["ADD", "DELETE"] as const).flatMap((section) =>
      Object.entries({
        ":s": "STRING",
        ":l": "LIST",
        ":m": "MAP",
        ":b": "BINARY",
        ":bool": "BOOL",
        ":null": "NULL",
      }).map(([value, type]): [string, string] => [
        `${section} x ${value}`,
        `Incorrect operand type for operator or function; operator: ${section}, operand type: ${type}, typeSet: ALLOWED_FOR_ADD_OPERAND`,
      ]),
    ),
    [
      "DELETE x :n",
      "Incorrect operand type for operator or function; operator: DELETE, operand type: NUMBER, typeSet: ALLOWED_FOR_ADD_OPERAND",
    ],
    ["SET _123 = :n", 'Syntax error; token: "_", near: "SET _123"'],
    ["SET x = y / :n", 'Syntax error; token: "/", near: "y / :n"'],
    ["SET x = if_not_exists(x, :n + :n)", 'Syntax error; token: "+", near: ":n + :n"'],
    ["SET x = (:n + :n) + :n", 'Syntax error; token: "+", near: ") + :n"'],
    [
      "SET x = list_append(list_append(x, y), z)",
      "The function is not allowed to be used this way in an expression; function: list_append",
    ],
    [
      "SET x = list_append(z, list_append(x, y))",
      "The function is not allowed to be used this way in an expression; function: list_append",
    ],
    [
      "SET x = :n, x = :n",
      "Two document paths overlap with each other; must remove or rewrite one of these paths; path one: [x], path two: [x]",
    ],
    [
      "SET x.y = :n REMOVE x",
      "Two document paths overlap with each other; must remove or rewrite one of these paths; path one: [x, y], path two: [x]",
    ],
    [
      "SET x = :n REMOVE x.y[1]",
      "Two document paths overlap with each other; must remove or rewrite one of these paths; path one: [x], path two: [x, y, [1]]",
    ],
    [
      "SET x[1] = :n REMOVE x.y",
      "Two document paths conflict with each other; must remove or rewrite one of these paths; path one: [x, [1]], path two: [x, y]",
    ],
  ])("refuses %s", (expression, message) => {
    expect(problem("UpdateExpression", expression)).toBe(`Invalid UpdateExpression: ${message}`);
  });

  const OVERLAP = "Two document paths overlap with each other; must remove or rewrite one of these paths;";
  const CONFLICT = "Two document paths conflict with each other; must remove or rewrite one of these paths;";

  // Each has the mistake of the line before it as well, which then comes second.
  it.each([
    [
      "SET x = if_not_exists(y)",
      "Incorrect number of operands for operator or function; operator or function: if_not_exists, number of operands: 1",
    ],
    [
      "SET x = if_not_exists(y) ADD y :s",
      "Incorrect operand type for operator or function; operator: ADD, operand type: STRING, typeSet: ALLOWED_FOR_ADD_OPERAND",
    ],
    ["SET x.y = if_not_exists(y), x[1] = :n ADD y :s", `${CONFLICT} path one: [x, y], path two: [x, [1]]`],
    ["SET x.y = if_not_exists(y), x[1] = :n ADD y :s DELETE y[0] :set", `${OVERLAP} path one: [y], path two: [y, [0]]`],
    [
      "SET x.y = if_not_exists(:nope), x[1] = :n ADD y :s, y[0] :n",
      "An expression attribute value used in expression is not defined; attribute value: :nope",
    ],
    [
      "SET x.y = if_not_exists(:nope), #nope[1] = :n ADD y :s, y[0] :n",
      "An expression attribute name used in the document path is not defined; attribute name: #nope",
    ],
    [
      "SET x.y = if_not_exists(:nope) SET #nope[1] = :n ADD y :s, y[0] :n",
      'The "SET" section can only be used once in an update expression;',
    ],
    [
      "SET x.y = if_not_exists(:nope) SET #nope[1] = nope(y) ADD y :s, y[0] :n",
      "Invalid function name; function: nope",
    ],
    [
      "SET x.y = if_not_exists(:nope) SET #nope[1] = nope(y) ADD y :s, y[0] :n REMOVE abort",
      "Attribute name is a reserved keyword; reserved keyword: abort",
    ],
    ["SET x.y = nope(y) SET x.y = :n REMOVE abort,", 'Syntax error; token: "<EOF>", near: ","'],
  ])("with several mistakes, %s, is told the service's first", (expression, message) => {
    expect(problem("UpdateExpression", expression)).toBe(`Invalid UpdateExpression: ${message}`);
  });
});

describe("a projection", () => {
  it("is a list of paths", () => {
    expect(parse("ProjectionExpression", "x, #a.y[0] ,#b").projection).toEqual([["x"], ["a", "y", 0], ["b.c"]]);
  });

  it.each([
    ["x,", 'Syntax error; token: "<EOF>", near: ","'],
    ["x y", 'Syntax error; token: "y", near: "x y"'],
    [
      "x, x.y",
      "Two document paths overlap with each other; must remove or rewrite one of these paths; path one: [x], path two: [x, y]",
    ],
    [
      "x.y, x.y",
      "Two document paths overlap with each other; must remove or rewrite one of these paths; path one: [x, y], path two: [x, y]",
    ],
    [
      "x.y, x[0]",
      "Two document paths conflict with each other; must remove or rewrite one of these paths; path one: [x, y], path two: [x, [0]]",
    ],
    [
      "x.y, x[0], z, z",
      "Two document paths overlap with each other; must remove or rewrite one of these paths; path one: [z], path two: [z]",
    ],
    [Array(33).fill("x").join("."), "The document path has too many nesting levels; nesting levels: 33"],
  ])("refuses %s", (expression, message) => {
    expect(problem("ProjectionExpression", expression)).toBe(`Invalid ProjectionExpression: ${message}`);
  });
});

describe("placeholders", () => {
  it.each<[ExpressionParameters, string]>([
    [
      { ConditionExpression: "a = b", ExpressionAttributeNames: { "#x": "x" } },
      "Value provided in ExpressionAttributeNames unused in expressions: keys: {#x}",
    ],
    [
      {
        ConditionExpression: "a = b",
        ExpressionAttributeValues: { ":y": { S: "" }, ":x": { S: "" } },
      },
      "Value provided in ExpressionAttributeValues unused in expressions: keys: {:x, :y}",
    ],
    [{ ConditionExpression: "a = b", ExpressionAttributeNames: {} }, "ExpressionAttributeNames must not be empty"],
    [
      { ConditionExpression: "a = b", ExpressionAttributeNames: { "#x": "ä".repeat(2 ** 20) } },
      "ExpressionAttributeNames exceeds max size",
    ],
    [{ ConditionExpression: "a = b", ExpressionAttributeValues: {} }, "ExpressionAttributeValues must not be empty"],
    [
      { ConditionExpression: "a = b", ExpressionAttributeNames: { x: "x" } },
      'ExpressionAttributeNames contains invalid key: Syntax error; key: "x"',
    ],
    [
      { ConditionExpression: "a = b", ExpressionAttributeValues: { "#x": { S: "" } } },
      'ExpressionAttributeValues contains invalid key: Syntax error; key: "#x"',
    ],
    [
      { ConditionExpression: "a = b", ExpressionAttributeValues: { ":x": { N: "one" } } },
      "ExpressionAttributeValues contains invalid value: The parameter cannot be converted to a numeric value: one for key :x",
    ],
    [
      { ConditionExpression: "a = b", ExpressionAttributeValues: { ":x": { NS: [] } } },
      "ExpressionAttributeValues contains invalid value: One or more parameter values were invalid: An number set  may not be empty for key :x",
    ],
    [
      { ProjectionExpression: "a", ExpressionAttributeValues: { ":x": { S: "" } } },
      "ExpressionAttributeValues can only be specified when using expressions: UpdateExpression and ConditionExpression are null",
    ],
    [
      { ExpressionAttributeNames: { "#x": "x" } },
      "ExpressionAttributeNames can only be specified when using expressions",
    ],
    [
      { ConditionExpression: "a = b", ExpressionAttributeNames: { [`#${"x".repeat(255)}-`]: "x" } },
      "ExpressionAttributeNames contains invalid key: The expression attribute map contains a key that is too long; size of key: 257",
    ],
    [
      { ConditionExpression: "a = b", ExpressionAttributeValues: { [`:${"x".repeat(255)}`]: { S: "x" } } },
      "ExpressionAttributeValues contains invalid key: The expression attribute map contains a key that is too long;",
    ],
  ])("refuse %j", (parameters, message) => {
    expect(() => parseExpressions(parameters, ["UpdateExpression", "ConditionExpression"])).toThrow(
      expect.objectContaining({ type: "ValidationException", message }),
    );
  });
});
