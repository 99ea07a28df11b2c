import { StoreError } from "../storage-node/errors.js";
import { type AnswerMessage, answerOfError, errorOfAnswer, pack, unpack } from "./codec.js";
import type { Caller, Handlers, Method, Params, Result } from "./protocol.js";

/** In-process route to a node: the same encoding as over TCP, so that nothing is shared by accident. */
export function localCaller(handlers: Handlers): Caller {
  let closed = false;
  return {
    async call<M extends Method>(method: M, params: Params<M>): Promise<Result<M>> {
      if (closed) throw new StoreError("ERR_STORE_UNREACHABLE", "the node is closed");
      const copy = unpack(pack([0, method, params])) as [number, M, Params<M>];
      try {
        const result = await handlers[method](copy[2]);
        return (unpack(pack([0, 0, result])) as [number, number, Result<M>])[2];
      } catch (error) {
        throw errorOfAnswer(unpack(pack(answerOfError(0, error))) as AnswerMessage);
      }
    },
    close() {
      closed = true;
      return Promise.resolve();
    },
  };
}
