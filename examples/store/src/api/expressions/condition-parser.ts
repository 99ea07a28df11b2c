/**
 * Conditions and filters, by recursive descent:
 *
 *     or        = and { OR and }
 *     and       = not { AND not }
 *     not       = NOT not | "(" or ")" | function | operand ( comparator operand | BETWEEN operand AND operand | IN "(" operand { "," operand } ")" )
 *     operand   = path | :value | size "(" operand ")" | "(" operand ")"
 */
import { ATTRIBUTE_TYPES, typeOf } from "../attributes.js";
import { compareValues, ORDERED_TYPES, sizeOfValue } from "../compare.js";
import { IN_VALUES_MAX } from "../condition.js";
import { messages } from "../messages.js";
import type { AttributeValue, Comparator, Condition, Operand } from "../model.js";
import { printPath } from "../path.js";
import { Parser } from "./parser.js";
import { type Placeholders, printValue } from "./placeholders.js";

const COMPARATORS: ReadonlySet<string> = new Set<Comparator>(["=", "<>", "<", "<=", ">", ">="]);

interface FunctionRule {
  readonly operands: number;
  build(p: Parser, name: string, operands: readonly Operand[]): Condition;
}

/** The functions that are conditions. Each has the right number of operands when it is built. */
const FUNCTIONS: Readonly<Record<string, FunctionRule>> = {
  attribute_exists: { operands: 1, build: (p, name, [of]) => ({ kind: "exists", path: pathOf(p, name, of) }) },
  attribute_not_exists: { operands: 1, build: (p, name, [of]) => ({ kind: "not-exists", path: pathOf(p, name, of) }) },
  attribute_type: {
    operands: 2,
    build: (p, name, [of, type]) => typeCondition(of as Operand, typeNamed(p, name, type)),
  },
  begins_with: {
    operands: 2,
    build: (p, name, [value, search]) => {
      for (const side of [value, search]) {
        literalMustBe(p, name, side, (type) => type === "S" || type === "B");
        if (side?.kind === "size") p.problems.note("operand type", messages.operandType(name, "N"));
      }
      return distinct(p, name, { kind: "begins-with", value: value as Operand, search: search as Operand });
    },
  },
  contains: {
    operands: 2,
    build: (p, name, [value, search]) =>
      distinct(p, name, { kind: "contains", value: value as Operand, search: search as Operand }),
  },
};
const FUNCTIONS_OF_UPDATES: ReadonlySet<string> = new Set(["if_not_exists", "list_append"]);

/** @throws ExpressionError */
export function parseCondition(expression: string, placeholders: Placeholders): Condition {
  const p = new Parser(expression, placeholders);
  const condition = parseOr(p);
  p.finish();
  return condition;
}

/** @param first what it begins with, where that has been read */
function parseOr(p: Parser, first?: Condition): Condition {
  let left = parseAnd(p, first);
  while (p.acceptKeyword("OR")) {
    p.countOperator();
    left = { kind: "or", left, right: parseAnd(p) };
  }
  return left;
}

function parseAnd(p: Parser, first = parseNot(p)): Condition {
  let left = first;
  while (p.acceptKeyword("AND")) {
    p.countOperator();
    left = { kind: "and", left, right: parseNot(p) };
  }
  return left;
}

function parseNot(p: Parser): Condition {
  if (p.acceptKeyword("NOT")) {
    p.countOperator();
    return { kind: "not", condition: p.nested(() => parseNot(p)) };
  }
  if (p.isSymbol("(")) return parseParentheses(p);
  const condition = parsePrimary(p);
  p.problems.endCondition();
  return condition;
}

function parsePrimary(p: Parser): Condition {
  if (!p.atFunction()) return parseComparison(p, parseOperand(p));
  const name = p.peek().text;
  if (name === "size") return parseSizeComparison(p);
  const condition = parseFunction(p);
  if (!atComparison(p)) return condition;
  // What a condition answers is no operand; an unknown function has been noted as such.
  if (Object.hasOwn(FUNCTIONS, name)) p.problems.note("misplaced function", messages.functionMisplaced(name));
  return parseComparison(p, { kind: "path", path: [] });
}

function parseSizeComparison(p: Parser): Condition {
  const size = parseOperand(p);
  return atComparison(p) ? parseComparison(p, size) : misplacedSize(p);
}

function misplacedSize(p: Parser): Condition {
  p.problems.note("misplaced function", messages.functionMisplaced("size"));
  return { kind: "exists", path: [] };
}

/** As many as open one behind the other in one turn: two thousand fit into an expression. */
function parseParentheses(p: Parser): Condition {
  const outermost = p.position;
  while (p.acceptSymbol("("));
  let from = p.position;
  let condition: Condition;
  if (atOperandAlone(p)) {
    const operand = parseOperand(p);
    const opened = from;
    while (from > outermost && p.acceptSymbol(")")) from--;
    if (opened - from > 1) p.problems.note("parentheses", messages.redundantParentheses);
    condition = operand.kind === "size" && !atComparison(p) ? misplacedSize(p) : parseComparison(p, operand);
    p.problems.endCondition();
    if (from === outermost) return condition;
    condition = parseOr(p, condition);
  } else condition = p.nested(() => parseOr(p));
  for (;;) {
    // `((a))`, but not `((a) OR b)`: the last pair inside began right behind this one and has just been closed.
    if (p.lastPair?.from === from && p.lastPair.to === p.position) {
      p.problems.note("parentheses", messages.redundantParentheses);
    }
    p.expectSymbol(")");
    p.lastPair = { from: --from, to: p.position };
    if (from === outermost) return condition;
    condition = parseOr(p, condition);
  }
}

/** At an operand with a closing parenthesis behind it: the pair holds no condition, but one side of a comparison. */
function atOperandAlone(p: Parser): boolean {
  const { kind } = p.peek();
  let end = 1;
  if (p.atFunction()) {
    if (p.peek().text !== "size") return false;
    for (let depth = 0; depth > 0 || end === 1; end++) {
      if (p.isSymbol("(", end)) depth++;
      else if (p.isSymbol(")", end)) depth--;
      else if (p.peek(end).kind === "end") return false;
    }
  } else if (kind === "word" || kind === "name") {
    while (p.isSymbol(".", end) || p.isSymbol("[", end)) end += p.isSymbol(".", end) ? 2 : 3;
  } else if (kind !== "value") return false;
  return p.isSymbol(")", end);
}

function atComparison(p: Parser): boolean {
  const { kind, text } = p.peek();
  return (kind === "symbol" && COMPARATORS.has(text)) || p.isKeyword("BETWEEN") || p.isKeyword("IN");
}

function parseComparison(p: Parser, left: Operand): Condition {
  const { kind, text } = p.peek();
  if (kind === "symbol" && COMPARATORS.has(text)) {
    p.take();
    p.countOperator();
    const op = text as Comparator;
    const right = parseOperand(p);
    if (op !== "=" && op !== "<>") {
      for (const side of [left, right]) literalMustBe(p, op, side, (type) => ORDERED_TYPES.has(type));
    }
    checkDistinct(p, op, left, right);
    return { kind: "compare", op, left, right };
  }
  if (p.acceptKeyword("BETWEEN")) return parseBetween(p, left);
  if (p.acceptKeyword("IN")) return parseIn(p, left);
  return p.fail();
}

function parseBetween(p: Parser, value: Operand): Condition {
  p.countOperator();
  const low = parseOperand(p);
  p.expectKeyword("AND");
  const high = parseOperand(p);
  for (const side of [value, low, high]) literalMustBe(p, "BETWEEN", side, (type) => ORDERED_TYPES.has(type));
  if (low.kind === "value" && high.kind === "value") checkBounds(p, low.value, high.value);
  return { kind: "between", value, low, high };
}

function checkBounds(p: Parser, low: AttributeValue, high: AttributeValue): void {
  if (typeOf(low) !== typeOf(high)) {
    p.problems.note("operand type", messages.betweenTypes(printValue(low), printValue(high)));
  } else if ((compareValues(low, high) ?? 0) > 0) {
    p.problems.note("operand type", messages.betweenOrder(printValue(low), printValue(high)));
  }
}

function parseIn(p: Parser, value: Operand): Condition {
  p.countOperator();
  const among: Operand[] = [];
  p.expectSymbol("(");
  do among.push(parseOperand(p));
  while (p.acceptSymbol(","));
  p.expectSymbol(")");
  if (among.length > IN_VALUES_MAX) p.problems.note("operand count", messages.operandCount("IN", among.length + 1));
  return { kind: "in", value, among };
}

function parseFunction(p: Parser): Condition {
  const name = p.take().text;
  const operands = parseArguments(p);
  const rule = Object.hasOwn(FUNCTIONS, name) ? FUNCTIONS[name] : undefined;
  if (rule === undefined) p.problems.note("unknown function", unknownFunction(name));
  else if (operands.length === rule.operands) return rule.build(p, name, operands);
  else p.problems.note("operand count", messages.operandCount(name, operands.length));
  return { kind: "exists", path: [] };
}

function unknownFunction(name: string): string {
  return FUNCTIONS_OF_UPDATES.has(name) ? messages.functionNotInCondition(name) : messages.unknownFunction(name);
}

function parseArguments(p: Parser): Operand[] {
  p.countOperator();
  const operands: Operand[] = [];
  p.expectSymbol("(");
  do operands.push(parseOperand(p));
  while (p.acceptSymbol(","));
  p.expectSymbol(")");
  return operands;
}

function parseOperand(p: Parser): Operand {
  if (p.isSymbol("(")) return parseOperandInParentheses(p);
  if (p.peek().kind === "value") return { kind: "value", value: p.value() };
  if (!p.atFunction()) return { kind: "path", path: p.path() };
  const name = p.take().text;
  const operands = parseArguments(p);
  if (name !== "size") {
    const known = Object.hasOwn(FUNCTIONS, name);
    if (known) p.problems.note("misplaced function", messages.functionMisplaced(name));
    else p.problems.note("unknown function", unknownFunction(name));
  } else if (operands.length !== 1) p.problems.note("operand count", messages.operandCount(name, operands.length));
  return sizeOf(p, operands[0]);
}

function parseOperandInParentheses(p: Parser): Operand {
  let open = 0;
  while (p.acceptSymbol("(")) open++;
  if (open > 1) p.problems.note("parentheses", messages.redundantParentheses);
  const operand = parseOperand(p);
  while (open-- > 0) p.expectSymbol(")");
  return operand;
}

/** Of a value, known at once. */
function sizeOf(p: Parser, operand: Operand | undefined): Operand {
  if (operand?.kind === "path") return { kind: "size", path: operand.path };
  const size = operand?.kind === "value" ? sizeOfValue(operand.value) : undefined;
  if (size !== undefined) return { kind: "value", value: { N: String(size) } };
  const type = operand?.kind === "value" ? typeOf(operand.value) : "N";
  p.problems.note("operand type", messages.operandType("size", type));
  return { kind: "size", path: [] };
}

/** Of anything: what is no path is asked once and for all. */
function typeCondition(of: Operand, type: string): Condition {
  if (of.kind === "path") return { kind: "type", path: of.path, type };
  if (of.kind === "value") return constant(typeOf(of.value) === type);
  if (type !== "N") return constant(false);
  return { kind: "compare", op: ">=", left: of, right: { kind: "value", value: { N: "0" } } };
}

function constant(holds: boolean): Condition {
  const value: Operand = { kind: "value", value: { BOOL: true } };
  return { kind: "compare", op: holds ? "=" : "<>", left: value, right: value };
}

function pathOf(p: Parser, operator: string, operand: Operand | undefined): readonly (string | number)[] {
  if (operand?.kind === "path") return operand.path;
  if (operand?.kind === "size") p.problems.note("misplaced function", messages.functionMisplaced("size"));
  else p.problems.note("operand type", messages.needsPath(operator));
  return [];
}

function typeNamed(p: Parser, operator: string, operand: Operand | undefined): string {
  if (operand?.kind !== "value" || !("S" in operand.value)) {
    if (operand?.kind === "path") {
      const { pathTypes, pathTypesNewer, operandType } = messages;
      p.problems.note("operand type", operandType(operator, pathTypes), operandType(operator, pathTypesNewer));
    } else {
      const type = operand?.kind === "value" ? typeOf(operand.value) : "N";
      p.problems.note("operand type", messages.operandType(operator, type));
    }
    return "";
  }
  const { S: name } = operand.value;
  if (!ATTRIBUTE_TYPES.has(name))
    p.problems.note("operand type", messages.unknownType(name), messages.unknownTypeNewer(name));
  return operand.value.S;
}

function literalMustBe(
  p: Parser,
  operator: string,
  operand: Operand | undefined,
  allowed: (type: string) => boolean,
): void {
  if (operand?.kind !== "value" || allowed(typeOf(operand.value))) return;
  p.problems.note("operand type", messages.operandType(operator, typeOf(operand.value)));
}

function distinct<C extends Condition & { value: Operand; search: Operand }>(p: Parser, name: string, condition: C): C {
  checkDistinct(p, name, condition.value, condition.search);
  return condition;
}

function checkDistinct(p: Parser, operator: string, left: Operand, right: Operand): void {
  if (left.kind !== "path" || right.kind !== "path" || left.path.length !== right.path.length) return;
  if (left.path.every((step, i) => step === right.path[i])) {
    p.problems.note("same operands", messages.operandsSame(operator, printPath(left.path)));
  }
}
