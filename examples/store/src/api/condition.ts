/** Does an item meet a condition? The same answer for conditions of writes and filters of reads. */
import { typeOf } from "./attributes.js";
import { decodeBase64 } from "./base64.js";
import { compareValues, equalValues, sizeOfValue } from "./compare.js";
import { madeOnce } from "./made-once.js";
import type { AttributeValue, Comparator, Condition, Item, Operand } from "./model.js";
import { resolvePath } from "./path.js";
import { includesBytes, includesText } from "./search.js";

/** Values of one IN: each item of a page is compared with all of them. */
export const IN_VALUES_MAX = 100;

/** @param item `{}` stands for an item that is not there */
export function matches(condition: Condition, item: Item): boolean {
  switch (condition.kind) {
    case "and":
      return matches(condition.left, item) && matches(condition.right, item);
    case "or":
      return matches(condition.left, item) || matches(condition.right, item);
    case "not":
      return !matches(condition.condition, item);
    case "exists":
      return resolvePath(item, condition.path) !== undefined;
    case "not-exists":
      return resolvePath(item, condition.path) === undefined;
    case "type": {
      const value = resolvePath(item, condition.path);
      return value !== undefined && typeOf(value) === condition.type;
    }
    case "compare":
      return compare(condition.op, operand(condition.left, item), operand(condition.right, item));
    case "between": {
      const value = operand(condition.value, item);
      return compare(">=", value, operand(condition.low, item)) && compare("<=", value, operand(condition.high, item));
    }
    case "in": {
      const value = operand(condition.value, item);
      return condition.among.some((candidate) => compare("=", value, operand(candidate, item)));
    }
    case "begins-with":
      return beginsWith(operand(condition.value, item), operand(condition.search, item));
    case "contains":
      return contains(operand(condition.value, item), operand(condition.search, item));
  }
}

/** What an operand is for this item; `undefined` where the item has nothing there. */
export function operand(of: Operand, item: Item): AttributeValue | undefined {
  if (of.kind === "value") return of.value;
  const value = resolvePath(item, of.path);
  if (of.kind === "path" || value === undefined) return value;
  const size = sizeOfValue(value);
  return size === undefined ? undefined : { N: String(size) };
}

function compare(op: Comparator, left: AttributeValue | undefined, right: AttributeValue | undefined): boolean {
  // What is not there is different from everything, from what is not there either too, and neither smaller nor larger.
  if (left === undefined || right === undefined) return op === "<>";
  if (op === "=") return equalValues(left, right);
  if (op === "<>") return !equalValues(left, right);
  const order = compareValues(left, right);
  if (order === undefined) return false;
  switch (op) {
    case "<":
      return order < 0;
    case "<=":
      return order <= 0;
    case ">":
      return order > 0;
    case ">=":
      return order >= 0;
  }
}

function beginsWith(value: AttributeValue | undefined, search: AttributeValue | undefined): boolean {
  if (value === undefined || search === undefined) return false;
  if ("S" in value) return "S" in search && value.S.startsWith(search.S);
  if (!("B" in value && "B" in search)) return false;
  return startsWith(bytesOf(value), bytesOf(search));
}

/** A condition may ask for them a hundred times. */
const bytesOf = madeOnce((value: { B: string }) => decodeBase64(value.B));

function contains(value: AttributeValue | undefined, search: AttributeValue | undefined): boolean {
  if (value === undefined || search === undefined) return false;
  if ("S" in value) return "S" in search && includesText(value.S, search.S);
  if ("SS" in value) return "S" in search && value.SS.includes(search.S);
  if ("NS" in value) return "N" in search && value.NS.includes(search.N);
  if ("BS" in value) return "B" in search && value.BS.includes(search.B);
  if ("L" in value) return value.L.some((element) => equalValues(element, search));
  if (!("B" in value && "B" in search)) return false;
  return includesBytes(bytesOf(value), bytesOf(search));
}

function startsWith(bytes: Uint8Array, prefix: Uint8Array): boolean {
  return bytes.length >= prefix.length && prefix.every((byte, i) => byte === bytes[i]);
}
