import type { IndexDefinition, KeySchema } from "../api/model.js";
import { bufferOf } from "../buffer-of.js";

/**
 * A global index as a partition of its table keeps it: in the partition's own state, so that from one entry of the log on every leader keeps it, whatever
 * that leader's node has heard of the metadata. JSON in a stored value.
 */
export interface MaintainedIndex extends IndexDefinition {
  readonly number: number;
  /** The hidden table with its entries. */
  readonly indexId: string;
  /** The table's own. */
  readonly tableKey: KeySchema;
  readonly backfill: {
    /** In hex, the last key that was looked at. */
    readonly after?: string;
    /** All were; the index has them when it was told through this record. */
    readonly throughSeq?: number;
  };
}

export type IndexToKeep = Omit<MaintainedIndex, "backfill">;

export const encodeMaintained = (index: MaintainedIndex): Buffer => Buffer.from(JSON.stringify(index));

export const decodeMaintained = (json: Uint8Array): MaintainedIndex =>
  JSON.parse(bufferOf(json).toString()) as MaintainedIndex;
