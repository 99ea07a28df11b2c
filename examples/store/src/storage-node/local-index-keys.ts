import { OWN_PREFIX } from "./own-keys.js";

/**
 * Where a partition keeps its local indexes, among what is its own. An entry's value is the key of the item that it points to:
 *
 * ```
 * OWN_PREFIX | "i" | u8 number of the local index | key of the entry (api/index-keys.ts)
 * ```
 */
const prefixOf = (number: number): Buffer => Buffer.concat([OWN_PREFIX, Buffer.from("i"), Uint8Array.of(number)]);

export const localIndexKey = (number: number, entry: Uint8Array): Buffer => Buffer.concat([prefixOf(number), entry]);

/** Keys of a local index, from the first one to the first one behind. */
export const localIndexBounds = (number: number): { readonly from: Uint8Array; readonly to: Uint8Array } => ({
  from: prefixOf(number),
  to: prefixOf(number + 1),
});

/** How long what stands before an entry's own key is. */
export const LOCAL_INDEX_PREFIX_BYTES = OWN_PREFIX.length + 2;
