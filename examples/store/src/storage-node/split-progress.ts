import { bufferOf } from "../buffer-of.js";
import { OWN_PREFIX } from "./own-keys.js";

/**
 * How far a partition that is being filled has what another one holds in its range, and once it is filled, since when it stands for itself. Kept by the partition that is
 * filled, in its own state: whoever fills it, and after whatever restart, goes on from there. JSON in a stored value.
 */
export interface SplitProgress {
  /** The partition that it is filled from. */
  readonly of: number;
  /** Every write of that one's log through here is in, once `copied`; before that, where its log was when copying began. */
  readonly slot: number;
  /** While items are copied: the last key looked at, in hexadecimal; absent: none yet. */
  readonly after?: string;
  /** Items were copied to the end: what is left are the log's writes behind `slot`. */
  readonly copied?: true;
  /** Unix ms: filled, and asked by everybody since then. */
  readonly sinceMs?: number;
}

export const SPLIT_KEY: Uint8Array = Buffer.concat([OWN_PREFIX, Buffer.from("split")]);

export function encodeProgress(progress: SplitProgress): Buffer {
  return Buffer.from(JSON.stringify(progress));
}

export function decodeProgress(json: Uint8Array | undefined): SplitProgress | undefined {
  if (json === undefined) return undefined;
  const text = bufferOf(json).toString("utf8");
  return JSON.parse(text) as SplitProgress;
}

/** Nobody has filled in anything in between. */
export function sameProgress(a: SplitProgress | undefined, b: SplitProgress | undefined): boolean {
  if (a === undefined || b === undefined) return a === b;
  return a.of === b.of && a.slot === b.slot && a.after === b.after && a.copied === b.copied && a.sinceMs === b.sinceMs;
}
