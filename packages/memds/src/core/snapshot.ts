import { type Entry, isBlock, locate, newSpan, Slabs } from "./block.js";
import { compareBytes } from "./bytes.js";
import { bad, checkBytes, MemdsError } from "./errors.js";
import { type Hash, Leaf } from "./node.js";
import { keyBytesMax, RangeTree, valueBytesMax } from "./range-tree.js";
import { decodeBlock1 } from "./snapshot-1.js";
import { type Checksum, Reader, Writer } from "./wire.js";

const magic = 0x444d4b45; // "EKMD"
export const snapshotFormat = 2;
const headerBytes = 24;

/** A tree and the version at which it stood. */
export interface Snapshot {
  /** 0 to 2^53 - 1. */
  readonly version: number;
  readonly tree: RangeTree;
}

/** The bytes of a snapshot, drawn in ARCHITECTURE.md. The same bytes for the same entries and version. */
export function encodeSnapshot(snapshot: Snapshot, checksum: Checksum): Uint8Array {
  const { version, tree } = snapshot ?? {};
  checkVersion(version);
  if (!(tree instanceof RangeTree)) throw bad("tree", "a RangeTree", tree);
  checkFunction("checksum", checksum);
  const writer = new Writer(headerBytes + tree.bytes + 64);
  writer.u32(magic);
  writer.u16(snapshotFormat);
  writer.u16(0);
  writer.u64(version);
  writer.u32(tree.size);
  writer.u32(0);
  for (const { bytes, at, end } of tree.blocks()) {
    writer.u32(end - at);
    writer.raw(bytes.subarray(at, end));
  }
  writer.patchU32(20, writer.length - headerBytes);
  writer.u32(checksum(writer.bytes()));
  return writer.bytes().slice();
}

/**
 * @param bytes are not changed; what is decoded keeps no view of them.
 * @throws MemdsError `ERR_MEMDS_ARGUMENT`; `ERR_MEMDS_CORRUPT` for bytes that were cut off or changed, or whose keys do not ascend; `ERR_MEMDS_UNSUPPORTED` for a later
 *   format.
 */
export function decodeSnapshot(bytes: Uint8Array, options: { hash: Hash; checksum: Checksum }): Snapshot {
  checkBytes("bytes", bytes);
  const { hash, checksum } = options ?? {};
  checkFunction("hash", hash);
  checkFunction("checksum", checksum);
  const reader = new Reader(bytes, "ERR_MEMDS_CORRUPT");
  if (bytes.length < headerBytes + 4)
    throw reader.fault(`a snapshot has at least ${headerBytes + 4} bytes, not ${bytes.length}`);
  if (reader.u32() !== magic) throw reader.fault("this is not a snapshot");
  // The last four bytes are the checksum of all others in every format, so that damage is never taken for a later format.
  const trailer = new Reader(bytes.subarray(bytes.length - 4), "ERR_MEMDS_CORRUPT").u32();
  if (checksum(bytes.subarray(0, bytes.length - 4)) !== trailer)
    throw reader.fault("the snapshot's checksum does not match");
  const format = reader.u16();
  if (format !== snapshotFormat && format !== 1) {
    throw new MemdsError(
      "ERR_MEMDS_UNSUPPORTED",
      `snapshot format ${format} is not known; this version reads 1 to ${snapshotFormat}`,
    );
  }
  reader.u16();
  const version = reader.u64();
  const count = reader.u32();
  const bodyBytes = reader.u32();
  if (bodyBytes !== reader.remaining - 4)
    throw reader.fault(`the body has ${reader.remaining - 4} bytes, not ${bodyBytes}`);
  const body = { reader, count, hash };
  return { version, tree: format === 1 ? readEntries(body) : readLeaves(body) };
}

interface Body {
  readonly reader: Reader;
  readonly count: number;
  readonly hash: Hash;
}

/** Format 2 holds the tree's own leaves: they are checked and taken as they are. */
function readLeaves({ reader, count, hash }: Body): RangeTree {
  const leaves: Leaf[] = [];
  const slabs = new Slabs();
  const span = newSpan();
  let entries = 0;
  while (reader.remaining > 4) {
    const source = reader.raw(reader.u32());
    const { bytes, at } = slabs.take(source.length);
    bytes.set(source, at);
    const block = { bytes, at, end: at + source.length };
    if (!isBlock(block)) throw reader.fault("a block is not whole, or its keys do not ascend");
    const inBlock = bytes[at]! & 127;
    let weight = 0;
    for (let i = 0; i < inBlock; i++) {
      locate(block, i, span);
      const key = span.prefixEnd - span.prefixStart + span.suffixEnd - span.suffixStart;
      const value = span.valueEnd - span.valueStart;
      if (key > keyBytesMax || value > valueBytesMax) throw reader.fault(`an entry of ${key} and ${value} bytes`);
      weight += key + value;
    }
    leaves.push(new Leaf(block, weight));
    entries += inBlock;
  }
  if (entries !== count) throw reader.fault(`there are ${entries} entries, not ${count}`);
  const tree = RangeTree.ofLeaves(leaves, hash);
  if (tree === undefined)
    throw reader.fault("keys do not ascend from block to block, or these are not the blocks of one tree");
  return tree;
}

function readEntries({ reader, count, hash }: Body): RangeTree {
  const entries: Entry[] = [];
  while (reader.remaining > 4) {
    for (const entry of decodeBlock1(reader.raw(reader.u32()), reader)) {
      const last = entries[entries.length - 1];
      if (last !== undefined && compareBytes(last.key, entry.key) >= 0) throw reader.fault("keys do not ascend");
      entries.push(entry);
    }
  }
  if (entries.length !== count) throw reader.fault(`there are ${entries.length} entries, not ${count}`);
  return RangeTree.from(entries, hash);
}

/** @throws MemdsError `ERR_MEMDS_ARGUMENT` */
export function checkVersion(version: number): void {
  if (!Number.isSafeInteger(version) || version < 0) throw bad("version", "an integer from 0 to 2^53 - 1", version);
}

function checkFunction(name: string, given: unknown): void {
  if (typeof given !== "function") throw bad(name, "a function", given);
}
