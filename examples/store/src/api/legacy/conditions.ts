/** QueryFilter, ScanFilter, KeyConditions and Expected, as the conditions that expressions are parsed to. */

import { validationError } from "../errors.js";
import { OPERATORS_MAX } from "../expressions/parser.js";
import { joinConditions } from "../join-conditions.js";
import { messages } from "../messages.js";
import type { AttributeValue, Condition } from "../model.js";
import { assertNameFits, checkValue } from "../value-check.js";
import { type ComparisonOperator, comparison, INDEXABLE } from "./comparisons.js";

export type ConditionalOperator = "AND" | "OR";

export interface LegacyCondition {
  ComparisonOperator: ComparisonOperator;
  AttributeValueList?: AttributeValue[];
}

export interface ExpectedAttribute {
  Value?: AttributeValue;
  Exists?: boolean;
  ComparisonOperator?: ComparisonOperator;
  AttributeValueList?: AttributeValue[];
}

/** As many as an expression may have operators: each item of a page is asked all of them. */
function assertFew(conditions: object): void {
  const count = Object.keys(conditions).length;
  if (count > OPERATORS_MAX) throw validationError(messages.expressionTooManyOperators(count));
}

/** @returns undefined for a map of nothing, which asks for nothing @throws ValidationException */
export function filterCondition(
  filter: Readonly<Record<string, LegacyCondition>>,
  operator: ConditionalOperator,
): Condition | undefined {
  assertFew(filter);
  return joinConditions(
    Object.entries(filter).map(([name, { ComparisonOperator: of, AttributeValueList: values = [] }]) =>
      comparison(name, of, values),
    ),
    operator === "OR" ? "or" : "and",
  );
}

/**
 * @param most one for each attribute that the key could have
 * @throws ValidationException
 */
export function keyConditions(conditions: Readonly<Record<string, LegacyCondition>>, most: number): Condition {
  const condition = filterCondition(conditions, "AND");
  const asked = Object.values(conditions);
  if (condition === undefined || asked.length > most) throw validationError(messages.keyConditionCount);
  if (asked.some(({ ComparisonOperator: of }) => !INDEXABLE.has(of))) throw validationError(messages.notIndexable);
  return condition;
}

/** @returns undefined for a map of nothing @throws ValidationException */
export function expectedCondition(
  expected: Readonly<Record<string, ExpectedAttribute>>,
  operator: ConditionalOperator,
): Condition | undefined {
  assertFew(expected);
  return joinConditions(
    Object.entries(expected).map(([name, attribute]) => expectation(name, attribute)),
    operator === "OR" ? "or" : "and",
  );
}

function expectation(name: string, attribute: ExpectedAttribute): Condition {
  assertNameFits(name);
  const { Value: value, Exists: exists, ComparisonOperator: operator, AttributeValueList: list } = attribute;
  if (list !== undefined && value !== undefined) throw validationError(messages.expectedBothValues(name));
  if (operator !== undefined) {
    if (exists !== undefined) throw validationError(messages.expectedExistsAndOperator(name));
    const values = list ?? (value === undefined ? undefined : [value]);
    if (values === undefined && operator !== "NULL" && operator !== "NOT_NULL") {
      throw validationError(messages.expectedNoValues(operator, name));
    }
    return comparison(name, operator, values ?? []);
  }
  if (list !== undefined) throw validationError(messages.expectedListAlone(name));
  if (exists === false) {
    if (value !== undefined) throw validationError(messages.expectedValueOfNothing(name));
    return { kind: "not-exists", path: [name] };
  }
  if (value === undefined) throw validationError(messages.expectedNoValue(String(exists ?? null), name));
  checkValue(value);
  return { kind: "compare", op: "=", left: { kind: "path", path: [name] }, right: { kind: "value", value } };
}
