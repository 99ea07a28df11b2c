import { type MemberRole, markIn, roleIn } from "./configuration.js";
import type { Ack } from "./messages.js";
import type { Press } from "./press.js";
import { isMeant, type Membership } from "./quorum.js";
import type { Learner } from "./types.js";

interface Sent {
  readonly through: number;
  readonly bytes: number;
}

/** To whom nothing is on its way; never written to. */
const noneSent: Sent[] = [];

/** What the leader knows of another replica, all of it from answers in its own ballot. */
export interface Peer {
  readonly node: string;
  role: MemberRole;
  /** As whom it has said all of this: of a voter the mark that the log says, of a learner that of the first answer that named the one which we remember. */
  readonly mark: string | undefined;
  /** Has no voice by its name alone. */
  mute: boolean;
  /** Reads configurations that name marks. Nothing is believed before it has answered. */
  readsMarks: boolean;
  synced: boolean;
  /** Known chosen and durable there. */
  chosenThrough: number;
  /** Has no state machine at its applied slot. Nothing is believed before it has answered. */
  lacksState: boolean;
  /** Reads `once` entries, and carries them out. Nothing is believed before it has answered. */
  takesRequests: boolean;
  /** What it was last told that it may let go of. */
  releasedThrough: number;
  /**
   * Next slot to send; everything before it is on its way or there. May be at or below `acceptedThrough`: a peer that
   * has restarted takes again, slot by slot, what it already has on disk.
   */
  next: number;
  /** Accepted in this ballot and durable there through here. */
  acceptedThrough: number;
  /** Accepts that are on their way or not yet durable there, oldest first, and what they weigh together. */
  sent: Sent[];
  sentBytes: number;
  /** Newest round answered, and when that answer's question was sent, by our clock. */
  round: number;
  sentMs: number;
  /** Round in which something was last sent that an answer of a later round must show as received. */
  sentRound: number;
  /** Catch-up goes on when the peer has moved on from `triedChosen`, or answers this round without having done so. */
  retryRound: number;
  triedChosen: number;
  /** Newest round in which it said that it is synced. */
  syncedRound: number;
  gapRound: number;
}

/** How a node stands that the leader feeds. */
export interface Progress {
  /** Holds the log in this ballot, but for what is on its way. */
  readonly holdsTail: boolean;
  readonly lacksState: boolean;
  /** As whom it holds it; undefined of one that is known by its name alone. */
  readonly mark: string | undefined;
  /** Has no voice by its name alone. */
  readonly mute: boolean;
  /** Has said in this reign that it carries out `once` entries. */
  readonly takesRequests: boolean;
  readonly acceptedThrough: number;
  readonly chosenThrough: number;
}

/** Everyone whom the leader sends the log, because the configuration in force or the host wants it. */
export class Peers {
  all: readonly Peer[] = [];
  /** Those of them who decide. */
  voters: readonly Peer[] = [];
  learners: readonly Learner[] = [];
  /** Through here two storage replicas have held everything in this reign: log replicas may have let go of that much. */
  heldThrough = 0;
  /** The slot of the entry by which the voters are what they are. */
  #since = 0;

  /** Two to six are looked through in less than a table of them is found. */
  get(node: string): Peer | undefined {
    const { all } = this;
    for (let i = 0; i < all.length; i++) if ((all[i] as Peer).node === node) return all[i];
    return undefined;
  }

  /** What is known of a node stays, from learner to voter too. Returns who voted until now and does no more. */
  seat({ configuration, peers, self }: Membership): readonly string[] {
    this.#since = configuration.slot;
    const seats = new Map<string, Peer>();
    for (const node of peers) {
      const role = roleIn(configuration, node) as MemberRole;
      seats.set(node, this.#peer(node, role, markIn(configuration, node)));
    }
    const before = this.voters;
    this.voters = [...seats.values()];
    for (const { node, role } of this.learners) {
      if (node !== self && !seats.has(node)) seats.set(node, this.#peer(node, role, this.get(node)?.mark));
    }
    this.all = [...seats.values()];
    return before.filter((peer) => !this.voters.includes(peer)).map(({ node }) => node);
  }

  /**
   * Whether everybody reads configurations that name marks; undefined while somebody has not answered in this reign. `late`: who has not by now is gone, and not waited for. Should it
   * come back in an earlier release it is told that it cannot read its log.
   */
  readMarks(late: boolean): boolean | undefined {
    if (this.all.some(({ round, readsMarks }) => round > 0 && !readsMarks)) return false;
    return late || this.all.every(({ readsMarks }) => readsMarks) ? true : undefined;
  }

  /**
   * The peer whose word this is; undefined of one that is not counted here. A learner that has spoken by the mark that we remember begins anew as that one: what was said by its name alone
   * may have been another disk's, and counts no more.
   */
  speaking(node: string, said: Ack): Peer | undefined {
    const peer = this.get(node);
    if (peer === undefined) return undefined;
    if (peer.mark !== undefined) return isMeant(peer.mark, said) || said.listed === true ? peer : undefined;
    if (said.mark === undefined || this.voters.includes(peer)) return isMeant(undefined, said) ? peer : undefined;
    if (said.mark !== this.learners.find((learner) => learner.node === node)?.mark) return undefined;
    const begun = this.#peer(node, peer.role, said.mark);
    this.all = this.all.map((one) => (one === peer ? begun : one));
    return begun;
  }

  /** `slotsMax`: so far may a node be behind the log's end and hold it all the same: that much is always on its way. */
  progressOf(node: string, logEnd: number, slotsMax: number): Progress | undefined {
    const peer = this.get(node);
    if (peer === undefined) return undefined;
    const { synced, acceptedThrough, chosenThrough, lacksState, takesRequests, mark, mute } = peer;
    const holdsTail = synced && logEnd - acceptedThrough <= slotsMax;
    return { holdsTail, lacksState, mark, mute, takesRequests, acceptedThrough, chosenThrough };
  }

  /**
   * The highest slot through which two storage replicas, the leader among them, durably hold everything: as log or as state. Who does not hold the entry yet by which it may be
   * a member could not lead with what it holds.
   */
  heldByTwo(leadersChosen: number): number {
    const held = Math.min(this.heldAmong(), leadersChosen);
    this.heldThrough = Math.max(this.heldThrough, held);
    return held;
  }

  /** The highest slot through which one of these storage replicas, the leader not among them, durably holds everything. Without names: one of all. */
  heldAmong(nodes?: readonly string[]): number {
    let held = 0;
    for (const { node, role, lacksState, chosenThrough, acceptedThrough } of this.voters) {
      const counts = role === "storage" && !lacksState && acceptedThrough >= this.#since;
      if (counts && chosenThrough > held && (nodes === undefined || nodes.includes(node))) held = chosenThrough;
    }
    return held;
  }

  /** Under another mark it is somebody else, of whom nothing is known. */
  #peer(node: string, role: MemberRole, mark: string | undefined): Peer {
    const known = this.get(node);
    if (known !== undefined && known.mark === mark) {
      known.role = role;
      return known;
    }
    return {
      node,
      role,
      mark,
      mute: false,
      readsMarks: false,
      synced: false,
      chosenThrough: 0,
      lacksState: true,
      takesRequests: false,
      releasedThrough: 0,
      next: 0,
      acceptedThrough: 0,
      sent: noneSent,
      sentBytes: 0,
      round: 0,
      sentMs: Number.NEGATIVE_INFINITY,
      sentRound: 0,
      retryRound: 0,
      triedChosen: -1,
      syncedRound: -1,
      gapRound: -1,
    };
  }
}

/** Of a leader that sleeps: nearly always a peer that holds all of a log that ends at `logEnd`. What was sent and heard before `sinceMs` is as good as nothing. */
export function pressPeer(p: Press, peer: Peer, logEnd: number, sinceMs: number): void {
  const { chosenThrough, acceptedThrough, next, sent } = peer;
  const level = chosenThrough === logEnd && acceptedThrough === logEnd && next === logEnd + 1 && sent.length === 0;
  peer.synced = p.flag(peer.synced);
  peer.lacksState = p.flag(peer.lacksState);
  peer.takesRequests = p.flag(peer.takesRequests);
  if (p.flag(level)) {
    peer.chosenThrough = peer.acceptedThrough = logEnd;
    peer.next = logEnd + 1;
  } else {
    peer.chosenThrough = p.whole(chosenThrough);
    peer.acceptedThrough = p.whole(acceptedThrough);
    peer.next = p.whole(next);
    peer.sent = Array.from({ length: p.whole(sent.length) }, (_, i) => {
      const { through, bytes } = sent[i] ?? { through: 0, bytes: 0 };
      return { through: p.whole(through), bytes: p.whole(bytes) };
    });
    peer.sentBytes = peer.sent.reduce((sum, { bytes }) => sum + bytes, 0);
  }
  if (peer.role === "log") peer.releasedThrough = p.whole(peer.releasedThrough);
  peer.sentMs = p.time(peer.sentMs, sinceMs);
  peer.round = p.whole(peer.round);
  peer.sentRound = p.whole(peer.sentRound);
  peer.retryRound = p.whole(peer.retryRound);
  peer.triedChosen = p.whole(peer.triedChosen + 1) - 1;
  peer.syncedRound = p.whole(peer.syncedRound + 1) - 1;
  peer.gapRound = p.whole(peer.gapRound + 1) - 1;
}

/** The peer has accepted this ballot's log through here. */
export function acknowledged(peer: Peer, through: number): void {
  peer.acceptedThrough = through;
  const { sent } = peer;
  let done = 0;
  for (; done < sent.length && (sent[done] as Sent).through <= through; done++)
    peer.sentBytes -= (sent[done] as Sent).bytes;
  if (done === sent.length) peer.sent = noneSent;
  else sent.splice(0, done);
}

/** Whether something sent to the peer was lost: it says so, or a later round's answer does not show it. */
export function mustResend(peer: Peer, message: Ack): boolean {
  if (message.receivedThrough + 1 >= peer.next) return false;
  if (message.gap) return message.round > peer.gapRound;
  return message.round > peer.sentRound && message.round > peer.gapRound;
}

/** What was sent beyond `through` counts as lost. */
export function forgetSent(peer: Peer, through: number): void {
  while (peer.sent.length > 0) {
    const last = peer.sent.at(-1) as Sent;
    if (last.through <= through) return;
    peer.sentBytes -= last.bytes;
    peer.sent.pop();
  }
}
