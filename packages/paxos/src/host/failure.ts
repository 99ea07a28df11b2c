import { PaxosError, type PaxosErrorCode } from "../core/errors.js";

/** What went wrong as this package's error, with the cause kept; one of ours stays as it is. */
export function asFailure(code: PaxosErrorCode, groupId: string, what: string, cause: unknown): PaxosError {
  if (cause instanceof PaxosError) return cause;
  const detail = cause instanceof Error ? cause.message : String(cause);
  return new PaxosError(code, `group ${groupId}: ${what}: ${detail}`, { cause });
}

/** Starts what a signal may interrupt; every failure comes as a rejection. */
export async function interruptible<T>(signal: AbortSignal, start: () => Promise<T>): Promise<T> {
  signal.throwIfAborted();
  const work = start();
  return new Promise<T>((resolve, reject) => {
    const abort = () => reject(signal.reason);
    signal.addEventListener("abort", abort, { once: true });
    work.then(resolve, reject).finally(() => signal.removeEventListener("abort", abort));
  });
}
