/** Reads a parsed KeyConditionExpression as what it must be: the partition key's value, and at most one condition on the sort key. */

import { typeOf } from "../attributes.js";
import { MIRRORED } from "../compare.js";
import { validationError } from "../errors.js";
import { SORT_KEY_BYTES_MAX, type SortCondition } from "../keys.js";
import { messages } from "../messages.js";
import type { AttributeValue, Condition, KeyAttribute, KeySchema, Operand } from "../model.js";
import { valueBytes } from "../size.js";

export interface KeyCondition {
  readonly partition: AttributeValue;
  readonly sort?: SortCondition;
}

/**
 * @param index that whose key it is, where it is not the table's
 * @throws ValidationException
 */
export function keyConditionOf(condition: Condition, schema: KeySchema, index?: string): KeyCondition {
  const conditions = new Map<string, SortCondition>();
  collect(condition, conditions);
  const { partition, sort } = schema;
  if (conditions.size > 2)
    throw validationError(messages.keyConditionsTooMany(conditions.size, sort === undefined ? 1 : 2));
  if (sort === undefined && conditions.size > 1) throw validationError(messages.keyConditionUnsupported);
  const ofPartition = conditions.get(partition.name);
  if (ofPartition === undefined) throw validationError(messages.keyConditionMissed(partition.name));
  const ofSort = sort === undefined ? undefined : conditions.get(sort.name);
  if (sort !== undefined && ofSort === undefined && conditions.size > 1) {
    throw validationError(messages.keyConditionMissed(sort.name));
  }
  checkTypes(ofPartition, partition, index);
  if (ofPartition.op !== "=") throw validationError(messages.keyConditionUnsupported);
  if (ofSort === undefined) return { partition: ofPartition.value };
  checkOfSort(ofSort, sort as KeyAttribute, index);
  return { partition: ofPartition.value, sort: ofSort };
}

/** @throws ValidationException */
export function checkTypes(condition: SortCondition, { name, type }: KeyAttribute, index?: string): void {
  for (const value of valuesOf(condition)) {
    if (typeOf(value) !== type) throw validationError(messages.keyConditionType);
    const empty = ("S" in value && value.S === "") || ("B" in value && value.B === "");
    if (!empty) continue;
    throw validationError(
      index === undefined ? messages.keyEmpty(name, type) : messages.indexKeyEmpty(name, type, index),
    );
  }
}

/** For what a sort key is compared with, which no key could be longer than. @throws ValidationException */
export function checkOfSort(condition: SortCondition, attribute: KeyAttribute, index?: string): void {
  checkTypes(condition, attribute, index);
  if (condition.op === "begins-with" && attribute.type === "N") {
    throw validationError(
      messages.invalidExpression("KeyConditionExpression", messages.operandType("begins_with", "N")),
    );
  }
  for (const value of valuesOf(condition))
    if (valueBytes(value) > SORT_KEY_BYTES_MAX) throw validationError(messages.sortKeyTooLarge);
}

const valuesOf = (condition: SortCondition): AttributeValue[] =>
  condition.op === "between" ? [condition.low, condition.high] : [condition.value];

/** Conditions by the name of the attribute that they are on. @throws ValidationException */
export function collect(condition: Condition, into: Map<string, SortCondition>): void {
  switch (condition.kind) {
    case "and":
      collect(condition.left, into);
      return collect(condition.right, into);
    case "compare": {
      if (condition.op === "<>") throw validationError(messages.keyOperator("<>"));
      const swapped = condition.left.kind === "value";
      const [key, value] = swapped ? [condition.right, condition.left] : [condition.left, condition.right];
      return add(into, keyName(key), { op: swapped ? MIRRORED[condition.op] : condition.op, value: literal(value) });
    }
    case "between":
      if (condition.value.kind === "value") throw validationError(messages.keyFirstOperand("BETWEEN"));
      return add(into, keyName(condition.value), {
        op: "between",
        low: literal(condition.low),
        high: literal(condition.high),
      });
    case "begins-with":
      if (condition.value.kind === "value") throw validationError(messages.keyFirstOperand("begins_with"));
      return add(into, keyName(condition.value), { op: "begins-with", value: literal(condition.search) });
    default:
      throw validationError(messages.keyOperator(OPERATOR_NAMES[condition.kind]));
  }
}

const OPERATOR_NAMES = {
  or: "OR",
  not: "NOT",
  in: "IN",
  exists: "attribute_exists",
  "not-exists": "attribute_not_exists",
  type: "attribute_type",
  contains: "contains",
} as const;

function keyName(operand: Operand): string {
  if (operand.kind === "size") throw validationError(messages.keyNested);
  if (operand.kind === "value") throw validationError(messages.keyNoName);
  if (operand.path.length > 1) throw validationError(messages.keyNestedPath);
  return operand.path[0] as string;
}

function literal(operand: Operand): AttributeValue {
  if (operand.kind === "value") return operand.value;
  throw validationError(operand.kind === "size" ? messages.keyNested : messages.keyManyNames);
}

function add(into: Map<string, SortCondition>, name: string, condition: SortCondition): void {
  if (into.has(name)) throw validationError(messages.keyTwice);
  into.set(name, condition);
}
