import { BALLOT_ZERO, type Ballot, compareBallots, sameBallot } from "./ballot.js";
import { invariant } from "./errors.js";
import { Grants } from "./grants.js";
import type { Accept, Ack, Base, FromLeader, Heartbeat, Learn, Prepare, PreVote, Sleep, Sync } from "./messages.js";
import type { OwnElection, OwnRoles } from "./own-roles.js";
import type { Press } from "./press.js";
import type { Replica } from "./replica.js";
import type { Entry, Position } from "./types.js";

/**
 * The voting half of a replica: promises, acceptances, lease grants. It follows at most one leader at a time.
 *
 * "Synced" is the pivot: after a `sync` in ballot b this log is a prefix of the log of b's leader through
 * `#receivedThrough`, and only that much is ever acknowledged in b. Entries above it may be there (learned as chosen
 * from somebody else) and are never acknowledged in b before b's leader has sent them too.
 */
export class Acceptor {
  readonly grants: Grants;
  readonly #replica: Replica;
  readonly #own: OwnRoles;
  /** Set once, before anything happens. */
  election!: OwnElection;
  #following: Ballot | undefined;
  #round = 0;
  #sentMs = 0;
  #synced = false;
  #receivedThrough = 0;
  #acknowledgedThrough = 0;
  #ackWanted = false;
  #gap = false;
  /** Has answered that it remembers our mark, and so reads answers that name it. */
  #remembered: string | undefined;
  /** Stood in vain before us, whose log does not know it and goes further than its own. */
  #passedOver: { readonly node: string; readonly untilMs: number } | undefined;

  constructor(replica: Replica, own: OwnRoles) {
    this.#replica = replica;
    this.#own = own;
    this.grants = new Grants(replica);
  }

  get asleep(): boolean {
    return this.grants.asleep;
  }

  get following(): Ballot | undefined {
    return this.#following;
  }

  onPreVote(from: string, message: PreVote): void {
    const replica = this.#replica;
    const patient = replica.nowMs < this.grants.patienceUntilMs;
    // Further than a snapshot behind, or further than it should fetch while nobody leads.
    const belowLog = message.chosenThrough < replica.trimmedThrough;
    const behind = belowLog || message.chosenThrough + replica.settings.candidateLagMax < replica.knownChosen;
    const mayVote = this.#mayVoteFor(from) && !patient && !this.#isPassedOver(from);
    if (mayVote && belowLog) {
      // It may be the only one who can lead (beside log replicas), and no slots that it fetches would do: it has to be offered a state, or nobody ever leads.
      replica.effects.push({ type: "snapshotNeeded", to: from, fromSlot: message.chosenThrough + 1 });
      this.#tellEdge(from);
    }
    replica.send(from, {
      type: "preVoteReply",
      attempt: message.attempt,
      granted: mayVote && !behind,
      round: replica.roundMax,
      chosenThrough: replica.chosenThrough,
    });
  }

  /** Who lacks nothing but the knowledge that it is chosen needs no state, and of a log replica gets none: it may hold the very entry behind which our log begins. */
  #tellEdge(to: string): void {
    const replica = this.#replica;
    const edge = replica.positionFrom(replica.trimmedThrough);
    if (edge === undefined) return;
    const { slot: chosenThrough, ballot: chosenBallot } = edge;
    const nothing = { ballot: BALLOT_ZERO, accepted: BALLOT_ZERO, logEnd: chosenThrough, entries: [] };
    replica.send(to, { type: "promised", ...nothing, chosenThrough, chosenBallot });
  }

  onPrepare(from: string, message: Prepare): void {
    const replica = this.#replica;
    const { ballot } = message;
    replica.sawRound(ballot.round);
    const order = compareBallots(ballot, replica.promised);
    if (order === 0) return; // A copy. Whoever lost our answer will come back with a higher ballot.
    // Whom our log does not know may have become a member since; but then its log goes further than ours. Else it is a stranger.
    const ahead = compareBallots(message.accepted, replica.accepted) || message.logEnd - replica.log.end;
    if (ahead < 0 && !replica.membership.members.includes(from)) {
      // Whoever promises it something meanwhile has patience with it, and none with those who can be elected.
      this.#passedOver = { node: from, untilMs: replica.nowMs + replica.settings.leaseMs };
      return;
    }
    if (order < 0 || !this.#mayVoteFor(from)) {
      replica.send(from, { type: "nack", ballot, promised: replica.promised });
      return;
    }
    this.#own.yield();
    replica.promise(ballot);
    this.#stopFollowing();
    this.grants.patienceUntilMs = replica.nowMs + replica.settings.voteTimeoutMs;
    replica.persist({ promised: ballot });
    const above =
      compareBallots(replica.accepted, message.accepted) > 0 ||
      (sameBallot(replica.accepted, message.accepted) && replica.log.end > message.logEnd);
    const { knownChosen, log } = replica;
    replica.sendWhenDurable(from, {
      type: "promised",
      ballot,
      accepted: replica.accepted,
      logEnd: log.end,
      chosenThrough: knownChosen,
      chosenBallot: log.ballotAt(knownChosen) ?? BALLOT_ZERO,
      entries: above ? log.slice(knownChosen + 1, log.end) : [],
      ...(replica.doubt === undefined ? {} : { floor: replica.doubt.floor }),
      ...(message.mark === undefined ? {} : { mark: message.mark, ...(replica.mute ? { mute: true } : {}) }),
    });
    replica.sayLeader(undefined);
  }

  onHeartbeat(from: string, message: Heartbeat): void {
    if (!this.#hear(from, message)) return;
    this.#learnThrough(message.chosenThrough);
    this.#acknowledge();
  }

  /** The leader wants nothing more: whoever holds all that it holds sleeps. A copy of an old question finds that later rounds have come. */
  onSleep(from: string, message: Sleep): void {
    if (!this.#hear(from, message)) return;
    this.#learnThrough(message.chosenThrough);
    this.#acknowledge();
    const { ballot, round } = message;
    const bond =
      round === this.#round && this.#synced ? this.grants.fallAsleep(message, this.#receivedThrough) : undefined;
    if (bond === undefined) return;
    this.election.sleep();
    this.#replica.send(from, { type: "asleep", ballot, round, bond });
  }

  /** The bond is over, or somebody wants it so. The grant runs as long as the bond made it run. */
  wake(waitMs: number): void {
    if (!this.asleep) return;
    this.grants.rise();
    this.election.heard(waitMs);
  }

  onSync(from: string, message: Sync): void {
    const before = this.#replica.promised;
    if (!this.#hear(from, message, true)) return;
    const replica = this.#replica;
    const { log, knownChosen } = replica;
    const { prevSlot, entries, ballot } = message;
    const promised = sameBallot(before, ballot) ? undefined : ballot;
    if (prevSlot > knownChosen && !log.matches(prevSlot, message.prevBallot)) {
      // Too far behind to be synced from there. The answer says from where.
      if (promised !== undefined) replica.persist({ promised });
      this.#acknowledge();
      return;
    }
    const already = sameBallot(replica.accepted, ballot);
    const end = prevSlot + entries.length;
    const differs = log.firstDifference(prevSlot, entries, replica.knownChosen);
    // A leader that contradicts a chosen slot was deposed long ago. Nor may a second sync of one ballot change anything.
    const within = differs <= end;
    if (within && (differs <= knownChosen || (already && differs <= log.end))) {
      if (promised !== undefined) replica.persist({ promised });
      return;
    }
    const fresh = within ? entries.slice(differs - prevSlot - 1) : [];
    const cutFrom = within ? differs : Math.max(end, knownChosen) + 1;
    const cut = !already && cutFrom <= log.end;
    if (cut) replica.truncateFrom(cutFrom);
    replica.append(fresh);
    replica.accepted = ballot;
    this.#receivedThrough = this.#synced ? Math.max(this.#receivedThrough, end) : end;
    this.#synced = true;
    this.#gap = false;
    if (!already || fresh.length > 0 || promised !== undefined) {
      replica.persist({
        ...(promised === undefined ? {} : { promised }),
        ...(already ? {} : { accepted: ballot }),
        ...(cut ? { truncateFrom: cutFrom } : {}),
        ...(fresh.length > 0 ? { entries: fresh } : {}),
        chosenThrough: replica.chosenThrough,
      });
    }
    this.#learnThrough(message.chosenThrough);
    this.#acknowledge();
  }

  onAccept(from: string, message: Accept): void {
    if (!this.#hear(from, message)) return;
    const replica = this.#replica;
    const { prevSlot, entries } = message;
    if (!this.#synced) {
      this.#acknowledge();
      return;
    }
    if (prevSlot > this.#receivedThrough) {
      this.#gap = true;
      this.#acknowledge();
      return;
    }
    const end = prevSlot + entries.length;
    if (end > this.#receivedThrough) {
      const { log } = replica;
      let next = this.#receivedThrough + 1;
      for (; next <= Math.min(end, log.end); next++) {
        const entry = entries[next - prevSlot - 1] as Entry;
        // What we hold there was learned as chosen: this leader is deposed and does not know.
        if (next >= log.firstSlot && !log.matches(next, entry.ballot)) return;
      }
      this.#receivedThrough = end;
      this.#gap = false;
      if (next <= end) {
        const fresh = next === prevSlot + 1 ? entries : entries.slice(next - prevSlot - 1);
        replica.append(fresh);
        replica.persist({ entries: fresh, chosenThrough: replica.chosenThrough });
        this.#learnThrough(message.chosenThrough);
        this.#ackWanted = true;
        return;
      }
    }
    this.#learnThrough(message.chosenThrough);
    this.#acknowledge();
  }

  /** Chosen entries, from anybody. */
  onLearn(message: Learn): void {
    const replica = this.#replica;
    const { log } = replica;
    const { entries } = message;
    const first = entries[0];
    if (first === undefined || replica.role === "leader") return;
    const prevSlot = first.slot - 1;
    const end = prevSlot + entries.length;
    if (prevSlot > replica.knownChosen || end <= replica.knownChosen) return;
    const differs = log.firstDifference(prevSlot, entries, replica.knownChosen);
    if (differs <= end) {
      invariant(differs > replica.knownChosen, `two values chosen in slot ${differs}`);
      const cut = differs <= log.end;
      if (cut) replica.truncateFrom(differs);
      const fresh = entries.slice(differs - prevSlot - 1);
      replica.append(fresh);
      if (cut) this.#receivedThrough = Math.min(this.#receivedThrough, differs - 1);
      // These entries may vouch for themselves: a chosen slot is known as such after a restart too.
      replica.persist({ ...(cut ? { truncateFrom: differs } : {}), entries: fresh, chosenThrough: end });
    }
    replica.learnChosen(end);
    // The answer asks the leader for the next piece, once this one is durable.
    if (this.#following === undefined) return;
    if (replica.chosenThrough >= end) this.#acknowledge();
    else this.#ackWanted = true;
  }

  /** A log replica takes over the log from here on: what is below is chosen, and held by two storage replicas. */
  onBase(from: string, message: Base): void {
    const replica = this.#replica;
    if (!this.#hear(from, message)) return;
    const { position } = message;
    const takes = replica.settings.role === "log" && position.slot > replica.knownChosen && position.ballot.round > 0;
    if (takes) this.jump(position);
    this.#follow(message);
    this.#acknowledge();
  }

  /** See `Replica.jump`. Where the log begins anew, the leader has to say again what follows. */
  jump(position: Position): void {
    if (!this.#replica.jump(position)) return;
    // Nobody watches over it in its sleep any more.
    this.wake(0);
    this.#stopFollowing();
  }

  /** Who has to hear under which mark our log was born, before it can be told how far we are: a leader whose log, as far as we hold it, does not say as whom we vote. */
  get stranger(): string | undefined {
    const { membership, birth } = this.#replica;
    if (this.#following === undefined || birth === undefined) return undefined;
    if (membership.mark === undefined ? membership.votes : this.#listed) return undefined;
    const { node } = this.#following;
    return node === this.#remembered ? undefined : node;
  }

  /** Whether this ballot's leader itself has sent what says by which mark we vote: so it stands in its log. */
  get #listed(): boolean {
    const { mark, configuration } = this.#replica.membership;
    return mark !== undefined && this.#synced && configuration.slot <= this.#receivedThrough;
  }

  rememberedBy(node: string): void {
    this.#remembered = node;
    if (this.#following?.node === node) this.#acknowledge();
  }

  /** The leader gave its ballot up: its lease is over, whatever our grant says. Returns whether that was our leader. */
  onResign(from: string, ballot: Ballot): boolean {
    if (this.#following === undefined || from !== ballot.node || !sameBallot(this.#following, ballot)) return false;
    this.#stopFollowing();
    this.grants.end();
    this.#replica.sayLeader(undefined);
    return true;
  }

  /** Called when writes have become durable: what was accepted may be acknowledged now. */
  onDurable(): void {
    const wanted = this.#ackWanted || this.#durableThrough() > this.#acknowledgedThrough;
    if (this.#following !== undefined && wanted) this.#acknowledge();
  }

  /** All that was promised by anybody, and so by us: a leader below it is not followed any more. */
  raise(ballot: Ballot): void {
    const replica = this.#replica;
    if (compareBallots(ballot, replica.promised) <= 0) return;
    this.#stopFollowing();
    replica.promise(ballot);
    replica.persist({ promised: ballot });
    replica.sayLeader(undefined);
  }

  press(p: Press, leading: boolean): void {
    const { promised, log } = this.#replica;
    const through = leading ? 0 : log.end;
    p.expect(this.#following === undefined ? leading : sameBallot(this.#following, promised));
    p.expect(this.#synced === !leading && !this.#ackWanted && !this.#gap);
    p.expect(this.#receivedThrough === through && this.#acknowledgedThrough === through);
    p.expect(this.#passedOver === undefined || !this.#isPassedOver(this.#passedOver.node));
    this.#following = leading ? undefined : promised;
    this.#synced = !leading;
    this.#receivedThrough = this.#acknowledgedThrough = through;
    if (!leading) {
      this.#round = p.whole(this.#round);
      this.#sentMs = p.float(this.#sentMs);
    }
    this.grants.press(p, this.#following);
  }

  /** The replica itself stands, or speaks no more. */
  forgetLeader(): void {
    this.#stopFollowing();
  }

  #mayVoteFor(candidate: string): boolean {
    return !this.#own.leaseHeld() && this.grants.allow(candidate);
  }

  #isPassedOver(node: string): boolean {
    const passedOver = this.#passedOver;
    return passedOver?.node === node && this.#replica.nowMs < passedOver.untilMs;
  }

  #stopFollowing(): void {
    this.grants.rise();
    this.#following = undefined;
    this.#synced = false;
    this.#receivedThrough = 0;
    this.#acknowledgedThrough = 0;
    this.#ackWanted = false;
    this.#gap = false;
  }

  /**
   * Common to all that a leader sends. Its ballot has won phase 1, so following it is safe even while a grant to an
   * older leader runs: a quorum of grants to that one cannot be running any more. False when the ballot is over.
   */
  #hear(from: string, message: FromLeader & { readonly type: string }, persistsItself = false): boolean {
    const replica = this.#replica;
    const { ballot } = message;
    if (ballot.node !== from || this.grants.findsStale(message)) return false;
    const order = compareBallots(ballot, replica.promised);
    if (order < 0) {
      replica.send(from, { type: "nack", ballot, promised: replica.promised });
      return false;
    }
    if (order > 0) {
      this.#own.yield();
      replica.promise(ballot);
      if (!persistsItself) replica.persist({ promised: ballot });
    }
    this.#follow(message);
    this.grants.rise();
    this.grants.give(from);
    this.election.heard();
    replica.sayLeader(from);
    return true;
  }

  #follow({ ballot, round, sentMs }: FromLeader): void {
    if (this.#following === undefined || !sameBallot(this.#following, ballot)) {
      this.#stopFollowing();
      this.#remembered = undefined;
      this.#following = ballot;
      this.#round = 0;
      this.#sentMs = sentMs;
    }
    this.#round = Math.max(this.#round, round);
    this.#sentMs = Math.max(this.#sentMs, sentMs);
  }

  #learnThrough(leadersChosen: number): void {
    if (this.#synced) this.#replica.learnChosen(Math.min(leadersChosen, this.#receivedThrough));
  }

  #durableThrough(): number {
    const { durableAccepted, durableEnd } = this.#replica;
    if (!this.#synced || this.#following === undefined || !sameBallot(durableAccepted, this.#following)) return 0;
    return Math.min(this.#receivedThrough, durableEnd);
  }

  /** Answers now, or as soon as the promise of this ballot is durable. */
  #acknowledge(): void {
    const replica = this.#replica;
    const ballot = this.#following as Ballot;
    if (!sameBallot(replica.promised, ballot)) return;
    this.#ackWanted = true;
    if (replica.doubt?.open === true || !sameBallot(replica.durablePromised, ballot)) return;
    const { membership, birth, mute } = replica;
    const { mark } = membership;
    const listed = this.#listed;
    const named = mark !== undefined ? !listed : !membership.votes && this.#remembered === ballot.node;
    if (mark !== undefined ? mark !== birth : mute && !named) return;
    const acceptedThrough = this.#durableThrough();
    const ack: { -readonly [K in keyof Ack]: Ack[K] } = {
      type: "ack",
      ballot,
      round: this.#round,
      sentMs: this.#sentMs,
      synced: this.#synced,
      acceptedThrough,
      receivedThrough: this.#receivedThrough,
      chosenThrough: replica.chosenThrough,
      gap: this.#gap,
    };
    const { takesRequests } = replica.settings;
    // A leader wants to know it before it asks anybody to sleep, and then nothing else is new.
    const readsBonds = replica.bonds !== undefined && acceptedThrough === this.#acknowledgedThrough;
    if (replica.awaitsState) ack.lacksState = true;
    if (takesRequests) ack.takesRequests = true;
    if (readsBonds) ack.readsBonds = true;
    if (birth !== undefined) {
      ack.readsMarks = true;
      if (listed) ack.listed = true;
      if (named) ack.mark = birth;
      if (named && mute) ack.mute = true;
    }
    replica.send(ballot.node, ack);
    this.#acknowledgedThrough = acceptedThrough;
    this.#ackWanted = false;
    this.#gap = false;
  }
}
