import { crc32 } from "node:zlib";

export const PAGE_BYTES = 4096;
const HEADER_BYTES = 8;

/** Bytes that are only ever written at their end, and can be damaged anywhere. A record is its CRC-32, its length and its data. */
export class Disk {
  bytes: Buffer = Buffer.alloc(64 * 1024);
  length = 0;

  append(data: Uint8Array): number {
    const offset = this.length;
    const needed = offset + HEADER_BYTES + data.length;
    if (needed > this.bytes.length) {
      // Readers hold offsets, never the buffer.
      const grown = Buffer.alloc(Math.max(needed, this.bytes.length * 2));
      this.bytes.copy(grown);
      this.bytes = grown;
    }
    this.bytes.writeUInt32LE(crc32(data), offset);
    this.bytes.writeUInt32LE(data.length, offset + 4);
    this.bytes.set(data, offset + HEADER_BYTES);
    this.length = needed;
    return offset;
  }

  /** The record as it lies there, with its header. */
  raw(offset: number, dataLength: number): Buffer {
    return Buffer.from(this.bytes.subarray(offset, offset + HEADER_BYTES + dataLength));
  }

  static isSound(raw: Uint8Array): boolean {
    const record = Buffer.from(raw);
    const data = record.subarray(HEADER_BYTES);
    return (
      record.length >= HEADER_BYTES && record.readUInt32LE(4) === data.length && record.readUInt32LE(0) === crc32(data)
    );
  }

  static dataOf(raw: Uint8Array): Uint8Array {
    return raw.subarray(HEADER_BYTES);
  }
}
