/** What the operations of DynamoDBStreams_20120810 take. */

import { type StructureShape, structure } from "../requests/shapes.js";
import { optionalTableName } from "../requests/table-parts.js";

const streamArn = { type: "string", required: true, lengthMax: 1024 } as const;
const shardId = { type: "string", lengthMin: 28, lengthMax: 65 } as const;

export interface ListStreamsRequest {
  TableName?: string;
  ExclusiveStartStreamArn?: string;
  Limit?: number;
}

export const listStreams: StructureShape = structure("ListStreamsInput", {
  TableName: optionalTableName,
  ExclusiveStartStreamArn: { type: "string", lengthMax: 1024 },
  Limit: { type: "integer", wire: "Integer", min: 1, max: 100 },
});

export interface DescribeStreamRequest {
  StreamArn: string;
  ExclusiveStartShardId?: string;
  Limit?: number;
  ShardFilter?: { Type?: "CHILD_SHARDS"; ShardId?: string };
}

export const describeStream: StructureShape = structure("DescribeStreamInput", {
  StreamArn: streamArn,
  ExclusiveStartShardId: shardId,
  Limit: { type: "integer", wire: "Integer", min: 1, max: 100 },
  ShardFilter: structure("ShardFilter", { Type: { type: "string", oneOf: ["CHILD_SHARDS"] }, ShardId: shardId }),
});

export type ShardIteratorType = "TRIM_HORIZON" | "LATEST" | "AT_SEQUENCE_NUMBER" | "AFTER_SEQUENCE_NUMBER";

export interface GetShardIteratorRequest {
  StreamArn: string;
  ShardId: string;
  ShardIteratorType: ShardIteratorType;
  SequenceNumber?: string;
}

export const getShardIterator: StructureShape = structure("GetShardIteratorInput", {
  StreamArn: streamArn,
  ShardId: { ...shardId, required: true },
  ShardIteratorType: {
    type: "string",
    required: true,
    oneOf: ["AFTER_SEQUENCE_NUMBER", "LATEST", "AT_SEQUENCE_NUMBER", "TRIM_HORIZON"],
  },
  SequenceNumber: { type: "string", lengthMin: 21, lengthMax: 40 },
});

export interface GetRecordsRequest {
  ShardIterator: string;
  Limit?: number;
}

export const GET_RECORDS_MAX = 1_000;

export const getRecords: StructureShape = structure("GetRecordsInput", {
  ShardIterator: { type: "string", required: true, lengthMin: 1, lengthMax: 2048 },
  Limit: { type: "integer", wire: "Integer", min: 1, max: GET_RECORDS_MAX },
});
