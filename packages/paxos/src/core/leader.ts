import { type Ballot, compareBallots, sameBallot } from "./ballot.js";
import { changeEntry } from "./change-entry.js";
import type { MemberRole } from "./configuration.js";
import type { Victory } from "./election.js";
import { Feed, type Reign, type Stamp } from "./feed.js";
import { Heir } from "./heir.js";
import { noopEntry, weightOf } from "./log.js";
import type { Ack, Asleep, Nack } from "./messages.js";
import { acknowledged, forgetSent, mustResend, type Peer, Peers, type Progress, pressPeer } from "./peers.js";
import type { Press } from "./press.js";
import { ProposalQueue } from "./proposal-queue.js";
import { reachedByQuorum } from "./quorum.js";
import { Reads } from "./reads.js";
import { ReignSleep } from "./reign-sleep.js";
import type { Replica } from "./replica.js";
import type { Entry, Learner, Proposal } from "./types.js";

/** Counted for every answer of every group: no array is made for it. */
const accepted: number[] = [];

const nobody: readonly string[] = [];

/** One ballot's reign: appends, sends, counts, beats, and knows when it is over. */
export class Leader implements Reign {
  readonly ballot: Ballot;
  readonly heir: Heir;
  readonly #replica: Replica;
  readonly #peers = new Peers();
  readonly #feed: Feed;
  #leaving = nobody;
  /** The leader's first own entry. Once it is chosen and applied, everything chosen before this reign is applied too. */
  startSlot = 0;
  readonly #reads: Reads;
  round = 0;
  #beatAtMs: number;
  /** When a beat was last said as such. */
  #saidMs = Number.NEGATIVE_INFINITY;
  #answeredSinceMs: number;
  readonly #beganMs: number;
  #lastTickMs: number;
  readonly #queue = new ProposalQueue();
  readonly #sleep: ReignSleep | undefined;
  /** Weight of what is appended and not chosen, and through which slot the chosen part has been taken off it. */
  #pipelineBytes = 0;
  #weighedThrough: number;

  /** Without a victory: one that is unpacked, and goes on where it was. */
  constructor(replica: Replica, victory: Victory | undefined) {
    this.#replica = replica;
    this.ballot = victory?.ballot ?? replica.promised;
    const { nowMs } = replica;
    this.#reads = new Reads(replica);
    this.#feed = new Feed(replica, this.#peers, this);
    this.heir = new Heir(replica, this.#peers);
    this.#sleep = replica.bonds === undefined ? undefined : new ReignSleep(replica, this.#peers);
    this.#beganMs = this.#answeredSinceMs = this.#lastTickMs = nowMs;
    this.#beatAtMs = nowMs;
    this.#weighedThrough = replica.knownChosen;
    if (victory === undefined) this.#peers.seat(replica.membership);
    else this.#begin(victory);
  }

  #begin(victory: Victory): void {
    const replica = this.#replica;
    const { log } = replica;
    for (let slot = replica.knownChosen + 1; slot <= log.end; slot++) {
      this.#pipelineBytes += weightOf(log.at(slot) as Entry);
    }
    const noop = noopEntry(log.end + 1, this.ballot);
    this.startSlot = noop.slot;
    this.#pipelineBytes += weightOf(noop);
    replica.append([noop]);
    this.#peers.seat(replica.membership);
    replica.role = "leader";
    replica.accepted = this.ballot;
    const { truncateFrom } = victory;
    replica.persist({
      accepted: this.ballot,
      ...(truncateFrom === undefined ? {} : { truncateFrom }),
      entries: [...victory.entries, noop],
      chosenThrough: replica.chosenThrough,
    });
    replica.sayLeader(replica.self);
    this.#beat();
    for (const [node, promised] of victory.promises) {
      const peer = this.#peers.get(node);
      if (peer !== undefined) this.#feed.catchUp(peer, promised.chosenThrough);
    }
  }

  /** Of one that sleeps, behind what `Replica` keeps: nothing waits, nothing is under way. */
  press(p: Press): void {
    const { log, nowMs, settings } = this.#replica;
    p.expect(this.#quiet && this.#sleep !== undefined && this.#peers.learners.length === 0);
    p.expect(this.#pipelineBytes === 0 && this.#weighedThrough === log.end);
    this.startSlot = p.whole(this.startSlot);
    this.round = p.whole(this.round);
    this.#beatAtMs = p.time(this.#beatAtMs, nowMs);
    // After more than a lease without a tick the others are given the time to answer anew.
    this.#lastTickMs = p.time(this.#lastTickMs, nowMs - settings.leaseMs);
    this.#answeredSinceMs = p.time(this.#answeredSinceMs, nowMs - settings.quorumLostMs);
    for (const peer of this.#peers.voters) pressPeer(p, peer, log.end, nowMs - settings.quorumLostMs);
    if (!p.packing) this.#peers.heldByTwo(log.end);
    this.#sleep?.press(p);
  }

  /** Whether anything of this reign is chosen. */
  get begun(): boolean {
    return this.#replica.knownChosen >= this.startSlot;
  }

  get wakeAtMs(): number {
    return this.asleep ? Number.POSITIVE_INFINITY : this.#beatAtMs;
  }

  /** Everything chosen before this reign is chosen and applied here. */
  get ready(): boolean {
    return this.#replica.chosenThrough >= this.startSlot;
  }

  /**
   * Until when no other replica can have been elected, by our clock. Counted from when the answered message was *sent*:
   * the grant began later than that, whatever the network did to the answer. A change of members changes at once whose
   * grants count; what an earlier configuration granted is forgotten.
   */
  get leaseUntilMs(): number {
    const { membership, settings } = this.#replica;
    const sleep = this.#sleep;
    const sent = this.#peers.voters.map((peer) => sleep?.sentMs(peer) ?? peer.sentMs);
    return reachedByQuorum(membership, Number.POSITIVE_INFINITY, sent) + settings.leaseUsableMs;
  }

  leaseHeld(): boolean {
    return this.#replica.nowMs < this.leaseUntilMs;
  }

  get asleep(): boolean {
    return this.#sleep?.asleep ?? false;
  }

  /** Says a word to everybody, if nothing is said at the moment. */
  wake(): void {
    if (this.asleep) this.#beat();
  }

  onAsleep(from: string, message: Asleep): void {
    if (sameBallot(message.ballot, this.ballot)) this.#sleep?.onAsleep(from, message, this.#quiet);
  }

  /** Nothing waits here. */
  get #quiet(): boolean {
    return this.queued === 0 && this.#reads.waiting === 0 && this.heir.node === undefined && this.#leaving.length === 0;
  }

  get queued(): number {
    return this.#queue.length;
  }

  /** Returns false when this reign must end: no quorum has answered for too long, or the own disk, without which nobody is answered, stands still. */
  tick(): boolean {
    const { nowMs, settings } = this.#replica;
    if (this.asleep) return true;
    // Time in which this process itself stood still is not held against the others: their answers may be in the queue.
    if (nowMs - this.#lastTickMs > settings.leaseMs) this.#answeredSinceMs = nowMs;
    this.#lastTickMs = nowMs;
    const answered = this.leaseUntilMs - settings.leaseUsableMs;
    if (nowMs - Math.max(answered, this.#answeredSinceMs) > settings.quorumLostMs) return false;
    if (nowMs - Math.max(this.#replica.writeSinceMs, this.#answeredSinceMs) > settings.diskStallMs) return false;
    if (nowMs >= this.#beatAtMs) this.#beat();
    if (this.heir.expired()) this.#append();
    return true;
  }

  propose(proposals: readonly Proposal[]): void {
    if (this.asleep) this.#saidMs = Number.NEGATIVE_INFINITY;
    this.#sleep?.busy();
    const mayStandIn = this.#mayStandIn;
    if (mayStandIn || this.#sleep?.asks(this.round)) this.round++;
    const { effects, settings, self } = this.#replica;
    for (const proposal of proposals) {
      const { id, command } = proposal;
      if (command.length > settings.commandBytesMax) {
        effects.push({ type: "rejected", id, reason: "too-large", leader: self });
      } else if (this.queued >= settings.queueMax + this.#room() || this.#queue.bytes > settings.queueBytesMax) {
        effects.push({ type: "rejected", id, reason: "overloaded", leader: self });
      } else {
        this.#queue.push(proposal);
      }
    }
    this.#append();
    if (mayStandIn && this.#peers.all.every((peer) => peer.sentRound === this.round))
      this.#beatAtMs = this.#replica.nowMs + this.#replica.settings.heartbeatMs;
  }

  /**
   * Whether what is said now to everybody can be the next beat: it says all that a beat says, of a round of its own. Of a group that is busy that is most of its beats; but some are said as such, twice in a lease, since
   * they are answered at once, however long the disks take, and to log replicas they say more. While
   * somebody is not synced, and so not told everything, rounds go on with the beats alone: by them is judged whether what was sent to it is lost.
   */
  get #mayStandIn(): boolean {
    const { nowMs, settings } = this.#replica;
    if (nowMs < this.#beatAtMs - settings.heartbeatMs / 2 || nowMs - this.#saidMs >= settings.leaseMs / 2) return false;
    return this.#peers.all.every((peer) => peer.synced);
  }

  read(id: number): void {
    if (this.#reads.add(id)) this.#answerReads();
  }

  onAck(from: string, message: Ack): void {
    if (!sameBallot(message.ballot, this.ballot)) return;
    const peer = this.#peers.speaking(from, message);
    if (peer === undefined) return;
    if (this.asleep) {
      if (!this.#sleep?.contradicts(from, message)) return;
      this.#beat();
    }
    peer.round = Math.max(peer.round, message.round);
    peer.sentMs = Math.max(peer.sentMs, message.sentMs);
    peer.chosenThrough = Math.max(peer.chosenThrough, message.chosenThrough);
    peer.lacksState = message.lacksState ?? false;
    peer.takesRequests = message.takesRequests ?? false;
    peer.readsMarks = message.readsMarks ?? false;
    peer.mute = message.mute ?? false;
    if (message.readsBonds === true) this.#sleep?.mayAsk(from);
    // What it needs may have left our memory; then it must catch up as if it were not synced yet.
    const reachable = message.receivedThrough + 1 >= this.#replica.log.firstSlot;
    if (message.synced) {
      peer.syncedRound = Math.max(peer.syncedRound, message.round);
      if (!peer.synced || mustResend(peer, message)) {
        peer.synced = reachable;
        peer.next = message.receivedThrough + 1;
        peer.gapRound = this.round;
        forgetSent(peer, message.receivedThrough);
      }
      if (message.acceptedThrough > peer.acceptedThrough) {
        acknowledged(peer, message.acceptedThrough);
        this.#countChosen();
      }
    } else if (message.round > peer.syncedRound) {
      // An answer from before it was synced is old news; one from a later round means that it has restarted.
      peer.synced = false;
      forgetSent(peer, peer.acceptedThrough);
    }
    if (peer.synced) this.#feed.stream(peer);
    else this.#feed.catchUp(peer, message.chosenThrough, message.round);
    this.#answerReads();
  }

  /** Returns false when the reign is over. */
  onNack(message: Nack): boolean {
    return compareBallots(message.promised, this.ballot) <= 0 || !sameBallot(message.ballot, this.ballot);
  }

  /** Our own writes have become durable. */
  onDurable(): void {
    this.#countChosen();
    this.#answerReads();
  }

  /** Whoever still waits is told; what is in the log already has an unknown outcome, which `leadership` says. */
  end(): void {
    const { effects } = this.#replica;
    for (const to of this.#sleep?.perhapsAsleep ?? []) effects.push({ type: "release", to, ballot: this.ballot });
    for (let next = this.#queue.shift(); next !== undefined; next = this.#queue.shift()) {
      effects.push({ type: "rejected", id: next.id, reason: "not-leader", leader: undefined });
    }
    this.#reads.rejectAll();
  }

  /** A log replica that may not acknowledge anything asks for what is not in the log any more: it is told where to begin. */
  begins(node: string, fromSlot: number): boolean {
    const peer = this.#peers.get(node);
    if (peer?.role !== "log" || fromSlot > this.#replica.trimmedThrough) return false;
    this.#feed.catchUp(peer, fromSlot - 1, this.round);
    return true;
  }

  stamp(): Stamp {
    const { nowMs: sentMs, knownChosen: chosenThrough } = this.#replica;
    return { ballot: this.ballot, round: this.round, sentMs, chosenThrough };
  }

  #beat(): void {
    const { nowMs, settings } = this.#replica;
    this.round++;
    this.#saidMs = nowMs;
    const stamp = this.stamp();
    const heartbeat = { type: "heartbeat", ...stamp } as const;
    const asks = this.#sleep?.begin(this.round, this.#quiet);
    this.#beatAtMs = nowMs + (this.#sleep?.beatMs ?? settings.heartbeatMs);
    const sleep = { type: "sleep", ...stamp, logEnd: this.#replica.log.end } as const;
    const held = this.#peers.heldByTwo(this.#replica.chosenThrough);
    for (const peer of this.#peers.all) {
      const bond = asks ? this.#sleep?.invites(peer, this.round) : undefined;
      this.#replica.send(peer.node, bond === undefined ? heartbeat : { ...sleep, bond });
      if (peer.role === "storage" || held <= peer.releasedThrough) continue;
      peer.releasedThrough = held;
      this.#replica.send(peer.node, { type: "releasable", throughSlot: held });
    }
  }

  setLearners(learners: readonly Learner[]): void {
    const known = this.#peers.learners;
    const same = ({ node, role, mark }: Learner, i: number) =>
      known[i]?.node === node && known[i]?.role === role && known[i]?.mark === mark;
    if (learners.length === known.length && learners.every(same)) return;
    this.#peers.learners = [...learners];
    this.#peers.seat(this.#replica.membership);
    this.#beat();
  }

  get marks(): boolean | undefined {
    const { birth, nowMs, settings, membership } = this.#replica;
    if (birth === undefined) return false;
    if (membership.configuration.marks !== undefined) return true;
    return this.#peers.readMarks(nowMs - this.#beganMs > settings.quorumLostMs);
  }

  /** Whether a node could become a member of this kind now, without stopping every write. */
  readyFor(node: string, role: MemberRole): boolean {
    const { self, membership } = this.#replica;
    if (node === self) return true;
    const progress = this.progressOf(node);
    if (progress?.holdsTail !== true || (role === "storage" && progress.lacksState)) return false;
    if (membership.members.includes(node)) return true;
    // A vote that nobody may count would be none.
    const { marks } = this;
    return marks === true ? progress.mark !== undefined : marks === false && !progress.mute;
  }

  /** Whether one of these, beside this one, holds all that log replicas may have let go of, in this reign or before it. */
  heldBy(storage: readonly string[]): boolean {
    return this.#peers.heldAmong(storage) >= Math.max(this.#peers.heldThrough, this.startSlot - 1);
  }

  progressOf(node: string): Progress | undefined {
    const { log, settings } = this.#replica;
    return this.#peers.progressOf(node, log.end, Math.ceil(settings.pipelineSlotsMax / 2));
  }

  /** How many proposals the pipeline takes at the moment. */
  #room(): number {
    const { log, knownChosen, settings } = this.#replica;
    if (this.#pipelineBytes >= settings.pipelineBytesMax || this.heir.node !== undefined) return 0;
    return Math.max(0, settings.pipelineSlotsMax - (log.end - knownChosen));
  }

  /** Moves what fits from the queue into the log: one write, one message for each peer. */
  #append(): void {
    while (this.#appendBatch());
  }

  /** Returns whether another batch is wanted at once: a change of members ends one, what follows is under the new ones. */
  #appendBatch(): boolean {
    const { log, effects, settings } = this.#replica;
    let room = this.#room();
    const first = log.end + 1;
    let entries: Entry[] | undefined;
    let changed = false;
    while (!changed && room-- > 0 && this.queued > 0 && this.#pipelineBytes < settings.pipelineBytesMax) {
      const proposal = this.#queue.shift() as Proposal;
      const { id, command } = proposal;
      const slot = first + (entries?.length ?? 0);
      const entry: Entry =
        proposal.members === undefined
          ? { slot, ballot: this.ballot, kind: proposal.once === true ? "once" : "command", command }
          : changeEntry(this.#replica, this, proposal, slot);
      changed = entry.kind === "config";
      this.#pipelineBytes += weightOf(entry);
      // One alone in an array of one: the first push makes room for seventeen.
      if (entries === undefined) entries = [entry];
      else entries.push(entry);
      if (entry.kind !== "noop") effects.push({ type: "proposed", id, slot, ballot: this.ballot });
    }
    if (entries === undefined) return false;
    this.#replica.append(entries);
    // Who leaves with this entry is sent it like everybody: who comes with it was fed before.
    for (const peer of this.#peers.all) this.#feed.stream(peer);
    if (changed) this.#leaving = this.#peers.seat(this.#replica.membership);
    this.#replica.persist({ entries, chosenThrough: this.#replica.chosenThrough });
    if (changed) this.#countChosen();
    return changed && this.queued > 0;
  }

  /** A slot is chosen when a quorum has it, accepted in this ballot and durable; each replica's answer is cumulative. */
  #countChosen(): void {
    const replica = this.#replica;
    const own = sameBallot(replica.durableAccepted, this.ballot) ? replica.durableEnd : 0;
    const { voters } = this.#peers;
    // Not emptied and filled: an array that is emptied lets go of its memory.
    if (accepted.length !== voters.length) accepted.length = voters.length;
    for (let i = 0; i < voters.length; i++) accepted[i] = (voters[i] as Peer).acceptedThrough;
    const through = reachedByQuorum(replica.membership, own, accepted);
    if (through <= replica.knownChosen) return;
    const { log } = replica;
    // A lone command is all that was under way, and is not looked at for this.
    if (through === log.end) this.#pipelineBytes = 0;
    else {
      for (let slot = this.#weighedThrough + 1; slot <= through; slot++) {
        this.#pipelineBytes -= weightOf(log.at(slot) as Entry);
      }
    }
    this.#weighedThrough = through;
    replica.learnChosen(through);
    this.#sayFarewell();
    if (this.queued > 0) this.#append();
  }

  /** Who has left hears no more of us. Once that is final it is told, so that it need not find out by wanting to be elected. */
  #sayFarewell(): void {
    const { membership, knownChosen } = this.#replica;
    const { slot } = membership.configuration;
    if (this.#leaving.length === 0 || slot > knownChosen) return;
    for (const node of this.#leaving) this.#replica.send(node, { type: "departed", slot });
    this.#leaving = nobody;
  }

  #answerReads(): void {
    if (this.#reads.waiting === 0 || !this.ready) return;
    if (this.#replica.settings.leaseReads && this.leaseHeld()) {
      this.#reads.answerAll();
      return;
    }
    const rounds = this.#peers.voters.map((peer) => peer.round);
    const confirmed = reachedByQuorum(this.#replica.membership, Number.POSITIVE_INFINITY, rounds);
    this.#reads.answerThrough(confirmed);
    if (this.#reads.wantsRound) {
      this.#beat();
      this.#reads.askedIn(this.round);
    }
  }
}
