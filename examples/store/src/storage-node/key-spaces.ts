/**
 * Beside its items a partition keeps things of its own under keys that no item has: five bytes FF come after every hash and every length of a partition key (at
 * most 2,048), then the space. What lies there goes through the log, into snapshots and to other replicas, and is compared by the scrubber, as items are.
 *
 * ```
 * FF FF FF FF FF | 01 | u8 number of the local index | key of the entry (api/index-keys.ts)     the item's key
 *                  02 | u64 number of the record     what global indexes are to be told (outbox-record.ts), in this order
 *                  03 | u32 number of the index      a global index that this partition keeps (maintained-index.ts)
 *                  04                                u64: through which record they were told
 *                  05 | u32 partition                in an index's partition: u64, through which record of that partition it was told
 * ```
 */
const SPACE = 5;

/** The first key above all items. */
export const ITEMS_END: Uint8Array = new Uint8Array(SPACE).fill(0xff);

const LOCAL_INDEXES = 1;
const OUTBOX = 2;
const MAINTAINED = 3;
const CURSOR = 4;
const SOURCES = 5;

export interface KeyBounds {
  readonly from: Uint8Array;
  readonly to: Uint8Array;
}

function keyOf(space: number, ...rest: readonly Uint8Array[]): Buffer {
  return Buffer.concat([ITEMS_END, Uint8Array.of(space), ...rest]);
}

/** Whether a key is that of an item. */
export const isItemKey = (key: Uint8Array): boolean => Buffer.compare(key, ITEMS_END) < 0;

export const localIndexKey = (number: number, entry: Uint8Array): Buffer =>
  keyOf(LOCAL_INDEXES, Uint8Array.of(number), entry);

/** Keys of a local index, from the first one to the first one behind. */
export const localIndexBounds = (number: number): KeyBounds => ({
  from: localIndexKey(number, new Uint8Array(0)),
  to: localIndexKey(number + 1, new Uint8Array(0)),
});

/** How long what stands before an entry's own key is. */
export const LOCAL_INDEX_PREFIX_BYTES = SPACE + 2;

const u32 = (value: number): Buffer => {
  const out = Buffer.alloc(4);
  out.writeUInt32BE(value);
  return out;
};

export const u64 = (value: number): Buffer => {
  const out = Buffer.alloc(8);
  out.writeBigUInt64BE(BigInt(value));
  return out;
};

export const readU64 = (bytes: Uint8Array): number =>
  Number(Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength).readBigUInt64BE(0));

export const outboxKey = (seq: number): Buffer => keyOf(OUTBOX, u64(seq));

/** The number of the record that lies there. */
export const seqOfOutboxKey = (key: Uint8Array): number => readU64(key.subarray(SPACE + 1));

/** Records behind `after`. */
export const outboxBounds = (after: number): KeyBounds => ({ from: outboxKey(after + 1), to: keyOf(OUTBOX + 1) });

export const maintainedKey = (index: number): Buffer => keyOf(MAINTAINED, u32(index));

export const maintainedBounds: KeyBounds = { from: keyOf(MAINTAINED), to: keyOf(MAINTAINED + 1) };

export const cursorKey = (): Buffer => keyOf(CURSOR);

export const sourceKey = (partition: number): Buffer => keyOf(SOURCES, u32(partition));

/** Whether what lies there is of interest to whoever tells global indexes. */
export const concernsIndexes = (key: Uint8Array): boolean =>
  key[0] === 0xff && !isItemKey(key) && (key[SPACE] === OUTBOX || key[SPACE] === MAINTAINED);
