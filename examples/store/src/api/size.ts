/** How many bytes an item weighs in the service's books: its limit, its pages and its capacity all count by this. */
import { base64Bytes } from "./base64.js";
import type { AttributeValue, Item } from "./model.js";
import { numberBytes } from "./number.js";
import { utf8Bytes } from "./text.js";

export const ITEM_BYTES_MAX = 400 * 1024;
/** What a list or a map weighs before its first element. */
const CONTAINER_BYTES = 3;
const ELEMENT_BYTES = 1;

export function itemBytes(item: Item): number {
  let size = 0;
  for (const name in item) size += utf8Bytes(name) + valueBytes(item[name] as AttributeValue);
  return size;
}

export function valueBytes(value: AttributeValue): number {
  if ("S" in value) return utf8Bytes(value.S);
  if ("N" in value) return numberBytes(value.N);
  if ("B" in value) return base64Bytes(value.B);
  if ("SS" in value) return total(value.SS, utf8Bytes);
  if ("NS" in value) return total(value.NS, numberBytes);
  if ("BS" in value) return total(value.BS, base64Bytes);
  if ("L" in value) return CONTAINER_BYTES + ELEMENT_BYTES * value.L.length + total(value.L, valueBytes);
  if ("M" in value) return CONTAINER_BYTES + ELEMENT_BYTES * Object.keys(value.M).length + itemBytes(value.M);
  return 1;
}

function total<T>(values: readonly T[], sizeOf: (value: T) => number): number {
  let size = 0;
  for (const value of values) size += sizeOf(value);
  return size;
}
