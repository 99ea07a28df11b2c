import { crc32 } from "node:zlib";
import { ScrubberError } from "../core/errors.js";

const VERSION = 1;
const RECORD_BYTES = 16;

/** `u8 version = 1 | 3 bytes zero | u32 CRC-32 of the position | u64 position`, big-endian. */
export function encodePosition(position: number): Buffer {
  const out = Buffer.alloc(RECORD_BYTES);
  out[0] = VERSION;
  out.writeBigUInt64BE(BigInt(position), 8);
  out.writeUInt32BE(crc32(out.subarray(8)), 4);
  return out;
}

/** Throws ERR_SCRUBBER_LMDB where the record is damaged, or a newer program's. */
export function decodePosition(name: string, record: Buffer | undefined): number {
  if (record === undefined) return 0;
  if (record.length !== RECORD_BYTES || record[0] !== VERSION || crc32(record.subarray(8)) !== record.readUInt32BE(4)) {
    throw new ScrubberError(
      "ERR_SCRUBBER_LMDB",
      `${name}: the record of the applied position is damaged or of a newer version: ${record.toString("hex")}`,
    );
  }
  return Number(record.readBigUInt64BE(8));
}
