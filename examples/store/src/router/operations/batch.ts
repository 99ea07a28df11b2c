import { ApiError, type ApiErrorType } from "../../api/errors.js";

/** Failures of single items that a batch hands back as unprocessed, for the client to try again. */
const UNPROCESSED: ReadonlySet<ApiErrorType> = new Set<ApiErrorType>([
  "InternalServerError",
  "ProvisionedThroughputExceededException",
  "RequestLimitExceeded",
  "ServiceUnavailable",
  "ThrottlingException",
]);

export type Outcome<T> =
  | { readonly done: true; readonly value: T }
  | { readonly done: false; readonly error: ApiError };

/**
 * Runs a batch's requests side by side.
 * @throws what a request fails with, unless that is for the client to try again; and when that befalls all of them, the first such error
 */
export async function runBatch<T>(requests: readonly (() => Promise<T>)[]): Promise<Outcome<T>[]> {
  const settled = await Promise.allSettled(requests.map((request) => request()));
  const outcomes = settled.map((result): Outcome<T> => {
    if (result.status === "fulfilled") return { done: true, value: result.value };
    const error: unknown = result.reason;
    if (error instanceof ApiError && UNPROCESSED.has(error.type)) return { done: false, error };
    throw error;
  });
  const [first] = outcomes;
  if (first !== undefined && !first.done && outcomes.every(({ done }) => !done)) throw first.error;
  return outcomes;
}

/** An empty record for table names, any of which a client may have chosen: `__proto__` is one. */
export function byTableName<R extends Record<string, unknown>>(): R {
  return Object.create(null) as R;
}
