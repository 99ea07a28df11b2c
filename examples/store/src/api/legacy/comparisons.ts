/** The comparison operators of the parameters that were there before expressions, each as the condition that an expression would be parsed to. */
import { typeOf } from "../attributes.js";
import { compareValues, ORDERED_TYPES } from "../compare.js";
import { IN_VALUES_MAX } from "../condition.js";
import { validationError } from "../errors.js";
import { messages } from "../messages.js";
import type { AttributeValue, Comparator, Condition, DocumentPath, Operand } from "../model.js";
import { assertNameFits, checkValue } from "../value-check.js";

interface Rule {
  /** How many values it takes: this many, or at least one. */
  readonly values: 0 | 1 | 2 | "some";
  /** Of which types; absent: of any. */
  readonly types?: ReadonlySet<string>;
  readonly build: (path: DocumentPath, values: readonly Operand[]) => Condition;
}

const TEXTS: ReadonlySet<string> = new Set(["S", "B"]);

const compare =
  (op: Comparator) =>
  (path: DocumentPath, [value]: readonly Operand[]): Condition => ({
    kind: "compare",
    op,
    left: { kind: "path", path },
    right: value as Operand,
  });

const search =
  (kind: "begins-with" | "contains") =>
  (path: DocumentPath, [value]: readonly Operand[]): Condition => ({
    kind,
    value: { kind: "path", path },
    search: value as Operand,
  });

const RULES = {
  EQ: { values: 1, build: compare("=") },
  NE: { values: 1, build: compare("<>") },
  LE: { values: 1, types: ORDERED_TYPES, build: compare("<=") },
  LT: { values: 1, types: ORDERED_TYPES, build: compare("<") },
  GE: { values: 1, types: ORDERED_TYPES, build: compare(">=") },
  GT: { values: 1, types: ORDERED_TYPES, build: compare(">") },
  NOT_NULL: { values: 0, build: (path) => ({ kind: "exists", path }) },
  NULL: { values: 0, build: (path) => ({ kind: "not-exists", path }) },
  CONTAINS: { values: 1, types: ORDERED_TYPES, build: search("contains") },
  // What is not there neither contains a thing nor does not.
  NOT_CONTAINS: {
    values: 1,
    types: ORDERED_TYPES,
    build: (path, values) => ({
      kind: "and",
      left: { kind: "exists", path },
      right: { kind: "not", condition: search("contains")(path, values) },
    }),
  },
  BEGINS_WITH: { values: 1, types: TEXTS, build: search("begins-with") },
  IN: {
    values: "some",
    types: ORDERED_TYPES,
    build: (path, among) => ({ kind: "in", value: { kind: "path", path }, among }),
  },
  BETWEEN: {
    values: 2,
    types: ORDERED_TYPES,
    build: (path, [low, high]) => ({
      kind: "between",
      value: { kind: "path", path },
      low: low as Operand,
      high: high as Operand,
    }),
  },
} satisfies Record<string, Rule>;

export type ComparisonOperator = keyof typeof RULES;

/** In the order in which an error text lists them. */
export const COMPARISON_OPERATORS: readonly ComparisonOperator[] = [
  "IN",
  "NULL",
  "BETWEEN",
  "LT",
  "NOT_CONTAINS",
  "EQ",
  "GT",
  "NOT_NULL",
  "NE",
  "LE",
  "BEGINS_WITH",
  "GE",
  "CONTAINS",
];

/** What a Query may ask of a key. */
export const INDEXABLE: ReadonlySet<ComparisonOperator> = new Set<ComparisonOperator>([
  "EQ",
  "LE",
  "LT",
  "GE",
  "GT",
  "BEGINS_WITH",
  "BETWEEN",
]);

/** @throws ValidationException where values do not fit the operator */
export function comparison(name: string, operator: ComparisonOperator, values: readonly AttributeValue[]): Condition {
  assertNameFits(name);
  const rule: Rule = RULES[operator];
  for (const value of values) checkValue(value);
  const enough =
    rule.values === "some" ? values.length > 0 && values.length <= IN_VALUES_MAX : values.length === rule.values;
  if (!enough) throw validationError(messages.comparisonCount(operator));
  const [first, second] = values;
  if (first !== undefined && values.some((value) => typeOf(value) !== typeOf(first))) {
    throw validationError(messages.comparisonTypesDiffer);
  }
  if (first !== undefined && rule.types !== undefined && !rule.types.has(typeOf(first))) {
    throw validationError(messages.comparisonType(operator, typeOf(first)));
  }
  if (operator === "BETWEEN" && (compareValues(first as AttributeValue, second as AttributeValue) ?? 0) > 0) {
    throw validationError(messages.comparisonBounds);
  }
  // A name is one attribute's, dots and all: paths are for expressions.
  return rule.build(
    [name],
    values.map((value) => ({ kind: "value", value })),
  );
}
