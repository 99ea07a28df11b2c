import { ApiError, validationError } from "../../api/errors.js";
import { streamMessages } from "../../api/streams/messages.js";
import { parseStreamArn, streamArn } from "../../api/streams/names.js";
import type { StreamPosition } from "../../api/streams/sequence-numbers.js";
import type { StreamName } from "./backend.js";

/** So long an iterator may be used. */
const ITERATOR_MS = 15 * 60_000;

/** A place in a shard, and when it was handed out. */
export interface ShardIterator {
  readonly stream: StreamName;
  readonly shardId: string;
  /** Everything through here was read. */
  readonly after: StreamPosition;
  readonly atMs: number;
}

/** As the service's: `<stream's ARN>|1|<base64>`, where what is encoded is ours: shard, slot, index and time, separated by spaces. */
export function encodeIterator({ stream, shardId, after, atMs }: ShardIterator): string {
  const place = Buffer.from(`${shardId} ${after.slot} ${after.index} ${Math.floor(atMs)}`).toString("base64");
  return `${streamArn(stream.tableName, stream.label)}|1|${place}`;
}

/** @throws ValidationException, ExpiredIteratorException */
export function decodeIterator(text: string, nowMs: number): ShardIterator {
  const [arn = "", version, place = "", ...more] = text.split("|");
  const stream = parseStreamArn(arn);
  const decoded = Buffer.from(place, "base64").toString();
  const [, shardId = "", ...numbers] =
    /^(shardId-\d{20}-[0-9a-f]{8}) (\d{1,16}) (\d{1,7}) (\d{1,16})$/.exec(decoded) ?? [];
  const [slot, index, atMs] = numbers.map(Number) as [number, number, number];
  if (stream === undefined || version !== "1" || shardId === "" || more.length > 0)
    throw validationError(streamMessages.invalidIterator);
  if (nowMs - atMs > ITERATOR_MS) throw new ApiError("ExpiredIteratorException");
  return { stream, shardId, after: { slot, index }, atMs };
}
