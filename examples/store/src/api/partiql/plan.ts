/** What of a WHERE clause names keys, and what is left to be asked of each item. */
import { setAttribute, typeOf } from "../attributes.js";
import { compareValues } from "../compare.js";
import { validationError } from "../errors.js";
import { joinConditions } from "../join-conditions.js";
import type { AttributeValue, Condition, Item, KeyAttribute, KeySchema } from "../model.js";
import { partiqlMessages } from "./messages.js";

/** A table's key has one attribute for each part, an index's may have several. */
export interface Keys {
  readonly partition: readonly KeyAttribute[];
  readonly sort: readonly KeyAttribute[];
}

export interface ReadPlan {
  /** Conditions on the key, one for each partition key that is named; absent: everything is to be read. */
  readonly ranges?: readonly Condition[];
  readonly filter?: Condition;
}

/** Partition keys that one statement may name. */
const PARTITIONS_MAX = 50;

type Term = Condition & { kind: "compare" | "between" | "begins-with" | "in" };

const MIRRORED = { "=": "=", "<>": "<>", "<": ">", "<=": ">=", ">": "<", ">=": "<=" } as const;

/** @throws ValidationException */
export function readPlan(where: Condition | undefined, keys: Keys): ReadPlan {
  const rest = where === undefined ? [] : conjuncts(where);
  const whole = { ...(where && { filter: where }) };
  const fixed: Condition[] = [];
  let named: readonly AttributeValue[] = [];
  for (const attribute of keys.partition) {
    const at = rest.findIndex((term) => namesPartition(term, attribute, keys.partition.length === 1));
    if (at < 0) return whole;
    const [term] = rest.splice(at, 1) as [Condition];
    if (term.kind === "in") named = distinct(term.among.map((one) => (one as { value: AttributeValue }).value));
    else fixed.push(term);
  }
  for (const attribute of keys.sort) {
    const at = rest.findIndex((term) => namesSort(term, attribute));
    if (at < 0) break;
    const [term] = rest.splice(at, 1) as [Condition];
    fixed.push(term);
    if (!(term.kind === "compare" && term.op === "=")) break;
  }
  const [partition] = keys.partition as [KeyAttribute];
  if (named.length > PARTITIONS_MAX) throw validationError(partiqlMessages.tooManyReads);
  const alternatives = named.length > 0 ? named.map((value) => [equality(partition, value), ...fixed]) : [fixed];
  const filter = joinConditions(rest, "and");
  return {
    ranges: alternatives.map((terms) => joinConditions(terms, "and") as Condition),
    ...(filter && { filter }),
  };
}

/** The one item that a write is about, and what else is asked of it. @throws ValidationException */
export function writtenKey(
  where: Condition | undefined,
  { partition, sort }: KeySchema,
): { readonly key: Item; readonly rest: readonly Condition[] } {
  const rest = where === undefined ? [] : conjuncts(where);
  const key: Item = {};
  for (const attribute of sort === undefined ? [partition] : [partition, sort]) {
    const at = rest.findIndex((term) => literalOf(term, attribute) !== undefined);
    if (at < 0) throw validationError(partiqlMessages.keyIncomplete);
    const [term] = rest.splice(at, 1) as [Condition];
    const value = literalOf(term, attribute) as AttributeValue;
    if (typeOf(value) !== attribute.type) throw validationError(partiqlMessages.keyType(attribute.name));
    if (rest.some((other) => literalOf(other, attribute) !== undefined)) {
      throw validationError(partiqlMessages.keyTwice(attribute.name));
    }
    setAttribute(key, attribute.name, value);
  }
  return { key, rest };
}

/** Flat, and each comparison with the path on its left. */
function conjuncts(condition: Condition): Condition[] {
  if (condition.kind === "and") return [...conjuncts(condition.left), ...conjuncts(condition.right)];
  if (condition.kind === "compare" && condition.left.kind === "value") {
    return [{ ...condition, op: MIRRORED[condition.op], left: condition.right, right: condition.left }];
  }
  return [condition];
}

function isAbout(term: Condition, { name }: KeyAttribute): term is Term {
  const of = term.kind === "compare" ? term.left : "value" in term ? term.value : undefined;
  return of?.kind === "path" && of.path.length === 1 && of.path[0] === name;
}

/** The value that an attribute is to equal; undefined where that is not what is asked. */
function literalOf(term: Condition, attribute: KeyAttribute): AttributeValue | undefined {
  if (term.kind !== "compare" || term.op !== "=" || !isAbout(term, attribute)) return undefined;
  return term.right.kind === "value" ? term.right.value : undefined;
}

function namesPartition(term: Condition, attribute: KeyAttribute, alone: boolean): boolean {
  const value = literalOf(term, attribute);
  if (value !== undefined) {
    if (typeOf(value) !== attribute.type) throw validationError(partiqlMessages.keyType(attribute.name));
    return true;
  }
  if (!alone || term.kind !== "in" || !isAbout(term, attribute)) return false;
  return term.among.every((one) => one.kind === "value" && typeOf(one.value) === attribute.type);
}

function namesSort(term: Condition, attribute: KeyAttribute): boolean {
  if (!isAbout(term, attribute)) return false;
  const fits = (value: AttributeValue) => typeOf(value) === attribute.type;
  switch (term.kind) {
    case "compare": {
      if (term.op === "<>" || term.right.kind !== "value") return false;
      if (term.op === "=" && !fits(term.right.value)) throw validationError(partiqlMessages.keyType(attribute.name));
      return fits(term.right.value);
    }
    case "between":
      if (term.low.kind !== "value" || term.high.kind !== "value") return false;
      return fits(term.low.value) && (compareValues(term.low.value, term.high.value) ?? 1) <= 0;
    case "begins-with":
      return attribute.type !== "N" && term.search.kind === "value" && fits(term.search.value);
    default:
      return false;
  }
}

function equality({ name }: KeyAttribute, value: AttributeValue): Condition {
  return { kind: "compare", op: "=", left: { kind: "path", path: [name] }, right: { kind: "value", value } };
}

function distinct(values: readonly AttributeValue[]): AttributeValue[] {
  return [...new Map(values.map((value) => [JSON.stringify(value), value])).values()];
}
