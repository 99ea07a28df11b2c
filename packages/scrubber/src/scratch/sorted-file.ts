import { closeSync, fstatSync, openSync, readSync } from "node:fs";
import { open, unlink } from "node:fs/promises";
import { crc32 } from "node:zlib";
import { compareBytes } from "../core/bytes.js";
import { ScrubberError } from "../core/errors.js";

/** What a key holds in one file: a value, or nothing where it was deleted since the files before. */
export interface Kept {
  readonly key: Uint8Array;
  readonly value: Uint8Array | undefined;
}

interface Block {
  readonly first: Uint8Array;
  readonly offset: number;
  readonly length: number;
}

const MAGIC = 0x53_4b_45_31; // "1EKS" as it lies on disk: little-endian, version 1.
const BLOCK_BYTES = 16 * 1024;
const BLOCK_HEADER_BYTES = 8;
const FOOTER_BYTES = 24;
const ENTRY_HEADER_BYTES = 8;
const DELETED = 0xffff_ffff;
const WRITE_BYTES = 1024 * 1024;

/**
 * A file of entries in order of their keys, written once. Blocks of about 16 KiB, each with its length and CRC-32, then the index of the
 * blocks' first keys, then a footer. ARCHITECTURE.md draws it.
 */
export class SortedFile {
  readonly path: string;
  readonly bytes: number;
  readonly #fd: number;
  readonly #blocks: readonly Block[];
  #users = 1;
  #cached: { readonly block: Block; readonly kept: readonly Kept[] } | undefined;

  private constructor(path: string, fd: number, bytes: number, blocks: readonly Block[]) {
    this.path = path;
    this.#fd = fd;
    this.bytes = bytes;
    this.#blocks = blocks;
  }

  /** Writes the entries, which must ascend, and makes them durable. */
  static async write(path: string, entries: Iterable<Kept>): Promise<SortedFile> {
    const file = await open(path, "w");
    const blocks: Block[] = [];
    let offset = 0;
    let waiting: Uint8Array[] = [];
    let waitingBytes = 0;
    const push = async (part: Uint8Array): Promise<void> => {
      waiting.push(part);
      waitingBytes += part.length;
      offset += part.length;
      if (waitingBytes < WRITE_BYTES) return;
      const parts = waiting;
      waiting = [];
      waitingBytes = 0;
      await file.writeFile(Buffer.concat(parts));
    };
    try {
      let block: Uint8Array[] = [];
      let blockBytes = 0;
      let first: Uint8Array | undefined;
      const end = async (): Promise<void> => {
        if (first === undefined) return;
        const framed = frame(Buffer.concat(block));
        blocks.push({ first, offset, length: framed.length });
        block = [];
        blockBytes = 0;
        first = undefined;
        await push(framed);
      };
      for (const { key, value } of entries) {
        first ??= key;
        const header = Buffer.alloc(ENTRY_HEADER_BYTES);
        header.writeUInt32LE(key.length, 0);
        header.writeUInt32LE(value === undefined ? DELETED : value.length, 4);
        block.push(header, key);
        if (value !== undefined) block.push(value);
        blockBytes += ENTRY_HEADER_BYTES + key.length + (value?.length ?? 0);
        if (blockBytes >= BLOCK_BYTES) await end();
      }
      await end();
      const indexAt = offset;
      const index = frame(Buffer.concat(blocks.flatMap((one) => [indexHeader(one), one.first])));
      await push(index);
      await push(footer(indexAt, index.length, blocks.length));
      await file.writeFile(Buffer.concat(waiting));
      await file.datasync();
      await file.close();
    } catch (error) {
      await file.close().catch(() => undefined);
      // Where the disk is full, what is left would be in the way of the next attempt.
      await unlink(path).catch(() => undefined);
      throw error;
    }
    return new SortedFile(path, openSync(path, "r"), offset, blocks);
  }

  static open(path: string): SortedFile {
    const fd = openSync(path, "r");
    try {
      const { size } = fstatSync(fd);
      const tail = readExactly(fd, path, size - FOOTER_BYTES, FOOTER_BYTES);
      if (
        tail.readUInt32LE(0) !== MAGIC ||
        crc32(tail.subarray(0, FOOTER_BYTES - 4)) !== tail.readUInt32LE(FOOTER_BYTES - 4)
      )
        throw corrupt(path, size - FOOTER_BYTES, "the footer");
      const indexAt = Number(tail.readBigUInt64LE(4));
      const index = unframe(readExactly(fd, path, indexAt, tail.readUInt32LE(12)), path, indexAt);
      const blocks: Block[] = [];
      for (let at = 0; at < index.length; ) {
        const keyLength = index.readUInt32LE(at);
        const length = index.readUInt32LE(at + 4);
        const offset = Number(index.readBigUInt64LE(at + 8));
        blocks.push({ first: index.subarray(at + 16, at + 16 + keyLength), offset, length });
        at += 16 + keyLength;
      }
      if (blocks.length !== tail.readUInt32LE(16)) throw corrupt(path, indexAt, "the index");
      return new SortedFile(path, fd, size, blocks);
    } catch (error) {
      closeSync(fd);
      throw error;
    }
  }

  get(key: Uint8Array): Kept | undefined {
    const block = this.#blocks[this.#blockOf(key)];
    if (block === undefined) return undefined;
    return this.#read(block).find((one) => compareBytes(one.key, key) === 0);
  }

  *range(from: Uint8Array): IterableIterator<Kept> {
    for (let at = Math.max(0, this.#blockOf(from)); at < this.#blocks.length; at++) {
      for (const kept of this.#read(this.#blocks[at] as Block)) if (compareBytes(kept.key, from) >= 0) yield kept;
    }
  }

  /** For one more reader; the file stays readable until the last one lets go, also when its name is gone. */
  use(): void {
    this.#users++;
  }

  release(): void {
    this.#users--;
    if (this.#users === 0) closeSync(this.#fd);
  }

  /** Index of the last block that begins at `key` or before. */
  #blockOf(key: Uint8Array): number {
    let low = 0;
    let high = this.#blocks.length;
    while (low < high) {
      const middle = (low + high) >> 1;
      if (compareBytes((this.#blocks[middle] as Block).first, key) <= 0) low = middle + 1;
      else high = middle;
    }
    return low - 1;
  }

  #read(block: Block): readonly Kept[] {
    if (this.#cached?.block === block) return this.#cached.kept;
    const data = unframe(readExactly(this.#fd, this.path, block.offset, block.length), this.path, block.offset);
    const kept: Kept[] = [];
    for (let at = 0; at < data.length; ) {
      const keyLength = data.readUInt32LE(at);
      const valueLength = data.readUInt32LE(at + 4);
      const keyAt = at + ENTRY_HEADER_BYTES;
      const valueAt = keyAt + keyLength;
      at = valueAt + (valueLength === DELETED ? 0 : valueLength);
      kept.push({
        key: data.subarray(keyAt, valueAt),
        value: valueLength === DELETED ? undefined : data.subarray(valueAt, at),
      });
    }
    this.#cached = { block, kept };
    return kept;
  }
}

function frame(payload: Buffer): Buffer {
  const header = Buffer.alloc(BLOCK_HEADER_BYTES);
  header.writeUInt32LE(payload.length, 0);
  header.writeUInt32LE(crc32(payload), 4);
  return Buffer.concat([header, payload]);
}

function unframe(framed: Buffer, path: string, offset: number): Buffer {
  const payload = framed.subarray(BLOCK_HEADER_BYTES);
  if (
    framed.length < BLOCK_HEADER_BYTES ||
    framed.readUInt32LE(0) !== payload.length ||
    framed.readUInt32LE(4) !== crc32(payload)
  )
    throw corrupt(path, offset, "a block");
  return payload;
}

function indexHeader({ first, offset, length }: Block): Buffer {
  const header = Buffer.alloc(16);
  header.writeUInt32LE(first.length, 0);
  header.writeUInt32LE(length, 4);
  header.writeBigUInt64LE(BigInt(offset), 8);
  return header;
}

function footer(indexAt: number, indexLength: number, blocks: number): Buffer {
  const data = Buffer.alloc(FOOTER_BYTES);
  data.writeUInt32LE(MAGIC, 0);
  data.writeBigUInt64LE(BigInt(indexAt), 4);
  data.writeUInt32LE(indexLength, 12);
  data.writeUInt32LE(blocks, 16);
  data.writeUInt32LE(crc32(data.subarray(0, FOOTER_BYTES - 4)), FOOTER_BYTES - 4);
  return data;
}

function readExactly(fd: number, path: string, offset: number, length: number): Buffer {
  const data = Buffer.alloc(Math.max(0, length));
  if (offset < 0 || readSync(fd, data, 0, length, offset) < length) throw corrupt(path, offset, "the file's end");
  return data;
}

export function corrupt(path: string, offset: number, what: string): ScrubberError {
  return new ScrubberError(
    "ERR_SCRUBBER_SCRATCH",
    `${path}: ${what} at offset ${offset} is damaged; delete the folder, and the reference is built anew`,
  );
}
