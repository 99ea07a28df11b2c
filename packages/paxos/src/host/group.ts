import type { Ballot } from "../core/ballot.js";
import type { MemberRole } from "../core/configuration.js";
import type { PaxosError } from "../core/errors.js";
import type { Entry } from "../core/types.js";
import type { AskedAs } from "./requests.js";

export interface GroupStatus {
  readonly groupId: string;
  readonly nodeId: string;
  readonly zone: string | undefined;
  /** Who votes: storage and log replicas of the newest configuration in this node's log. */
  readonly members: readonly string[];
  /** What this node joined as. */
  readonly role: MemberRole;
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
  /** Nothing is asked of it: it sends no messages and needs no timer until something is, or a node is lost. */
  readonly asleep: boolean;
  /** Commands submitted here and not yet applied. */
  readonly outstanding: number;
  /** Clients that the group remembers here, see `register`. */
  readonly clients: number;
  /** The state machine lacks what the log has let go of, here or where it came from: it waits for a snapshot, and does not lead meanwhile. */
  readonly awaitsSnapshot: boolean;
  /** False on a disk that is empty, until most of the others have said that they do not know another one of this node. */
  readonly voting: boolean;
  /** This node is no member any more, and never will be again under this name. */
  readonly departed: boolean;
  /** Why the group has stopped on this node, if it has. */
  readonly failure: PaxosError | undefined;
}

export interface GroupMembers {
  readonly storage: readonly string[];
  readonly log: readonly string[];
  /** Whether these members are known to be final; they count from the moment at which they stand in the log. */
  readonly chosen: boolean;
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

export interface LocalReadOptions {
  /** How much that was acknowledged may be missing: none of what was, this many milliseconds before the call. Absent: any. */
  readonly maxStaleMs?: number;
  /** Ends the wait, with its reason. */
  readonly signal?: AbortSignal;
}

export interface LocalRead<T> {
  readonly value: T;
  /** The last slot that was applied here when `fn` was called. */
  readonly appliedThrough: number;
  /**
   * Everything that was acknowledged anywhere longer ago than this, in milliseconds of true time, was there when `fn` was called; 0 on a leader with a lease, infinite as long as this life of the
   * replica knows nothing. Never too small while this node's clock and the leader's keep to `clockDriftMax` (with `leaseReads: false`, while this node's does).
   */
  readonly ageMs: number;
}

/** One replicated state machine's replica on this node. */
export interface Group<R = unknown> {
  readonly groupId: string;
  /**
   * Has the command chosen by a quorum and applied here, and resolves with what `apply` returned. The bytes must not change afterwards.
   * Rejects as `submit` throws and as its `done` rejects; an aborted signal gives up waiting, not the command.
   *
   * With `client` and `sequence` it is carried out once, however often, wherever and after whatever crash it is proposed again with the same two; every attempt that
   * is chosen answers what the first one did. The numbers of a client are used one after the other, each until it has an answer, at most 256 ahead of the
   * first one that has none. Rejects also with `ERR_PAXOS_RESULT` (it was carried out, what it answered is not kept), with `ERR_PAXOS_CLIENT` (never registered, or forgotten for
   * others: this attempt does nothing, but an earlier one may have) and with `ERR_PAXOS_SEQUENCE` (too far ahead, nothing was done).
   */
  propose(command: Uint8Array, options?: { readonly signal?: AbortSignal } & Partial<AskedAs>): Promise<R>;
  /**
   * Takes the command into the leader's log at once; slots follow the order of calls.
   * @throws PaxosError ERR_PAXOS_NOT_LEADER, ERR_PAXOS_OVERLOADED, ERR_PAXOS_ARGUMENT, ERR_PAXOS_CLOSED, or why the group has stopped; with a client also
   * ERR_PAXOS_UNSUPPORTED
   */
  submit(command: Uint8Array, askedAs?: Partial<AskedAs>): Submitted<R>;
  /**
   * Leader only. Registers a client and gives it an id, which is never given again; it holds on every node. The group remembers the `clientsMax` (see `join`) that were heard of last. Of an
   * attempt whose outcome is not known nothing comes but an id that nobody uses.
   *
   * Rejects as `propose` does, and with `ERR_PAXOS_UNSUPPORTED` before the first registration of the group, while not every member has told this leader that it can
   * remember clients: it runs an earlier release, was joined without `clientsMax`, or is not there.
   */
  register(options?: { readonly signal?: AbortSignal }): Promise<number>;
  /**
   * Calls `fn` at a moment when everything that was acknowledged anywhere before this call is applied here: without a message while the lease
   * runs, after one round otherwise. Only the leader can; others reject with `ERR_PAXOS_NOT_LEADER`. `fn` is to be synchronous.
   */
  read<T>(fn: () => T, options?: { readonly signal?: AbortSignal }): Promise<T>;
  /**
   * Whether whoever looks at the state machine right now, before anything else runs, sees what `read` would show: this node leads and its lease runs. Nearly always so on a leader, and a tenth of what `read`
   * costs. Where it is false, and for more than 256 in one turn of the event loop, `read` knows what to do.
   */
  mayReadNow(): boolean;
  /**
   * Calls `fn` on this replica's own state, on any storage replica, without asking anybody first: what it sees may be old, and the answer says how old at most. The leader is asked in
   * passing, once a heartbeat while anybody reads here, so that the age stays about a heartbeat and a round trip; a group that nobody reads asks nothing. `fn` is to be synchronous.
   *
   * With `maxStaleMs` it is called when everything that was acknowledged anywhere that long before this call is applied here: at once where that is known, else after the leader
   * was asked. 0 is allowed: everything acknowledged before the call. (What it sees may be newer than that, and newer than what another replica shows afterwards: for an order between reads use `read`.)
   * Waits until `signal` is aborted, two leases when there is none; then rejects with `ERR_PAXOS_STALE`, or the signal's reason. Rejects with `ERR_PAXOS_OVERLOADED` when `readsMax` wait.
   */
  readLocal<T>(fn: () => T, options?: LocalReadOptions): Promise<LocalRead<T>>;
  status(): GroupStatus;
  /** Of `status()` what a request needs to know, without making anything: cheap enough to be asked for each. */
  leadership(): Leadership;
  members(): GroupMembers;
  /**
   * Leader only. Restores the number of copies of the log, and with it the write quorum, in about the time that it takes to send the kept log: feeds
   * the log replica on `by` (which has joined with role "log") until it holds the log's end, makes it a member, then takes `failed` out. Resolves when
   * that is chosen; calling it again after a failure goes on from wherever it is. A name that was taken out never comes back.
   *
   * Rejects with `ERR_PAXOS_MEMBERS` where it must not be, or another change is under way; with `ERR_PAXOS_NOT_LEADER` or `ERR_PAXOS_UNKNOWN_OUTCOME`
   * when leadership is lost first; with the signal's reason. Waits for as long as `by` does not answer.
   */
  replaceWithLogReplica(change: { failed: string; by: string; signal?: AbortSignal }): Promise<void>;
  /** Leader only. The same with a storage replica: it gets a snapshot first, when the log does not reach back. `replaces` (a log replica, say) then leaves. */
  addStorageReplica(change: { node: string; replaces?: string; signal?: AbortSignal }): Promise<void>;
  /** Leader only. Makes a log replica a storage replica, once its node has left the group and joined again with role "storage" and a state machine. */
  promote(change: { node: string; signal?: AbortSignal }): Promise<void>;
  /** Leader only. Takes a member out. */
  remove(change: { node: string; signal?: AbortSignal }): Promise<void>;
  /** Calls `fn` at each change of leadership and when a new leader has become ready. Returns how to stop. */
  onLeadership(fn: (leadership: Leadership) => void): () => void;
  /** Chosen and applied entries in slot order, read from the log in bounded pieces. `through` is the applied slot unless told. */
  entries(range?: { readonly from?: number; readonly through?: number }): AsyncIterable<Entry>;
  /** Lets go of the log through this slot: at most the applied one. What a lagging replica still needs from it, it can then get by snapshot only. */
  trim(throughSlot: number): Promise<void>;
  /**
   * Leader only. Hands leadership to this storage replica, for deployments: takes no further commands into the log, and as soon as all before them are
   * chosen, applied here and held there, gives up the lease and has it elected. Resolves when this node does not lead any more; no command is in doubt, those that came
   * meanwhile reject with `ERR_PAXOS_NOT_LEADER`. Rejects with `ERR_PAXOS_OVERLOADED` when it has not come to that within a lease: then this node goes on.
   */
  handOver(to: string): Promise<void>;
  /** Gives up leadership, if this node has it: for planned stops. */
  resign(): void;
}
