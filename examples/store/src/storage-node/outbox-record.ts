import { bufferOf } from "../buffer-of.js";
import { StoreError } from "./errors.js";

/**
 * What one change, or one step of a backfill, has to tell the global indexes: which items it touched, and where the indexes had them until then. What
 * they are now is read from the item when the indexes are told, so a record stays small whatever the item.
 *
 * ```
 * u8 version = 1 | u32 count, then for each item:  u16 key length | key | u8 count, then for each index:  u32 number | u16 key length | key of its entry until
 *                                                                                                         then; length 0: it had none
 * ```
 * Big-endian. The value that holds it has the checksum.
 */
export interface Touched {
  readonly key: Uint8Array;
  readonly indexes: readonly { readonly index: number; readonly was?: Uint8Array }[];
}

const VERSION = 1;

export function encodeOutboxRecord(touched: readonly Touched[]): Buffer {
  let length = 5;
  for (const { key, indexes } of touched) {
    length += 3 + key.length;
    for (const { was } of indexes) length += 6 + (was?.length ?? 0);
  }
  const out = Buffer.alloc(length);
  out[0] = VERSION;
  let at = out.writeUInt32BE(touched.length, 1);
  for (const { key, indexes } of touched) {
    at = out.writeUInt16BE(key.length, at);
    out.set(key, at);
    at = out.writeUInt8(indexes.length, at + key.length);
    for (const { index, was } of indexes) {
      at = out.writeUInt32BE(index, at);
      at = out.writeUInt16BE(was?.length ?? 0, at);
      if (was !== undefined) out.set(was, at);
      at += was?.length ?? 0;
    }
  }
  return out;
}

/** Views into `bytes`. Throws ERR_STORE_FORMAT. */
export function decodeOutboxRecord(bytes: Uint8Array): Touched[] {
  const view = bufferOf(bytes);
  if (view[0] !== VERSION) throw wrong(`has format version ${view[0]}; this program reads version ${VERSION}`);
  const touched: Touched[] = [];
  let at = 5;
  const take = (length: number): Buffer => {
    if (at + length > view.length) throw new RangeError("a key runs past the record");
    at += length;
    return view.subarray(at - length, at);
  };
  try {
    const count = view.readUInt32BE(1);
    for (let i = 0; i < count; i++) {
      const key = take(take(2).readUInt16BE());
      const indexes: { index: number; was?: Uint8Array }[] = [];
      for (let left = take(1).readUInt8(); left > 0; left--) {
        const index = take(4).readUInt32BE();
        const length = take(2).readUInt16BE();
        indexes.push(length === 0 ? { index } : { index, was: take(length) });
      }
      touched.push({ key, indexes });
    }
  } catch (cause) {
    throw wrong("ends early", cause);
  }
  if (at !== view.length) throw wrong(`has ${view.length - at} bytes too many`);
  return touched;
}

const wrong = (what: string, cause?: unknown): StoreError =>
  new StoreError("ERR_STORE_FORMAT", `a record for global indexes ${what}`, cause === undefined ? {} : { cause });
