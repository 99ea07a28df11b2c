import { PaxosError, type PaxosErrorCode } from "../core/errors.js";

/** What went wrong as this package's error, with the cause kept; one of ours stays as it is. */
export function asFailure(code: PaxosErrorCode, groupId: string, what: string, cause: unknown): PaxosError {
  if (cause instanceof PaxosError) return cause;
  const detail = cause instanceof Error ? cause.message : String(cause);
  return new PaxosError(code, `group ${groupId}: ${what}: ${detail}`, { cause });
}

/** Whatever a state machine threw, one of our own errors too: that one is about another group, or about another call. */
export function applyThrew(groupId: string, what: string, cause: unknown): PaxosError {
  const detail = cause instanceof Error ? cause.message : String(cause);
  return new PaxosError("ERR_PAXOS_APPLY", `group ${groupId}: ${what}: ${detail}`, { cause });
}

/** This node's disk is not the one under which its name has voted: it never votes again under that name. */
export function amnesia(groupId: string, what: string): PaxosError {
  const whose = "this disk is not the one under which it voted; it must join under a new name";
  return new PaxosError("ERR_PAXOS_AMNESIA", `group ${groupId}: ${what}: ${whose}`);
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
