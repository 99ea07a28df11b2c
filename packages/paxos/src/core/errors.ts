/** Why a call on this package failed. The code is stable, the message is for people. */
export type PaxosErrorCode =
  | "ERR_PAXOS_ARGUMENT"
  | "ERR_PAXOS_NOT_LEADER"
  | "ERR_PAXOS_OVERLOADED"
  | "ERR_PAXOS_UNKNOWN_OUTCOME"
  | "ERR_PAXOS_TOO_LARGE"
  | "ERR_PAXOS_APPLY"
  | "ERR_PAXOS_STORAGE"
  | "ERR_PAXOS_CLOSED"
  | "ERR_PAXOS_MESSAGE"
  | "ERR_PAXOS_FRAME"
  | "ERR_PAXOS_VERSION"
  | "ERR_PAXOS_TRANSPORT"
  | "ERR_PAXOS_TRIMMED"
  | "ERR_PAXOS_INVARIANT";

/** The one error class of this package. `leader` is the best hint at hand where a call was sent to a follower. */
export class PaxosError extends Error {
  readonly code: PaxosErrorCode;
  readonly leader: string | undefined;

  constructor(code: PaxosErrorCode, message: string, options?: { cause?: unknown; leader?: string | undefined }) {
    super(message, options?.cause === undefined ? undefined : { cause: options.cause });
    this.name = "PaxosError";
    this.code = code;
    this.leader = options?.leader;
  }
}

/**
 * Assertions stay on: a replica that finds itself outside the proof must stop rather than go on voting.
 *
 * @throws PaxosError ERR_PAXOS_INVARIANT
 */
export function invariant(condition: boolean, what: string): asserts condition {
  if (!condition) throw new PaxosError("ERR_PAXOS_INVARIANT", `Paxos invariant broken: ${what}`);
}
