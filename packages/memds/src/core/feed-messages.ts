import type { Change } from "./diff.js";
import { Reader, Writer } from "./wire.js";

/** What leads from `version - 1` to `version`, as it travels. */
export interface FeedUpdate {
  readonly version: number;
  readonly changes: readonly Change[];
}

/** What a feed says from time to time, whether or not anything changed, so that the loss of its last update is noticed too. */
export interface FeedHead {
  readonly version: number;
  readonly rootHash: Uint8Array;
  /** Updates behind the version that was asked for are no longer kept: compare trees instead. */
  readonly isGone: boolean;
}

export function encodeUpdate({ version, changes }: FeedUpdate): Uint8Array {
  const writer = new Writer(16 + changes.length * 32);
  writer.u64(version);
  writer.varint(changes.length);
  for (const { key, value } of changes) {
    writer.varint(key.length);
    writer.raw(key);
    writer.varint(value === null ? 0 : value.length + 1);
    if (value !== null) writer.raw(value);
  }
  return writer.bytes().slice();
}

export function decodeUpdate(payload: Uint8Array): FeedUpdate {
  const reader = new Reader(payload, "ERR_MEMDS_PROTOCOL");
  const version = reader.u64();
  const changes: Change[] = [];
  for (let left = reader.varint(); left > 0; left--) {
    const key = reader.copy(reader.varint());
    const length = reader.varint();
    changes.push({ key, value: length === 0 ? null : reader.copy(length - 1) });
  }
  reader.end();
  return { version, changes };
}

export function encodeHead({ version, rootHash, isGone }: FeedHead): Uint8Array {
  const writer = new Writer(64);
  writer.u64(version);
  writer.u8(isGone ? 1 : 0);
  writer.raw(rootHash);
  return writer.bytes();
}

export function decodeHead(payload: Uint8Array): FeedHead {
  const reader = new Reader(payload, "ERR_MEMDS_PROTOCOL");
  const version = reader.u64();
  const isGone = (reader.u8() & 1) === 1;
  return { version, isGone, rootHash: reader.copy(reader.remaining) };
}

/** A subscription begins behind this version. */
export function encodeSubscribe(after: number): Uint8Array {
  const writer = new Writer(8);
  writer.u64(after);
  return writer.bytes();
}

export function decodeSubscribe(payload: Uint8Array): number {
  const reader = new Reader(payload, "ERR_MEMDS_PROTOCOL");
  const after = reader.u64();
  reader.end();
  return after;
}
