import { BALLOT_ZERO, type Ballot } from "./ballot.js";
import { sendChosen } from "./catch-up.js";
import { weightOf } from "./log.js";
import type { Accept } from "./messages.js";
import type { Peer, Peers } from "./peers.js";
import type { Replica } from "./replica.js";
import type { Entry } from "./types.js";

/** Heartbeats after which a piece of catch-up counts as lost. */
const pieceRounds = 4;

/** What the leader says with everything. */
export interface Stamp {
  readonly ballot: Ballot;
  readonly round: number;
  readonly sentMs: number;
  readonly chosenThrough: number;
}

/** What is fed is one reign's log. */
export interface Reign {
  readonly ballot: Ballot;
  /** Of heartbeats. */
  readonly round: number;
  /** The leader's first own entry. */
  readonly startSlot: number;
  stamp(): Stamp;
}

/** How the log comes to the others: new entries as they are appended, to who is synced; to the others what brings them there. */
export class Feed {
  readonly #replica: Replica;
  readonly #peers: Peers;
  readonly #reign: Reign;
  #lastAccept: Accept | undefined;
  #lastAcceptEnd = 0;
  #lastAcceptBytes = 0;

  constructor(replica: Replica, peers: Peers, reign: Reign) {
    this.#replica = replica;
    this.#peers = peers;
    this.#reign = reign;
  }

  /** Sends what the peer has not been sent, within its window: one whose disk is slow is not given more than a pipeline to hold in memory. */
  stream(peer: Peer): void {
    const { log, settings } = this.#replica;
    const { pipelineSlotsMax, pipelineBytesMax } = settings;
    while (peer.synced && peer.next <= log.end && peer.next - peer.acceptedThrough <= pipelineSlotsMax) {
      if (peer.sentBytes >= pipelineBytesMax) return;
      if (peer.next < log.firstSlot) {
        // It has fallen out of memory; back to catching up from what it knows as chosen.
        peer.synced = false;
        peer.triedChosen = -1;
        return;
      }
      const message = this.#acceptFrom(peer.next, settings.messageBytesMax);
      this.#replica.send(peer.node, message);
      peer.next += message.entries.length;
      peer.sentRound = this.#reign.round;
      if (peer.next - 1 > peer.acceptedThrough) {
        const sent = { through: peer.next - 1, bytes: this.#lastAcceptBytes };
        if (peer.sent.length === 0) peer.sent = [sent];
        else peer.sent.push(sent);
        peer.sentBytes += this.#lastAcceptBytes;
      }
    }
  }

  /** Peers that stand at the same slot are sent the very same object, so that it need be encoded only once. */
  #acceptFrom(slot: number, bytesMax: number): Accept {
    const { log, nowMs, knownChosen } = this.#replica;
    const last = this.#lastAccept;
    if (
      last !== undefined &&
      last.prevSlot === slot - 1 &&
      last.round === this.#reign.round &&
      last.sentMs === nowMs &&
      last.chosenThrough === knownChosen &&
      this.#lastAcceptEnd === log.end
    ) {
      return last;
    }
    this.#lastAcceptEnd = log.end;
    const { ballot, round } = this.#reign;
    const entries = log.slice(slot, log.end, bytesMax);
    this.#lastAccept = {
      type: "accept",
      ballot,
      round,
      sentMs: nowMs,
      chosenThrough: knownChosen,
      prevSlot: slot - 1,
      entries,
    };
    this.#lastAcceptBytes = 0;
    for (const entry of entries) this.#lastAcceptBytes += weightOf(entry);
    return this.#lastAccept;
  }

  /** One step towards a synced peer, from `chosenThrough` on, which is final in its log as in ours. */
  catchUp(peer: Peer, chosenThrough: number, round = 0): void {
    if (round < peer.retryRound && chosenThrough <= peer.triedChosen) return;
    // A piece of the log may well take longer than a heartbeat, and sending it again would not make it faster.
    peer.retryRound = this.#reign.round + pieceRounds;
    peer.triedChosen = chosenThrough;
    const replica = this.#replica;
    const { log, knownChosen } = replica;
    const prevSlot = Math.min(chosenThrough, knownChosen);
    // A log replica that runs as a storage replica already, to become one, and has a state, needs a snapshot as any other does.
    if (prevSlot < replica.trimmedThrough && peer.role === "log" && peer.lacksState) {
      this.#sendBase(peer);
      return;
    }
    const piece = prevSlot + 1 < log.firstSlot ? undefined : this.#pieceAfter(prevSlot);
    if (piece === undefined || (prevSlot < replica.chosenThrough && !this.#reaches(prevSlot, piece))) {
      sendChosen(replica, peer.node, prevSlot + 1, replica.chosenThrough);
    } else {
      this.#sync(peer, prevSlot, piece);
    }
  }

  /** As much as one message holds. */
  #pieceAfter(prevSlot: number): Entry[] {
    const { log, settings } = this.#replica;
    return log.slice(prevSlot + 1, log.end, settings.messageBytesMax);
  }

  /** A sync must reach the end of the adopted log, or an acceptor could forget the rest of it under our ballot. */
  #reaches(prevSlot: number, piece: readonly Entry[]): boolean {
    return prevSlot + piece.length >= this.#reign.startSlot;
  }

  #sync(peer: Peer, prevSlot: number, piece: readonly Entry[]): void {
    const { log } = this.#replica;
    const { round, startSlot } = this.#reign;
    const entries = this.#reaches(prevSlot, piece) ? piece : log.slice(prevSlot + 1, startSlot);
    peer.retryRound = round + 1;
    const prevBallot = log.ballotAt(prevSlot) ?? BALLOT_ZERO;
    this.#replica.send(peer.node, { type: "sync", ...this.#reign.stamp(), prevSlot, prevBallot, entries });
    peer.sentRound = round;
  }

  /**
   * A log replica needs no state to go on from: it may begin where our log begins, provided that what is below is held by
   * two storage replicas. So it comes to hold all of the log that is kept here, and a write quorum needs no snapshot.
   */
  #sendBase(peer: Peer): void {
    const replica = this.#replica;
    const position = replica.positionFrom(replica.trimmedThrough);
    if (position === undefined) return;
    if (position.slot <= this.#peers.heldByTwo(replica.chosenThrough)) {
      replica.send(peer.node, { type: "base", ...this.#reign.stamp(), position });
      return;
    }
    // It must not begin there. But it may hold that very entry and not know yet that it is chosen: then it goes on from it, and lets go of nothing.
    // After a restart nothing may be known any more of the slot below the log's first one.
    const prevSlot = Math.max(position.slot, replica.log.firstSlot - 1);
    this.#sync(peer, prevSlot, this.#pieceAfter(prevSlot));
  }
}
