/**
 * WHERE, by recursive descent:
 *
 *     or        = and { OR and }
 *     and       = not { AND not }
 *     not       = NOT not | "(" or ")" | function | operand test
 *     test      = comparator operand | [ NOT ] BETWEEN operand AND operand | [ NOT ] IN list | IS [ NOT ] ( MISSING | NULL | type )
 *     operand   = path | literal | "?" | size "(" path ")"
 */
import { validationError } from "../errors.js";
import { joinConditions } from "../join-conditions.js";
import { messages } from "../messages.js";
import type { AttributeValue, Condition, DocumentPath, Operand } from "../model.js";
import { partiqlMessages } from "./messages.js";
import type { Reader } from "./reader.js";

const IN_MAX = 100;

type Comparator = (Condition & { kind: "compare" })["op"];

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
  while (r.acceptKeyword("OR")) any.push(conjunction(r));
  return joinConditions(any, "or") as Condition;
}

function conjunction(r: Reader): Condition {
  const all = [negation(r)];
  while (r.acceptKeyword("AND")) all.push(negation(r));
  return joinConditions(all, "and") as Condition;
}

function negation(r: Reader): Condition {
  if (r.acceptKeyword("NOT")) return { kind: "not", condition: r.nested(() => negation(r)) };
  if (r.acceptSymbol("(")) {
    const condition = r.nested(() => whereCondition(r));
    r.expectSymbol(")");
    return condition;
  }
  if (atCall(r) && !r.isKeyword("SIZE")) return call(r);
  return test(r, operand(r));
}

function atCall(r: Reader): boolean {
  return r.peek().kind === "word" && r.isSymbol("(", 1);
}

function call(r: Reader): Condition {
  const name = r.take().text;
  r.expectSymbol("(");
  switch (name.toLowerCase()) {
    case "begins_with":
    case "contains": {
      const [value, search] = [operand(r), comma(r) ?? operand(r)];
      r.expectSymbol(")");
      return { kind: name.toLowerCase() === "contains" ? "contains" : "begins-with", value, search };
    }
    case "attribute_type": {
      const path = r.path();
      comma(r);
      const type = r.atValue() ? r.value() : r.fail();
      r.expectSymbol(")");
      return { kind: "type", path, type: "S" in type ? type.S : "" };
    }
    case "exists":
      throw validationError(partiqlMessages.existsOutside);
    default:
      throw validationError(partiqlMessages.unknownFunction(name));
  }
}

function comma(r: Reader): undefined {
  r.expectSymbol(",");
}

function operand(r: Reader): Operand {
  if (r.atValue()) return { kind: "value", value: r.value() };
  if (!atCall(r)) return { kind: "path", path: r.path() };
  const name = r.take().text;
  if (name.toLowerCase() !== "size") throw validationError(partiqlMessages.unknownFunction(name));
  r.expectSymbol("(");
  const path = r.path();
  r.expectSymbol(")");
  return { kind: "size", path };
}

function test(r: Reader, left: Operand): Condition {
  const { kind, text } = r.peek();
  const op = kind === "symbol" && Object.hasOwn(COMPARATORS, text) ? COMPARATORS[text] : undefined;
  if (op !== undefined) {
    r.take();
    return { kind: "compare", op, left, right: operand(r) };
  }
  if (r.acceptKeyword("IS")) return typed(r, left);
  const not = r.acceptKeyword("NOT");
  const condition = r.acceptKeyword("BETWEEN") ? between(r, left) : r.acceptKeyword("IN") ? among(r, left) : r.fail();
  return not ? { kind: "not", condition } : condition;
}

function typed(r: Reader, left: Operand): Condition {
  if (left.kind !== "path") r.fail();
  const { path } = left as { path: DocumentPath };
  const not = r.acceptKeyword("NOT");
  const name = r.name().toUpperCase();
  if (name === "MISSING") return { kind: not ? "exists" : "not-exists", path };
  const type = Object.hasOwn(TYPES, name) ? TYPES[name] : undefined;
  if (type === undefined) throw validationError(partiqlMessages.isType(name));
  const condition: Condition = { kind: "type", path, type };
  return not ? { kind: "not", condition } : condition;
}

function between(r: Reader, value: Operand): Condition {
  const low = operand(r);
  r.expectKeyword("AND");
  return { kind: "between", value, low, high: operand(r) };
}

function among(r: Reader, value: Operand): Condition {
  let members: readonly AttributeValue[] = [];
  if (r.acceptSymbol("(")) {
    const listed: AttributeValue[] = [];
    do listed.push(r.atValue() ? r.value() : r.fail());
    while (r.acceptSymbol(","));
    r.expectSymbol(")");
    members = listed;
  } else {
    const list = r.atValue() ? r.value() : r.fail();
    if ("L" in list) members = list.L;
  }
  if (members.length > IN_MAX) throw validationError(messages.operandCount("IN", members.length + 1));
  if (members.length === 0) throw validationError(partiqlMessages.inOperands);
  return { kind: "in", value, among: members.map((member) => ({ kind: "value", value: member })) };
}
