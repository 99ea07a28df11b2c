/** What an index shows of an item, and what a change of the item costs it. */

import { getAttribute, setAttribute } from "./attributes.js";
import { compareBytes } from "./bytes.js";
import { writeUnits } from "./capacity.js";
import { equalValues } from "./compare.js";
import { keyAttributes } from "./key-schema.js";
import type { IndexDefinition, Item, KeySchema } from "./model.js";
import { itemBytes } from "./size.js";

/** Names of the attributes that make up an entry's place: what `LastEvaluatedKey` consists of. */
export function keyNamesOf({ keySchema }: IndexDefinition, table: KeySchema): string[] {
  return [...new Set([...keySchema.partition, ...keySchema.sort, ...keyAttributes(table)].map(({ name }) => name))];
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

/** An entry as it was or will be: its key and what it shows. */
export interface Entry {
  readonly key: Uint8Array;
  readonly shown: Item;
}

function sameItems(a: Item, b: Item): boolean {
  return equalValues({ M: a }, { M: b });
}

/** Write units that the change of one entry costs: an entry that moves is deleted and put, one that stays as it is costs nothing. */
export function entryUnits(before: Entry | undefined, after: Entry | undefined): number {
  if (before !== undefined && after !== undefined && compareBytes(before.key, after.key) === 0) {
    return sameItems(before.shown, after.shown) ? 0 : writeUnits(itemBytes(before.shown), itemBytes(after.shown));
  }
  const removed = before === undefined ? 0 : writeUnits(itemBytes(before.shown), 0);
  return removed + (after === undefined ? 0 : writeUnits(0, itemBytes(after.shown)));
}
