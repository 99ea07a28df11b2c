/**
 * What can go wrong, as a user meets it.
 *
 * - `ERR_PAXOS_ARGUMENT`: an argument is wrong; nothing was done.
 * - `ERR_PAXOS_NOT_LEADER`: this replica does not lead the group; `leader` says who was last seen to. Nothing was proposed.
 * - `ERR_PAXOS_OVERLOADED`: a bound is reached; nothing was proposed, try again later.
 * - `ERR_PAXOS_UNKNOWN_OUTCOME`: the proposal may or may not come to be chosen. It is never proposed again behind the caller's back.
 * - `ERR_PAXOS_APPLY`: the state machine threw; the group has stopped on this node.
 * - `ERR_PAXOS_STORAGE`: the group's log failed; the group has stopped on this node.
 * - `ERR_PAXOS_TRIMMED`: the entries asked for are no longer kept here.
 * - `ERR_PAXOS_SNAPSHOT`: a snapshot did not come whole; its sender is gone, or the log has come past it. Another will be offered.
 * - `ERR_PAXOS_MEMBERS`: a change of members that must not be made, or not while another is under way; nothing was changed.
 * - `ERR_PAXOS_AMNESIA`: another disk has voted under this node's name before; it must come back under a name of its own.
 * - `ERR_PAXOS_CLIENT`: this client was never registered, or has been forgotten for others; this attempt was not carried out, what became of earlier ones is not known any more.
 * - `ERR_PAXOS_SEQUENCE`: too far ahead of commands of this client that were not carried out yet; nothing was carried out: those first.
 * - `ERR_PAXOS_RESULT`: the command has been carried out, once; what it answered is not kept any more.
 * - `ERR_PAXOS_STALE`: nothing here is known to be as fresh as was asked for, and nobody who leads could be asked.
 * - `ERR_PAXOS_CLOSED`: the group, the host or the transport is closed.
 * - `ERR_PAXOS_FRAME`: bytes on a connection that are not a frame, or one too large, or of an unknown version.
 * - `ERR_PAXOS_CORRUPT`: a record in the log that cannot be what was written.
 * - `ERR_PAXOS_UNSUPPORTED`: a record or message written by a newer version.
 * - `ERR_PAXOS_INVARIANT`: the protocol's own assertion failed; the group has stopped on this node, its log is evidence.
 */
export type PaxosErrorCode =
  | "ERR_PAXOS_ARGUMENT"
  | "ERR_PAXOS_NOT_LEADER"
  | "ERR_PAXOS_OVERLOADED"
  | "ERR_PAXOS_UNKNOWN_OUTCOME"
  | "ERR_PAXOS_APPLY"
  | "ERR_PAXOS_STORAGE"
  | "ERR_PAXOS_TRIMMED"
  | "ERR_PAXOS_SNAPSHOT"
  | "ERR_PAXOS_MEMBERS"
  | "ERR_PAXOS_AMNESIA"
  | "ERR_PAXOS_CLIENT"
  | "ERR_PAXOS_SEQUENCE"
  | "ERR_PAXOS_RESULT"
  | "ERR_PAXOS_STALE"
  | "ERR_PAXOS_CLOSED"
  | "ERR_PAXOS_FRAME"
  | "ERR_PAXOS_CORRUPT"
  | "ERR_PAXOS_UNSUPPORTED"
  | "ERR_PAXOS_INVARIANT";

/** Everything that this package throws or rejects with, apart from the reason of a caller's own `AbortSignal`. Tell the cases apart by `code`. */
export class PaxosError extends Error {
  override readonly name = "PaxosError";
  readonly code: PaxosErrorCode;
  /** With `ERR_PAXOS_NOT_LEADER` and `ERR_PAXOS_UNKNOWN_OUTCOME`: the node last seen to lead, when one is known. */
  readonly leader: string | undefined;

  constructor(code: PaxosErrorCode, message: string, options: { cause?: unknown; leader?: string | undefined } = {}) {
    super(message, options.cause === undefined ? undefined : { cause: options.cause });
    this.code = code;
    this.leader = options.leader;
  }
}

/** Shows a wrong value in an error's message without dragging all of it along. */
export function badArgument(name: string, expected: string, seen: unknown): PaxosError {
  const text = typeof seen === "string" ? JSON.stringify(seen) : String(seen);
  const shown = text.length > 80 ? `${text.slice(0, 77)}...` : text;
  return new PaxosError("ERR_PAXOS_ARGUMENT", `${name} must be ${expected}, got ${shown}`);
}

export function checkInteger(name: string, value: number, min: number, max: number): number {
  if (!Number.isSafeInteger(value) || value < min || value > max) {
    throw badArgument(name, `an integer from ${min} to ${max}`, value);
  }
  return value;
}

/**
 * Assertions stay on: a replica that finds itself outside the proof stops rather than goes on voting.
 *
 * @throws PaxosError ERR_PAXOS_INVARIANT
 */
export function invariant(condition: boolean, what: string): asserts condition {
  if (!condition) throw broken(what);
}

/** For what is asserted of each command: a text with numbers in it would be put together for `invariant` every time, and cost more than the step. */
export function broken(what: string): PaxosError {
  return new PaxosError("ERR_PAXOS_INVARIANT", `Paxos invariant broken: ${what}`);
}
