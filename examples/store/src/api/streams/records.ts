import { getAttribute, setAttribute } from "../attributes.js";
import { keyAttributes } from "../key-schema.js";
import type { Item, KeySchema } from "../model.js";
import { REGION } from "../region.js";
import { itemBytes } from "../size.js";
import type { StreamViewType } from "./model.js";
import { type StreamPosition, sequenceNumber } from "./sequence-numbers.js";

/** What a partition's log says of one write. */
export interface ItemChange extends StreamPosition {
  readonly partition: number;
  readonly timeMs: number;
  /** Absent: there was none. */
  readonly before?: Item;
  /** Absent: it was deleted. */
  readonly after?: Item;
  /** By the service: its time was up. */
  readonly expired: boolean;
}

const hex = (value: number, digits: number): string => value.toString(16).padStart(digits, "0");

/** Of the same change always the same, whoever is asked and however often. */
function eventId({ partition, slot, index }: ItemChange): string {
  return hex(partition, 8) + hex(slot, 16) + hex(index, 8);
}

/** A change as GetRecords tells it. */
export function streamRecord(change: ItemChange, viewType: StreamViewType, schema: KeySchema): Record<string, unknown> {
  const { before, after, timeMs, expired } = change;
  const keys = keysOf(schema, (after ?? before) as Item);
  const newImage = viewType === "NEW_IMAGE" || viewType === "NEW_AND_OLD_IMAGES" ? after : undefined;
  const oldImage = viewType === "OLD_IMAGE" || viewType === "NEW_AND_OLD_IMAGES" ? before : undefined;
  const sizeBytes = [keys, newImage, oldImage].reduce(
    (sum, image) => sum + (image === undefined ? 0 : itemBytes(image)),
    0,
  );
  return {
    eventID: eventId(change),
    eventName: before === undefined ? "INSERT" : after === undefined ? "REMOVE" : "MODIFY",
    eventVersion: "1.1",
    eventSource: "aws:dynamodb",
    awsRegion: REGION,
    dynamodb: {
      // In whole seconds, as the service has it.
      ApproximateCreationDateTime: Math.floor(timeMs / 1000),
      Keys: keys,
      ...(newImage && { NewImage: newImage }),
      ...(oldImage && { OldImage: oldImage }),
      SequenceNumber: sequenceNumber(change),
      SizeBytes: sizeBytes,
      StreamViewType: viewType,
    },
    ...(expired && { userIdentity: { PrincipalId: "dynamodb.amazonaws.com", Type: "Service" } }),
  };
}

function keysOf(schema: KeySchema, item: Item): Item {
  const keys: Item = {};
  for (const { name } of keyAttributes(schema)) {
    const value = getAttribute(item, name);
    if (value !== undefined) setAttribute(keys, name, value);
  }
  return keys;
}
