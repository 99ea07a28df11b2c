/**
 * What a partition knows about itself, replicated as its items are: under keys below every item's, so that it is ordered with the writes around it in the log,
 * and is part of each snapshot, each state that is handed over and each comparison.
 */
export interface PartitionDescription {
  /** Each write that changes something carries the item as it was into the log. */
  readonly recordsChanges: boolean;
}

/** An item's key is a hash (u32), the partition key's length (u16, at least 1), and so on: nothing an item can have sorts below this. */
export const FIRST_ITEM_KEY: Uint8Array = Uint8Array.of(0, 0, 0, 0, 0, 1);
export const DESCRIPTION_KEY: Uint8Array = Buffer.concat([Buffer.alloc(6), Buffer.from("description")]);

/** No item lies there, but what the store itself keeps in the partition. */
export function isOwnKey(key: Uint8Array): boolean {
  return (
    key.length >= 6 &&
    (key[0] as number) + (key[1] as number) + (key[2] as number) + (key[3] as number) === 0 &&
    key[4] === 0 &&
    key[5] === 0
  );
}

export function encodeDescription(description: PartitionDescription): Buffer {
  return Buffer.from(JSON.stringify(description));
}

/** What an older program does not say is off. */
export function decodeDescription(json: Uint8Array | undefined): PartitionDescription {
  if (json === undefined) return { recordsChanges: false };
  const text = Buffer.from(json.buffer, json.byteOffset, json.byteLength).toString("utf8");
  const { recordsChanges = false } = JSON.parse(text) as Partial<PartitionDescription>;
  return { recordsChanges };
}
