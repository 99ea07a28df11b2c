import type { Acceptor } from "./acceptor.js";
import { type Ballot, compareBallots, sameBallot } from "./ballot.js";
import { configurationOf, markIn } from "./configuration.js";
import { compareRanks, RANK_ZERO, rankOf } from "./doubt.js";
import { Fetching } from "./fetching.js";
import type { Nack, PreVoteReply, Promised, Rank } from "./messages.js";
import type { Press } from "./press.js";
import { isMeant, isQuorum, type Membership, membership } from "./quorum.js";
import type { Replica } from "./replica.js";
import type { Entry } from "./types.js";

/** Phase 1 is won, and the log in memory is the winning one. */
export interface Victory {
  readonly ballot: Ballot;
  readonly promises: ReadonlyMap<string, Promised>;
  /** What adopting the winning log has changed; to be made durable together with the leader's first entry. */
  readonly truncateFrom: number | undefined;
  readonly entries: readonly Entry[];
}

/**
 * How a replica comes to lead: it waits until its own grant has run out and a random time more, asks the others whether
 * they hear a leader (so that one bad link deposes nobody), and only when a quorum does not, takes a ballot and runs
 * phase 1. What it must learn before it can lead (chosen slots that it lacks) it fetches on the way.
 */
export class Election {
  readonly #replica: Replica;
  readonly #acceptor: Acceptor;
  readonly #won: (victory: Victory) => void;
  /** When to act next, as a follower: stand; as one who asks or stands: give up this attempt. */
  #atMs: number;
  /** Whether the random wait is part of `#atMs` already. */
  #drawn = true;
  #attempt = 0;
  #asking: Set<string> | undefined;
  #ballot: Ballot | undefined;
  #token = 0;
  #promises = new Map<string, Promised>();
  /** Whom `prepare` was sent to in this ballot, and by which mark. */
  #prepared = new Map<string, string | undefined>();
  readonly #fetching: Fetching;

  /** `unpacked`: of one that slept on, and draws nothing. */
  constructor(replica: Replica, acceptor: Acceptor, won: (victory: Victory) => void, unpacked = false) {
    this.#replica = replica;
    this.#acceptor = acceptor;
    this.#won = won;
    this.#fetching = new Fetching(replica, () => {
      // As long as the log comes in, the attempt is not given up.
      if (this.#ballot !== undefined) this.#atMs = replica.nowMs + 2 * replica.settings.voteTimeoutMs;
    });
    this.#atMs = unpacked
      ? Number.POSITIVE_INFINITY
      : Math.max(replica.nowMs, acceptor.grants.freeAtMs) + replica.jitterMs();
  }

  press(p: Press, leading: boolean): void {
    p.expect(this.#asking === undefined && this.#ballot === undefined && this.#fetching.idle);
    p.expect(leading || (this.#atMs === Number.POSITIVE_INFINITY && !this.#drawn));
    if (!p.packing) this.#drawn = false;
    this.#attempt = p.whole(this.#attempt);
  }

  get wakeAtMs(): number {
    return Math.min(this.#atMs, this.#fetching.wakeAtMs);
  }

  get standing(): boolean {
    return this.#ballot !== undefined || this.#asking !== undefined;
  }

  get ballot(): Ballot | undefined {
    return this.#ballot;
  }

  /** Stop standing; stand again after `waitMs`, the own grant and a random wait at the earliest. */
  rest(waitMs = 0): void {
    const replica = this.#replica;
    this.#asking = undefined;
    this.#ballot = undefined;
    this.#promises.clear();
    this.#drawn = true;
    if (replica.role === "candidate") replica.role = "follower";
    this.#atMs = Math.max(replica.nowMs + waitMs, this.#acceptor.grants.freeAtMs) + replica.jitterMs();
  }

  /** What kept this replica from standing is over: no need to sit out the wait that was set because of it. */
  mayStand(): void {
    if (this.#ballot !== undefined || this.#asking !== undefined || this.#acceptor.following !== undefined) return;
    const { nowMs } = this.#replica;
    const soonest = Math.max(nowMs, this.#acceptor.grants.freeAtMs) + this.#replica.jitterMs();
    if (soonest >= this.#atMs) return;
    this.#atMs = soonest;
    this.#drawn = true;
  }

  /** A leader was heard. The random wait is drawn once, when its grant has run out. */
  heard(waitMs = 0): void {
    this.#asking = undefined;
    this.#fetching.stop();
    this.#atMs = Math.max(this.#acceptor.grants.untilMs, this.#replica.nowMs + waitMs);
    this.#drawn = false;
  }

  /** The leader's node is watched over for all groups together. */
  sleep(): void {
    this.heard();
    this.#atMs = Number.POSITIVE_INFINITY;
  }

  /** The leader has given up in our favour: nobody need be asked whether there is one. */
  standNow(): void {
    const replica = this.#replica;
    if (replica.mayLead && replica.nowMs >= this.#acceptor.grants.freeAtMs && this.#ballot === undefined) this.#stand();
    else this.rest();
  }

  tick(): void {
    const { nowMs } = this.#replica;
    this.#fetching.tick();
    if (nowMs < this.#atMs) return;
    if (!this.#drawn) {
      this.#drawn = true;
      this.#atMs += this.#replica.jitterMs();
      if (nowMs < this.#atMs) return;
    }
    // Too few have said yes. It may be that too few are left of the members that our log knows, and enough of those that are chosen.
    if (this.#asking !== undefined) this.#fetching.begin();
    if (nowMs < this.#acceptor.grants.freeAtMs) this.rest();
    else if (!this.#replica.mayLead) {
      this.#replica.sayLeader(undefined);
      this.rest(this.#replica.settings.leaseMs);
    } else if (this.#asking === undefined && this.#ballot === undefined) this.#ask();
    else this.rest();
  }

  /** Our own promise has become durable: now the others may be asked. */
  onDurable(): void {
    const replica = this.#replica;
    if (this.#ballot === undefined || this.#token === 0 || !replica.isDurable(this.#token)) return;
    this.#token = 0;
    this.#prepare(replica.membership);
    this.#count();
  }

  onPreVoteReply(from: string, message: PreVoteReply): void {
    const replica = this.#replica;
    replica.sawRound(message.round);
    if (this.#asking === undefined || message.attempt !== this.#attempt) return;
    const { chosenThrough } = message;
    this.#fetching.knows(from, chosenThrough);
    if (message.granted) {
      this.#asking.add(from);
      if (isQuorum(replica.membership, this.#asking)) this.#stand();
    } else if (chosenThrough > replica.knownChosen + replica.settings.candidateLagMax) {
      this.#fetching.begin();
    }
  }

  onPromised(from: string, message: Promised): void {
    if (message.ballot.round === 0) {
      if (this.#replica.role !== "leader" && this.#agrees(message)) this.onLearned();
      return;
    }
    if (this.#ballot === undefined || this.#token !== 0 || !sameBallot(message.ballot, this.#ballot)) return;
    // Of two that bear one name the one that was asked last counts, and what was said by the other is as if it was lost.
    if (this.#promises.get(from)?.mark === message.mark && this.#promises.has(from)) return;
    if (message.mark !== this.#prepared.get(from)) return;
    this.#promises.set(from, message);
    this.#fetching.knows(from, message.chosenThrough);
    this.#count();
  }

  onNack(message: Nack): void {
    this.#replica.sawRound(message.promised.round);
    if (this.#ballot === undefined || !sameBallot(message.ballot, this.#ballot)) return;
    if (compareBallots(message.promised, this.#ballot) > 0) this.rest();
  }

  /** Chosen entries have come. */
  onLearned(): void {
    if (this.#fetching.onLearned() && this.#ballot !== undefined) this.#count();
  }

  #ask(): void {
    const replica = this.#replica;
    this.#attempt++;
    this.#asking = new Set([replica.self]);
    this.#fetching.forget();
    this.#atMs = replica.nowMs + replica.settings.voteTimeoutMs;
    replica.sayLeader(undefined);
    const { configuration, peers } = replica.membership;
    const question = { type: "preVote", attempt: this.#attempt, chosenThrough: replica.knownChosen } as const;
    for (const peer of peers) replica.send(peer, { ...question, ...byMark(markIn(configuration, peer)) });
    if (isQuorum(replica.membership, this.#asking)) this.#stand();
  }

  #stand(): void {
    const replica = this.#replica;
    this.#asking = undefined;
    this.#acceptor.forgetLeader();
    this.#ballot = { round: replica.roundMax + 1, node: replica.self };
    this.#promises.clear();
    this.#prepared.clear();
    this.#atMs = replica.nowMs + replica.settings.voteTimeoutMs;
    replica.role = "candidate";
    replica.promise(this.#ballot);
    this.#token = replica.persist({ promised: this.#ballot });
  }

  #prepare({ configuration, peers }: Membership): void {
    const { accepted, log } = this.#replica;
    for (const node of peers) {
      const mark = markIn(configuration, node);
      if (this.#prepared.has(node) && this.#prepared.get(node) === mark) continue;
      this.#prepared.set(node, mark);
      const ballot = this.#ballot as Ballot;
      this.#replica.send(node, { type: "prepare", ballot, accepted, logEnd: log.end, ...byMark(mark) });
    }
  }

  /** Those of these members who have promised: as who they are here. */
  #promisedTo({ configuration, self }: Membership): Set<string> {
    const promised = new Set([self]);
    for (const [node, said] of this.#promises) if (isMeant(markIn(configuration, node), said)) promised.add(node);
    return promised;
  }

  #count(): void {
    const replica = this.#replica;
    const ballot = this.#ballot as Ballot;
    if (!isQuorum(replica.membership, this.#promisedTo(replica.membership))) return;
    const best = this.#best();
    // Who promised and may have forgotten entries says which logs hold them: the one to adopt must be as good.
    if (compareRanks(best ?? rankOf(replica), this.#floor()) < 0) return;
    if (best !== undefined && replica.knownChosen < best.chosenThrough && !this.#agrees(best)) {
      // The winning log begins above what we know to be final, and what is between is to be fetched.
      this.#fetching.begin();
      return;
    }
    if (best !== undefined && best.entries.length !== best.logEnd - best.chosenThrough) {
      // Our own log was the higher one when we asked, and has been cut since: ask again.
      this.rest();
      return;
    }
    // The winning log may hold members that ours did not know: a quorum of those it must be, too.
    const winning = this.#membershipOf(best);
    if (!winning.mayLead || !replica.isKnownIn(winning)) {
      this.rest();
      return;
    }
    if (!isQuorum(winning, this.#promisedTo(winning))) {
      this.#prepare(winning);
      return;
    }
    const promises = new Map(this.#promises);
    const { truncateFrom, entries } = best === undefined ? { truncateFrom: undefined, entries: [] } : this.#adopt(best);
    this.#ballot = undefined;
    this.#promises.clear();
    this.#fetching.stop();
    this.#won({ ballot, promises, truncateFrom, entries });
  }

  /** Where we hold the very entry that its sender knows as chosen the logs are equal through there: then we know as much. */
  #agrees({ chosenThrough, chosenBallot }: Promised): boolean {
    if (!this.#replica.log.matches(chosenThrough, chosenBallot)) return false;
    this.#replica.learnChosen(chosenThrough);
    return true;
  }

  /** Who decides by the winning log. Called when everything chosen below its entries is known here. */
  #membershipOf(best: Promised | undefined): Membership {
    const { configurations, knownChosen, self } = this.#replica;
    if (best === undefined) return configurations.current;
    const newest = best.entries.findLast(({ kind }) => kind === "config");
    return newest === undefined ? configurations.at(knownChosen) : membership(self, configurationOf(newest));
  }

  /** The highest (accepted, length) of the quorum; undefined when nobody's is above ours. */
  #best(): Promised | undefined {
    const { accepted, log } = this.#replica;
    let best: Promised | undefined;
    let top: { accepted: Ballot; logEnd: number } = { accepted, logEnd: log.end };
    for (const promised of this.#promises.values()) {
      const order = compareBallots(promised.accepted, top.accepted);
      if (order < 0 || (order === 0 && promised.logEnd <= top.logEnd)) continue;
      best = promised;
      top = promised;
    }
    return best;
  }

  #floor(): Rank {
    let floor = this.#replica.doubt?.floor ?? RANK_ZERO;
    for (const promised of this.#promises.values()) {
      if (promised.floor !== undefined && compareRanks(promised.floor, floor) > 0) floor = promised.floor;
    }
    return floor;
  }

  /** Makes our log the winning one, in memory. Slots that we know as chosen stay as they are: they are the same in it. */
  #adopt(best: Promised): { truncateFrom: number | undefined; entries: readonly Entry[] } {
    const { log, knownChosen } = this.#replica;
    const end = Math.max(best.logEnd, knownChosen);
    let slot = knownChosen + 1;
    const at = (s: number) => best.entries[s - best.chosenThrough - 1];
    while (slot <= end && slot <= log.end && log.matches(slot, (at(slot) as Entry).ballot)) slot++;
    const entries = slot <= end ? best.entries.slice(slot - best.chosenThrough - 1) : [];
    const cut = slot <= log.end;
    if (cut) this.#replica.truncateFrom(slot);
    this.#replica.append(entries);
    return { truncateFrom: cut ? slot : undefined, entries };
  }
}

function byMark(mark: string | undefined): { readonly mark?: string } {
  return mark === undefined ? {} : { mark };
}
