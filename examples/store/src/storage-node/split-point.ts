import { hashOfKey } from "../api/keys.js";
import type { HashRange } from "../metadata/records.js";
import { halfPace } from "./half-pace.js";
import { FIRST_ITEM_KEY } from "./own-keys.js";
import type { Replica } from "./replica.js";

/** Items looked at in one turn; then others have as long, and this at least. */
const ITEMS_A_TURN = 200;
const PAUSE_MS_MIN = 1;
/** Into so many ranges of hashes what a partition holds is sorted. */
const RANGES = 4_096;

export interface SplitPoint {
  /** What the items take, keys included. */
  readonly bytes: number;
  /** Hashes below it have about half of that. Absent: nothing can be split off. */
  readonly at?: number;
}

/**
 * How much a partition holds, and the hash that splits it best, as near as a 4,096th of its hashes; by going through all of it, at a pace that leaves room for others. All
 * items of one partition key have one hash, and stay together.
 */
export async function middleOf(
  replica: Pick<Replica, "range">,
  { hashFrom, hashTo }: HashRange,
  goesOn: () => boolean = () => true,
): Promise<SplitPoint> {
  const byRange = new Float64Array(RANGES);
  const pace = halfPace({ msMin: PAUSE_MS_MIN });
  let from: Uint8Array | undefined = FIRST_ITEM_KEY;
  while (from !== undefined && goesOn()) {
    let next: Uint8Array | undefined;
    let count = 0;
    for (const { key, value } of replica.range({ from })) {
      if (count++ >= ITEMS_A_TURN) {
        next = Uint8Array.from(key);
        break;
      }
      const hash = hashOfKey(key);
      const i = Math.floor(((hash - hashFrom) * RANGES) / (hashTo - hashFrom));
      byRange[i] = (byRange[i] ?? 0) + key.length + value.json.length;
    }
    from = next;
    if (from !== undefined) await pace();
  }
  const bytes = byRange.reduce((sum, one) => sum + one, 0);
  let below = 0;
  let best: { at: number; off: number } | undefined;
  for (let i = 1; i < RANGES; i++) {
    below += byRange[i - 1] as number;
    const at = hashFrom + Math.ceil((i * (hashTo - hashFrom)) / RANGES);
    const off = Math.abs(bytes / 2 - below);
    if (below > 0 && below < bytes && at < hashTo && off < (best?.off ?? Number.POSITIVE_INFINITY)) best = { at, off };
  }
  return { bytes, ...(best && { at: best.at }) };
}
