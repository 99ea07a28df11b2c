import { bufferOf } from "../buffer-of.js";
import { OWN_PREFIX } from "./own-keys.js";

/**
 * Where a partition keeps what global indexes need, among what is its own. Numbers are big-endian.
 *
 * ```
 * OWN_PREFIX | "go" | u64 number of the record     what global indexes are to be told (outbox-record.ts), in this order
 *              "gm" | u32 number of the index      a global index that this partition keeps (maintained-index.ts)
 *              "gc"                                u64: through which record they were told
 *              "gs" | u32 partition                in an index's partition: u64, through which record of that partition it was told
 * ```
 */
const keyOf = (kind: string, rest: Uint8Array = new Uint8Array(0)): Buffer =>
  Buffer.concat([OWN_PREFIX, Buffer.from(kind), rest]);

export interface KeyBounds {
  readonly from: Uint8Array;
  readonly to: Uint8Array;
}

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

export const readU64 = (bytes: Uint8Array): number => Number(bufferOf(bytes).readBigUInt64BE(0));

export const outboxKey = (seq: number): Buffer => keyOf("go", u64(seq));

/** The number of the record that lies there. */
export const seqOfOutboxKey = (key: Uint8Array): number => readU64(key.subarray(OWN_PREFIX.length + 2));

/** Records behind `after`. */
export const outboxBounds = (after: number): KeyBounds => ({ from: outboxKey(after + 1), to: keyOf("gp") });

export const maintainedKey = (index: number): Buffer => keyOf("gm", u32(index));

export const maintainedBounds: KeyBounds = { from: keyOf("gm"), to: keyOf("gn") };

export const cursorKey = (): Buffer => keyOf("gc");

export const sourceKey = (partition: number): Buffer => keyOf("gs", u32(partition));

export const sourceBounds: KeyBounds = { from: keyOf("gs"), to: keyOf("gt") };

const KIND = OWN_PREFIX.length;
const [G, O, M] = Buffer.from("gom");

/** Whether what lies there is of interest to whoever tells global indexes. */
export const concernsIndexes = (key: Uint8Array): boolean =>
  key[KIND] === G && (key[KIND + 1] === O || key[KIND + 1] === M) && OWN_PREFIX.every((byte, i) => key[i] === byte);
