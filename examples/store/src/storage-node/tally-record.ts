import { bufferOf } from "../buffer-of.js";
import { StoreError } from "./errors.js";
import { OWN_PREFIX } from "./own-keys.js";

/**
 * How much a partition holds, under the key `OWN_PREFIX "n"`, in a stored value:
 *
 * ```
 * u8 version = 1 | u8 1: everything is counted | u64 items | u64 bytes | u8 local indexes | as often: u8 number | u64 entries | u64 bytes | key
 *   key   to the end: the last one that is counted, where not everything is; empty: none is
 * ```
 * and how much an item collection of a table with local indexes holds, under `OWN_PREFIX "z" hash, length, partition key` (as an item's key begins):
 *
 * ```
 * u8 version = 1 | u64 bytes
 * ```
 * Numbers are big-endian; bytes as the service counts them.
 */
export interface Sum {
  readonly items: number;
  readonly bytes: number;
}

export interface TallyRecord extends Sum {
  /** By number. */
  readonly locals: ReadonlyMap<number, Sum>;
  /** The last key that is counted; empty: none is; absent: all are. */
  readonly through?: Uint8Array;
}

const VERSION = 1;
const HEAD_BYTES = 19;
const LOCAL_BYTES = 17;

export const TALLY_KEY: Uint8Array = Buffer.concat([OWN_PREFIX, Buffer.from("n")]);
const COLLECTION_PREFIX = Buffer.concat([OWN_PREFIX, Buffer.from("z")]);

/** Of an item's collection: what its key has in common with all others of the same partition key. */
export function collectionKey(itemKey: Uint8Array): Buffer {
  const view = bufferOf(itemKey);
  return Buffer.concat([COLLECTION_PREFIX, view.subarray(0, 6 + view.readUInt16BE(4))]);
}

const put = (out: Buffer, at: number, { items, bytes }: Sum): void => {
  // Should a sum ever be wrong it must not be what keeps a partition from being written.
  out.writeBigUInt64BE(BigInt(Math.max(0, items)), at);
  out.writeBigUInt64BE(BigInt(Math.max(0, bytes)), at + 8);
};
const sumAt = (view: Buffer, at: number): Sum => ({
  items: Number(view.readBigUInt64BE(at)),
  bytes: Number(view.readBigUInt64BE(at + 8)),
});

export function encodeTally({ items, bytes, locals, through }: TallyRecord): Buffer {
  const head = HEAD_BYTES + LOCAL_BYTES * locals.size;
  const out = Buffer.alloc(head + (through?.length ?? 0));
  out[0] = VERSION;
  out[1] = through === undefined ? 1 : 0;
  put(out, 2, { items, bytes });
  out[18] = locals.size;
  let at = HEAD_BYTES;
  for (const [number, sum] of [...locals].sort(([a], [b]) => a - b)) {
    out[at] = number;
    put(out, at + 1, sum);
    at += LOCAL_BYTES;
  }
  if (through !== undefined) out.set(through, head);
  return out;
}

/** Throws ERR_STORE_FORMAT. */
export function decodeTally(bytes: Uint8Array): TallyRecord {
  const view = bufferOf(bytes);
  const count = view[18];
  const head = HEAD_BYTES + LOCAL_BYTES * (count ?? 0);
  if (view[0] !== VERSION || count === undefined || view.length < head || (view[1] === 1 && view.length > head))
    throw new StoreError("ERR_STORE_FORMAT", `a tally has format version ${view[0]}; this program reads ${VERSION}`);
  const locals = new Map<number, Sum>();
  for (let at = HEAD_BYTES; at < head; at += LOCAL_BYTES) locals.set(view[at] as number, sumAt(view, at + 1));
  const through = view[1] === 1 ? undefined : Uint8Array.from(view.subarray(head));
  return { ...sumAt(view, 2), locals, ...(through && { through }) };
}

export function encodeCollection(bytes: number): Buffer {
  const out = Buffer.alloc(9);
  out[0] = VERSION;
  out.writeBigUInt64BE(BigInt(bytes), 1);
  return out;
}

/** Throws ERR_STORE_FORMAT. */
export function decodeCollection(bytes: Uint8Array): number {
  const view = bufferOf(bytes);
  if (view.length !== 9 || view[0] !== VERSION)
    throw new StoreError(
      "ERR_STORE_FORMAT",
      `a collection's size has format version ${view[0]}; this program reads ${VERSION}`,
    );
  return Number(view.readBigUInt64BE(1));
}
