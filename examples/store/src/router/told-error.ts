import { ApiError } from "../api/errors.js";
import { StoreError } from "../storage-node/errors.js";

/** What failed inside becomes what the service would say. */
export function told(error: unknown): unknown {
  if (!(error instanceof StoreError)) return error;
  const type = error.code === "ERR_STORE_OVERLOADED" ? "ThrottlingException" : "InternalServerError";
  // Who looks after the store is often the one who asks it.
  return new ApiError(type, error.code === "ERR_STORE_OUT" ? error.message : undefined, { cause: error });
}
