import { StoreError } from "./errors.js";

/**
 * What a B-tree says of a partition beside its items:
 *
 * ```
 * in the first area:   u64 slot | f64 time of the last entry (Unix ms)      without the time in what older programs wrote
 * in the second one:   u8 2 | u8 area = 2 | 6 bytes zero | u64 slot | f64 time
 * ```
 * Big-endian. A program that knows one area only takes the second form's first eight bytes for a slot that no log reaches, and refuses the
 * partition rather than find it empty.
 */
export interface Applied {
  readonly slot: number;
  readonly timeMs: number;
  /** Under which first byte of their keys the partition's items lie. */
  readonly area: Area;
}

export type Area = 1 | 2;

export const AREAS: readonly Area[] = [1, 2];
export const NOTHING_APPLIED: Applied = { slot: 0, timeMs: 0, area: 1 };

const SECOND = 2;

export const otherArea = (area: Area): Area => (area === 1 ? 2 : 1);

export function encodeApplied({ slot, timeMs, area }: Applied): Buffer {
  const at = area === 1 ? 0 : 8;
  const out = Buffer.alloc(at + 16);
  if (area === 2) out.writeUInt16BE(SECOND * 0x100 + area, 0);
  out.writeBigUInt64BE(BigInt(slot), at);
  out.writeDoubleBE(timeMs, at + 8);
  return out;
}

export function decodeApplied(partition: number, bytes: Buffer): Applied {
  if (bytes.length === 8) return { slot: Number(bytes.readBigUInt64BE(0)), timeMs: 0, area: 1 };
  if (bytes.length === 16) return { slot: Number(bytes.readBigUInt64BE(0)), timeMs: bytes.readDoubleBE(8), area: 1 };
  if (bytes.length !== 24 || bytes.readUInt16BE(0) !== SECOND * 0x100 + 2) {
    throw new StoreError(
      "ERR_STORE_FORMAT",
      `the B-tree says of partition ${partition} what this program cannot read: ${bytes.toString("hex")}`,
    );
  }
  return { slot: Number(bytes.readBigUInt64BE(8)), timeMs: bytes.readDoubleBE(16), area: 2 };
}
