import { markAsUntransferable } from "node:worker_threads";
import { type BatchHeader, batchHeaderBytes, payloadIsWhole, readBatchHeader } from "./core/batch.js";
import { WalError } from "./errors.js";
import { crc } from "./fs/checksum.js";
import type { WalFile, WalFileSystem } from "./fs/file-system.js";
import type { Segment } from "./segment.js";

/** What is read first: enough for one record, which is never further than this from where the index points, unless its batch is larger. */
const firstBlockBytes = 64 * 1024;
export const blockBytes = 256 * 1024;
/** Room in front of what is read ahead, for the beginning of a batch that ends in it. */
const headroomBytes = 64 * 1024;

interface Ahead {
  readonly block: Uint8Array;
  /** File offset of what stands at `headroomBytes` in the block. */
  readonly offset: number;
  readonly read: Promise<number>;
}

/**
 * Batches of one segment, each verified once, read in blocks. While one block is worked through the next is read, as soon as there was a second one.
 * Blocks are never written again: views of them can be handed out.
 */
export class SegmentCursor {
  readonly segment: Segment;
  readonly #stream: string;
  readonly #file: WalFile;
  bytes: Uint8Array = new Uint8Array(0);
  /** File offset of `bytes[0]`. */
  #base = 0;
  #verifiedFrom = 0;
  #verifiedTo = 0;
  #ahead: Ahead | undefined;
  /** Where the next batch stands, and its number, once one was read. */
  #next: { readonly offset: number; readonly batch: number } | undefined;

  private constructor(segment: Segment, stream: string, file: WalFile) {
    this.segment = segment;
    this.#stream = stream;
    this.#file = file;
  }

  /** `stream`: whose records are read, for the errors. */
  static async open(fileSystem: WalFileSystem, segment: Segment, stream: string): Promise<SegmentCursor> {
    segment.readers++;
    try {
      return new SegmentCursor(segment, stream, await fileSystem.open(segment.path, "read"));
    } catch (cause) {
      segment.readers--;
      throw new WalError("ERR_WAL_IO", `cannot open ${segment.path}: ${String(cause)}`, { file: segment.path, cause });
    }
  }

  /** The verified batch at `offset` and where its payload stands in `bytes`; undefined when `load` has to be awaited before. */
  batchAt(offset: number): { readonly header: BatchHeader; readonly from: number } | undefined {
    const at = offset - this.#base;
    const loaded = this.bytes.length - at;
    if (at < 0 || loaded < batchHeaderBytes) return undefined;
    const header = readBatchHeader(this.bytes, at, this.segment.place, offset, crc);
    const length = batchHeaderBytes + (header?.payloadBytes ?? 0);
    if (header === undefined || offset + length > this.segment.end) throw this.#damaged(offset);
    if (loaded < length) return undefined;
    // Once for each batch and block: whoever was given a record may have changed its bytes since.
    if (offset < this.#verifiedFrom || offset >= this.#verifiedTo) {
      if (!payloadIsWhole(this.bytes, at, header, this.segment.place, offset, crc))
        throw this.#damaged(offset, header.number);
      if (offset !== this.#verifiedTo) this.#verifiedFrom = offset;
      this.#verifiedTo = offset + length;
    }
    this.#next = { offset: offset + length, batch: header.number + 1 };
    return { header, from: at + batchHeaderBytes };
  }

  /** Reads on, so that the whole batch at `offset` is there. */
  async load(offset: number): Promise<void> {
    await this.#load(offset, batchHeaderBytes);
    const header = readBatchHeader(this.bytes, offset - this.#base, this.segment.place, offset, crc);
    const length = batchHeaderBytes + (header?.payloadBytes ?? 0);
    if (offset + length <= this.segment.end) await this.#load(offset, length);
  }

  async #load(offset: number, length: number): Promise<void> {
    if (offset >= this.#base && offset + length <= this.#base + this.bytes.length) return;
    const follows = this.bytes.length > 0 && offset >= this.#base && offset <= this.#base + this.bytes.length;
    const ahead = this.#ahead;
    this.#ahead = undefined;
    const read = ahead === undefined ? 0 : await this.#wait(ahead.read, ahead.offset);
    const end = this.#base + this.bytes.length;
    if (
      ahead !== undefined &&
      follows &&
      ahead.offset === end &&
      end - offset <= headroomBytes &&
      offset + length <= end + read
    ) {
      const from = headroomBytes - (end - offset);
      ahead.block.set(this.bytes.subarray(offset - this.#base), from);
      this.#use(ahead.block.subarray(from, headroomBytes + read), offset);
    } else {
      const wanted = Math.max(length, Math.min(follows ? blockBytes : firstBlockBytes, this.segment.end - offset));
      const block = newBlock(wanted);
      const bytes = await this.#wait(this.#file.read(block, offset), offset);
      if (bytes < length) throw this.#damaged(offset);
      this.#use(block.subarray(0, bytes), offset);
    }
    if (follows) this.#readAhead();
  }

  #use(bytes: Uint8Array, base: number): void {
    this.bytes = bytes;
    this.#base = base;
    this.#verifiedFrom = 0;
    this.#verifiedTo = 0;
  }

  #readAhead(): void {
    const offset = this.#base + this.bytes.length;
    const wanted = Math.min(blockBytes, this.segment.end - offset);
    if (wanted <= 0) return;
    const block = newBlock(headroomBytes + wanted);
    const read = this.#file.read(block.subarray(headroomBytes), offset);
    read.catch(() => undefined); // told to whoever comes to need it
    this.#ahead = { block, offset, read };
  }

  async #wait(read: Promise<number>, offset: number): Promise<number> {
    try {
      return await read;
    } catch (cause) {
      const { path } = this.segment;
      throw new WalError("ERR_WAL_IO", `cannot read ${path} at ${offset}: ${String(cause)}`, {
        file: path,
        offset,
        stream: this.#stream,
        cause,
      });
    }
  }

  #damaged(offset: number, found?: number): WalError {
    const { path } = this.segment;
    const details = { file: path, offset, stream: this.#stream };
    const batch = found ?? (this.#next?.offset === offset ? this.#next.batch : undefined);
    const message = `${path}: the durable batch at ${offset} is damaged`;
    return new WalError("ERR_WAL_CORRUPT", message, batch === undefined ? details : { ...details, batch });
  }

  async close(): Promise<void> {
    this.segment.readers--;
    // Its file must not be closed under a read: the number may be another file's by then.
    await this.#ahead?.read.catch(() => undefined);
    await this.#file.close();
  }
}

/** Its bytes are those of many records: who transfers one record to a worker does not take the others away from everybody, as with Node's own pool. */
function newBlock(length: number): Uint8Array {
  const { buffer } = Buffer.allocUnsafeSlow(length);
  markAsUntransferable(buffer);
  return new Uint8Array(buffer);
}
