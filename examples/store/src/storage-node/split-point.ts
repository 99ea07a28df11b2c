import { FIRST_ITEM_KEY } from "./own-keys.js";
import type { Replica } from "./replica.js";

/** Items looked at in one turn. */
const ITEMS_A_TURN = 2_000;

export interface SplitPoint {
  /** What the items take, keys included. */
  readonly bytes: number;
  /** Hashes below it have about half of that. Absent: everything has the same hash, and cannot be told apart. */
  readonly at?: number;
}

type Ranged = Pick<Replica, "range">;

/** Every item's hash and size, a few thousand a turn; an item that comes or goes meanwhile may or may not be counted. */
async function eachItem(replica: Ranged, visit: (hash: number, bytes: number) => void): Promise<void> {
  let from: Uint8Array | undefined = FIRST_ITEM_KEY;
  while (from !== undefined) {
    let next: Uint8Array | undefined;
    let count = 0;
    for (const { key, value } of replica.range({ from })) {
      if (count++ >= ITEMS_A_TURN) {
        next = Uint8Array.from(key);
        break;
      }
      visit(Buffer.from(key.buffer, key.byteOffset, key.byteLength).readUInt32BE(0), key.length + value.json.length);
    }
    from = next;
    if (from !== undefined) await new Promise<void>((resolve) => setImmediate(resolve));
  }
}

/** How much a partition holds, and the hash that splits it best. All that one partition key has has one hash, and stays together. */
export async function middleOf(replica: Ranged): Promise<SplitPoint> {
  let bytes = 0;
  await eachItem(replica, (_, size) => {
    bytes += size;
  });
  let below = 0;
  let last: number | undefined;
  let best: { at: number; off: number } | undefined;
  await eachItem(replica, (hash, size) => {
    if (last !== undefined && hash !== last) {
      const off = Math.abs(bytes / 2 - below);
      if (best === undefined || off < best.off) best = { at: hash, off };
    }
    last = hash;
    below += size;
  });
  return { bytes, ...(best && { at: best.at }) };
}
