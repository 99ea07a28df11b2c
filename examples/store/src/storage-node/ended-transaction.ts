import { bufferOf } from "../buffer-of.js";
import { StoreError } from "./errors.js";
import { OWN_PREFIX } from "./own-keys.js";

/**
 * What a partition remembers of a transaction that was all its own, under the key `OWN_PREFIX "x/" name`:
 *
 * ```
 * u8 version = 1 | u8 1: done, 0: ended without an effect, and never will have one | u16 count | count times: u32 what the item weighed before or weighs afterwards, whichever is more
 * ```
 * Older programs wrote what it weighs afterwards. Numbers are big-endian. The name begins with when the transaction was begun, so that the oldest stand first.
 */
export interface EndedTransaction {
  readonly done: boolean;
  /** One for each action, in the request's order. */
  readonly weights: readonly number[];
}

const VERSION = 1;
const HEADER_BYTES = 4;
const TIME_DIGITS = 12;
const PREFIX = Buffer.concat([OWN_PREFIX, Buffer.from("x/")]);

export const ENDED_FROM: Uint8Array = PREFIX;
export const ENDED_TO: Uint8Array = Buffer.concat([OWN_PREFIX, Buffer.from("x0")]);

const timeText = (ms: number): string => Math.max(0, Math.floor(ms)).toString(16).padStart(TIME_DIGITS, "0");

/** @param distinction no two transactions' are the same */
export const nameAt = (beganAtMs: number, distinction: string): string => `${timeText(beganAtMs)}-${distinction}`;

/** When the transaction of this name was begun, Unix ms. */
export const beganAt = (name: string): number => Number.parseInt(name.slice(0, TIME_DIGITS), 16);

export const endedKey = (name: string): Buffer => Buffer.concat([PREFIX, Buffer.from(name)]);

/** The first key of what was begun at this time or later. */
export const endedSince = (ms: number): Buffer => endedKey(timeText(ms));

export function encodeEnded({ done, weights }: EndedTransaction): Buffer {
  const out = Buffer.alloc(HEADER_BYTES + 4 * weights.length);
  out[0] = VERSION;
  out[1] = done ? 1 : 0;
  out.writeUInt16BE(weights.length, 2);
  for (const [i, bytes] of weights.entries()) out.writeUInt32BE(bytes, HEADER_BYTES + 4 * i);
  return out;
}

/** Throws ERR_STORE_FORMAT. */
export function decodeEnded(bytes: Uint8Array): EndedTransaction {
  const view = bufferOf(bytes);
  const count = view.length < HEADER_BYTES ? -1 : (view.length - HEADER_BYTES) / 4;
  if (view[0] !== VERSION || (view[1] as number) > 1 || count < 0 || view.readUInt16BE(2) !== count)
    throw new StoreError(
      "ERR_STORE_FORMAT",
      `an ended transaction has format version ${view[0]}; this program reads version ${VERSION}`,
    );
  const weights = Array.from({ length: count }, (_, i) => view.readUInt32BE(HEADER_BYTES + 4 * i));
  return { done: view[1] === 1, weights };
}
