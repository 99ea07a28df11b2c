import { crc32 } from "node:zlib";
import { bufferOf } from "../buffer-of.js";
import { StoreError } from "./errors.js";

/**
 * A value as it lies in the B-tree, which has no checksums of its own:
 *
 * ```
 * u8 version = 1 | 3 bytes zero | u32 CRC-32 of key, slot, item size and item | u64 slot that wrote it | u32 item size | item (JSON, UTF-8)
 * ```
 * The key is in the checksum so that a value found under another key is not believed. All numbers are big-endian.
 */
export interface StoredValue {
  readonly slot: number;
  readonly itemSizeBytes: number;
  /** A view into the bytes read. */
  readonly json: Uint8Array;
}

const VERSION = 1;
export const STORED_HEADER_BYTES = 20;

const HIGH = 2 ** 32;

/** As one of 64 bits is written; without a `BigInt`, which costs several times as much, and nobody has as many slots as that. */
function writeSlot(out: Buffer, slot: number, at: number): void {
  out.writeUInt32BE(Math.floor(slot / HIGH), at);
  out.writeUInt32BE(slot % HIGH, at + 4);
}

const readSlot = (view: Buffer, at: number): number => view.readUInt32BE(at) * HIGH + view.readUInt32BE(at + 4);

export function encodeStored(key: Uint8Array, slot: number, itemSizeBytes: number, json: Uint8Array): Buffer {
  const out = Buffer.allocUnsafe(STORED_HEADER_BYTES + json.length);
  out.writeUInt32BE(VERSION * 0x1000000, 0);
  writeSlot(out, slot, 8);
  out.writeUInt32BE(itemSizeBytes, 16);
  out.set(json, STORED_HEADER_BYTES);
  out.writeUInt32BE(crc32(out.subarray(8), crc32(key)), 4);
  return out;
}

/**
 * Throws ERR_STORE_FORMAT for another version, which may have its checksum elsewhere or of another kind, and ERR_STORE_CORRUPT where this
 * version's checksum does not hold.
 */
export function decodeStored(key: Uint8Array, bytes: Uint8Array): StoredValue {
  const view = bufferOf(bytes);
  if (view.length > 0 && view[0] !== VERSION) {
    throw new StoreError(
      "ERR_STORE_FORMAT",
      `a stored value has format version ${view[0]}; this program reads version ${VERSION}`,
    );
  }
  const whole = view.length >= STORED_HEADER_BYTES && view.readUInt32BE(0) === VERSION * 0x1000000;
  if (!whole || crc32(view.subarray(8), crc32(key)) !== view.readUInt32BE(4)) {
    throw new StoreError(
      "ERR_STORE_CORRUPT",
      `the value under key ${Buffer.from(key).toString("hex")} does not match its checksum`,
    );
  }
  return {
    slot: readSlot(view, 8),
    itemSizeBytes: view.readUInt32BE(16),
    json: view.subarray(STORED_HEADER_BYTES),
  };
}
