import { StoreError } from "../storage-node/errors.js";
import {
  beginPayload,
  eachMessage,
  type Message,
  type MessageSink,
  type Request,
  readAnswer,
  readRequest,
  writeError,
  writeRequest,
  writeResult,
} from "./messages.js";
import type { Caller, Handlers, Method, Params, Result } from "./protocol.js";

/** In-process route to a node: the same encoding as over TCP, so that nothing is shared by accident. */
export function localCaller(handlers: Handlers): Caller {
  let closed = false;
  return {
    async call<M extends Method>(method: M, params: Params<M>): Promise<Result<M>> {
      if (closed) throw new StoreError("ERR_STORE_UNREACHABLE", "the node is closed");
      let request: Request | undefined;
      sent(
        (sink) => writeRequest(sink, 0, method, params),
        (...message) => {
          request = readRequest(...message);
        },
      );
      let failure: { readonly error: unknown } | undefined;
      let result: unknown;
      try {
        result = await handlers[method](request?.params as Params<M>);
      } catch (error) {
        failure = { error };
      }
      let answer: ReturnType<typeof readAnswer> | undefined;
      sent(
        (sink) => (failure === undefined ? writeResult(sink, 0, method, result) : writeError(sink, 0, failure.error)),
        (...message) => {
          answer = readAnswer(method, ...message);
        },
      );
      if (answer === undefined) throw new StoreError("ERR_STORE_UNKNOWN_OUTCOME", `no answer to ${method} was written`);
      if ("error" in answer) throw answer.error;
      return answer.result as Result<M>;
    },
    close() {
      closed = true;
      return Promise.resolve();
    },
  };
}

/** One message there and read again. */
function sent(write: (sink: MessageSink) => void, take: (...message: Message) => void): void {
  const sink = {
    buffer: Buffer.alloc(0),
    reserve(bytes: number): number {
      sink.buffer = Buffer.allocUnsafe(1 + bytes);
      return beginPayload(sink.buffer, 0);
    },
  };
  write(sink);
  eachMessage(sink.buffer, take);
}
