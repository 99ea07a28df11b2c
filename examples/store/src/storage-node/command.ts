import { bufferOf } from "../buffer-of.js";
import { StoreError } from "./errors.js";

/**
 * What a partition's log says: physical writes, already decided at the leader, so that every replica, of whatever version, applies the
 * same bytes and the reference replica can be built from the archive alone.
 *
 * ```
 * u8 version | u8 kind | f64 time (Unix ms, big-endian) | u32 count
 * kind 1 (writes), count times:  u8 op (1 put, 2 delete) | version 2: u8 notes | u16 key length | key | put: image | note 2: image
 *                       image =  u32 item size | u32 length | item
 *                       notes =  1 a change that is recorded, 2 the item as it was follows, 4 the service deleted it, its time being up
 * kind 2 (mark), count = 0:      applied by taking a snapshot at exactly this slot
 * ```
 * Version 2 stands where a write is a recorded change; entries without are written as version 1, which older programs read. The log's own
 * records carry the checksums.
 */
export interface Image {
  /** The item in the protocol's JSON, UTF-8. */
  readonly bytes: Uint8Array;
  /** Bytes as the service counts them. */
  readonly itemSizeBytes: number;
}

/** Beside a write that changes something, where the partition records changes: what streams and indexes are made of. */
export interface ChangeNote {
  /** The item as it was; absent: there was none. */
  readonly before?: Image;
  /** Nobody asked for it: the item's time was up. */
  readonly expired?: true;
}

export interface PutWrite {
  readonly op: "put";
  readonly key: Uint8Array;
  /** The item in the protocol's JSON, UTF-8. */
  readonly bytes: Uint8Array;
  /** Bytes as the service counts them, for capacity units. */
  readonly itemSizeBytes: number;
  readonly change?: ChangeNote;
}

export interface DeleteWrite {
  readonly op: "delete";
  readonly key: Uint8Array;
  readonly change?: ChangeNote;
}

export type Write = PutWrite | DeleteWrite;

export type Command =
  | { readonly kind: "writes"; readonly timeMs: number; readonly writes: readonly Write[] }
  | { readonly kind: "mark"; readonly timeMs: number };

const VERSION = 1;
const VERSION_OF_CHANGES = 2;
const HEADER_BYTES = 14;
const RECORDED = 1;
const BEFORE = 2;
const EXPIRED = 4;

const imageBytes = ({ bytes }: Image): number => 8 + bytes.length;

/** What a write takes in an entry, about: its key and its images. */
export const weightOfWrite = (write: Write): number =>
  write.key.length + (write.op === "put" ? write.bytes.length : 0) + (write.change?.before?.bytes.length ?? 0);

function notesOf({ change }: Write): number {
  if (change === undefined) return 0;
  return RECORDED | (change.before === undefined ? 0 : BEFORE) | (change.expired ? EXPIRED : 0);
}

export function encodeCommand(command: Command): Buffer {
  const writes = command.kind === "writes" ? command.writes : [];
  const noted = writes.some(({ change }) => change !== undefined);
  let length = HEADER_BYTES;
  for (const write of writes) {
    length += (noted ? 4 : 3) + write.key.length + (write.op === "put" ? imageBytes(write) : 0);
    if (write.change?.before !== undefined) length += imageBytes(write.change.before);
  }
  const out = Buffer.allocUnsafe(length);
  out[0] = noted ? VERSION_OF_CHANGES : VERSION;
  out[1] = command.kind === "writes" ? 1 : 2;
  out.writeDoubleBE(command.timeMs, 2);
  out.writeUInt32BE(writes.length, 10);
  let at = HEADER_BYTES;
  for (const write of writes) {
    out[at++] = write.op === "put" ? 1 : 2;
    if (noted) out[at++] = notesOf(write);
    out.writeUInt16BE(write.key.length, at);
    out.set(write.key, at + 2);
    at += 2 + write.key.length;
    if (write.op === "put") at = putImage(out, at, write);
    if (write.change?.before !== undefined) at = putImage(out, at, write.change.before);
  }
  return out;
}

function putImage(out: Buffer, at: number, { itemSizeBytes, bytes }: Image): number {
  out.writeUInt32BE(itemSizeBytes, at);
  out.writeUInt32BE(bytes.length, at + 4);
  out.set(bytes, at + 8);
  return at + 8 + bytes.length;
}

/** Views into `bytes`, not copies. Throws ERR_STORE_FORMAT. */
export function decodeCommand(bytes: Uint8Array): Command {
  const view = bufferOf(bytes);
  const version = view[0];
  if (view.length < HEADER_BYTES || (version !== VERSION && version !== VERSION_OF_CHANGES)) {
    throw new StoreError(
      "ERR_STORE_FORMAT",
      `a log entry has format version ${version}; this program reads versions ${VERSION} and ${VERSION_OF_CHANGES}`,
    );
  }
  const timeMs = view.readDoubleBE(2);
  if (view[1] === 2 && version === VERSION && view.length === HEADER_BYTES) return { kind: "mark", timeMs };
  if (view[1] !== 1) throw new StoreError("ERR_STORE_FORMAT", `a log entry has the unknown kind ${view[1]}`);
  const count = view.readUInt32BE(10);
  const writes: Write[] = [];
  let at = HEADER_BYTES;
  try {
    for (let i = 0; i < count; i++) {
      const op = view[at++];
      const notes = version === VERSION ? 0 : (view[at++] as number);
      const keyEnd = at + 2 + view.readUInt16BE(at);
      const key = view.subarray(at + 2, keyEnd);
      at = keyEnd;
      if (op !== 1 && op !== 2) throw new StoreError("ERR_STORE_FORMAT", `a log entry has the unknown operation ${op}`);
      if (notes > 7 || (notes !== 0 && (notes & RECORDED) === 0))
        throw new StoreError("ERR_STORE_FORMAT", `a log entry has the unknown notes ${notes}`);
      const image = op === 1 ? imageAt(view, at) : undefined;
      if (image !== undefined) at += imageBytes(image);
      const before = (notes & BEFORE) === 0 ? undefined : imageAt(view, at);
      if (before !== undefined) at += imageBytes(before);
      const change: ChangeNote | undefined =
        notes === 0
          ? undefined
          : { ...(before && { before }), ...((notes & EXPIRED) !== 0 && { expired: true as const }) };
      const rest = { key, ...(change && { change }) };
      writes.push(image === undefined ? { op: "delete", ...rest } : { op: "put", ...image, ...rest });
    }
  } catch (cause) {
    if (cause instanceof StoreError) throw cause;
    throw new StoreError("ERR_STORE_FORMAT", "a log entry ends before its writes do", { cause });
  }
  if (at !== view.length)
    throw new StoreError("ERR_STORE_FORMAT", `a log entry has ${view.length - at} bytes too many`);
  return { kind: "writes", timeMs, writes };
}

function imageAt(view: Buffer, at: number): Image {
  const end = at + 8 + view.readUInt32BE(at + 4);
  if (end > view.length) throw new RangeError("value runs past the entry");
  return { itemSizeBytes: view.readUInt32BE(at), bytes: view.subarray(at + 8, end) };
}
