import { createHash } from "node:crypto";
import { type FileHandle, mkdir, open, rm } from "node:fs/promises";
import { join } from "node:path";
import { crc32 } from "node:zlib";
import { ByteWriter } from "../core/bytes.js";
import { encodeHostMessage, type HostMessage } from "./host-messages.js";

const magic = Buffer.from("EkPs");
const version = 1;
const pieceHeadBytes = 8;
/** What may have been kept and not be on disk yet when the next piece is asked for. A sender remembers as much of what it sent last. */
export const unsyncedBytesMax = 2 * 1024 * 1024;
/** As large as `snapshotPieceBytes` may be, at whatever sender. */
const pieceBytesMax = 2 ** 24;

export type SnapshotOffer = Extract<HostMessage, { type: "offer" | "offerWithClients" }>;

/** Whose snapshot it is, as the first bytes of its file say. Another sender, another offer: another file. */
export interface SpoolOwner {
  readonly nodeId: string;
  readonly groupId: string;
  readonly from: string;
  readonly offer: SnapshotOffer;
}

/** Where one group of one node keeps what has come of a snapshot. Group ids may be anything, file names may not. */
export function spoolFile(dir: string, nodeId: string, groupId: string): string {
  const name = createHash("sha256").update(`${nodeId}\n${groupId}`).digest("hex").slice(0, 32);
  return join(dir, `${name}.snapshot`);
}

/**
 * What has come of one snapshot, kept in a file so that a restart of the receiver does not begin it anew: each piece with its own checksum, all but the newest `unsyncedBytesMax` of them on disk
 * before the next one is asked for. So the sender, who reads its snapshot once from front to end and remembers its newest pieces, has what is asked for next. ARCHITECTURE.md draws the bytes.
 *
 * It is scratch: where it is wrong it ends, what is behind has to come again, and the sender's checksum over the whole snapshot is looked at in any case.
 */
export class SnapshotSpool {
  readonly #file: string;
  readonly #head: Buffer;
  #handle: FileHandle | undefined;
  /** Where the next piece goes; 0 while the file is not this snapshot's yet. */
  #end = 0;
  #offset = 0;
  #unsynced = 0;
  #keeping: Promise<void> = Promise.resolve();
  #abandoned = false;

  private constructor(file: string, head: Buffer) {
    this.#file = file;
    this.#head = head;
  }

  /** A file of the same snapshot is gone on with, any other one is in the way and goes. Never rejects: without a file there is nothing to resume. */
  static async open(file: string, owner: SpoolOwner): Promise<SnapshotSpool> {
    const spool = new SnapshotSpool(file, headOf(owner));
    try {
      await spool.#open();
    } catch {
      await spool.discard();
      spool.#abandoned = false;
    }
    return spool;
  }

  /**
   * What was kept by an earlier life, from the snapshot's beginning, piece by piece, as far as it is whole: what comes behind, torn by a crash or gone bad, will be asked for again
   * and is written over. To be read to its end before anything is kept.
   */
  async *kept(): AsyncGenerator<Uint8Array> {
    const handle = this.#handle;
    if (handle === undefined) return;
    for (;;) {
      let piece: Uint8Array | undefined;
      try {
        piece = await this.#nextKept(handle);
      } catch {
        await this.discard();
      }
      if (piece === undefined) return;
      yield piece;
    }
  }

  /** Resolves when no more than `unsyncedBytesMax` are not on disk, or nothing can be kept; then this snapshot is not resumed after a crash, and that is all. */
  keep(bytes: Uint8Array): Promise<void> {
    this.#keeping = this.#keeping.then(() => this.#write(bytes)).catch(() => this.discard());
    return this.#keeping;
  }

  /** Lets go of the file; a later life may go on with it. */
  async close(): Promise<void> {
    await this.#keeping;
    const handle = this.#handle;
    this.#handle = undefined;
    await handle?.close().catch(() => {});
  }

  /** Nobody will go on with it. */
  async discard(): Promise<void> {
    this.#abandoned = true;
    const handle = this.#handle;
    this.#handle = undefined;
    this.#end = 0;
    this.#offset = 0;
    await handle?.close().catch(() => {});
    await rm(this.#file, { force: true }).catch(() => {});
  }

  async #open(): Promise<void> {
    const handle = await open(this.#file, "r+").catch((error: NodeJS.ErrnoException) => {
      if (error.code === "ENOENT") return undefined;
      throw error;
    });
    if (handle === undefined) return;
    this.#handle = handle;
    const found = await readAt(handle, 0, this.#head.length);
    if (!this.#head.equals(found)) {
      await this.discard();
      this.#abandoned = false;
      return;
    }
    this.#end = this.#head.length;
  }

  async #nextKept(handle: FileHandle): Promise<Uint8Array | undefined> {
    const at = this.#end;
    const { size } = await handle.stat();
    if (at === size) return undefined;
    const head = await readAt(handle, at, pieceHeadBytes);
    const length = head.length < pieceHeadBytes ? 0 : head.readUInt32LE(0);
    const endsAt = at + pieceHeadBytes + length;
    if (length > 0 && length <= pieceBytesMax && endsAt <= size) {
      const bytes = await readAt(handle, at + pieceHeadBytes, length);
      if (checksum(this.#offset, bytes) === head.readUInt32LE(4)) {
        this.#end = endsAt;
        this.#offset += length;
        return bytes;
      }
    }
    return undefined;
  }

  async #write(bytes: Uint8Array): Promise<void> {
    if (this.#abandoned) return;
    if (this.#handle === undefined) {
      await mkdir(join(this.#file, ".."), { recursive: true });
      this.#handle = await open(this.#file, "w+");
    }
    const head = Buffer.alloc(pieceHeadBytes);
    head.writeUInt32LE(bytes.length, 0);
    head.writeUInt32LE(checksum(this.#offset, bytes), 4);
    const first = this.#end === 0 ? [this.#head] : [];
    await this.#handle.writev([...first, head, bytes], this.#end);
    // Of a write that was short the checksum will tell, as of a torn one.
    const whole = (this.#end === 0 ? this.#head.length : 0) + pieceHeadBytes + bytes.length;
    this.#end += whole;
    this.#offset += bytes.length;
    this.#unsynced += whole;
    if (this.#unsynced < unsyncedBytesMax) return;
    await this.#handle.datasync();
    this.#unsynced = 0;
  }
}

function headOf({ nodeId, groupId, from, offer }: SpoolOwner): Buffer {
  const out = new ByteWriter(256);
  for (const name of [nodeId, groupId, from]) out.text(name);
  out.blob(encodeHostMessage(offer));
  const body = out.take();
  const head = Buffer.alloc(13);
  head.set(magic);
  head.writeUInt8(version, 4);
  head.writeUInt32LE(body.length, 5);
  head.writeUInt32LE(crc32(body, crc32(head.subarray(0, 9))), 9);
  return Buffer.concat([head, body]);
}

/** Of the piece and of where in the snapshot it stands, so that a good piece in a wrong place is not taken. */
function checksum(offset: number, bytes: Uint8Array): number {
  const place = Buffer.alloc(8);
  place.writeDoubleLE(offset);
  return crc32(bytes, crc32(place));
}

async function readAt(handle: FileHandle, at: number, length: number): Promise<Buffer> {
  const bytes = Buffer.alloc(length);
  let read = 0;
  while (read < length) {
    const { bytesRead } = await handle.read(bytes, read, length - read, at + read);
    if (bytesRead === 0) break;
    read += bytesRead;
  }
  return bytes.subarray(0, read);
}
