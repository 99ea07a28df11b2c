import { bufferOf } from "../buffer-of.js";
import { OWN_PREFIX } from "./own-keys.js";

/** What a partition knows about itself, replicated as its items are, so that a change of it is ordered with the writes around it in the log. */
export interface PartitionDescription {
  /** Each write that changes something carries the item as it was into the log. */
  readonly recordsChanges: boolean;
  /** The label of the stream that is on. */
  readonly stream?: string;
  /** The metadata's slot as of which this was decided: what was decided earlier never comes after it. */
  readonly asOf: number;
  /** The partition was split: nothing is written to it any more, and nothing read from it. */
  readonly sealed?: true;
  /** Its table is being deleted: no item is written to it any more, so that the stream has all that anybody was told to be written. */
  readonly ending?: true;
}

export const DESCRIPTION_KEY: Uint8Array = Buffer.concat([OWN_PREFIX, Buffer.from("description")]);

export function encodeDescription(description: PartitionDescription): Buffer {
  return Buffer.from(JSON.stringify(description));
}

/** What nobody has said is off. */
export function decodeDescription(json: Uint8Array | undefined): PartitionDescription {
  if (json === undefined) return { recordsChanges: false, asOf: 0 };
  const text = bufferOf(json).toString("utf8");
  return JSON.parse(text) as PartitionDescription;
}
