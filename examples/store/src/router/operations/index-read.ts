/** What Query and Scan do when they are asked to read an index instead of the table. */

import { getAttribute, typeOf } from "../../api/attributes.js";
import { validationError } from "../../api/errors.js";
import { attributeNames } from "../../api/expressions/attribute-names.js";
import { indexConditionOf } from "../../api/expressions/index-condition.js";
import { keyNamesOf, shownNames } from "../../api/index-entries.js";
import { entryKey, entryRange } from "../../api/index-keys.js";
import { keyAttributes } from "../../api/key-schema.js";
import { exactKey } from "../../api/keys.js";
import { messages } from "../../api/messages.js";
import type {
  AttributeValue,
  Condition,
  DocumentPath,
  IndexDefinition,
  IndexRead,
  Item,
  KeyAttribute,
  TableRecord,
} from "../../api/model.js";
import type { QueryRequest, ScanRequest } from "../../api/requests/items.js";
import { digest16 } from "../../storage-node/digest16.js";

type Request = QueryRequest | ScanRequest;

/** @throws ValidationException */
export function indexOf(table: TableRecord, request: Request): IndexDefinition | undefined {
  const { IndexName: name, ConsistentRead: consistent } = request;
  if (name === undefined) return undefined;
  const local = table.localIndexes?.find((index) => index.name === name);
  if (local !== undefined) return local;
  const global = table.globalIndexes?.find((index) => index.name === name);
  if (global === undefined || global.status === "DELETING") throw validationError(messages.noSuchIndex(name));
  if (consistent === true) throw validationError(messages.consistentGlobalRead);
  if (global.status === "CREATING") throw validationError(messages.indexBackfilling(name));
  return global;
}

/**
 * How the entries are to be read.
 * @throws ValidationException where a global index does not show what is asked for: it alone cannot fetch it
 */
export function indexRead(
  table: TableRecord,
  index: IndexDefinition,
  request: Request,
  projection: readonly DocumentPath[] | undefined,
  filter: Condition | undefined,
): IndexRead {
  const { name } = index;
  const keyNames = keyNamesOf(index, table.keySchema);
  const shown = shownNames(index, table.keySchema);
  const isShown = (asked: string) => shown === undefined || shown.includes(asked);
  const hidden = [...new Set((projection ?? []).map(([head]) => String(head)))].filter((asked) => !isShown(asked));
  const local = table.localIndexes?.find((one) => one === index);
  if (local === undefined) {
    if (request.Select === "ALL_ATTRIBUTES" && shown !== undefined)
      throw validationError(messages.allOfGlobalIndex(name));
    if (hidden.length > 0) throw validationError(messages.notProjected(name, hidden));
    return { name, keyNames };
  }
  const filterHidden = filter !== undefined && [...attributeNames(filter)].some((asked) => !isShown(asked));
  const wholeItems = (request.Select === "ALL_ATTRIBUTES" && shown !== undefined) || hidden.length > 0 || filterHidden;
  return { name, keyNames, local: { number: local.number, wholeItems, ...(shown && { shown }) } };
}

/** What a Query's key condition names. */
export interface QueriedRange {
  readonly from: Uint8Array;
  readonly to: Uint8Array;
  /** The partition's part of the key. */
  readonly partition: Item;
  /** There is a condition on the sort part as well. */
  readonly sorted: boolean;
}

export function queriedEntries(index: IndexDefinition, condition: Condition): QueriedRange {
  const { partition, equal, next } = indexConditionOf(condition, index);
  const named = index.keySchema.partition.map(({ name }, i) => [name, partition[i] as AttributeValue]);
  const sorted = equal.length > 0 || next !== undefined;
  return { ...entryRange(partition, equal, next), partition: Object.fromEntries(named), sorted };
}

/** Where an ExclusiveStartKey stands among an index's entries. @throws ValidationException */
export function startEntry(table: TableRecord, index: IndexDefinition, key: Item): Uint8Array {
  const names = keyNamesOf(index, table.keySchema);
  const { keySchema } = index;
  const fits = ({ name, type }: KeyAttribute) => {
    const value = getAttribute(key, name);
    return value !== undefined && typeOf(value) === type;
  };
  const whole = Object.keys(key).length === names.length && [...keySchema.partition, ...keySchema.sort].every(fits);
  if (!whole) throw validationError(messages.startKeyInvalid);
  const own: Item = {};
  for (const { name } of keyAttributes(table.keySchema)) {
    const value = getAttribute(key, name);
    if (value === undefined) throw validationError(messages.startKeyInvalid);
    own[name] = value;
  }
  let itemKey: Uint8Array;
  try {
    itemKey = exactKey(table.keySchema, own).bytes;
  } catch (error) {
    throw validationError(messages.startKeyInvalidBecause((error as Error).message));
  }
  const entry = entryKey(keySchema, key, itemKey, digest16);
  if (entry === undefined) throw validationError(messages.startKeyInvalid);
  return entry.bytes;
}
