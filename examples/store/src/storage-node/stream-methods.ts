import type { StreamService } from "../metadata/stream-service.js";
import type { Handlers } from "../rpc/protocol.js";

type StreamMethods = Pick<Handlers, "describeStream" | "listStreams">;

/** What the metadata's leader is asked about streams. */
export function streamMethods(streams: () => StreamService): StreamMethods {
  return {
    describeStream: ({ tableName, label }) => streams().describe(tableName, label),
    listStreams: (request) => streams().list(request),
  };
}
