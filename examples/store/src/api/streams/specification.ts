/** What CreateTable and UpdateTable say about a table's stream. */
import { validationError } from "../errors.js";
import { type Shape, structure } from "../requests/shapes.js";
import { streamMessages } from "./messages.js";
import { type LatestStream, STREAM_VIEW_TYPES, type StreamViewType } from "./model.js";
import { streamArn } from "./names.js";

export interface StreamSpecification {
  StreamEnabled: boolean;
  StreamViewType?: StreamViewType;
}

export const streamSpecification: Shape = structure("StreamSpecification", {
  StreamEnabled: { type: "boolean", required: true },
  StreamViewType: { type: "string", oneOf: STREAM_VIEW_TYPES },
});

/** The view type of the stream that a new table is to have, if it is to have one. @throws ValidationException */
export function streamOfNewTable(specification: StreamSpecification | undefined): StreamViewType | undefined {
  const { StreamEnabled: on = false, StreamViewType: viewType } = specification ?? {};
  if (on && viewType === undefined) throw validationError(streamMessages.createdWithoutViewType);
  if (!on && viewType !== undefined) throw validationError(streamMessages.createdWithViewType);
  return viewType;
}

/** What is to become of a table's stream: a new one of this view type, or (null) none. @throws ValidationException */
export function streamChange(specification: StreamSpecification): StreamViewType | null {
  const { StreamEnabled: on, StreamViewType: viewType } = specification;
  if (on && viewType === undefined) throw validationError(streamMessages.enabledWithoutViewType);
  if (!on && viewType !== undefined) throw validationError(streamMessages.disabledWithViewType);
  return viewType ?? null;
}

/** Of a table's description. */
export function describedStream(tableName: string, latest: LatestStream | undefined): Record<string, unknown> {
  if (latest === undefined) return {};
  const { label, viewType, enabled } = latest;
  return {
    ...(enabled && { StreamSpecification: { StreamEnabled: true, StreamViewType: viewType } }),
    LatestStreamArn: streamArn(tableName, label),
    LatestStreamLabel: label,
  };
}
