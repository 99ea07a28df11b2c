import type { Ballot } from "./ballot.js";
import type { BondId } from "./bond-id.js";
import type { Marks } from "./configuration.js";
import type { Speaker } from "./quorum.js";
import type { Entry, Position } from "./types.js";

/**
 * What replicas of one group say to one another. The host adds the group's id and carries them; loss, duplication,
 * delay and reordering are all allowed. Times in messages are only echoed back to the node whose clock made them.
 */
export type Message =
  | PreVote
  | PreVoteReply
  | Prepare
  | Promised
  | Nack
  | Heartbeat
  | Sync
  | Accept
  | Ack
  | Fetch
  | Learn
  | Resign
  | Base
  | Releasable
  | Departed
  | TakeOver
  | DoubtMessage
  | Standing
  | Sleep
  | Asleep;

/** "I no longer hear a leader. Do you?" Changes nothing at the receiver. */
export interface PreVote {
  readonly type: "preVote";
  /** Number of this question in this life of the sender, so that late answers are not counted for a later one. */
  readonly attempt: number;
  readonly chosenThrough: number;
  /** The mark by which the sender's log knows the receiver. */
  readonly mark?: string;
}

export interface PreVoteReply {
  readonly type: "preVoteReply";
  readonly attempt: number;
  readonly granted: boolean;
  /** Highest round that the voter knows, so that the candidate's ballot is above it at once. */
  readonly round: number;
  /** A candidate too far behind this is refused and fetches from the voter first. */
  readonly chosenThrough: number;
}

/** How good a log is: what elections compare, the ballot first. */
export interface Rank {
  readonly accepted: Ballot;
  readonly logEnd: number;
}

/** Phase 1a. Sent only after the candidate's own promise is durable. */
export interface Prepare {
  readonly type: "prepare";
  readonly ballot: Ballot;
  readonly accepted: Ballot;
  readonly logEnd: number;
  /** The mark by which the sender's log, or the one that it is about to adopt, knows the receiver: nobody else is asked. */
  readonly mark?: string;
}

/**
 * Phase 1b, sent only after the promise is durable. As whoever was asked. In ballot zero, in which nobody stands, it promises nothing and says only what is chosen:
 * to a candidate that knows less than where the sender's log begins. (Releases that do not know of that pass over it, as over any promise in another ballot than theirs.)
 */
export interface Promised extends Speaker {
  readonly type: "promised";
  readonly ballot: Ballot;
  readonly accepted: Ballot;
  readonly logEnd: number;
  /** Every slot through here is known chosen (and durable) at the sender. */
  readonly chosenThrough: number;
  /** Ballot of the sender's entry at `chosenThrough`: equal entries have equal logs below them. */
  readonly chosenBallot: Ballot;
  /** Slots chosenThrough + 1 ... logEnd, given only when (accepted, logEnd) is above the candidate's. */
  readonly entries: readonly Entry[];
  /** The sender may have forgotten entries that a log as good as this one holds: with this promise no lesser one may be adopted. */
  readonly floor?: Rank;
}

/** Refusal of anything in `ballot`. `promised` above it ends that ballot; equal or below it means "not while my lease grant runs". */
export interface Nack {
  readonly type: "nack";
  readonly ballot: Ballot;
  readonly promised: Ballot;
}

/** On every message of a leader; `sentMs` is the leader's clock and comes back in the answer, lease time counts from it. */
export interface FromLeader {
  readonly ballot: Ballot;
  /** Grows with every round of heartbeats of this ballot; an answer to a round proves that the ballot stood after the round began. */
  readonly round: number;
  readonly sentMs: number;
  readonly chosenThrough: number;
}

export interface Heartbeat extends FromLeader {
  readonly type: "heartbeat";
}

/**
 * Takes a replica into the ballot: the receiver replaces everything above `prevSlot` by `entries` and raises its
 * accepted ballot, in one atomic write. The entries reach at least through the end of the log that the leader adopted.
 */
export interface Sync extends FromLeader {
  readonly type: "sync";
  /** A slot that the leader knows as chosen. */
  readonly prevSlot: number;
  readonly prevBallot: Ballot;
  readonly entries: readonly Entry[];
}

/** Phase 2a for replicas already synced in this ballot: contiguous entries after `prevSlot`. */
export interface Accept extends FromLeader {
  readonly type: "accept";
  readonly prevSlot: number;
  readonly entries: readonly Entry[];
}

/** Phase 2b and the answer to heartbeats; grants the lease. Cumulative, so that loss and duplicates do not matter. */
export interface Ack extends Speaker {
  readonly type: "ack";
  readonly ballot: Ballot;
  /** Newest round and stamp of this ballot that the sender has received. */
  readonly round: number;
  readonly sentMs: number;
  /** Whether the sender's log has been synced in this ballot. */
  readonly synced: boolean;
  /** Accepted in this ballot and durable through here (0 when not synced). */
  readonly acceptedThrough: number;
  /** Received in this ballot, perhaps not durable yet. */
  readonly receivedThrough: number;
  /** Known chosen and durable at the sender. */
  readonly chosenThrough: number;
  /** An accept came that does not follow on what is there: send again from receivedThrough + 1. */
  readonly gap: boolean;
  /** The sender has no state machine at its applied slot: it is a log replica, or waits for a snapshot. */
  readonly lacksState?: boolean;
  /** The sender reads `once` entries, and its host carries them out. Releases that do not know of them never say so. */
  readonly takesRequests?: boolean;
  /** Said now and then: the sender reads `sleep` that names a bond (message version 6). Who drops it as unreadable would hear no heartbeat in its place. */
  readonly readsBonds?: boolean;
  /** The sender's log was born under a mark, and it reads configurations that name marks. Releases that do not know of them never say so. */
  readonly readsMarks?: boolean;
  /** Synced, and what the leader itself has sent in this ballot lists the sender by its own mark: so does the leader's log, which need not be told the mark again. */
  readonly listed?: boolean;
}

/** Asks for chosen entries from `fromSlot`; answered by `learn` with as many as fit. */
export interface Fetch {
  readonly type: "fetch";
  readonly fromSlot: number;
  readonly throughSlot: number;
}

/** Chosen entries, contiguous. Final whoever sends them, and in whatever ballot. */
export interface Learn {
  readonly type: "learn";
  readonly entries: readonly Entry[];
}

/** The leader of `ballot` has given up that ballot and its lease for good. */
export interface Resign {
  readonly type: "resign";
  readonly ballot: Ballot;
}

/** To a log replica that is to begin, or has fallen behind the leader's log: this slot is chosen, take over the log from here. */
export interface Base extends FromLeader {
  readonly type: "base";
  readonly position: Position;
}

/** To a log replica: two storage replicas hold everything through here. */
export interface Releasable {
  readonly type: "releasable";
  readonly throughSlot: number;
}

/** To one who wants to be elected and is no member any more: the chosen configuration of this slot says so. */
export interface Departed {
  readonly type: "departed";
  readonly slot: number;
}

/** To the heir of a leader that has given up this ballot, and whose whole log the heir holds: stand now, without asking around. */
export interface TakeOver {
  readonly type: "takeOver";
  readonly ballot: Ballot;
}

/** "My log may lack its last write. Where do you stand?" To all other members; see `Doubt`. */
export interface DoubtMessage {
  readonly type: "doubt";
  /** Of this life of the sender; comes back in the answer. */
  readonly id: number;
  /** The mark by which the sender means the receiver. */
  readonly mark?: string;
}

/** The answer, of what is in memory: whatever was asked of the others is in it. */
export interface Standing extends Speaker {
  readonly type: "standing";
  readonly id: number;
  readonly promised: Ballot;
  readonly accepted: Ballot;
  readonly logEnd: number;
  /** All acceptors of the newest configuration that the sender knows as chosen, and of those behind it in its log. */
  readonly members: readonly string[];
  /** The marks by which some of them are known. */
  readonly marks?: Marks;
}

/** A heartbeat that asks the receiver to sleep: nothing more will come of this reign but in a later round. */
export interface Sleep extends FromLeader {
  readonly type: "sleep";
  /** Everything through here, which is everything, is chosen. */
  readonly logEnd: number;
  /** In which bond the sender's node is echoed by the receiver's: in no other may it sleep. Who was asked before its node was reborn can tell by it. Absent: do not sleep. */
  readonly bond?: BondId;
}

/** The receiver of `sleep` holds everything and sleeps: its grant runs as long as this bond with the leader's node does. */
export interface Asleep {
  readonly type: "asleep";
  readonly ballot: Ballot;
  readonly round: number;
  readonly bond: BondId;
}
