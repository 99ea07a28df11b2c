import { checkUpdatedIndexKeys, type Entry, entryUnits, shownNames, shownOf } from "../api/index-entries.js";
import { entryKey } from "../api/index-keys.js";
import type { IndexDefinition, Item, LocalIndex, TableRecord, UpdateAction } from "../api/model.js";
import type { Write } from "./command.js";
import { digest16 } from "./digest16.js";
import { localIndexKey } from "./local-index-keys.js";

/** What the indexes of a table make of one change. */
export interface IndexEffects {
  /** Belong into the entry of the change itself. */
  readonly writes: readonly Write[];
  /** Write units by name of the index; absent where no index changes. */
  readonly units?: Readonly<Record<string, number>>;
}

const NO_EFFECTS: IndexEffects = { writes: [] };

type Indexed = Pick<TableRecord, "keySchema" | "localIndexes">;

/** Keeps a partition's local indexes: asked by the leader for each write, with the item before and after it. */
export class IndexUpkeep {
  readonly #table: () => Indexed | undefined;

  /** @param table the partition's, as the metadata know it; its keys and local indexes never change */
  constructor(table: () => Indexed | undefined) {
    this.#table = table;
  }

  /** Whether a write has to know what was there before it. */
  get active(): boolean {
    return (this.#table()?.localIndexes?.length ?? 0) > 0;
  }

  /** @throws ValidationException where an update gives an index's key a value that is none */
  check(actions: readonly UpdateAction[], after: Item): void {
    const table = this.#table();
    if (table !== undefined) checkUpdatedIndexKeys(table, actions, after);
  }

  /** @param key of the item, which was `before` and will be `after`; absent: was or will be none */
  effects(key: Uint8Array, before: Item | undefined, after: Item | undefined): IndexEffects {
    const table = this.#table();
    const locals = table?.localIndexes ?? [];
    if (table === undefined || locals.length === 0) return NO_EFFECTS;
    const writes: Write[] = [];
    const units: Record<string, number> = {};
    for (const index of locals) {
      const was = entryOf(index, table, key, before);
      const is = entryOf(index, table, key, after);
      const cost = entryUnits(was, is);
      if (cost > 0) units[index.name] = cost;
      writes.push(...pointers(index, key, was, is));
    }
    return { writes, ...(Object.keys(units).length > 0 && { units }) };
  }
}

/** What the index has of an item; nothing where it lacks one of the index's key attributes. */
export function entryOf(
  index: IndexDefinition,
  { keySchema }: Indexed,
  itemKey: Uint8Array,
  item: Item | undefined,
): Entry | undefined {
  const key = item && entryKey(index.keySchema, item, itemKey, digest16);
  return key && { key: key.bytes, shown: shownOf(item, shownNames(index, keySchema)) };
}

/** A local index's entries say where the item lies and no more: it is in the same partition, and a copy would only cost. */
function pointers(index: LocalIndex, key: Uint8Array, was: Entry | undefined, is: Entry | undefined): Write[] {
  if (was !== undefined && is !== undefined && Buffer.compare(was.key, is.key) === 0) return [];
  const writes: Write[] = [];
  if (was !== undefined) writes.push({ op: "delete", key: localIndexKey(index.number, was.key) });
  if (is !== undefined)
    writes.push({ op: "put", key: localIndexKey(index.number, is.key), bytes: key, itemSizeBytes: 0 });
  return writes;
}
