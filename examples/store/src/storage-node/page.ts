import { matches } from "../api/condition.js";
import type { Item, Page, PageRequest } from "../api/model.js";
import { FIRST_ITEM_KEY } from "./own-keys.js";
import type { Replica } from "./replica.js";

/** The part of a page that lies in one partition. `lastKey` is set when a bound of the request stopped it. */
export function partitionPage(replica: Replica, request: PageRequest): Page {
  const items: Item[] = [];
  let scannedCount = 0;
  let scannedBytes = 0;
  const { after, reverse = false } = request;
  // "Behind a key" is the key with one zero byte more: the smallest key above it.
  const from =
    after !== undefined && !reverse ? Buffer.concat([after, Buffer.alloc(1)]) : (request.from ?? FIRST_ITEM_KEY);
  const to = after !== undefined && reverse ? after : request.to;
  for (const { key, value } of replica.range({ from, to, reverse })) {
    scannedCount++;
    scannedBytes += value.itemSizeBytes;
    const item = JSON.parse(
      Buffer.from(value.json.buffer, value.json.byteOffset, value.json.byteLength).toString(),
    ) as Item;
    if (request.filter === undefined || matches(request.filter, item)) items.push(item);
    if (scannedBytes >= request.bytesMax || scannedCount === request.itemsMax) {
      return { items, scannedCount, scannedBytes, lastKey: Uint8Array.from(key) };
    }
  }
  return { items, scannedCount, scannedBytes };
}
