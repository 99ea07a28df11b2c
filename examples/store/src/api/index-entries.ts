/** What an index shows of an item, what a change of the item costs it, and which values its key attributes may have. */
import { getAttribute, setAttribute, typeOf } from "./attributes.js";
import { writeUnits } from "./capacity.js";
import { equalValues } from "./compare.js";
import { validationError } from "./errors.js";
import { encodePart, PARTITION_KEY_BYTES_MAX, SORT_KEY_BYTES_MAX } from "./keys.js";
import { messages } from "./messages.js";
import type {
  AttributeValue,
  IndexDefinition,
  Item,
  KeyAttribute,
  KeySchema,
  TableRecord,
  UpdateAction,
} from "./model.js";
import { itemBytes } from "./size.js";

/** Names of the attributes that make up an entry's place: what `LastEvaluatedKey` consists of. */
export function keyNamesOf({ keySchema }: IndexDefinition, table: KeySchema): string[] {
  const tableKeys = table.sort === undefined ? [table.partition] : [table.partition, table.sort];
  return [...new Set([...keySchema.partition, ...keySchema.sort, ...tableKeys].map(({ name }) => name))];
}

/** Names of the attributes that the index shows; `undefined`: all. */
export function shownNames(index: IndexDefinition, table: KeySchema): readonly string[] | undefined {
  const { projection } = index;
  if (projection.type === "ALL") return undefined;
  const keys = keyNamesOf(index, table);
  return projection.type === "INCLUDE" ? [...new Set([...keys, ...projection.names])] : keys;
}

/** The item's own values, not copies. @param names `undefined`: the item itself */
export function shownOf(item: Item, names: readonly string[] | undefined): Item {
  if (names === undefined) return item;
  const shown: Item = {};
  for (const name of names) {
    const value = getAttribute(item, name);
    if (value !== undefined) setAttribute(shown, name, value);
  }
  return shown;
}

/** An entry as it was or will be: its key, as text or bytes that compare, and what it shows. */
export interface Entry {
  readonly key: Uint8Array;
  readonly shown: Item;
}

const sameBytes = (a: Uint8Array, b: Uint8Array): boolean =>
  a.length === b.length && a.every((byte, i) => byte === b[i]);

function sameItems(a: Item, b: Item): boolean {
  return equalValues({ M: a }, { M: b });
}

/** Write units that the change of one entry costs: an entry that moves is deleted and put, one that stays as it is costs nothing. */
export function entryUnits(before: Entry | undefined, after: Entry | undefined): number {
  if (before !== undefined && after !== undefined && sameBytes(before.key, after.key)) {
    return sameItems(before.shown, after.shown) ? 0 : writeUnits(itemBytes(before.shown), itemBytes(after.shown));
  }
  const removed = before === undefined ? 0 : writeUnits(itemBytes(before.shown), 0);
  return removed + (after === undefined ? 0 : writeUnits(0, itemBytes(after.shown)));
}

type Indexed = Pick<TableRecord, "localIndexes" | "globalIndexes">;

export function* indexKeys({ localIndexes = [], globalIndexes = [] }: Indexed): IterableIterator<{
  index: IndexDefinition;
  attribute: KeyAttribute;
  bytesMax: number;
}> {
  // Being deleted it asks nothing of anybody any more.
  const globals = globalIndexes.filter((index) => !("status" in index) || index.status !== "DELETING");
  for (const index of [...globals, ...localIndexes]) {
    for (const attribute of index.keySchema.partition) yield { index, attribute, bytesMax: PARTITION_KEY_BYTES_MAX };
    for (const attribute of index.keySchema.sort) yield { index, attribute, bytesMax: SORT_KEY_BYTES_MAX };
  }
}

const isEmpty = (value: AttributeValue): boolean =>
  ("S" in value && value.S === "") || ("B" in value && value.B === "");

/** An item to be put may lack an index's key attributes; what it has of them must be fit to be a key. @throws ValidationException */
export function checkIndexKeys(table: Indexed, item: Item): void {
  for (const { index, attribute, bytesMax } of indexKeys(table)) {
    const value = getAttribute(item, attribute.name);
    if (value === undefined) continue;
    if (typeOf(value) !== attribute.type)
      throw validationError(messages.indexKeyType(attribute.name, attribute.type, typeOf(value), index.name));
    if (isEmpty(value)) throw validationError(messages.indexKeyEmpty(attribute.name, attribute.type, index.name));
    if (encodePart(value).length > bytesMax)
      throw validationError(
        bytesMax === PARTITION_KEY_BYTES_MAX ? messages.partitionKeyTooLarge : messages.sortKeyTooLarge,
      );
  }
}

/** What can be said of an update before its item is looked at. @throws ValidationException */
export function checkIndexKeyUpdates(table: Indexed, actions: readonly UpdateAction[]): void {
  checkGivenTypes(table, actions);
  for (const { attribute } of indexKeys(table)) {
    if (actions.some(({ path }) => path.length > 1 && path[0] === attribute.name))
      throw validationError(messages.indexKeyNotScalar(attribute.name));
  }
}

/** Of values that stand in the request as they are. @throws ValidationException */
function checkGivenTypes(table: Indexed, actions: readonly UpdateAction[]): void {
  for (const { index, attribute } of indexKeys(table)) {
    const given = givenValue(actions, attribute.name);
    if (given !== undefined && typeOf(given) !== attribute.type)
      throw validationError(messages.indexKeyType(attribute.name, attribute.type, typeOf(given), index.name));
  }
}

/** Of values that stand in the request as they are: what a transaction is told before it begins. @throws ValidationException */
export function assertNoEmptyIndexKeys(table: Indexed, actions: readonly UpdateAction[]): void {
  for (const { attribute } of indexKeys(table)) {
    const given = givenValue(actions, attribute.name);
    if (given !== undefined && typeOf(given) === attribute.type && isEmpty(given))
      throw validationError(messages.indexKeyUpdatedEmpty(attribute.type));
  }
}

function givenValue(actions: readonly UpdateAction[], attribute: string): AttributeValue | undefined {
  const action = actions.find(({ path }) => path.length === 1 && path[0] === attribute);
  if (action?.kind === "add" || action?.kind === "delete") return action.value;
  return action?.kind === "set" && action.value.kind === "value" ? action.value.value : undefined;
}

/** The same of an item that was updated: what the update did not touch was there before the index, and is left alone. @throws ValidationException */
export function checkUpdatedIndexKeys(table: Indexed, actions: readonly UpdateAction[], after: Item): void {
  checkGivenTypes(table, actions);
  const touched = new Set(actions.map(({ path }) => path[0]));
  for (const { attribute, bytesMax } of indexKeys(table)) {
    const value = touched.has(attribute.name) ? getAttribute(after, attribute.name) : undefined;
    if (value === undefined) continue;
    if (typeOf(value) !== attribute.type) throw validationError(messages.indexKeyUpdatedType);
    if (isEmpty(value)) throw validationError(messages.indexKeyUpdatedEmpty(attribute.type));
    if (encodePart(value).length > bytesMax) throw validationError(messages.indexKeyUpdatedSize);
  }
}
