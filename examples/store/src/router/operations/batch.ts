import { ApiError, type ApiErrorType } from "../../api/errors.js";
import { nameWithin } from "../../api/requests/table-called.js";

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

/** What a batch asks of a table. */
export interface OfTable<T> {
  readonly name: string;
  /** As the batch calls it, which is what its answer does: by its name, or by its ARN. */
  readonly called: string;
  readonly asked: T;
}

/** @param joined what is asked of a table that is called by its name and by its ARN */
export function byTable<T>(items: Readonly<Record<string, T>>, joined: (one: T, other: T) => T): OfTable<T>[] {
  const found = new Map<string, OfTable<T>>();
  for (const [called, asked] of Object.entries(items)) {
    const name = nameWithin(called);
    const known = found.get(name);
    found.set(name, known === undefined ? { name, called, asked } : { ...known, asked: joined(known.asked, asked) });
  }
  return [...found.values()];
}
