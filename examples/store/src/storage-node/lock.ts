import { bufferOf } from "../buffer-of.js";
import type { Write } from "./command.js";
import { StoreError } from "./errors.js";
import { isOwnKey, OWN_PREFIX } from "./own-keys.js";

/**
 * What stands beside an item that a transaction has prepared, under the key `OWN_PREFIX "t/" item key`:
 *
 * ```
 * u8 version = 1 | u8 op | u32 ledger's partition | u16 key in the ledger's length, k | u16 transaction's length, t | key in the ledger, k | transaction, t
 *   op 0: nothing will be written (a check, or the delete of what is not there)
 *   op 1: the item that will be put:  u32 item size | item (JSON, UTF-8)
 *   op 2: the item will be deleted
 * ```
 * Numbers are big-endian. What will be written is decided when the item is prepared; the commit only makes it so.
 */
export interface Lock {
  /** Which transaction; each attempt of a request is one of its own. */
  readonly transaction: string;
  /** Where it is written down whether that is committed. */
  readonly ledger: { readonly partition: number; readonly key: Uint8Array };
  readonly outcome:
    | { readonly op: "none" }
    | { readonly op: "put"; readonly bytes: Uint8Array; readonly itemSizeBytes: number }
    | { readonly op: "delete" };
}

const VERSION = 1;
const HEADER_BYTES = 10;
const OPS = ["none", "put", "delete"] as const;

const LOCK_PREFIX = Buffer.concat([OWN_PREFIX, Buffer.from("t/")]);
export const LOCKS_FROM: Uint8Array = LOCK_PREFIX;
export const LOCKS_TO: Uint8Array = Buffer.concat([OWN_PREFIX, Buffer.from("t0")]);

/** When the transactions that an entry commits were decided; see `commitMark`. */
const COMMITTED_KEY: Uint8Array = Buffer.concat([OWN_PREFIX, Buffer.from("committed")]);

export function lockKey(itemKey: Uint8Array): Buffer {
  return Buffer.concat([LOCK_PREFIX, itemKey]);
}

/** The item that a lock's key is of; undefined for any other key. */
export function lockedItem(key: Uint8Array): Uint8Array | undefined {
  const isLock = isOwnKey(key) && Buffer.compare(key.subarray(0, LOCK_PREFIX.length), LOCK_PREFIX) === 0;
  return isLock ? key.subarray(LOCK_PREFIX.length) : undefined;
}

export function encodeLock({ transaction, ledger, outcome }: Lock): Buffer {
  const id = Buffer.from(transaction);
  const head = HEADER_BYTES + ledger.key.length + id.length;
  const out = Buffer.allocUnsafe(head + (outcome.op === "put" ? 4 + outcome.bytes.length : 0));
  out[0] = VERSION;
  out[1] = OPS.indexOf(outcome.op);
  out.writeUInt32BE(ledger.partition, 2);
  out.writeUInt16BE(ledger.key.length, 6);
  out.writeUInt16BE(id.length, 8);
  out.set(ledger.key, HEADER_BYTES);
  out.set(id, HEADER_BYTES + ledger.key.length);
  if (outcome.op === "put") {
    out.writeUInt32BE(outcome.itemSizeBytes, head);
    out.set(outcome.bytes, head + 4);
  }
  return out;
}

/** Views into `bytes`. Throws ERR_STORE_FORMAT. */
export function decodeLock(bytes: Uint8Array): Lock {
  const view = bufferOf(bytes);
  const op = view.length < HEADER_BYTES || view[0] !== VERSION ? undefined : OPS[view[1] as number];
  if (op === undefined) throw unreadable(view);
  const idFrom = HEADER_BYTES + view.readUInt16BE(6);
  const head = idFrom + view.readUInt16BE(8);
  if (op === "put" ? view.length < head + 4 : view.length !== head) throw unreadable(view);
  return {
    transaction: view.subarray(idFrom, head).toString(),
    ledger: { partition: view.readUInt32BE(2), key: view.subarray(HEADER_BYTES, idFrom) },
    outcome: op === "put" ? { op, itemSizeBytes: view.readUInt32BE(head), bytes: view.subarray(head + 4) } : { op },
  };
}

const unreadable = (view: Buffer): StoreError =>
  new StoreError(
    "ERR_STORE_FORMAT",
    `a prepared item has format version ${view[0]}; this program reads version ${VERSION}`,
  );

/**
 * Stands in an entry before the writes by which it commits (part of) a transaction, with that transaction's time: who reads the log alone, to restore
 * a moment, learns from it when those were decided. One key, written again each time.
 *
 * ```
 * u8 version = 1 | f64 time (Unix ms) | transaction
 * ```
 */
export function commitMark(transaction: string, timeMs: number): Write {
  const bytes = Buffer.alloc(9 + Buffer.byteLength(transaction));
  bytes[0] = VERSION;
  bytes.writeDoubleBE(timeMs, 1);
  bytes.write(transaction, 9);
  return { op: "put", key: COMMITTED_KEY, bytes, itemSizeBytes: bytes.length };
}

/** What a commit's mark says; undefined for any other write. */
export function readCommitMark(write: Write): { readonly transaction: string; readonly timeMs: number } | undefined {
  if (write.op !== "put" || Buffer.compare(write.key, COMMITTED_KEY) !== 0) return undefined;
  const view = bufferOf(write.bytes);
  if (view.length < 9 || view[0] !== VERSION) throw unreadable(view);
  return { timeMs: view.readDoubleBE(1), transaction: view.subarray(9).toString() };
}
