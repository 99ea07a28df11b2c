/** A table's stream as the metadata hold it and clients see it. */
import type { KeySchema } from "../model.js";

export type StreamViewType = "KEYS_ONLY" | "NEW_IMAGE" | "OLD_IMAGE" | "NEW_AND_OLD_IMAGES";
export const STREAM_VIEW_TYPES: readonly StreamViewType[] = [
  "OLD_IMAGE",
  "KEYS_ONLY",
  "NEW_AND_OLD_IMAGES",
  "NEW_IMAGE",
];

export type StreamStatus = "ENABLING" | "ENABLED" | "DISABLING" | "DISABLED";

/** The newest stream that a table has or had. */
export interface LatestStream {
  readonly label: string;
  readonly viewType: StreamViewType;
  /** False: it was switched off, and is there to be read for a while. */
  readonly enabled: boolean;
}

/** So far the log went at a moment. */
export interface ShardMark {
  readonly slot: number;
  readonly atMs: number;
}

/** The changes of one partition, in its log's order, between two slots. */
export interface StreamShard {
  readonly id: string;
  /** The shard that this one goes on from: that of the partition of which this one's is a part. */
  readonly parent?: string;
  readonly partition: number;
  readonly hashFrom: number;
  /** First slot that belongs to it. */
  readonly fromSlot: number;
  /** Last slot that belongs to it; absent: it goes on. */
  readonly throughSlot?: number;
  /** Present where it was closed because its partition was split, Unix ms. */
  readonly splitAtMs?: number;
  /** Where the log was at moments of the last day and one before, oldest first. */
  readonly marks: readonly ShardMark[];
}

export interface StreamRecord {
  readonly tableName: string;
  readonly tableId: string;
  readonly keySchema: KeySchema;
  /** When it was asked for, as an ISO time without zone; of two streams of tables of one name the later one has the greater one. */
  readonly label: string;
  readonly viewType: StreamViewType;
  readonly status: StreamStatus;
  readonly createdAtMs: number;
  /** Present when DISABLED. */
  readonly endedAtMs?: number;
  /** The partitions are no more: what is left of them is in the archive. */
  readonly tableGone?: true;
  /** None while it is ENABLING. */
  readonly shards: readonly StreamShard[];
}
