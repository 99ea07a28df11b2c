import type { Entry } from "./block.js";
import { Reader } from "./wire.js";

/**
 * The entries of a block as snapshots of format 1 have them: count u8 | prefix length u16 | prefix | count x offset u16 | entries, an entry being its
 * suffix' length (1 byte below 128, else 2), the suffix, and the value up to the next entry.
 */
export function decodeBlock1(block: Uint8Array, within: Reader): Entry[] {
  const reader = new Reader(block, "ERR_MEMDS_CORRUPT");
  const count = reader.u8();
  const prefix = reader.copy(reader.u16());
  const offsets: number[] = [];
  for (let i = 0; i < count; i++) offsets.push(reader.u16());
  offsets.push(reader.remaining);
  const entries: Entry[] = [];
  for (let i = 0; i < count; i++) {
    const size = offsets[i + 1]! - offsets[i]!;
    if (size < 1) throw within.fault("a block's offsets do not ascend");
    const entry = new Reader(reader.raw(size), "ERR_MEMDS_CORRUPT");
    const first = entry.u8();
    const rest = entry.raw(first < 128 ? first : ((first & 127) << 8) | entry.u8());
    const key = new Uint8Array(prefix.length + rest.length);
    key.set(prefix);
    key.set(rest, prefix.length);
    entries.push({ key, value: entry.copy(entry.remaining) });
  }
  return entries;
}
