/**
 * WHERE, by recursive descent:
 *
 *     or        = and { OR and }
 *     and       = not { AND not }
 *     not       = NOT not | "(" or ")" | function | operand test
 *     test      = comparator operand | [ NOT ] BETWEEN operand AND operand | [ NOT ] IN list | IS [ NOT ] ( MISSING | NULL | type )
 *     operand   = path | literal | "?" | size "(" path ")"
 */
import { ATTRIBUTE_TYPES, typeOf } from "../attributes.js";
import { ORDERED_TYPES } from "../compare.js";
import { IN_VALUES_MAX } from "../condition.js";
import { validationError } from "../errors.js";
import { joinConditions } from "../join-conditions.js";
import { messages } from "../messages.js";
import type { AttributeValue, Comparator, Condition, DocumentPath, Operand } from "../model.js";
import { isTypeWord } from "./keywords.js";
import { partiqlMessages } from "./messages.js";
import type { Reader } from "./reader.js";

const COMPARATORS: Readonly<Record<string, Comparator>> = {
  "=": "=",
  "<>": "<>",
  "!=": "<>",
  "<": "<",
  "<=": "<=",
  ">": ">",
  ">=": ">=",
};
const TYPES: Readonly<Record<string, string>> = {
  NULL: "NULL",
  BOOLEAN: "BOOL",
  BOOL: "BOOL",
  BLOB: "B",
  STRING: "S",
  NUMERIC: "N",
  STRUCT: "M",
  TUPLE: "M",
  LIST: "L",
};

/** @throws ValidationException */
export function whereCondition(r: Reader): Condition {
  const any = [conjunction(r)];
  while (r.acceptKeyword("OR")) {
    r.expectRight();
    any.push(conjunction(r));
  }
  return joinConditions(any, "or") as Condition;
}

function conjunction(r: Reader): Condition {
  const all = [negation(r)];
  while (r.acceptKeyword("AND")) {
    r.expectRight();
    all.push(negation(r));
  }
  return joinConditions(all, "and") as Condition;
}

function negation(r: Reader): Condition {
  if (r.acceptKeyword("NOT")) return { kind: "not", condition: r.nested(() => negation(r)) };
  if (r.acceptSymbol("(")) {
    const condition = r.nested(() => whereCondition(r));
    r.expectSymbol(")");
    return comparedTruth(r, condition, false);
  }
  if (atCondition(r)) return comparedTruth(r, call(r), true);
  return test(r, operand(r));
}

const atCondition = (r: Reader): boolean => r.atCall() && !r.isKeyword("SIZE");

/**
 * A condition is true or false, and may be compared with what is: what comes out is again a condition, of those that expressions have.
 * @param isCall it is small enough to be said twice
 */
function comparedTruth(r: Reader, condition: Condition, isCall: boolean): Condition {
  const op = comparator(r);
  if (op !== undefined) {
    if (atCondition(r) && isCall) return truthCompared(op, condition, call(r));
    r.expectRight();
    const right = operand(r);
    if (right.kind === "path" && !isCall) r.fail(partiqlMessages.leftOver);
    return truthCompared(op, condition, right);
  }
  const not = r.isKeyword("NOT") && r.isKeyword("IN", 1);
  if (!not && !r.isKeyword("IN")) return condition;
  if (not) r.take();
  r.take();
  r.expectRight();
  const truths = membersOf(r).map((value) => ("BOOL" in value ? value.BOOL : undefined));
  const found = truths.includes(true) ? (truths.includes(false) ? ALWAYS : condition) : negated(condition);
  const among = truths.includes(true) || truths.includes(false) ? found : negated(ALWAYS);
  return not ? negated(among) : among;
}

const TRUE: Operand = { kind: "value", value: { BOOL: true } };
const FALSE: Operand = { kind: "value", value: { BOOL: false } };
const ALWAYS: Condition = { kind: "compare", op: "=", left: TRUE, right: TRUE };
const negated = (condition: Condition): Condition => ({ kind: "not", condition });

function truthCompared(op: Comparator, truth: Condition, with_: Operand | Condition): Condition {
  if (op !== "=" && op !== "<>") throw validationError(messages.operandType(op, "BOOL"));
  const equal = truthEqual(truth, with_);
  return op === "=" ? equal : negated(equal);
}

function truthEqual(truth: Condition, other: Operand | Condition): Condition {
  if (other.kind === "size") return negated(ALWAYS);
  if (other.kind === "value") {
    if (!("BOOL" in other.value)) return negated(ALWAYS);
    // Not as it stands, which a key's condition would be taken for.
    return other.value.BOOL ? negated(negated(truth)) : negated(truth);
  }
  const is = (value: Operand): Condition =>
    other.kind === "path"
      ? { kind: "compare", op: "=", left: other, right: value }
      : value === TRUE
        ? other
        : negated(other);
  return {
    kind: "or",
    left: { kind: "and", left: truth, right: is(TRUE) },
    right: { kind: "and", left: negated(truth), right: is(FALSE) },
  };
}

/** The functions that are conditions, and how many operands each has. */
const FUNCTIONS: Readonly<Record<string, number>> = {
  begins_with: 2,
  contains: 2,
  attribute_type: 2,
  attribute_exists: 1,
  attribute_not_exists: 1,
};

function call(r: Reader): Condition {
  const at = r.placeOf(r.peek());
  const name = r.take().text.toLowerCase();
  if (name === "exists" && r.isKeyword("SELECT", 1)) throw validationError(partiqlMessages.existsOutside);
  if (!Object.hasOwn(FUNCTIONS, name)) throw validationError(partiqlMessages.unknownFunction(name, at));
  const operands = operandsOf(r);
  const [first, second] = operands as [Operand, Operand];
  if (operands.length !== FUNCTIONS[name]) throw validationError(messages.operandCount(name, operands.length));
  if (name === "begins_with") return { kind: "begins-with", value: first, search: second };
  if (name === "contains") return { kind: "contains", value: first, search: second };
  if (first.kind !== "path") throw validationError(messages.needsPath(name));
  if (name === "attribute_exists") return { kind: "exists", path: first.path };
  if (name === "attribute_not_exists") return { kind: "not-exists", path: first.path };
  if (second.kind === "value" && !("S" in second.value))
    throw validationError(messages.operandType(name, typeOf(second.value)));
  const type = second.kind === "value" && "S" in second.value ? second.value.S : "";
  if (second.kind === "value" && !ATTRIBUTE_TYPES.has(type)) throw validationError(messages.unknownType(type));
  return { kind: "type", path: first.path, type };
}

function operandsOf(r: Reader): Operand[] {
  const operands: Operand[] = [];
  r.expectSymbol("(");
  if (r.acceptSymbol(")")) return operands;
  do operands.push(operand(r));
  while (r.acceptSymbol(","));
  r.expectSymbol(")");
  return operands;
}

/** Nothing is reckoned in a condition. */
function operand(r: Reader): Operand {
  const one = oneOperand(r);
  if (r.isSymbol("+") || r.isSymbol("-")) throw validationError(partiqlMessages.unsupportedOperator(r.peek().text));
  return one;
}

function oneOperand(r: Reader): Operand {
  if (r.atValue()) return { kind: "value", value: r.value() };
  if (!r.atCall()) return { kind: "path", path: r.path() };
  const at = r.placeOf(r.peek());
  const name = r.take().text.toLowerCase();
  if (name !== "size") throw validationError(partiqlMessages.unknownFunction(name, at));
  r.expectSymbol("(");
  const path = r.path();
  r.expectSymbol(")");
  return { kind: "size", path };
}

function assertOrdered(operator: string, operands: readonly Operand[]): void {
  for (const one of operands) {
    const type = one.kind === "value" ? typeOf(one.value) : "S";
    if (!ORDERED_TYPES.has(type)) throw validationError(messages.operandType(operator, type));
  }
}

function comparator(r: Reader): Comparator | undefined {
  const { kind, text } = r.peek();
  if (kind !== "symbol" || !Object.hasOwn(COMPARATORS, text)) return undefined;
  r.take();
  return COMPARATORS[text];
}

function test(r: Reader, left: Operand): Condition {
  const op = comparator(r);
  if (op !== undefined) {
    r.expectRight();
    if (atCondition(r)) return truthCompared(op, call(r), left);
    const right = operand(r);
    if (op !== "=" && op !== "<>") assertOrdered(op, [left, right]);
    return { kind: "compare", op, left, right };
  }
  if (r.acceptKeyword("IS")) return typed(r, left);
  const not = r.acceptKeyword("NOT");
  if (!r.isKeyword("BETWEEN") && !r.isKeyword("IN")) {
    // A name or a value behind a value is what is left over.
    throw validationError(r.atName() || r.atValue() ? partiqlMessages.leftOver : partiqlMessages.noCondition);
  }
  const isBetween = r.isKeyword("BETWEEN");
  r.take();
  r.expectRight();
  const condition = isBetween ? between(r, left) : among(r, left);
  return not ? { kind: "not", condition } : condition;
}

function typed(r: Reader, left: Operand): Condition {
  if (left.kind !== "path") r.fail();
  const { path } = left as { path: DocumentPath };
  const not = r.acceptKeyword("NOT");
  const { kind, text } = r.take();
  if (kind !== "word" || !isTypeWord(text)) r.fail(partiqlMessages.typeName);
  const name = text.toUpperCase();
  if (name === "MISSING") return { kind: not ? "exists" : "not-exists", path };
  const type = Object.hasOwn(TYPES, name) ? TYPES[name] : undefined;
  if (type === undefined) throw validationError(partiqlMessages.isType(name));
  const condition: Condition = { kind: "type", path, type };
  return not ? { kind: "not", condition } : condition;
}

function between(r: Reader, value: Operand): Condition {
  const low = operand(r);
  if (!r.acceptKeyword("AND")) r.fail(partiqlMessages.andAfterBetween);
  const high = operand(r);
  assertOrdered("BETWEEN", [value, low, high]);
  return { kind: "between", value, low, high };
}

function among(r: Reader, value: Operand): Condition {
  return { kind: "in", value, among: membersOf(r).map((member) => ({ kind: "value", value: member })) };
}

function membersOf(r: Reader): AttributeValue[] {
  const members: AttributeValue[] = [];
  const end = r.acceptSymbol("(") ? ")" : r.acceptSymbol("[") ? "]" : undefined;
  if (end !== undefined && !r.acceptSymbol(end)) {
    do members.push(r.atValue() ? r.value() : r.fail());
    while (r.acceptSymbol(","));
    r.expectSymbol(end);
  } else if (end === undefined) {
    const list = r.atValue() ? r.value() : r.fail();
    if ("L" in list) members.push(...list.L);
  }
  if (members.length > IN_VALUES_MAX) throw validationError(partiqlMessages.inTooMany(members.length));
  if (members.length === 0) throw validationError(partiqlMessages.inOperands);
  return members;
}
