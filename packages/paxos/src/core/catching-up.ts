import { BALLOT_ZERO } from "./ballot.js";
import { sendChosen } from "./catch-up.js";
import type { FromLeader } from "./messages.js";
import type { Peer, Peers } from "./peers.js";
import type { Replica } from "./replica.js";

/** Heartbeats after which a piece of catch-up counts as lost. */
const pieceRounds = 4;

/** What catching up needs to know of the reign: its first own entry, and the stamp of what is said now. */
export interface CatchingUpParts {
  readonly replica: Replica;
  readonly peers: Peers;
  readonly startSlot: () => number;
  readonly stamp: () => FromLeader;
}

/** How a leader brings a peer to where a sync in its ballot reaches it. */
export class CatchingUp {
  readonly #parts: CatchingUpParts;

  constructor(parts: CatchingUpParts) {
    this.#parts = parts;
  }

  /** One step towards a synced peer, from `chosenThrough` on, which is final in its log as in ours. */
  step(peer: Peer, chosenThrough: number, round = 0): void {
    if (round < peer.retryRound && chosenThrough <= peer.triedChosen) return;
    const { replica } = this.#parts;
    const stamp = this.#parts.stamp();
    const startSlot = this.#parts.startSlot();
    // A piece of the log may well take longer than a heartbeat, and sending it again would not make it faster.
    peer.retryRound = stamp.round + pieceRounds;
    peer.triedChosen = chosenThrough;
    const { log, settings, knownChosen } = replica;
    const prevSlot = Math.min(chosenThrough, knownChosen);
    if (prevSlot < replica.trimmedThrough && peer.role === "log") {
      this.#sendBase(peer, stamp);
      return;
    }
    if (prevSlot + 1 < log.firstSlot) {
      sendChosen(replica, peer.node, prevSlot + 1, replica.chosenThrough);
      return;
    }
    let entries = log.slice(prevSlot + 1, log.end, settings.messageBytesMax);
    if (prevSlot + entries.length < startSlot) {
      // A sync must reach the end of the adopted log, or an acceptor could forget the rest of it under our ballot.
      if (prevSlot < replica.chosenThrough) {
        sendChosen(replica, peer.node, prevSlot + 1, replica.chosenThrough);
        return;
      }
      entries = log.slice(prevSlot + 1, startSlot);
    }
    peer.retryRound = stamp.round + 1;
    const prevBallot = log.ballotAt(prevSlot) ?? BALLOT_ZERO;
    replica.send(peer.node, { type: "sync", ...stamp, prevSlot, prevBallot, entries });
    peer.sentRound = stamp.round;
  }

  /**
   * A log replica needs no state to go on from: it may begin where our log begins, provided that what is below is held by
   * two storage replicas. So it comes to hold all of the log that is kept here, and a write quorum needs no snapshot.
   */
  #sendBase(peer: Peer, stamp: FromLeader): void {
    const { replica, peers } = this.#parts;
    const position = replica.positionFrom(replica.trimmedThrough);
    if (position === undefined || position.slot > peers.heldByTwo(replica.chosenThrough)) return;
    replica.send(peer.node, { type: "base", ...stamp, position });
  }
}
