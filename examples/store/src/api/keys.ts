/**
 * Where items live. A key's bytes, which order a whole table:
 *
 *     hash of the partition key, 4 bytes   its length, 2 bytes   partition key   sort key, to the end        (integers big-endian)
 *
 * Strings are UTF-8, binary stands as it is, numbers as in `number-order`. Part of the format on disk.
 */
import { getAttribute, setAttribute, typeOf } from "./attributes.js";
import { decodeBase64, encodeBase64 } from "./base64.js";
import { concat } from "./bytes.js";
import { validationError } from "./errors.js";
import { hash32 } from "./hash.js";
import { messages } from "./messages.js";
import type { AttributeValue, Item, ItemKey, KeyAttribute, KeySchema } from "./model.js";
import { decodeNumber, encodeNumber } from "./number-order.js";
import { fromUtf8, utf8 } from "./text.js";

export const PARTITION_KEY_BYTES_MAX = 2048;
export const SORT_KEY_BYTES_MAX = 1024;
const HEADER_BYTES = 6;

/** What a Query asks of the sort key. */
export type SortCondition =
  | { readonly op: "=" | "<" | "<=" | ">" | ">=" | "begins-with"; readonly value: AttributeValue }
  | { readonly op: "between"; readonly low: AttributeValue; readonly high: AttributeValue };

/** @throws ValidationException when the item has no key, or one of the wrong type or size */
export function itemKey(schema: KeySchema, item: Item): ItemKey {
  const partition = keyPart(schema.partition, item, PARTITION_KEY_BYTES_MAX, messages.partitionKeyTooLarge);
  const sort =
    schema.sort === undefined ? undefined : keyPart(schema.sort, item, SORT_KEY_BYTES_MAX, messages.sortKeyTooLarge);
  return join(partition, sort);
}

/** For a key given on its own, which must have the key's attributes and no others. @throws as `itemKey` */
export function exactKey(schema: KeySchema, key: Item): ItemKey {
  let names = 0;
  for (const _ in key) names++;
  const { partition, sort } = schema;
  const wanted = sort === undefined ? 1 : 2;
  if (names !== wanted || !fits(partition, key) || (sort !== undefined && !fits(sort, key))) {
    throw validationError(messages.keyMismatch);
  }
  return itemKey(schema, key);
}

/** As `itemKey`, for those who are told of an item's key what they would be told of a key alone. @throws ValidationException */
export function keyWithin(schema: KeySchema, item: Item): ItemKey {
  const { partition, sort } = schema;
  if (!fits(partition, item) || (sort !== undefined && !fits(sort, item))) throw validationError(messages.keyMismatch);
  return itemKey(schema, item);
}

function fits(attribute: KeyAttribute, key: Item): boolean {
  const value = getAttribute(key, attribute.name);
  return value !== undefined && typeOf(value) === attribute.type;
}

function keyPart(attribute: KeyAttribute, item: Item, bytesMax: number, tooLarge: string): Uint8Array {
  const value = getAttribute(item, attribute.name);
  if (value === undefined) throw validationError(messages.keyMissing(attribute.name));
  if (typeOf(value) !== attribute.type) {
    throw validationError(messages.keyType(attribute.name, attribute.type, typeOf(value)));
  }
  const bytes = encodePart(value);
  if (bytes.length === 0) throw validationError(messages.keyEmpty(attribute.name, attribute.type));
  if (bytes.length > bytesMax) throw validationError(tooLarge);
  return bytes;
}

export function encodePart(value: AttributeValue): Uint8Array {
  if ("S" in value) return utf8(value.S);
  if ("N" in value) return encodeNumber(value.N);
  if ("B" in value) return decodeBase64(value.B);
  throw validationError(messages.keyMismatch);
}

function join(partition: Uint8Array, sort: Uint8Array | undefined): ItemKey {
  const bytes = new Uint8Array(HEADER_BYTES + partition.length + (sort?.length ?? 0));
  const hash = hash32(partition);
  bytes[0] = hash >>> 24;
  bytes[1] = hash >>> 16;
  bytes[2] = hash >>> 8;
  bytes[3] = hash;
  bytes[4] = partition.length >>> 8;
  bytes[5] = partition.length;
  bytes.set(partition, HEADER_BYTES);
  if (sort !== undefined) bytes.set(sort, HEADER_BYTES + partition.length);
  return { hash, bytes };
}

/** With which an item's key begins: it says in which partition the item lies. */
export function hashOfKey(key: Uint8Array): number {
  return new DataView(key.buffer, key.byteOffset, key.byteLength).getUint32(0);
}

/** Where the keys with this hash begin. */
export function ringPosition(hash: number): Uint8Array {
  return Uint8Array.of(hash >>> 24, hash >>> 16, hash >>> 8, hash);
}

/** The key's attributes alone. @param bytes made by `itemKey` for this schema */
export function decodeKey(schema: KeySchema, bytes: Uint8Array): Item {
  const partitionEnd = HEADER_BYTES + (((bytes[4] as number) << 8) | (bytes[5] as number));
  const key: Item = {};
  setAttribute(key, schema.partition.name, decodePart(schema.partition, bytes.subarray(HEADER_BYTES, partitionEnd)));
  if (schema.sort !== undefined) {
    setAttribute(key, schema.sort.name, decodePart(schema.sort, bytes.subarray(partitionEnd)));
  }
  return key;
}

function decodePart(attribute: KeyAttribute, bytes: Uint8Array): AttributeValue {
  if (attribute.type === "S") return { S: fromUtf8(bytes) };
  if (attribute.type === "N") return { N: decodeNumber(bytes) };
  return { B: encodeBase64(bytes) };
}

/** The keys of one item collection that meet a sort condition: from the first one, included, to the first one behind them. */
export function queryRange(
  schema: KeySchema,
  partition: AttributeValue,
  sort?: SortCondition,
): { readonly hash: number; readonly from: Uint8Array; readonly to: Uint8Array } {
  const value: Item = {};
  setAttribute(value, schema.partition.name, partition);
  const { hash, bytes: prefix } = join(
    keyPart(schema.partition, value, PARTITION_KEY_BYTES_MAX, messages.partitionKeyTooLarge),
    undefined,
  );
  const [from, to] = sort === undefined ? [prefix, successor(prefix)] : sortRange(prefix, sort);
  return { hash, from, to };
}

function sortRange(prefix: Uint8Array, condition: SortCondition): [Uint8Array, Uint8Array] {
  if (condition.op === "between") {
    return [concat(prefix, encodePart(condition.low)), justBehind(concat(prefix, encodePart(condition.high)))];
  }
  const key = concat(prefix, encodePart(condition.value));
  switch (condition.op) {
    case "=":
      return [key, justBehind(key)];
    case "<":
      return [prefix, key];
    case "<=":
      return [prefix, justBehind(key)];
    case ">":
      return [justBehind(key), successor(prefix)];
    case ">=":
      return [key, successor(prefix)];
    case "begins-with":
      return [key, successor(key)];
  }
}

/** The very next key there can be. */
function justBehind(key: Uint8Array): Uint8Array {
  return concat(key, Uint8Array.of(0));
}

/** The first key that does not begin with `prefix`. There always is one: the length in the header is never FF FF. */
export function successor(prefix: Uint8Array): Uint8Array {
  let end = prefix.length;
  while (prefix[end - 1] === 0xff) end--;
  const next = prefix.slice(0, end);
  next[end - 1] = (next[end - 1] as number) + 1;
  return next;
}
