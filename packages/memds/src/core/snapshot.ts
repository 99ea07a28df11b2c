import { countOf, type Entry, entryOf, isBlock } from "./block.js";
import { compareBytes } from "./bytes.js";
import { MemdsError } from "./errors.js";
import type { Hash } from "./node.js";
import { RangeTree } from "./range-tree.js";
import { type Checksum, Reader, Writer } from "./wire.js";

const magic = 0x444d4b45; // "EKMD"
export const snapshotFormat = 1;
const headerBytes = 24;

/** A tree and the version at which it stood. */
export interface Snapshot {
  /** 0 to 2^53 - 1. */
  readonly version: number;
  readonly tree: RangeTree;
}

/** The bytes of a snapshot, drawn in ARCHITECTURE.md. The same bytes for the same entries and version. */
export function encodeSnapshot({ version, tree }: Snapshot, checksum: Checksum): Uint8Array {
  checkVersion(version);
  const writer = new Writer(headerBytes + tree.size * 48);
  writer.u32(magic);
  writer.u16(snapshotFormat);
  writer.u16(0);
  writer.u64(version);
  writer.u32(tree.size);
  writer.u32(0);
  for (const block of tree.blocks()) {
    writer.u32(block.length);
    writer.raw(block);
  }
  writer.patchU32(20, writer.length - headerBytes);
  writer.u32(checksum(writer.bytes()));
  return writer.bytes().slice();
}

/**
 * @throws MemdsError `ERR_MEMDS_CORRUPT` for bytes that were cut off or changed, or whose keys do not ascend; `ERR_MEMDS_UNSUPPORTED` for a later
 *   format.
 */
export function decodeSnapshot(bytes: Uint8Array, { hash, checksum }: { hash: Hash; checksum: Checksum }): Snapshot {
  const reader = new Reader(bytes, "ERR_MEMDS_CORRUPT");
  if (bytes.length < headerBytes + 4)
    throw reader.fault(`a snapshot has at least ${headerBytes + 4} bytes, not ${bytes.length}`);
  if (reader.u32() !== magic) throw reader.fault("this is not a snapshot");
  // The last four bytes are the checksum of all others in every format, so that damage is never taken for a later format.
  const trailer = new Reader(bytes.subarray(bytes.length - 4), "ERR_MEMDS_CORRUPT").u32();
  if (checksum(bytes.subarray(0, bytes.length - 4)) !== trailer)
    throw reader.fault("the snapshot's checksum does not match");
  const format = reader.u16();
  if (format !== snapshotFormat) {
    throw new MemdsError(
      "ERR_MEMDS_UNSUPPORTED",
      `snapshot format ${format} is not known; this version reads ${snapshotFormat}`,
    );
  }
  reader.u16();
  const version = reader.u64();
  const count = reader.u32();
  const bodyBytes = reader.u32();
  if (bodyBytes !== reader.remaining - 4)
    throw reader.fault(`the body has ${reader.remaining - 4} bytes, not ${bodyBytes}`);
  const entries: Entry[] = [];
  while (reader.remaining > 4) {
    const block = reader.raw(reader.u32());
    if (!isBlock(block)) throw reader.fault("a block's lengths do not fit it");
    for (let i = 0; i < countOf(block); i++) {
      const entry = entryOf(block, i);
      const last = entries[entries.length - 1];
      if (last !== undefined && compareBytes(last.key, entry.key) >= 0) throw reader.fault("keys do not ascend");
      entries.push(entry);
    }
  }
  if (entries.length !== count) throw reader.fault(`there are ${entries.length} entries, not ${count}`);
  return { version, tree: RangeTree.from(entries, hash) };
}

/** @throws MemdsError `ERR_MEMDS_ARGUMENT` */
export function checkVersion(version: number): void {
  if (!Number.isSafeInteger(version) || version < 0) {
    throw new MemdsError("ERR_MEMDS_ARGUMENT", `version must be an integer from 0 to 2^53 - 1, not ${String(version)}`);
  }
}
