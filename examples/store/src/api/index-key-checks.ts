/** Which values the attributes of an index's key may have. */
import { getAttribute, typeOf } from "./attributes.js";
import { validationError } from "./errors.js";
import { encodePart, PARTITION_KEY_BYTES_MAX, SORT_KEY_BYTES_MAX } from "./keys.js";
import { messages } from "./messages.js";
import type { AttributeValue, IndexDefinition, Item, KeyAttribute, TableRecord, UpdateAction } from "./model.js";

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
