/** How a stream begins, ends and is forgotten: its record from one state to the next. */

import type { StreamRecord, StreamShard } from "../api/streams/model.js";
import { shardId } from "../api/streams/names.js";

/** So long a record can be read, and a stream that was switched off. */
export const RECORDS_KEPT_MS = 24 * 3_600_000;
/** How far what is kept may exceed that. */
export const MARK_EVERY_MS = 3_600_000;

/** A partition, and the slot from or through which something holds there. */
export interface PartitionSlot {
  readonly partition: number;
  readonly hashFrom: number;
  readonly slot: number;
}

/** Every partition records from its slot on. */
export function enabledStream(stream: StreamRecord, from: readonly PartitionSlot[], nowMs: number): StreamRecord {
  const shards = from.map(({ partition, hashFrom, slot }): StreamShard => {
    return {
      id: shardId(stream.createdAtMs, partition),
      partition,
      hashFrom,
      fromSlot: slot,
      marks: [{ slot: slot - 1, atMs: nowMs }],
    };
  });
  return { ...stream, status: "ENABLED", shards };
}

/**
 * A partition was split: its shard ends there, and those of its parts go on from it. A stream that has no shard of it is left as it is.
 * @param parts with the slots from which on they record what is written to them
 */
export function splitStream(
  stream: StreamRecord,
  whole: { readonly partition: number; readonly throughSlot: number; readonly atMs: number },
  parts: readonly PartitionSlot[],
): StreamRecord {
  const parent = stream.shards.find(
    ({ partition, throughSlot }) => partition === whole.partition && throughSlot === undefined,
  );
  if (parent === undefined) return stream;
  const closed: StreamShard = {
    ...parent,
    throughSlot: Math.max(parent.fromSlot, whole.throughSlot),
    splitAtMs: whole.atMs,
  };
  const children = enabledStream(stream, parts, whole.atMs).shards.map((shard) => ({ ...shard, parent: parent.id }));
  return { ...stream, shards: [...stream.shards.map((shard) => (shard === parent ? closed : shard)), ...children] };
}

/** No partition records anything for it behind its slot. */
export function endedStream(
  stream: StreamRecord,
  through: readonly PartitionSlot[],
  nowMs: number,
  tableGone: boolean,
): StreamRecord {
  const slots = new Map(through.map(({ partition, slot }) => [partition, slot]));
  const shards = stream.shards.map((shard) => ({
    ...shard,
    throughSlot: shard.throughSlot ?? Math.max(shard.fromSlot, slots.get(shard.partition) ?? shard.fromSlot),
  }));
  return { ...stream, status: "DISABLED", endedAtMs: nowMs, shards, ...(tableGone && { tableGone }) };
}

/** Whether the logs are to be looked at once more, so that what is older than a day can be told from what is not. */
export function isMarkDue({ status, shards }: StreamRecord, nowMs: number): boolean {
  return (
    status === "ENABLED" &&
    shards.some(
      (shard) =>
        isPast(shard, nowMs) ||
        (shard.throughSlot === undefined && nowMs - (shard.marks.at(-1)?.atMs ?? 0) >= MARK_EVERY_MS),
    )
  );
}

/** @param ends how far each partition's log is now */
export function markedStream(stream: StreamRecord, ends: ReadonlyMap<number, number>, nowMs: number): StreamRecord {
  const shards = stream.shards.flatMap((shard) => {
    if (isPast(shard, nowMs)) return [];
    const slot = ends.get(shard.partition);
    if (slot === undefined || shard.throughSlot !== undefined) return shard;
    // Of those that are older than a day the newest says where the horizon is.
    const marks = [...shard.marks, { slot, atMs: nowMs }];
    const first = marks.findLastIndex(({ atMs }) => nowMs - atMs >= RECORDS_KEPT_MS);
    return { ...shard, marks: marks.slice(Math.max(first, 0)) };
  });
  return { ...stream, shards };
}

/** Its partition was split, and everything that was written to that is older than what is kept. */
const isPast = ({ splitAtMs }: StreamShard, nowMs: number): boolean =>
  splitAtMs !== undefined && nowMs - splitAtMs >= RECORDS_KEPT_MS;

/** Everything through this slot is older than what is kept. */
export function trimHorizon(shard: StreamShard, nowMs: number): number {
  const { fromSlot, throughSlot, marks } = shard;
  if (throughSlot !== undefined && isPast(shard, nowMs)) return throughSlot;
  const mark = marks.findLast(({ atMs }) => nowMs - atMs >= RECORDS_KEPT_MS);
  const slot = Math.max(fromSlot - 1, mark?.slot ?? 0);
  return throughSlot === undefined ? slot : Math.min(slot, throughSlot);
}

export function isForgotten({ status, endedAtMs = 0 }: StreamRecord, nowMs: number): boolean {
  return status === "DISABLED" && nowMs - endedAtMs >= RECORDS_KEPT_MS;
}
