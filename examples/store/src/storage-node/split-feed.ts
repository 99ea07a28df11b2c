import { hashOfKey } from "../api/keys.js";
import { HASH_END, type HashRange, holds } from "../metadata/records.js";
import type { LoggedEntry } from "./changes.js";
import { decodeCommand, type Write, weightOfWrite } from "./command.js";
import { ENDED_FROM, ENDED_TO } from "./ended-transaction.js";
import { sourceBounds } from "./global-index-keys.js";
import { keyText } from "./key-text.js";
import { FIRST_ITEM_KEY, isOwnKey } from "./own-keys.js";
import type { Replica } from "./replica.js";
import type { SplitProgress } from "./split-progress.js";
import type { TreeRange } from "./tree.js";

/** What one step takes along, at most, and what it looks at for that. */
export interface FillLimits {
  readonly itemsMax: number;
  readonly entriesMax: number;
  readonly bytesMax: number;
}

/**
 * A step is one entry of the part's log, decided, encoded and applied in one turn each: what others notice is not how much is copied but how long that takes in one piece. So
 * steps are many and small, but for those that have to catch up with a log faster than it is written.
 */
export const FILL_LIMITS: FillLimits = { itemsMax: 100, entriesMax: 1_000, bytesMax: 128 * 1024 };

/** From one state of a partition that is being filled to the next: only taken in the first, so that it is done once. */
export interface FillStep {
  /** Null: nothing is filled in yet. */
  readonly from: SplitProgress | null;
  readonly to: SplitProgress;
  readonly writes: readonly Write[];
}

export interface FeedSource {
  readonly replica: Pick<Replica, "partition" | "appliedThrough" | "range">;
  readonly changes: { entries(from: number, through: number): AsyncIterable<LoggedEntry> };
}

/** What is the partition's own and belongs to all its parts: what an index's partition was told by whom, and which transactions have ended. */
const SHARED: readonly TreeRange[] = [sourceBounds, { from: ENDED_FROM, to: ENDED_TO }];

/**
 * The next step in filling a partition with what another one has in a range of hashes, from what a replica of the latter has: first its items as they are, then, from the
 * slot on at which that began, what its log says. An item that changes while items are copied is copied as it was or as it is, and either way the log has it again as it is: the
 * last write of each is that of the log. So it makes no difference when or by which replica which step is made, as long as each is made once and they are made in their order.
 * Undefined where there is nothing to be done.
 */
export async function nextFill(
  source: FeedSource,
  range: HashRange,
  from: SplitProgress | undefined,
  limits = FILL_LIMITS,
): Promise<FillStep | undefined> {
  const { partition, appliedThrough } = source.replica;
  if (from === undefined) return { from: null, to: { of: partition, slot: appliedThrough }, writes: [] };
  if (from.sinceMs !== undefined || appliedThrough < from.slot) return undefined;
  if (!from.copied) return copied(source, range, from, limits);
  return appliedThrough === from.slot ? undefined : await followed(source, range, from, appliedThrough, limits);
}

function copied(
  { replica }: FeedSource,
  range: HashRange,
  from: SplitProgress,
  { itemsMax, bytesMax }: FillLimits,
): FillStep {
  const writes: Write[] = [];
  let bytes = 0;
  for (const { key, value } of entriesOf(replica, range, from.after)) {
    if (writes.length >= itemsMax || bytes >= bytesMax) {
      const after = Buffer.from((writes.at(-1) as Write).key).toString("hex");
      return { from, to: { ...from, after }, writes };
    }
    // Views of the tree, which are good for this turn only.
    const put: Write = {
      op: "put",
      key: Uint8Array.from(key),
      bytes: Uint8Array.from(value.json),
      itemSizeBytes: value.itemSizeBytes,
    };
    writes.push(put);
    bytes += weightOfWrite(put);
  }
  return { from, to: { of: from.of, slot: from.slot, copied: true }, writes };
}

/** In the order of their keys. */
function* entriesOf(replica: FeedSource["replica"], range: HashRange, after: string | undefined) {
  const first = after === undefined ? undefined : Buffer.concat([Buffer.from(after, "hex"), Buffer.alloc(1)]);
  for (const { from, to } of [...SHARED, boundsOf(range)]) {
    const begins = first !== undefined && from !== undefined && Buffer.compare(first, from) > 0 ? first : from;
    yield* replica.range({ from: begins, to });
  }
}

/** An item that was written again and again is written once. */
async function followed(
  { changes }: FeedSource,
  range: HashRange,
  from: SplitProgress,
  through: number,
  { entriesMax, bytesMax }: FillLimits,
): Promise<FillStep> {
  const last = new Map<string, Write>();
  let bytes = 0;
  let { slot } = from;
  for await (const entry of changes.entries(from.slot + 1, through)) {
    for (const write of writesOf(entry)) {
      if (isOwnKey(write.key) ? !isShared(write.key) : !holds(range, hashOfKey(write.key))) continue;
      const { change: _, ...plain } = write;
      last.set(keyText(write.key), plain);
      bytes += weightOfWrite(plain);
    }
    slot = entry.slot;
    if (bytes >= bytesMax || slot - from.slot >= entriesMax) break;
  }
  return { from, to: { ...from, slot }, writes: [...last.values()] };
}

function writesOf({ command: bytes }: LoggedEntry): readonly Write[] {
  const command = bytes === undefined || bytes.length === 0 ? undefined : decodeCommand(bytes);
  return command?.kind === "writes" ? command.writes : [];
}

const keyOfHash = (hash: number): Buffer => {
  const key = Buffer.alloc(4);
  key.writeUInt32BE(hash);
  return key;
};

/** The keys of all items in a range of hashes. */
function boundsOf({ hashFrom, hashTo }: HashRange): TreeRange {
  return {
    from: hashFrom === 0 ? FIRST_ITEM_KEY : keyOfHash(hashFrom),
    to: hashTo === HASH_END ? undefined : keyOfHash(hashTo),
  };
}

const isShared = (key: Uint8Array): boolean =>
  SHARED.some(({ from, to }) => from && to && Buffer.compare(from, key) <= 0 && Buffer.compare(key, to) < 0);
