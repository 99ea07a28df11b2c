import { equalValues } from "../api/compare.js";
import { itemOf } from "../item-of.js";
import type { ChangeNote, Image, Write } from "./command.js";
import { keyText } from "./key-text.js";
import { isOwnKey } from "./own-keys.js";

/** Items that are equal take the same room, in whatever order their attributes and the members of their sets stand. */
function sameItem(a: Image, b: Image): boolean {
  if (a.itemSizeBytes !== b.itemSizeBytes || a.bytes.length !== b.bytes.length) return false;
  return Buffer.compare(a.bytes, b.bytes) === 0 || equalValues({ M: itemOf(a.bytes) }, { M: itemOf(b.bytes) });
}

/**
 * The same writes, each with the item that it replaces; those that change nothing have no note, as the service has no record for them.
 * @param current what a key holds before these writes
 * @param expired the items are deleted because their time is up
 */
export function withChangeNotes(
  writes: readonly Write[],
  current: (key: Uint8Array) => Image | undefined,
  expired: boolean,
): Write[] {
  const written = new Map<string, Image | undefined>();
  return writes.map((write) => {
    if (isOwnKey(write.key)) return write;
    const name = keyText(write.key);
    const before = written.has(name) ? written.get(name) : current(write.key);
    const after = write.op === "put" ? write : undefined;
    if (writes.length > 1) written.set(name, after);
    if (before === undefined ? after === undefined : after !== undefined && sameItem(before, after)) return write;
    const change: ChangeNote = {
      ...(before && { before: { bytes: before.bytes, itemSizeBytes: before.itemSizeBytes } }),
      ...(expired && { expired }),
    };
    return { ...write, change };
  });
}
