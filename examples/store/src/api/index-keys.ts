/**
 * Where an index's entries lie. An entry's key, within its index (part of the format on disk, integers big-endian):
 *
 *     hash of the partition part, 4 bytes   its length, 2 bytes   partition part   each sort attribute in groups   tail
 *
 * The partition part is the one attribute's bytes as `keys.ts` has them, or each of several in groups. In groups: eight bytes at a time, filled up with zeros, each
 * group followed by how many of them count (0 to 8), or by 9 where another group follows; so one value ends where the next begins, and they sort as
 * the values do. The tail tells items with equal index keys apart: the item's own key where it has at most 256 bytes, else its first 241 and a digest
 * of 16. So every key fits a page of the B-tree, whatever its parts.
 */
import { getAttribute, typeOf } from "./attributes.js";
import { concat } from "./bytes.js";
import { hash32 } from "./hash.js";
import { encodePart, PARTITION_KEY_BYTES_MAX, SORT_KEY_BYTES_MAX, type SortCondition, successor } from "./keys.js";
import type { AttributeValue, IndexKeySchema, Item, ItemKey, KeyAttribute } from "./model.js";

/** 16 bytes that nobody finds twice: of SHA-256, say. */
export type Digest16 = (bytes: Uint8Array) => Uint8Array;

const GROUP_BYTES = 8;
const MORE = GROUP_BYTES + 1;
const TAIL_BYTES_MAX = 256;
const TAIL_KEPT_BYTES = 241;

/**
 * The key of an item's entry, or `undefined` where the index has none for it: an attribute of the index's key is missing, of another type, empty or too long.
 * @param itemKey the bytes of the item's own key
 */
export function entryKey(
  schema: IndexKeySchema,
  item: Item,
  itemKey: Uint8Array,
  digest: Digest16,
): ItemKey | undefined {
  const partition = parts(schema.partition, item, PARTITION_KEY_BYTES_MAX);
  const sort = partition && parts(schema.sort, item, SORT_KEY_BYTES_MAX);
  if (partition === undefined || sort === undefined) return undefined;
  const { hash, bytes } = prefixOf(partition);
  return { hash, bytes: concat(bytes, ...sort.map(inGroups), tailOf(itemKey, digest)) };
}

function parts(attributes: readonly KeyAttribute[], item: Item, bytesMax: number): Uint8Array[] | undefined {
  let total = 0;
  const found: Uint8Array[] = [];
  for (const { name, type } of attributes) {
    const value = getAttribute(item, name);
    if (value === undefined || typeOf(value) !== type) return undefined;
    const bytes = encodePart(value);
    total += bytes.length;
    if (bytes.length === 0 || total > bytesMax) return undefined;
    found.push(bytes);
  }
  return found;
}

function prefixOf(partition: readonly Uint8Array[]): ItemKey {
  const [first] = partition;
  const part = partition.length === 1 && first !== undefined ? first : concat(...partition.map(inGroups));
  const hash = hash32(part);
  const header = Uint8Array.of(hash >>> 24, hash >>> 16, hash >>> 8, hash, part.length >>> 8, part.length);
  return { hash, bytes: concat(header, part) };
}

/** @returns `bytes` so that it sorts as before and ends by itself */
export function inGroups(bytes: Uint8Array): Uint8Array {
  const groups = Math.max(1, Math.ceil(bytes.length / GROUP_BYTES));
  const out = new Uint8Array(groups * (GROUP_BYTES + 1));
  for (let i = 0; i < groups; i++) {
    const group = bytes.subarray(i * GROUP_BYTES, (i + 1) * GROUP_BYTES);
    out.set(group, i * (GROUP_BYTES + 1));
    out[i * (GROUP_BYTES + 1) + GROUP_BYTES] = i + 1 < groups ? MORE : group.length;
  }
  return out;
}

function tailOf(itemKey: Uint8Array, digest: Digest16): Uint8Array {
  if (itemKey.length <= TAIL_BYTES_MAX) return itemKey;
  return concat(itemKey.subarray(0, TAIL_KEPT_BYTES), digest(itemKey));
}

/**
 * The entries that a Query asks for: those with these values for all of the partition's attributes, for the first of the sort attributes, and a condition
 * on the next one. From the first key, included, to the first one behind them.
 */
export function entryRange(
  partition: readonly AttributeValue[],
  equal: readonly AttributeValue[],
  next?: SortCondition,
): { readonly from: Uint8Array; readonly to: Uint8Array } {
  const prefix = concat(
    prefixOf(partition.map(encodePart)).bytes,
    ...equal.map((value) => inGroups(encodePart(value))),
  );
  if (next === undefined) return { from: prefix, to: successor(prefix) };
  if (next.op === "between") {
    return { from: at(prefix, next.low), to: successor(at(prefix, next.high)) };
  }
  const key = at(prefix, next.value);
  switch (next.op) {
    case "=":
      return { from: key, to: successor(key) };
    case "<":
      return { from: prefix, to: key };
    case "<=":
      return { from: prefix, to: successor(key) };
    case ">":
      return { from: successor(key), to: successor(prefix) };
    case ">=":
      return { from: key, to: successor(prefix) };
    case "begins-with":
      return { from: key, to: behindPrefix(prefix, encodePart(next.value)) };
  }
}

const at = (prefix: Uint8Array, value: AttributeValue): Uint8Array => concat(prefix, inGroups(encodePart(value)));

/** The first key whose value does not begin with `start` and is above it. */
function behindPrefix(prefix: Uint8Array, start: Uint8Array): Uint8Array {
  let end = start.length;
  while (end > 0 && start[end - 1] === 0xff) end--;
  if (end === 0) return successor(prefix);
  const next = start.slice(0, end);
  next[end - 1] = (next[end - 1] as number) + 1;
  return concat(prefix, inGroups(next));
}
