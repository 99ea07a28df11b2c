import type { Ballot } from "../core/ballot.js";
import type { PaxosError } from "../core/errors.js";
import type { Entry } from "../core/types.js";

export interface GroupStatus {
  readonly groupId: string;
  readonly nodeId: string;
  readonly zone: string | undefined;
  readonly members: readonly string[];
  /** The node last known to lead, this one included; undefined while nobody is. */
  readonly leader: string | undefined;
  readonly leading: boolean;
  /** Leading, and a slot of the own ballot is chosen and applied here: the state is as new as any acknowledged write. */
  readonly ready: boolean;
  readonly ballot: Ballot;
  readonly chosenThrough: number;
  readonly appliedThrough: number;
  readonly trimmedThrough: number;
  /** How much longer reads need no message, 0 when not at all. */
  readonly leaseRemainingMs: number;
  /** Commands submitted here and not yet applied. */
  readonly outstanding: number;
  /** Why the group has stopped on this node, if it has. */
  readonly failure: PaxosError | undefined;
}

export interface Leadership {
  readonly leading: boolean;
  readonly ready: boolean;
  readonly ballot: Ballot;
  readonly leader: string | undefined;
}

export interface Submitted<R> {
  /** Where the command stands in this leader's log. It is chosen when that slot is chosen with that ballot. */
  readonly slot: number;
  readonly ballot: Ballot;
  /**
   * What the state machine answered, once chosen and applied here. Rejects with `ERR_PAXOS_UNKNOWN_OUTCOME` when leadership is lost first, with
   * `ERR_PAXOS_NOT_LEADER` or `ERR_PAXOS_OVERLOADED` when it certainly was not and will not be carried out. May be left unawaited.
   */
  readonly done: Promise<R>;
}

/** One replicated state machine's replica on this node. */
export interface Group<R = unknown> {
  readonly groupId: string;
  /**
   * Has the command chosen by a quorum and applied here, and resolves with what `apply` returned. The bytes must not change afterwards.
   * Rejects as `submit` throws and as its `done` rejects; an aborted signal gives up waiting, not the command.
   */
  propose(command: Uint8Array, options?: { readonly signal?: AbortSignal }): Promise<R>;
  /**
   * Takes the command into the leader's log at once; slots follow the order of calls.
   * @throws PaxosError ERR_PAXOS_NOT_LEADER, ERR_PAXOS_OVERLOADED, ERR_PAXOS_ARGUMENT, ERR_PAXOS_CLOSED, or why the group has stopped
   */
  submit(command: Uint8Array): Submitted<R>;
  /**
   * Calls `fn` at a moment when everything that was acknowledged anywhere before this call is applied here: without a message while the lease
   * runs, after one round otherwise. Only the leader can; others reject with `ERR_PAXOS_NOT_LEADER`. `fn` is to be synchronous.
   */
  read<T>(fn: () => T, options?: { readonly signal?: AbortSignal }): Promise<T>;
  status(): GroupStatus;
  /** Calls `fn` at each change of leadership and when a new leader has become ready. Returns how to stop. */
  onLeadership(fn: (leadership: Leadership) => void): () => void;
  /** Chosen and applied entries in slot order, read from the log in bounded pieces. `through` is the applied slot unless told. */
  entries(range?: { readonly from?: number; readonly through?: number }): AsyncIterable<Entry>;
  /** Lets go of the log through this slot: at most the applied one. What a lagging replica still needs from it, it can then get by snapshot only. */
  trim(throughSlot: number): Promise<void>;
  /** Gives up leadership, if this node has it: for planned stops. */
  resign(): void;
}
