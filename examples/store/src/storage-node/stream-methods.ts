import type { StreamService } from "../metadata/stream-service.js";
import type { Handlers } from "../rpc/protocol.js";

type StreamMethods = Pick<Handlers, "setStream" | "describeStream" | "listStreams">;

/** What the metadata's leader is asked about streams. */
export function streamMethods(streams: () => StreamService, wake: () => void): StreamMethods {
  return {
    async setStream({ name, viewType }) {
      const table = await streams().setStream(name, viewType);
      wake();
      return table;
    },
    describeStream: ({ tableName, label }) => streams().describe(tableName, label),
    listStreams: (request) => streams().list(request),
  };
}
