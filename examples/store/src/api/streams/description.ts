/** A stream as DescribeStream shows it. */
import { asIndexKey, describedKey } from "../key-schema.js";
import type { StreamRecord, StreamShard } from "./model.js";
import { streamArn } from "./names.js";
import { sequenceNumber, slotEnd } from "./sequence-numbers.js";

export interface ShardChoice {
  readonly afterShardId?: string | undefined;
  readonly limitMax: number;
  /** Only those that go on from this one. */
  readonly childrenOf?: string | undefined;
}

export function streamDescription(stream: StreamRecord, choice: ShardChoice): Record<string, unknown> {
  const { afterShardId = "", limitMax, childrenOf } = choice;
  const chosen = [...stream.shards]
    .sort((a, b) => (a.id < b.id ? -1 : 1))
    .filter(({ id, parent }) => id > afterShardId && (childrenOf === undefined || parent === childrenOf));
  const shards = chosen.slice(0, limitMax);
  return {
    StreamArn: streamArn(stream.tableName, stream.label),
    StreamLabel: stream.label,
    StreamStatus: stream.status,
    StreamViewType: stream.viewType,
    CreationRequestDateTime: stream.createdAtMs / 1000,
    TableName: stream.tableName,
    KeySchema: describedKey(asIndexKey(stream.keySchema)),
    Shards: shards.map(shardDescription),
    ...(chosen.length > shards.length && { LastEvaluatedShardId: shards.at(-1)?.id }),
  };
}

function shardDescription({ id, parent, fromSlot, throughSlot }: StreamShard): Record<string, unknown> {
  return {
    ShardId: id,
    SequenceNumberRange: {
      StartingSequenceNumber: sequenceNumber({ slot: fromSlot, index: 0 }),
      ...(throughSlot !== undefined && { EndingSequenceNumber: sequenceNumber(slotEnd(throughSlot)) }),
    },
    ...(parent !== undefined && { ParentShardId: parent }),
  };
}
