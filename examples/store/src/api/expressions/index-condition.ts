/** Reads a KeyConditionExpression for an index, whose key may have several attributes for either part. */
import { validationError } from "../errors.js";
import type { SortCondition } from "../keys.js";
import { messages } from "../messages.js";
import type { AttributeValue, Condition, IndexDefinition, IndexKeySchema, KeyAttribute } from "../model.js";
import { checkOfSort, checkTypes, collect, keyConditionOf } from "./key-condition.js";

export interface IndexCondition {
  /** One for each attribute of the partition's part. */
  readonly partition: readonly AttributeValue[];
  /** For the first attributes of the sort part. */
  readonly equal: readonly AttributeValue[];
  /** On the attribute behind those. */
  readonly next?: SortCondition;
}

/**
 * All attributes of the partition's part must be given; of the sort part any number from the left, and only the last of these by anything but equality.
 * @throws ValidationException
 */
export function indexConditionOf(
  condition: Condition,
  { name: index, keySchema: schema }: Pick<IndexDefinition, "name" | "keySchema">,
): IndexCondition {
  const [first] = schema.partition;
  if (schema.partition.length === 1 && first !== undefined && schema.sort.length <= 1) {
    const [sort] = schema.sort;
    const found = keyConditionOf(condition, { partition: first, ...(sort && { sort }) }, index);
    return { partition: [found.partition], equal: [], ...(found.sort && { next: found.sort }) };
  }
  const conditions = new Map<string, SortCondition>();
  collect(condition, conditions);
  const partition = partitionOf(schema, conditions, index);
  assertNoGap(schema, conditions);
  const equal: AttributeValue[] = [];
  let left = conditions.size - partition.length;
  for (const attribute of schema.sort) {
    if (left === 0) break;
    const given = conditions.get(attribute.name);
    if (given === undefined) throw validationError(messages.keyConditionMissed(attribute.name));
    left--;
    checkOfSort(given, attribute, index);
    if (given.op === "=") {
      equal.push(given.value);
      continue;
    }
    if (left > 0) break;
    return { partition, equal, next: given };
  }
  if (left > 0) throw validationError(messages.keyConditionUnsupported);
  return { partition, equal };
}

type Conditions = ReadonlyMap<string, SortCondition>;

const withoutEquality = (attributes: readonly KeyAttribute[], conditions: Conditions): string[] =>
  attributes.map(({ name }) => name).filter((name) => conditions.get(name)?.op !== "=");

/** @throws ValidationException */
function partitionOf(schema: IndexKeySchema, conditions: Conditions, index: string): AttributeValue[] {
  const missed = withoutEquality(schema.partition, conditions);
  if (missed.length > 0) throw validationError(messages.hashKeysNotEqual(missed));
  return schema.partition.map((attribute) => {
    const condition = conditions.get(attribute.name) as SortCondition & { op: "=" };
    checkTypes(condition, attribute, index);
    return condition.value;
  });
}

/** Before the last attribute that there is a condition on all have to be equal to something. @throws ValidationException */
function assertNoGap({ sort }: IndexKeySchema, conditions: Conditions): void {
  const last = sort.findLastIndex(({ name }) => conditions.has(name));
  const missed = withoutEquality(sort.slice(0, Math.max(last, 0)), conditions);
  if (missed.length > 0) throw validationError(messages.rangeKeysNotEqual(missed, (sort[last] as KeyAttribute).name));
}
