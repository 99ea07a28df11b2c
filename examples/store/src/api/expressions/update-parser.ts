/**
 * Updates:
 *
 *     update    = { SET set { "," set } | REMOVE path { "," path } | ADD path :value { "," … } | DELETE path :value { "," … } }
 *     set       = path "=" value
 *     value     = term [ ( "+" | "-" ) term ] | "(" value ")"
 *     term      = path | :value | if_not_exists "(" path "," term ")" | list_append "(" term "," term ")" | "(" term ")"
 */
import { typeOf } from "../attributes.js";
import { messages } from "../messages.js";
import type { AttributeValue, UpdateAction, UpdateValue } from "../model.js";
import { Parser } from "./parser.js";
import { checkPathsApart } from "./paths-apart.js";
import type { Placeholders } from "./placeholders.js";
import { UPDATE_RANKS } from "./problems.js";

const SECTIONS = ["SET", "REMOVE", "ADD", "DELETE"] as const;
type Section = (typeof SECTIONS)[number];

const ADD_TYPES: ReadonlySet<string> = new Set(["N", "SS", "NS", "BS"]);
const DELETE_TYPES: ReadonlySet<string> = new Set(["SS", "NS", "BS"]);
/** As the service calls in long form what neither section takes. */
const LONG_TYPES: Readonly<Record<string, string>> = { S: "STRING", N: "NUMBER", B: "BINARY", L: "LIST", M: "MAP" };
const FUNCTIONS_OF_CONDITIONS: ReadonlySet<string> = new Set([
  "attribute_exists",
  "attribute_not_exists",
  "attribute_type",
  "begins_with",
  "contains",
  "size",
]);

/** @throws ExpressionError */
export function parseUpdate(expression: string, placeholders: Placeholders): UpdateAction[] {
  const p = new Parser(expression, placeholders, () => messages.updateTooLong, UPDATE_RANKS);
  const actions: UpdateAction[] = [];
  const seen = new Set<Section>();
  do {
    const section = SECTIONS.find((keyword) => p.acceptKeyword(keyword));
    if (section === undefined) return p.fail();
    if (seen.has(section)) p.problems.note("section", messages.sectionTwice(section));
    seen.add(section);
    do actions.push(parseAction(p, section));
    while (p.acceptSymbol(","));
  } while (p.peek().kind !== "end");
  checkPathsApart(
    actions.map(({ path }) => path),
    p.problems,
  );
  p.finish();
  return actions;
}

function parseAction(p: Parser, section: Section): UpdateAction {
  p.countOperator();
  const path = p.path();
  if (section === "REMOVE") return { kind: "remove", path };
  if (section === "SET") {
    p.expectSymbol("=");
    return { kind: "set", path, value: parseValue(p) };
  }
  if (p.peek().kind !== "value") p.fail();
  const value = p.value();
  const type = typeOf(value);
  if (!(section === "ADD" ? ADD_TYPES : DELETE_TYPES).has(type)) {
    p.problems.note("section's operand", messages.operandTypeOfUpdate(section, LONG_TYPES[type] ?? type));
  }
  return { kind: section === "ADD" ? "add" : "delete", path, value };
}

function parseValue(p: Parser): UpdateValue {
  const left = p.isSymbol("(") ? parseParentheses(p, parseValue) : parseTerm(p);
  // What was added in parentheses is not added to any further.
  if (left.kind === "plus" || left.kind === "minus") return left;
  for (const symbol of ["+", "-"] as const) {
    if (!p.acceptSymbol(symbol)) continue;
    p.countOperator();
    const right = parseTerm(p);
    for (const side of [left, right]) literalMustBe(p, symbol, side, "N");
    return { kind: symbol === "+" ? "plus" : "minus", left, right };
  }
  return left;
}

function parseParentheses(p: Parser, parse: (p: Parser) => UpdateValue): UpdateValue {
  p.expectSymbol("(");
  const value = p.nested(() => parse(p));
  p.expectSymbol(")");
  return value;
}

function parseTerm(p: Parser): UpdateValue {
  if (p.isSymbol("(")) return parseParentheses(p, parseTerm);
  if (p.peek().kind === "value") return { kind: "value", value: p.value() };
  if (!p.atFunction()) return { kind: "path", path: p.path() };
  const name = p.take().text;
  const [first, second] = parseArguments(p, name);
  if (name === "list_append" && first !== undefined && second !== undefined) {
    for (const side of [first, second]) {
      if (side.kind === "list-append") p.problems.note("misplaced function", messages.functionMisplaced(name));
      literalMustBe(p, name, side, "L");
    }
    return { kind: "list-append", left: first, right: second };
  }
  if (name === "if_not_exists" && first !== undefined && second !== undefined) {
    if (first.kind === "path") return { kind: "if-not-exists", path: first.path, otherwise: second };
    p.problems.note("operand type", messages.needsPath(name));
  }
  // Something is wrong with this call, and noted: what stands here is never evaluated.
  return first ?? { kind: "path", path: [] };
}

function parseArguments(p: Parser, name: string): UpdateValue[] {
  p.countOperator();
  const operands: UpdateValue[] = [];
  p.expectSymbol("(");
  p.nested(() => {
    do operands.push(parseTerm(p));
    while (p.acceptSymbol(","));
  });
  p.expectSymbol(")");
  if (FUNCTIONS_OF_CONDITIONS.has(name)) p.problems.note("unknown function", messages.functionNotInUpdate(name));
  else if (name !== "list_append" && name !== "if_not_exists") {
    p.problems.note("unknown function", messages.unknownFunction(name));
  } else if (operands.length !== 2) p.problems.note("operand count", messages.operandCount(name, operands.length));
  return operands;
}

function literalMustBe(p: Parser, operator: string, of: UpdateValue, type: "N" | "L"): void {
  const actual = knownType(of);
  if (actual !== undefined && actual !== type) p.problems.note("operand type", messages.operandType(operator, actual));
}

/** The type of a value that is known before any item is seen. */
function knownType(value: UpdateValue): string | undefined {
  if (value.kind === "value") return typeOf(value.value as AttributeValue);
  if (value.kind === "list-append") return "L";
  return value.kind === "plus" || value.kind === "minus" ? "N" : undefined;
}
