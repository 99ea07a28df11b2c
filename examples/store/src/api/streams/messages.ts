/** What clients are told about streams, in the service's words where they are known. */
import { INVALID_VALUES } from "../messages.js";

export const streamMessages = {
  createdWithoutViewType: `${INVALID_VALUES}Table is being created with a stream enabled, UpdateViewType is required`,
  createdWithViewType: `${INVALID_VALUES}Table is being created with a stream disabled, UpdateViewType should not be specified`,
  enabledWithoutViewType: `${INVALID_VALUES}If stream is being enabled then UpdateViewType is required`,
  disabledWithViewType: `${INVALID_VALUES}If stream is being disabled, then UpdateViewType must not be specified`,
  alreadyEnabled: (table: string) => `Table already has an enabled stream: TableName: ${table}`,
  noneToDisable: (table: string) => `Table has no stream to disable: TableName: ${table}`,
  invalidArn: "Invalid StreamArn",
  notFound: (arn: string) => `Requested resource not found: Stream: ${arn} not found`,
  shardNotFound: (shard: string, arn: string) =>
    `Requested resource not found: Shard: ${shard} in Stream: ${arn} not found`,
  trimmed: "The data you are trying to access has been trimmed",
  expired: "Shard iterator has expired",
  invalidIterator: "Invalid ShardIterator",
  sequenceNumberMissing: (type: string) => `${INVALID_VALUES}SequenceNumber is required for ShardIteratorType ${type}`,
  sequenceNumberUnwanted: (type: string) =>
    `${INVALID_VALUES}SequenceNumber should not be specified for ShardIteratorType ${type}`,
  sequenceNumberBehind: `${INVALID_VALUES}SequenceNumber is not valid: it is behind the shard's last one`,
  sequenceNumberInvalid: (text: string) => `${INVALID_VALUES}SequenceNumber is not valid: ${text}`,
} as const;
