import type { StructureShape } from "../../api/requests/shapes.js";
import type { Backend } from "../backend.js";
import type { Words } from "./words.js";

export interface OperationContext {
  readonly backend: Backend;
  /** Wall-clock time, for what people name moments by. */
  readonly nowMs: () => number;
  /** Host and port at which this router is reached. */
  readonly address?: () => string;
}

/** One operation of the protocol: what it takes, and what it does with a request that has passed those checks. */
export interface Operation<Request> {
  readonly shape: StructureShape;
  /** Of its checks; absent: as they were always told. */
  readonly words?: Words;
  /**
   * Returns the answer, or the parts of its JSON as bytes where those are at hand.
   * @throws ApiError for everything that is the client's to know
   */
  run(request: Request, context: OperationContext): Promise<Readonly<Record<string, unknown>> | readonly Uint8Array[]>;
}

/** An operation whose request type only its own file knows. */
export type AnyOperation = Operation<never>;
