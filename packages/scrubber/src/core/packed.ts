import { checkOrder } from "./bytes.js";
import { badArgument } from "./errors.js";

export const cutOff = (length: number, at: number): Error =>
  badArgument("block", "entries, each of them whole", `${length} bytes, cut off at ${at}`);

/** What stands before an entry: the lengths of its key and of its value. Returns where it ends. */
export function putHeader(into: Uint8Array, start: number, keyLength: number, valueLength: number): number {
  let at = start;
  into[at++] = keyLength;
  into[at++] = keyLength >>> 8;
  into[at++] = keyLength >>> 16;
  into[at++] = keyLength >>> 24;
  into[at++] = valueLength;
  into[at++] = valueLength >>> 8;
  into[at++] = valueLength >>> 16;
  into[at++] = valueLength >>> 24;
  return at;
}

/** That one key of a block is greater than another one in it: four bytes at a time for as long as they are the same. */
export function checkAscends(
  block: Uint8Array,
  words: DataView,
  lastAt: number,
  lastLength: number,
  keyAt: number,
  keyLength: number,
): void {
  const shared = Math.min(lastLength, keyLength);
  let i = 0;
  while (i + 4 <= shared && words.getInt32(keyAt + i) === words.getInt32(lastAt + i)) i += 4;
  while (i < shared && block[keyAt + i] === block[lastAt + i]) i++;
  if (i < shared ? (block[keyAt + i] as number) > (block[lastAt + i] as number) : keyLength > lastLength) return;
  checkOrder(block.subarray(lastAt, lastAt + lastLength), block.subarray(keyAt, keyAt + keyLength));
}
