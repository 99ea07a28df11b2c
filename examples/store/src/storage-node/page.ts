import { readUnits } from "../api/capacity.js";
import { matches } from "../api/condition.js";
import { shownOf } from "../api/index-entries.js";
import type { Item, Page, PageRequest } from "../api/model.js";
import { itemBytes } from "../api/size.js";
import { itemOf } from "../item-of.js";
import { StoreError } from "./errors.js";
import { LOCAL_INDEX_PREFIX_BYTES, localIndexBounds, localIndexKey } from "./local-index-keys.js";
import { FIRST_ITEM_KEY } from "./own-keys.js";
import type { Replica } from "./replica.js";
import type { TreeRange } from "./tree.js";

/** The part of a page that lies in one partition. `lastKey` is set when a bound of the request stopped it. */
export function partitionPage(replica: Replica, request: PageRequest): Page {
  const items: Item[] = [];
  let scannedCount = 0;
  let scannedBytes = 0;
  let fetchedUnits = 0;
  const { index, filter } = request;
  const local = index?.local;
  for (const { key, value } of replica.range(rangeOf(request))) {
    scannedCount++;
    let item: Item;
    if (local === undefined) {
      scannedBytes += value.itemSizeBytes;
      item = itemOf(value.json);
    } else {
      const pointed = replica.get(value.json);
      if (pointed === undefined)
        throw new StoreError(
          "ERR_STORE_CORRUPT",
          `a local index points to no item at ${Buffer.from(key).toString("hex")}`,
        );
      const whole = itemOf(pointed.json);
      const shown = shownOf(whole, local.shown);
      scannedBytes += itemBytes(shown);
      item = local.wholeItems ? whole : shown;
      if (local.wholeItems) fetchedUnits += readUnits(pointed.itemSizeBytes, true);
    }
    if (filter === undefined || matches(filter, item)) items.push(item);
    if (scannedBytes >= request.bytesMax || scannedCount === request.itemsMax) {
      const lastKey = Uint8Array.from(local === undefined ? key : key.subarray(LOCAL_INDEX_PREFIX_BYTES));
      const lastItem = index && { lastItem: shownOf(item, index.keyNames) };
      return { items, scannedCount, scannedBytes, lastKey, ...lastItem, ...(fetchedUnits > 0 && { fetchedUnits }) };
    }
  }
  return { items, scannedCount, scannedBytes, ...(fetchedUnits > 0 && { fetchedUnits }) };
}

function rangeOf({ from, to, after, reverse = false, index }: PageRequest): TreeRange {
  // "Behind a key" is the key with one zero byte more: the smallest key above it.
  const low = after !== undefined && !reverse ? Buffer.concat([after, Buffer.alloc(1)]) : from;
  const high = after !== undefined && reverse ? after : to;
  if (index?.local === undefined) return { from: low ?? FIRST_ITEM_KEY, to: high, reverse };
  const { number } = index.local;
  const bounds = localIndexBounds(number);
  return {
    from: low === undefined ? bounds.from : localIndexKey(number, low),
    to: high === undefined ? bounds.to : localIndexKey(number, high),
    reverse,
  };
}
