/** What of a WHERE clause names keys, and what is left to be asked of each item. */

import { setAttribute, typeOf } from "../attributes.js";
import { MIRRORED, ORDERED_TYPES } from "../compare.js";
import { ApiError, validationError } from "../errors.js";
import { attributeNames } from "../expressions/attribute-names.js";
import { joinConditions } from "../join-conditions.js";
import { keyAttributes } from "../key-schema.js";
import type { AttributeValue, Condition, IndexKeySchema, Item, KeyAttribute, KeySchema, Operand } from "../model.js";
import { partiqlMessages } from "./messages.js";

/** What is read of one partition. */
export interface Read {
  /** The (first) attribute of its partition key. */
  readonly partition: AttributeValue;
  /** Conditions on the key, all of which hold: each for itself is one that a Query may have. */
  readonly keys: readonly Condition[];
  /** The key of the one item that is named, where nothing else is asked. */
  readonly item?: Item;
  readonly filter?: Condition;
}

export interface ReadPlan {
  /** Absent: everything is to be read. */
  readonly reads?: readonly Read[];
  readonly filter?: Condition;
  /** Reads that overlap are not refused: one of them has a condition on the sort key that is none of a key. */
  readonly mayOverlap?: boolean;
}

/** A statement's key is none of its table's. Transactions are cancelled for that, in other words. */
export class KeyProblem extends ApiError {
  constructor(message: string) {
    super("ValidationException", message);
  }
}

/** Partition keys, and ranges of them, that one statement may read. */
const READS_MAX = 50;
/** Past this many nobody goes on to count. */
const BRANCHES_MAX = 1000;

type Term = Condition & { kind: "compare" | "between" | "begins-with" | "in" };

/** One of the ways in which a condition may be met: all of these hold. */
interface Branch {
  readonly keys: readonly Term[];
  readonly rest: readonly Condition[];
}

/**
 * A condition's ORs and INs that name a key are multiplied out, and each branch that comes of it reads one range of one partition. Where one of them names no partition, or
 * two, everything is read. As the service was seen to do it, down to what it refuses.
 * @throws ValidationException
 */
export function readPlan(where: Condition | undefined, keys: IndexKeySchema): ReadPlan {
  if (where === undefined) return {};
  const branches = new Spreading(keys).branchesOf(where);
  if (branches === undefined || branches.length > READS_MAX) {
    if (namesPartition(where, keys)) throw validationError(partiqlMessages.tooManyReads);
    if (branches === undefined) return { filter: where };
  }
  const reads: Read[] = [];
  for (const branch of branches) {
    const read = readOf(branch, keys);
    if (read === undefined) return { filter: where };
    reads.push(read);
  }
  const [sort] = keys.sort;
  const mayOverlap = branches.some(({ rest }) => rest.some((one) => sort !== undefined && isOnSortKey(one, sort)));
  return { reads, mayOverlap, filter: where };
}

/** What a read of whole partitions comes to, where their ranges overlap and may. */
export function wholePartitions({ reads = [], filter }: ReadPlan, { partition: [attribute] }: IndexKeySchema): Read[] {
  const values = distinct(reads.map(({ partition }) => partition));
  return values.map((value) => ({
    partition: value,
    keys: [equality(attribute as KeyAttribute, value)],
    ...(filter && { filter }),
  }));
}

/** Multiplies a condition out. */
class Spreading {
  readonly #keys: IndexKeySchema;

  constructor(keys: IndexKeySchema) {
    this.#keys = keys;
  }

  /** Undefined where there are more than anybody would read. @throws ValidationException for a key's value of another type */
  branchesOf(condition: Condition): Branch[] | undefined {
    const one = turned(condition);
    switch (one.kind) {
      case "and": {
        const left = this.branchesOf(one.left);
        const right = this.branchesOf(one.right);
        if (left === undefined || right === undefined || left.length * right.length > BRANCHES_MAX) return undefined;
        return left.flatMap((a) => right.map((b) => ({ keys: [...a.keys, ...b.keys], rest: [...a.rest, ...b.rest] })));
      }
      case "or": {
        if (!this.#namesKey(one)) return [{ keys: [], rest: [one] }];
        const left = this.branchesOf(one.left);
        const right = this.branchesOf(one.right);
        if (left === undefined || right === undefined || left.length + right.length > BRANCHES_MAX) return undefined;
        return [...left, ...right];
      }
      default: {
        const attribute = this.#keyOf(one);
        if (attribute === undefined) return [{ keys: [], rest: [one] }];
        const term = one as Term;
        assertTypes(term, attribute);
        if (term.kind !== "in") return [{ keys: [term], rest: [] }];
        return literalsOf(term).map((value) => ({ keys: [equality(attribute, value)], rest: [] }));
      }
    }
  }

  #namesKey(condition: Condition): boolean {
    const one = turned(condition);
    if (one.kind === "and" || one.kind === "or") return this.#namesKey(one.left) || this.#namesKey(one.right);
    return this.#keyOf(one) !== undefined;
  }

  /** Which attribute of the key a condition narrows; undefined: none. */
  #keyOf(one: Condition): KeyAttribute | undefined {
    const { partition, sort } = this.#keys;
    const hash = partition.find((attribute) => isAbout(one, attribute));
    if (hash !== undefined) {
      const names = literalOf(one, hash) !== undefined || (one.kind === "in" && partition.length === 1);
      return names && isLiteral(one as Term) ? hash : undefined;
    }
    const range = sort.find((attribute) => isAbout(one, attribute));
    if (range === undefined || !isLiteral(one as Term)) return undefined;
    switch (one.kind) {
      case "compare":
        return one.op === "<>" ? undefined : range;
      case "between":
        return range;
      case "begins-with":
        return range.type === "N" ? undefined : range;
      case "in":
        return sort.length === 1 ? range : undefined;
      default:
        return undefined;
    }
  }
}

/** Undefined where a branch does not say which partition, or says two. */
function readOf({ keys: terms, rest }: Branch, keys: IndexKeySchema): Read | undefined {
  const fixed: Condition[] = [];
  for (const attribute of keys.partition) {
    const values = distinct(terms.flatMap((term) => (isAbout(term, attribute) ? literalsOf(term) : [])));
    const [value, another] = values;
    if (value === undefined || another !== undefined) return undefined;
    fixed.push(equality(attribute, value));
  }
  const [first] = keys.partition as [KeyAttribute];
  const partition = literalsOf(terms.find((term) => isAbout(term, first)) as Term)[0] as AttributeValue;
  const left = new Set(terms.filter((term) => keys.sort.some((attribute) => isAbout(term, attribute))));
  const conditions: Condition[] = [];
  if (keys.sort.length === 1) {
    for (const term of left) conditions.push(joinConditions([...fixed, term], "and") as Condition);
    left.clear();
  } else {
    for (const attribute of keys.sort) {
      const term = [...left].find((one) => isAbout(one, attribute));
      if (term === undefined) break;
      left.delete(term);
      fixed.push(term);
      if (!(term.kind === "compare" && term.op === "=")) break;
    }
  }
  if (conditions.length === 0) conditions.push(joinConditions(fixed, "and") as Condition);
  const filter = joinConditions([...left, ...rest], "and");
  const item = filter === undefined ? itemOf(terms, [...keys.partition, ...keys.sort]) : undefined;
  return { partition, keys: conditions, ...(item && { item }), ...(filter && { filter }) };
}

function itemOf(terms: readonly Term[], attributes: readonly KeyAttribute[]): Item | undefined {
  const item: Item = {};
  for (const attribute of attributes) {
    const about = terms.filter((term) => isAbout(term, attribute));
    const [value, another] = distinct(about.flatMap((term) => literalOf(term, attribute) ?? []));
    if (value === undefined || another !== undefined) return undefined;
    if (about.some((term) => literalOf(term, attribute) === undefined)) return undefined;
    setAttribute(item, attribute.name, value);
  }
  return item;
}

/** Whether every way to meet a condition names a partition. */
function namesPartition(condition: Condition, keys: IndexKeySchema): boolean {
  const one = turned(condition);
  if (one.kind === "and") return namesPartition(one.left, keys) || namesPartition(one.right, keys);
  if (one.kind === "or") return namesPartition(one.left, keys) && namesPartition(one.right, keys);
  const [attribute] = keys.partition as [KeyAttribute];
  return isAbout(one, attribute) && (literalOf(one, attribute) !== undefined || one.kind === "in");
}

/** NOT and <> of it, and what else is no key's condition. */
function isOnSortKey(condition: Condition, { name }: KeyAttribute): boolean {
  const isBare = condition.kind === "not" || (condition.kind === "compare" && condition.op === "<>");
  return isBare && attributeNames(condition).has(name);
}

function assertTypes(term: Term, { name, type }: KeyAttribute): void {
  for (const value of literalsOf(term)) {
    const actual = typeOf(value);
    if (!ORDERED_TYPES.has(actual)) throw new KeyProblem(partiqlMessages.keyNoScalar(name, actual));
    if (actual !== type) throw new KeyProblem(partiqlMessages.keyType(name));
  }
}

const literal = (operand: Operand): AttributeValue[] => (operand.kind === "value" ? [operand.value] : []);

/** What a term compares with, as far as it is written in the statement. */
function literalsOf(term: Term): AttributeValue[] {
  switch (term.kind) {
    case "compare":
      return literal(term.right);
    case "between":
      return [...literal(term.low), ...literal(term.high)];
    case "begins-with":
      return literal(term.search);
    case "in":
      return term.among.flatMap(literal);
  }
}

function isLiteral(term: Term): boolean {
  const wanted = term.kind === "between" ? 2 : term.kind === "in" ? term.among.length : 1;
  return literalsOf(term).length === wanted;
}

/**
 * The one item that a write is about, and what else is asked of it.
 * @param others of a key's attribute that is to equal another value as well: nothing can be written so; to ask whether there is something, is to be told that there is not
 * @throws ValidationException
 */
export function writtenKey(
  where: Condition | undefined,
  schema: KeySchema,
  others: "refused" | "asked" = "refused",
): { readonly key: Item; readonly rest: readonly Condition[] } {
  let rest = where === undefined ? [] : conjuncts(where);
  const key: Item = {};
  for (const attribute of keyAttributes(schema)) {
    const at = rest.findIndex((term) => literalOf(term, attribute) !== undefined);
    if (at < 0) {
      if (others === "asked") throw validationError(partiqlMessages.existsMore);
      throw new KeyProblem(partiqlMessages.keyIncomplete);
    }
    const [term] = rest.splice(at, 1) as [Condition];
    const value = literalOf(term, attribute) as AttributeValue;
    if (typeOf(value) !== attribute.type) throw new KeyProblem(partiqlMessages.keyType(attribute.name));
    const same = JSON.stringify(value);
    rest = rest.filter((other) => JSON.stringify(literalOf(other, attribute)) !== same);
    if (others === "refused" && rest.some((other) => literalOf(other, attribute) !== undefined)) {
      throw new KeyProblem(partiqlMessages.keyTwice(attribute.name));
    }
    setAttribute(key, attribute.name, value);
  }
  return { key, rest };
}

/** Flat, and each comparison with the path on its left. */
function conjuncts(condition: Condition): Condition[] {
  if (condition.kind === "and") return [...conjuncts(condition.left), ...conjuncts(condition.right)];
  return [turned(condition)];
}

/** A comparison with the path on its left. */
function turned(condition: Condition): Condition {
  if (condition.kind !== "compare" || condition.left.kind !== "value") return condition;
  return { ...condition, op: MIRRORED[condition.op], left: condition.right, right: condition.left };
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

function equality({ name }: KeyAttribute, value: AttributeValue): Term {
  return { kind: "compare", op: "=", left: { kind: "path", path: [name] }, right: { kind: "value", value } };
}

function distinct(values: readonly AttributeValue[]): AttributeValue[] {
  return [...new Map(values.map((value) => [JSON.stringify(value), value])).values()];
}
