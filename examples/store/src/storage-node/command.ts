import { StoreError } from "./errors.js";

/**
 * What a partition's log says: physical writes, already decided at the leader, so that every replica, of whatever version, applies the
 * same bytes and the reference replica can be built from the archive alone.
 *
 * ```
 * u8 version = 1 | u8 kind | f64 time (Unix ms, big-endian) | u32 count
 * kind 1 (writes), count times:  u8 op (1 put, 2 delete) | u16 key length | key | put: u32 item size, u32 length, bytes
 * kind 2 (mark), count = 0:      applied by taking a snapshot at exactly this slot
 * ```
 * The log's own records carry the checksums.
 */
export interface PutWrite {
  readonly op: "put";
  readonly key: Uint8Array;
  /** The item in the protocol's JSON, UTF-8. */
  readonly bytes: Uint8Array;
  /** Bytes as the service counts them, for capacity units. */
  readonly itemSizeBytes: number;
}

export interface DeleteWrite {
  readonly op: "delete";
  readonly key: Uint8Array;
}

export type Write = PutWrite | DeleteWrite;

export type Command =
  | { readonly kind: "writes"; readonly timeMs: number; readonly writes: readonly Write[] }
  | { readonly kind: "mark"; readonly timeMs: number };

const VERSION = 1;
const HEADER_BYTES = 14;

export function encodeCommand(command: Command): Buffer {
  let length = HEADER_BYTES;
  const writes = command.kind === "writes" ? command.writes : [];
  for (const write of writes) length += 3 + write.key.length + (write.op === "put" ? 8 + write.bytes.length : 0);
  const out = Buffer.allocUnsafe(length);
  out[0] = VERSION;
  out[1] = command.kind === "writes" ? 1 : 2;
  out.writeDoubleBE(command.timeMs, 2);
  out.writeUInt32BE(writes.length, 10);
  let at = HEADER_BYTES;
  for (const write of writes) {
    out[at] = write.op === "put" ? 1 : 2;
    out.writeUInt16BE(write.key.length, at + 1);
    out.set(write.key, at + 3);
    at += 3 + write.key.length;
    if (write.op === "put") {
      out.writeUInt32BE(write.itemSizeBytes, at);
      out.writeUInt32BE(write.bytes.length, at + 4);
      out.set(write.bytes, at + 8);
      at += 8 + write.bytes.length;
    }
  }
  return out;
}

/** Views into `bytes`, not copies. Throws ERR_STORE_FORMAT. */
export function decodeCommand(bytes: Uint8Array): Command {
  const view = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  if (view.length < HEADER_BYTES || view[0] !== VERSION) {
    throw new StoreError(
      "ERR_STORE_FORMAT",
      `a log entry has format version ${view[0]}; this program reads version ${VERSION}`,
    );
  }
  const timeMs = view.readDoubleBE(2);
  if (view[1] === 2 && view.length === HEADER_BYTES) return { kind: "mark", timeMs };
  if (view[1] !== 1) throw new StoreError("ERR_STORE_FORMAT", `a log entry has the unknown kind ${view[1]}`);
  const count = view.readUInt32BE(10);
  const writes: Write[] = [];
  let at = HEADER_BYTES;
  try {
    for (let i = 0; i < count; i++) {
      const op = view[at];
      const keyEnd = at + 3 + view.readUInt16BE(at + 1);
      const key = view.subarray(at + 3, keyEnd);
      at = keyEnd;
      if (op === 2) {
        writes.push({ op: "delete", key });
        continue;
      }
      if (op !== 1) throw new StoreError("ERR_STORE_FORMAT", `a log entry has the unknown operation ${op}`);
      const itemSizeBytes = view.readUInt32BE(at);
      const end = at + 8 + view.readUInt32BE(at + 4);
      if (end > view.length) throw new RangeError("value runs past the entry");
      writes.push({ op: "put", key, bytes: view.subarray(at + 8, end), itemSizeBytes });
      at = end;
    }
  } catch (cause) {
    if (cause instanceof StoreError) throw cause;
    throw new StoreError("ERR_STORE_FORMAT", "a log entry ends before its writes do", { cause });
  }
  if (at !== view.length)
    throw new StoreError("ERR_STORE_FORMAT", `a log entry has ${view.length - at} bytes too many`);
  return { kind: "writes", timeMs, writes };
}
