import type { Ballot } from "./ballot.js";
import type { Configuration, MemberRole } from "./configuration.js";
import type { Message } from "./messages.js";
import type { Tails } from "./tails.js";

/**
 * One slot of the log. `ballot` is the ballot of the leader that first appended it; it never changes afterwards, so
 * (slot, ballot) identifies the value, and two logs with the same pair at a slot are equal up to there.
 */
export interface Entry {
  readonly slot: number;
  readonly ballot: Ballot;
  readonly kind: EntryKind;
  /** Empty for a noop; `config` entries hold an encoded `Configuration`, `once` entries an encoded `Request`. Owned by the core from the moment it is handed over: never written to again. */
  readonly command: Uint8Array;
}

/** `once`: a client's command with the number under which it is carried out once, see `ClientTable`. The protocol makes no difference between it and a `command`. */
export type EntryKind = "command" | "noop" | "config" | "once";

/**
 * A chosen slot, as who holds nothing below it needs to know it: enough to go on from there. The ballot is the entry's,
 * `BALLOT_ZERO` where it is not known any more; the configuration is the one in force there.
 */
export interface Position {
  readonly slot: number;
  readonly ballot: Ballot;
  readonly configuration: Configuration;
}

/**
 * What a replica finds on its disk. A new replica starts with `EMPTY_STATE`.
 *
 * `entries` is contiguous, ends at the last slot of the log, and holds at least every slot from `chosenThrough` on that is
 * not trimmed; older ones are welcome (they serve laggards without reading the disk) but not needed. Where the state machine's own
 * durable position is above `chosenThrough`, raise `chosenThrough` to it: an applied slot is a chosen one.
 */
export interface PersistedState {
  readonly promised: Ballot;
  readonly accepted: Ballot;
  /** Slots through here are no longer in the log. */
  readonly trimmedThrough: number;
  /** Lower bound of what is chosen. The core reports `chosen` from chosenThrough + 1 on; what a state machine lacks below, the host replays from its storage. */
  readonly chosenThrough: number;
  readonly entries: readonly Entry[];
  /** The newest configuration in the log below `entries`. Absent: that of `CoreOptions`, with which the group was founded. */
  readonly configuration?: Configuration;
  /** Where the log begins, when it does not begin at slot 1: of slot `trimmedThrough`. Absent where an older release has trimmed. */
  readonly base?: Position;
}

/** One atomic change of the durable state, applied in the order of the fields: ballots, a new beginning, truncation, append. */
export interface PersistWrite {
  readonly promised?: Ballot;
  readonly accepted?: Ballot;
  /** Everything in the log is let go, trimmed or not: it begins anew behind this slot, which is chosen. */
  readonly reset?: Position;
  /** Drop every slot from here on (before `entries` are appended). */
  readonly truncateFrom?: number;
  /** Contiguous, following on the log's end (after truncation). */
  readonly entries?: readonly Entry[];
  /** Comes along with writes that are made anyway; never causes one. */
  readonly chosenThrough?: number;
}

/** A command that a client wants chosen. `id` is the host's and comes back in `proposed` or `rejected`. */
export interface Proposal {
  readonly id: number;
  /** Ignored for a change of members. */
  readonly command: Uint8Array;
  /**
   * The members that the group is to have from this slot on. Where a guard forbids it the slot is spent on a noop, and
   * `rejected` says why: the slots of later proposals do not depend on the outcome.
   */
  readonly members?: Members;
  /** The command is an encoded `Request`. */
  readonly once?: boolean;
}

export interface Members {
  readonly storage: readonly string[];
  readonly log: readonly string[];
}

/**
 * What happens to a replica. `nowMs` is this node's monotonic clock, read when the event is taken from its queue
 * (never an earlier, cached reading: the lease is judged by it). Steps backwards are ignored.
 */
export type CoreEvent =
  | { readonly type: "tick"; readonly nowMs: number }
  | { readonly type: "message"; readonly from: string; readonly message: Message; readonly nowMs: number }
  /** Every write up to and including `token` is durable. */
  | { readonly type: "persisted"; readonly token: number; readonly nowMs: number }
  /** A write failed: what is on disk is unknown. The core gives up leadership, and never speaks again. */
  | { readonly type: "persistFailed"; readonly nowMs: number }
  /** Everything that clients asked for in one turn: one write and one message for each peer. */
  | { readonly type: "propose"; readonly proposals: readonly Proposal[]; readonly nowMs: number }
  | { readonly type: "read"; readonly id: number; readonly nowMs: number }
  /** The host removed slots through `throughSlot` from storage (only ever chosen ones). `base`: that slot, where storage knows it. */
  | { readonly type: "trimmed"; readonly throughSlot: number; readonly base?: Position; readonly nowMs: number }
  /** The state machine is durable at this chosen slot, which may lie far above the log: it took over a snapshot. */
  | { readonly type: "installed"; readonly position: Position; readonly nowMs: number }
  /** The state machine of a replica that was opened with `awaitsState` has caught up with what is chosen. */
  | { readonly type: "stateful"; readonly nowMs: number }
  /** A replica that was opened with `mute` has nothing to have forgotten: it may vote. */
  | { readonly type: "voice"; readonly nowMs: number }
  /** This node remembers durably under which mark our log was born, and reads answers that name it. */
  | { readonly type: "remembered"; readonly by: string; readonly nowMs: number }
  /** Leader only: these nodes are to be sent the log although they do not vote, all others of their kind no longer. */
  | { readonly type: "learners"; readonly learners: readonly Learner[]; readonly nowMs: number }
  /** A group that sleeps is to speak again: what it rests on has changed. A follower stands `waitMs` later than it would, so that another may be first. */
  | { readonly type: "wake"; readonly nowMs: number; readonly waitMs?: number }
  /** Give up leadership now (planned stop). */
  | { readonly type: "resign"; readonly nowMs: number }
  /** Give up leadership to this storage replica, as soon as everything appended is chosen and it holds all of it; within a lease, or not at all. */
  | { readonly type: "handOver"; readonly to: string; readonly nowMs: number };

/** A node that is being brought up to be a member. */
export interface Learner {
  readonly node: string;
  readonly role: MemberRole;
  /** The first mark that this node has heard of for its log, once that is durable: what it says under another one does not count. */
  readonly mark?: string;
}

/**
 * Why a proposal was not taken. The last three are about changes of members: `unchosen`, the change before, or anything in
 * this reign, is not chosen yet: try again; `behind`, a new member does not hold the log's end yet: try again;
 * `unsafe`, quorums before and after need not meet, or a rule about names and roles forbids it: never in this way.
 */
export type RejectReason = "not-leader" | "overloaded" | "too-large" | "unchosen" | "behind" | "unsafe";

/** What the host must do, in the order of the array. */
export type Effect =
  /** Make durable, in order of tokens, each write atomic; then `persisted`. Several may be under way and may be merged into one sync. */
  | { readonly type: "persist"; readonly token: number; readonly write: PersistWrite }
  /** At once; the core has held it back itself until what it promises is durable. May be lost. */
  | { readonly type: "send"; readonly to: string; readonly message: Message }
  /** Chosen and durable here, in slot order, each slot exactly once in this life of the core. */
  | { readonly type: "chosen"; readonly entries: readonly Entry[] }
  /** Now in the leader's log at this slot. Done when `chosen` brings that slot with that ballot; unknown if leadership is lost before. */
  | { readonly type: "proposed"; readonly id: number; readonly slot: number; readonly ballot: Ballot }
  /** A proposal or read that was certainly not carried out. */
  | {
      readonly type: "rejected";
      readonly id: number;
      readonly reason: RejectReason;
      readonly leader: string | undefined;
    }
  /** The read with this id is linearizable once the state machine has applied through `slot` (already emitted as `chosen`). */
  | { readonly type: "readable"; readonly id: number; readonly slot: number }
  /** `leading` false ends every outstanding `proposed` of the ballot before: outcome unknown. */
  | {
      readonly type: "leadership";
      readonly leading: boolean;
      readonly ballot: Ballot;
      readonly leader: string | undefined;
    }
  /** Read chosen entries from storage, as many as fit into `bytesMax` (at least one), and send them to `to` as a `learn`. */
  | {
      readonly type: "ship";
      readonly to: string;
      readonly fromSlot: number;
      readonly throughSlot: number;
      readonly bytesMax: number;
    }
  /** `to` needs slots that are trimmed here: only a snapshot can help it. */
  | { readonly type: "snapshotNeeded"; readonly to: string; readonly fromSlot: number }
  /** The members have changed, as far as this log goes: chosen or not. */
  | { readonly type: "configured"; readonly configuration: Configuration }
  /** Two storage replicas hold everything through here: a log replica may let go of it. */
  | { readonly type: "releasable"; readonly throughSlot: number }
  /** That reign of ours is over and `to` may sleep in it: `Bonds.release`. */
  | { readonly type: "release"; readonly to: string; readonly ballot: Ballot }
  /** This node is no member any more, and never will be again under this name. */
  | { readonly type: "departed" }
  /** By the log this node's name belongs to another disk than this one. The core never speaks again. */
  | { readonly type: "forgetful" }
  /** Of a core that was opened `doubtful`: whatever its log may have forgotten is made good by what it has been asked to write before this. */
  | { readonly type: "assured" };

/** All bounds and times of the core. Times in milliseconds of the node's own monotonic clock. */
export interface CoreOptions {
  readonly nodeId: string;
  /** The storage replicas with which the group was founded; what the log says about members since then counts. A node that is not among them waits to be made a member. */
  readonly members: readonly string[];
  /** What this node is fit to be. A log replica has no state machine and takes over the log from where others need no longer keep it. Default "storage". */
  readonly role?: MemberRole;
  /** Neither votes nor acknowledges by its name alone before `voice`: it is not sure yet that this disk is its first one. Default false. */
  readonly mute?: boolean;
  /** Its log may lack its last write: it asks all other members before it votes. `assured` tells when that is made good. Default false. */
  readonly doubtful?: boolean;
  /** Whether its host keeps a table of clients, and so can carry out `once` entries. The leader is told; log replicas always can. Default false. */
  readonly takesRequests?: boolean;
  /** The state machine is behind the log's beginning: this replica does not stand before `stateful`. Default false. */
  readonly awaitsState?: boolean;
  /** A leader that is asked nothing for this long has its group sleep, where there are bonds to sleep on. `Number.MAX_SAFE_INTEGER`: never. Default 100. */
  readonly sleepAfterMs?: number;
  /** Entropy for election waits: uniform in [0, 1). */
  readonly random: () => number;
  /** Default 50. */
  readonly heartbeatMs?: number;
  /** How long an acceptor's grant runs. Default 300. */
  readonly leaseMs?: number;
  /** Whether reads may rest on the lease. False: every read asks a quorum, and no clock can make it stale. Default true. */
  readonly leaseReads?: boolean;
  /** The most by which any clock's rate may differ from true time, as a fraction. Default 0.1: one clock 20 % faster than another is still safe. */
  readonly clockDriftMax?: number;
  /** Random wait on top of the lease before a follower asks around. Default 100. */
  readonly electionJitterMs?: number;
  /** How long a candidate waits for answers. Default 150. */
  readonly voteTimeoutMs?: number;
  /** A leader without answers from a quorum for this long steps down. Default 2 leases. */
  readonly quorumLostMs?: number;
  /** A leader whose own write is not durable after this long steps down: a disk that stands still says no error. Default 10 leases. */
  readonly diskStallMs?: number;
  /** Most slots appended and not yet chosen. Default 4096. */
  readonly pipelineSlotsMax?: number;
  /** Most bytes of commands appended and not yet chosen. Default 8 MiB. */
  readonly pipelineBytesMax?: number;
  /** Most proposals that wait for the pipeline; more are rejected as overloaded. Default 8192. */
  readonly queueMax?: number;
  /** Most bytes of commands that wait for the pipeline. Default 16 MiB. */
  readonly queueBytesMax?: number;
  /** Most reads that wait for a quorum round. Default 65536. */
  readonly readsMax?: number;
  /** Largest command. Default 1 MiB; at most pipelineBytesMax. */
  readonly commandBytesMax?: number;
  /** Most bytes of commands in one message of catch-up or accept. Default 1 MiB. */
  readonly messageBytesMax?: number;
  /** Chosen entries kept in memory for laggards where this replica leads; a sixteenth of it elsewhere. Default 4 MiB. */
  readonly tailBytesMax?: number;
  /** A bound for those of all groups of the node together, shared by them. Call `letGo` of a core that is done with. Default: none. */
  readonly tails?: Tails;
  /** A candidate this many slots behind a voter fetches before it stands. Default 4096. */
  readonly candidateLagMax?: number;
}
