import { ApiError, validationError } from "../../api/errors.js";
import { streamDescription } from "../../api/streams/description.js";
import { streamMessages } from "../../api/streams/messages.js";
import type { StreamShard } from "../../api/streams/model.js";
import { parseStreamArn, streamArn } from "../../api/streams/names.js";
import { streamRecord } from "../../api/streams/records.js";
import {
  type DescribeStreamRequest,
  describeStream as describeStreamShape,
  GET_RECORDS_MAX,
  type GetRecordsRequest,
  type GetShardIteratorRequest,
  getRecords as getRecordsShape,
  getShardIterator as getShardIteratorShape,
  type ListStreamsRequest,
  listStreams as listStreamsShape,
} from "../../api/streams/requests.js";
import { before, parseSequenceNumber, type StreamPosition, slotEnd } from "../../api/streams/sequence-numbers.js";
import { RECORDS_KEPT_MS, trimHorizon } from "../../metadata/stream-lifetime.js";
import type { Backend } from "../backend.js";
import type { AnyOperation, Operation } from "../operations/operation.js";
import type { StreamName, StreamsBackend } from "./backend.js";
import { decodeIterator, encodeIterator } from "./iterators.js";

const PAGE_MAX = 100;

function streamsOf({ streams }: Backend): StreamsBackend {
  if (streams === undefined) throw new ApiError("UnknownOperationException");
  return streams;
}

/** @throws ValidationException */
function named(arn: string): StreamName {
  const name = parseStreamArn(arn);
  if (name === undefined) throw validationError(streamMessages.invalidArn);
  return name;
}

const listStreams: Operation<ListStreamsRequest> = {
  shape: listStreamsShape,
  async run({ TableName: tableName, ExclusiveStartStreamArn: after, Limit: limitMax = PAGE_MAX }, { backend }) {
    const request = { tableName, limitMax, ...(after !== undefined && { after: named(after) }) };
    const { streams, more } = await streamsOf(backend).list(request);
    const found = streams.map(({ tableName, label }) => ({
      StreamArn: streamArn(tableName, label),
      TableName: tableName,
      StreamLabel: label,
    }));
    return { Streams: found, ...(more && { LastEvaluatedStreamArn: found.at(-1)?.StreamArn }) };
  },
};

const describeStream: Operation<DescribeStreamRequest> = {
  shape: describeStreamShape,
  async run({ StreamArn, ExclusiveStartShardId, Limit = PAGE_MAX, ShardFilter }, { backend }) {
    const stream = await streamsOf(backend).describe(named(StreamArn));
    const choice = { afterShardId: ExclusiveStartShardId, limitMax: Limit, childrenOf: ShardFilter?.ShardId };
    return { StreamDescription: streamDescription(stream, choice) };
  },
};

const getShardIterator: Operation<GetShardIteratorRequest> = {
  shape: getShardIteratorShape,
  async run(request, { backend, nowMs }) {
    const streams = streamsOf(backend);
    const name = named(request.StreamArn);
    const asked = askedPosition(request);
    const { stream, shard } = await streams.shard(name, request.ShardId);
    const horizon = slotEnd(trimHorizon(shard, nowMs()));
    const after =
      asked === "LATEST"
        ? await streams.end(stream, shard)
        : asked === "TRIM_HORIZON"
          ? await streams.begin(stream, shard, horizon.slot)
          : asked;
    assertWithin(shard, after, horizon);
    return { ShardIterator: encodeIterator({ stream: name, shardId: shard.id, after, atMs: nowMs() }) };
  },
};

/** @throws ValidationException */
function askedPosition({
  ShardIteratorType: type,
  SequenceNumber: text,
}: GetShardIteratorRequest): StreamPosition | "LATEST" | "TRIM_HORIZON" {
  if (type === "LATEST" || type === "TRIM_HORIZON") {
    if (text !== undefined) throw validationError(streamMessages.sequenceNumberUnwanted(type));
    return type;
  }
  if (text === undefined) throw validationError(streamMessages.sequenceNumberMissing(type));
  const position = parseSequenceNumber(text);
  if (position === undefined) throw validationError(streamMessages.sequenceNumberInvalid(text));
  return type === "AT_SEQUENCE_NUMBER" ? before(position) : position;
}

/** @throws TrimmedDataAccessException, ValidationException */
function assertWithin(shard: StreamShard, after: StreamPosition, horizon: StreamPosition): void {
  if (after.slot < horizon.slot) throw new ApiError("TrimmedDataAccessException");
  if (shard.throughSlot !== undefined && after.slot > shard.throughSlot)
    throw validationError(streamMessages.sequenceNumberBehind);
}

/** The log of a partition that is split goes on for a moment behind its last change: who has read there has read to the end. */
function notBehind({ throughSlot }: StreamShard, after: StreamPosition): StreamPosition {
  return throughSlot !== undefined && after.slot > throughSlot ? slotEnd(throughSlot) : after;
}

const getRecords: Operation<GetRecordsRequest> = {
  shape: getRecordsShape,
  async run({ ShardIterator, Limit = GET_RECORDS_MAX }, { backend, nowMs }) {
    const streams = streamsOf(backend);
    const now = nowMs();
    const iterator = decodeIterator(ShardIterator, now);
    const { stream, shard } = await streams.shard(iterator.stream, iterator.shardId);
    const position = notBehind(shard, iterator.after);
    // What the iterator stood before when it was handed out is still there: it is as old as that.
    assertWithin(shard, position, slotEnd(trimHorizon(shard, iterator.atMs)));
    const { changes, through, ended } = await streams.read(stream, shard, position, Limit);
    const kept = changes.filter(({ timeMs }) => now - timeMs < RECORDS_KEPT_MS);
    return {
      Records: kept.map((change) => streamRecord(change, stream.viewType, stream.keySchema)),
      ...(!ended && { NextShardIterator: encodeIterator({ ...iterator, after: through, atMs: now }) }),
    };
  },
};

/** By the name in the `X-Amz-Target` header, behind `DynamoDBStreams_20120810.`. */
export const streamOperations: ReadonlyMap<string, AnyOperation> = new Map<string, AnyOperation>([
  ["ListStreams", listStreams],
  ["DescribeStream", describeStream],
  ["GetShardIterator", getShardIterator],
  ["GetRecords", getRecords],
]);
