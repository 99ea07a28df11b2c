/**
 * What the store itself keeps in a partition lies under keys that no item can have: an item's key is a hash (u32), the partition key's length (u16, at least
 * 1), and so on. So it is written through the log as items are, and is part of each snapshot, each state that is handed over, and each comparison.
 */
export const OWN_PREFIX: Uint8Array = Uint8Array.of(0, 0, 0, 0, 0, 0);

/** Nothing that an item can have sorts below this. */
export const FIRST_ITEM_KEY: Uint8Array = Uint8Array.of(0, 0, 0, 0, 0, 1);

export function isOwnKey(key: Uint8Array): boolean {
  if (key.length < OWN_PREFIX.length) return false;
  for (let i = 0; i < OWN_PREFIX.length; i++) if (key[i] !== 0) return false;
  return true;
}
