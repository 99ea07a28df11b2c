import { Acceptor } from "./acceptor.js";
import type { Ballot } from "./ballot.js";
import type { BondView } from "./bonds.js";
import { sendChosen } from "./catch-up.js";
import type { Configuration, MemberRole } from "./configuration.js";
import { Departure } from "./departure.js";
import { answerDoubt } from "./doubt.js";
import { Election, type Victory } from "./election.js";
import { Leader } from "./leader.js";
import type { Message } from "./messages.js";
import { settings } from "./options.js";
import type { Progress } from "./peers.js";
import type { Press } from "./press.js";
import { Replica } from "./replica.js";
import type { CoreEvent, CoreOptions, Effect, PersistedState, Position } from "./types.js";

/**
 * One replica of one group: Multi-Paxos over a contiguous log, with leases. Pure: it has no clock, no entropy and no
 * I/O of its own, so what the simulator checks is what a socket drives. ARCHITECTURE.md has the argument for its safety.
 *
 * The contract with whoever drives it: one event at a time, effects carried out in their order, `persist` effects made
 * durable in order and each atomically before they are confirmed, `nowMs` read when the event is taken up.
 * A new instance for every life of the process, from what the disk holds.
 */
export class PaxosCore {
  readonly #replica: Replica;
  readonly #acceptor: Acceptor;
  readonly #election: Election;
  #leader: Leader | undefined;
  readonly #departure: Departure;

  /**
   * `bonds`: those of the node, shared by its groups. They must outlive the core, and are asked, not changed, but for the time.
   *
   * @throws PaxosError ERR_PAXOS_ARGUMENT
   */
  constructor(options: CoreOptions, persisted: PersistedState, nowMs: number, bonds?: BondView, packed?: Press) {
    const replica = new Replica(settings(options), persisted, nowMs, bonds);
    this.#replica = replica;
    if (packed !== undefined) replica.press(packed);
    this.#departure = new Departure(replica);
    this.#acceptor = new Acceptor(replica, {
      leaseHeld: () => this.#leader?.leaseHeld() ?? false,
      yield: () => {
        this.#endReign();
        this.#election.rest(replica.settings.voteTimeoutMs);
      },
    });
    const won = (victory: Victory) => {
      this.#leader = new Leader(replica, victory);
      this.#acceptor.grants.patienceUntilMs = replica.nowMs + replica.settings.voteTimeoutMs;
    };
    this.#election = new Election(replica, this.#acceptor, won, packed !== undefined);
    this.#acceptor.election = this.#election;
    if (packed === undefined) return;
    if (replica.role === "leader") this.#leader = new Leader(replica, undefined);
    this.#pressRoles(packed);
  }

  /** See `pack`. */
  press(p: Press): void {
    p.expect(this.asleep);
    this.#replica.press(p);
    this.#pressRoles(p);
  }

  #pressRoles(p: Press): void {
    const leading = this.#replica.role === "leader";
    this.#acceptor.press(p, leading);
    this.#election.press(p, leading);
    this.#leader?.press(p);
  }

  /**
   * Takes one event and says what has to be done. The array is the caller's.
   *
   * @throws PaxosError ERR_PAXOS_INVARIANT: the replica must stop, nothing of this step may be carried out
   */
  step(event: CoreEvent): Effect[] {
    const replica = this.#replica;
    if (event.nowMs > replica.nowMs) replica.nowMs = event.nowMs;
    replica.bonds?.sawTime(replica.nowMs);
    replica.effects.begin();
    if (replica.role === "stopped") this.#refuse(event);
    else this.#dispatch(event);
    if (this.#departure.noticed()) this.#depart();
    if (replica.forgetful && replica.role !== "stopped") {
      this.#stop();
      replica.effects.push({ type: "forgetful" });
    }
    replica.doubt?.settle(this.#acceptor);
    this.#passOn();
    return replica.effects.take();
  }

  /** The log of this replica was born under this mark, which is durable: no other log is, here or anywhere. */
  born(mark: string): void {
    this.#replica.birth = mark;
  }

  /** Whoever is to be told the mark by the host, and to answer with a `remembered` event, before it can bring this replica up to be a member. */
  get stranger(): string | undefined {
    return this.stopped ? undefined : this.#acceptor.stranger;
  }

  /** Whether its own log says by which mark it votes. */
  get marked(): boolean {
    return this.#replica.membership.mark !== undefined;
  }

  get leading(): boolean {
    return this.#leader !== undefined;
  }

  /** Leading, and everything that earlier leaders had chosen is chosen and reported here: reads may begin. */
  get ready(): boolean {
    return this.#leader?.ready ?? false;
  }

  /** Asking for votes. */
  get standing(): boolean {
    return this.#election.standing;
  }

  /** Who leads, as far as this replica knows. */
  get leader(): string | undefined {
    return this.#replica.leader;
  }

  /** Nothing will be said or done here before something is asked of this group, or its bonds change: no tick is needed. */
  get asleep(): boolean {
    return this.#leader?.asleep ?? this.#acceptor.asleep;
  }

  /** Sleeps as a follower, on beats that have ended. */
  get adrift(): boolean {
    return this.#acceptor.grants.adrift;
  }

  get promised(): Ballot {
    return this.#replica.promised;
  }

  get accepted(): Ballot {
    return this.#replica.accepted;
  }

  get stopped(): boolean {
    return this.#replica.role === "stopped";
  }

  /** Chosen, durable here and reported. */
  get chosenThrough(): number {
    return this.#replica.chosenThrough;
  }

  /** Known to be chosen, whether it is durable here or not. Of a leader: everything that anybody can know of. */
  get knownChosen(): number {
    return this.#replica.knownChosen;
  }

  /** The members in force: those of the newest configuration in this log, chosen or not. */
  get configuration(): Configuration {
    return this.#replica.membership.configuration;
  }

  /** Whether what this replica says counts. */
  get voting(): boolean {
    return !this.#replica.silent && !this.#replica.departed;
  }

  /** No member any more; nothing that this replica says counts. */
  get departed(): boolean {
    return this.#replica.departed;
  }

  /** Leading, and about to give that up to this node. */
  get heir(): string | undefined {
    return this.#leader?.heir.node;
  }

  /** Leading: how far this node holds the log in this ballot, and whether it has the state; undefined for who is not fed by us. */
  progressOf(node: string): Progress | undefined {
    return this.#leader?.progressOf(node);
  }

  /** Leading: whether this node holds all that it needs to become a member of this kind, and may be counted as one. */
  readyFor(node: string, role: MemberRole): boolean {
    return this.#leader?.readyFor(node, role) ?? false;
  }

  /** Leading, and every member has said in this reign that it carries out `once` entries. */
  get allTakeRequests(): boolean {
    const leader = this.#leader;
    if (leader === undefined || !this.#replica.settings.takesRequests) return false;
    return this.#replica.membership.peers.every((node) => leader.progressOf(node)?.takesRequests === true);
  }

  /** A chosen slot at or above this one of which ballot and configuration are known; undefined while there is none. */
  positionFrom(slot: number): Position | undefined {
    return this.#replica.positionFrom(slot);
  }

  get logEnd(): number {
    return this.#replica.log.end;
  }

  get trimmedThrough(): number {
    return this.#replica.trimmedThrough;
  }

  /** Bytes of log in memory. */
  get logBytes(): number {
    return this.#replica.log.bytes;
  }

  /** Nobody drives it any more: what it holds does not count among the node's `tails`. */
  letGo(): void {
    this.#replica.letGo();
  }

  /** Proposals that wait for room in the pipeline. */
  get queued(): number {
    return this.#leader?.queued ?? 0;
  }

  /** How long, by this node's clock, reads need no message. 0 when there is no lease. */
  leaseRemainingMs(nowMs: number): number {
    if (!this.#replica.settings.leaseReads) return 0;
    return Math.max(0, (this.#leader?.leaseUntilMs ?? 0) - Math.max(nowMs, this.#replica.nowMs));
  }

  /** No tick is needed before this time (as long as no other event comes). */
  get wakeAtMs(): number {
    if (this.stopped) return Number.POSITIVE_INFINITY;
    const { doubt } = this.#replica;
    return Math.min(this.#leader?.wakeAtMs ?? this.#election.wakeAtMs, doubt?.wakeAtMs ?? Number.POSITIVE_INFINITY);
  }

  #dispatch(event: CoreEvent): void {
    const replica = this.#replica;
    switch (event.type) {
      case "tick":
        replica.doubt?.tick();
        if (this.#leader === undefined) this.#election.tick();
        else if (!this.#leader.tick()) this.#stepDown(replica.settings.leaseMs);
        return;
      case "message":
        if (event.from !== replica.self) this.#receive(event.from, event.message);
        return;
      case "persisted":
        if (!replica.persisted(event.token)) return;
        this.#acceptor.onDurable();
        this.#election.onDurable();
        this.#leader?.onDurable();
        return;
      case "persistFailed":
        this.#stop();
        return;
      case "propose":
        if (this.#leader !== undefined) this.#leader.propose(event.proposals);
        else this.#refuse(event);
        return;
      case "read":
        if (this.#leader !== undefined) this.#leader.read(event.id);
        else this.#refuse(event);
        return;
      case "trimmed":
        replica.trimmed(Math.min(event.throughSlot, replica.chosenThrough), event.base);
        return;
      case "installed":
        this.#installed(event.position);
        return;
      case "stateful":
        if (replica.settings.role === "storage") replica.awaitsState = false;
        return;
      case "voice":
        if (!replica.mute) return;
        replica.mute = false;
        this.#election.mayStand();
        return;
      case "remembered":
        this.#acceptor.rememberedBy(event.by);
        return;
      case "learners":
        this.#leader?.setLearners(event.learners);
        return;
      case "wake":
        if (this.#leader !== undefined) this.#leader.wake();
        else this.#acceptor.wake(event.waitMs ?? 0);
        return;
      case "resign":
        this.#stepDown(2 * replica.settings.leaseMs);
        return;
      case "handOver":
        this.#leader?.heir.name(event.to);
        // Asleep it would not notice that the heir does not come.
        if (this.#leader?.heir.node !== undefined) this.#leader.wake();
        return;
    }
  }

  #receive(from: string, message: Message): void {
    switch (message.type) {
      case "preVote":
        if (this.#isAsked(message) && !this.#departure.refersAway(from)) this.#acceptor.onPreVote(from, message);
        // Whoever asks is awake and does not hear us.
        this.#leader?.wake();
        return;
      case "preVoteReply":
        return this.#election.onPreVoteReply(from, message);
      case "prepare":
        if (this.#isAsked(message) && !this.#departure.refersAway(from)) this.#acceptor.onPrepare(from, message);
        this.#leader?.wake();
        return;
      case "promised":
        return this.#election.onPromised(from, message);
      case "nack":
        this.#election.onNack(message);
        if (this.#leader !== undefined && !this.#leader.onNack(message)) this.#stepDown(0);
        return;
      case "heartbeat":
        return this.#acceptor.onHeartbeat(from, message);
      case "sync":
        return this.#acceptor.onSync(from, message);
      case "sleep":
        return this.#acceptor.onSleep(from, message);
      case "asleep":
        return this.#leader?.onAsleep(from, message);
      case "accept":
        return this.#acceptor.onAccept(from, message);
      case "ack":
        return this.#leader?.onAck(from, message);
      case "fetch":
        if (this.#leader?.begins(from, message.fromSlot) === true) return;
        return sendChosen(this.#replica, from, message.fromSlot, message.throughSlot);
      case "learn":
        this.#acceptor.onLearn(message);
        this.#replica.doubt?.onLearned(from);
        return this.#election.onLearned();
      case "resign":
        if (this.#acceptor.onResign(from, message.ballot)) this.#election.rest();
        return;
      case "base":
        this.#acceptor.onBase(from, message);
        return this.#election.onLearned();
      case "releasable":
        if (this.#replica.settings.role === "log" && this.#acceptor.following?.node === from) {
          const throughSlot = Math.min(message.throughSlot, this.#replica.chosenThrough);
          this.#replica.effects.push({ type: "releasable", throughSlot });
        }
        return;
      case "takeOver":
        if (this.#acceptor.onResign(from, message.ballot)) this.#election.standNow();
        return;
      case "doubt":
        return answerDoubt(this.#replica, from, message);
      case "standing":
        return this.#replica.doubt?.onStanding(from, message);
      case "departed":
        if (this.#departure.isNews(message.slot)) this.#depart();
        return;
    }
  }

  /** Asked by its mark it answers as the one whose log was born under that, whose every promise is on this disk; asked by its name alone, as its name allows. */
  #isAsked({ mark }: { readonly mark?: string }): boolean {
    const { doubt, mute, birth } = this.#replica;
    return doubt?.open !== true && (mark === undefined ? !mute : mark === birth);
  }

  /** The lease ends before the heir hears that it may stand: both happen in this one step. */
  #passOn(): void {
    const leader = this.#leader;
    const heir = leader?.heir.ready;
    if (leader === undefined || heir === undefined) return;
    this.#replica.send(heir, { type: "takeOver", ballot: leader.ballot });
    this.#stepDown(2 * this.#replica.settings.leaseMs);
  }

  #installed(position: Position): void {
    const replica = this.#replica;
    if (position.slot > replica.knownChosen) {
      // Others have chosen what we do not know of: whatever we lead or stand for is over.
      this.#stepDown(0);
      if (replica.role === "candidate") this.#election.rest();
    }
    this.#acceptor.jump(position);
    this.#election.onLearned();
  }

  #depart(): void {
    const replica = this.#replica;
    if (replica.departed) return;
    replica.departed = true;
    this.#stepDown(0);
    this.#election.rest();
    replica.effects.push({ type: "departed" });
  }

  /** Ends our own reign and says so, so that the others need not wait until the grants have run out. */
  #stepDown(restMs: number): void {
    const ballot = this.#leader?.ballot;
    if (ballot === undefined) return;
    this.#endReign();
    this.#replica.broadcast({ type: "resign", ballot });
    this.#election.rest(restMs);
  }

  #endReign(): void {
    const leader = this.#leader;
    if (leader === undefined) return;
    this.#leader = undefined;
    this.#replica.role = "follower";
    leader.end();
    this.#replica.sayLeader(undefined);
  }

  #stop(): void {
    this.#stepDown(0);
    this.#election.rest();
    this.#acceptor.forgetLeader();
    this.#replica.sayLeader(undefined);
    this.#replica.role = "stopped";
  }

  #refuse(event: CoreEvent): void {
    const { effects } = this.#replica;
    const leader = this.#replica.leader;
    const ids =
      event.type === "propose" ? event.proposals.map(({ id }) => id) : event.type === "read" ? [event.id] : [];
    for (const id of ids) effects.push({ type: "rejected", id, reason: "not-leader", leader });
  }
}
