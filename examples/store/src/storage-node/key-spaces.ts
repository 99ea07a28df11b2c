/**
 * Beside its items a partition keeps things of its own under keys that no item has: five bytes FF come after every hash and every length of a partition key (at
 * most 2,048), then the space. What lies there goes through the log, into snapshots and to other replicas, and is compared by the scrubber, as items are.
 *
 * ```
 * FF FF FF FF FF | 01 | u8 number of the local index | key of the entry (api/index-keys.ts)     the item's key
 * ```
 */
const SPACE = 5;

/** The first key above all items. */
export const ITEMS_END: Uint8Array = new Uint8Array(SPACE).fill(0xff);

const LOCAL_INDEXES = 1;

function keyOf(space: number, ...rest: readonly Uint8Array[]): Buffer {
  return Buffer.concat([ITEMS_END, Uint8Array.of(space), ...rest]);
}

/** Whether a key is that of an item. */
export const isItemKey = (key: Uint8Array): boolean => Buffer.compare(key, ITEMS_END) < 0;

export const localIndexKey = (number: number, entry: Uint8Array): Buffer =>
  keyOf(LOCAL_INDEXES, Uint8Array.of(number), entry);

/** Keys of a local index, from the first one to the first one behind. */
export const localIndexBounds = (number: number): { readonly from: Uint8Array; readonly to: Uint8Array } => ({
  from: localIndexKey(number, new Uint8Array(0)),
  to: localIndexKey(number + 1, new Uint8Array(0)),
});

/** How long what stands before an entry's own key is. */
export const LOCAL_INDEX_PREFIX_BYTES = SPACE + 2;
