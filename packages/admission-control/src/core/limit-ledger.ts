import { allocate } from "./allocation.js";
import type { Level, NewLevel } from "./level.js";
import {
  between,
  checkLimit,
  type Grant,
  type Settlement,
  shareCapacity,
  TOKENS_MAX,
  WEIGHT_MAX,
  WEIGHT_MIN,
} from "./protocol.js";

/** What the coordinator knows of one member. */
interface Lease {
  readonly id: string;
  /** The whole limit as this member last declared it: only a change of its mind is news. */
  declaredRate: number;
  declaredBurst: number;
  sequence: number;
  wantedPerSecond: number;
  weight: number;
  guaranteedPerSecond: number;
  /**
   * What it may be spending: more than it was granted last until it has confirmed a smaller share by settling with it.
   */
  outstandingPerSecond: number;
  tokensTotal: number;
  returnedTotal: number;
  expiresAtMs: number;
  /** Came without a share while the coordinator was learning. */
  newcomer: boolean;
  answer: Grant | undefined;
}

export interface LedgerTerms {
  readonly leaseMs: number;
  /** For how long after books were lost, or may be older than the truth, members may hold what is not in them. */
  readonly learnForMs: number;
  /** The part of the limit that newcomers share while learning: 0 to 1. */
  readonly learningShare: number;
  readonly membersMax: number;
  readonly newLevel: NewLevel;
}

/**
 * Flows that differ by less than this part of the limit may differ by how they were added up, and no lease grows by it: who holds any flow has room for a token.
 * Far above what adding up comes to (some 1e-15), since what is saved is handed out in the proportion of two such differences.
 */
const ROUNDING = 1e-6;
/**
 * After everybody was without a lease, this part of one is spent learning who is there: members ask again within a
 * settlement, and whoever comes first must not get what the others are spending on their policies.
 */
const GATHERING = 0.25;

/**
 * The books of one limit, held by its coordinator.
 *
 * The limit is one token bucket. A lease cuts a slice out of it: of the flow, of the room, and of what is in it. What
 * is not leased is the bank, and the slices never add up to more than the whole: the flow of all slices is at most
 * `ratePerSecond`, the tokens in all of them at most `ratePerSecond * burstSeconds` (and a unit for each member more,
 * where the burst is smaller than the fleet). So all members together, in any time, spend at most what the one bucket
 * would have let through, without a word between them.
 *
 * To hold that at every moment, a share counts as handed out from the moment it is granted until the member settles
 * with a smaller one in hand, gives it back, or its lease has ended. A coordinator that starts with empty books cannot
 * know what is handed out; for one lease it believes what members say they hold, and grants nothing else but a small
 * part for newcomers (the learning mode of Google's Doorman).
 */
export class LimitLedger {
  #ratePerSecond: number;
  #burstSeconds: number;
  readonly #bank: Level;
  readonly #leases = new Map<string, Lease>();
  /** Until then members may hold leases that are not in these books. */
  #learnUntilMs: number;

  /**
   * `first`: the settlement that made the limit known; its limit must be valid (see `checkLimit`). `learnUntilMs`: the time
   * until which leases of earlier books may be in use.
   */
  constructor(first: Settlement, nowMs: number, terms: LedgerTerms, learnUntilMs: number) {
    const { ratePerSecond, burstSeconds } = checkLimit(first);
    this.#ratePerSecond = ratePerSecond;
    this.#burstSeconds = burstSeconds;
    const capacity = ratePerSecond * burstSeconds;
    // At least one whole token, or a small limit would refuse its very first request.
    this.#learnUntilMs = learnUntilMs;
    const tokens = this.learning(nowMs) ? Math.min(capacity, Math.max(1, capacity * terms.learningShare)) : capacity;
    this.#bank = terms.newLevel({ ratePerSecond: 0, capacity, tokens }, nowMs);
  }

  /** Whether members may hold leases that are not in these books. */
  learning(nowMs: number): boolean {
    return nowMs < this.#learnUntilMs;
  }

  /**
   * These books were restored, and may be older than the truth, as after a failover that lost the last writes: whatever was
   * granted and forgotten ends within a lease from now, and so long they learn. `nowMs` is of the new clock.
   */
  restored(nowMs: number, terms: LedgerTerms): void {
    for (const lease of this.#leases.values()) {
      lease.expiresAtMs = nowMs + terms.leaseMs;
      lease.newcomer = false;
    }
    this.#learn(nowMs, terms.learnForMs, terms);
  }

  get members(): number {
    return this.#leases.size;
  }

  /** The flow that is leased or may still be spent. */
  outstandingPerSecond(): number {
    let sum = 0;
    for (const lease of this.#leases.values()) sum += lease.outstandingPerSecond;
    return sum;
  }

  /**
   * Whether these books say nothing that new ones would not: nobody holds anything, and all that can be saved is saved.
   */
  forgettable(nowMs: number, terms: LedgerTerms): boolean {
    if (this.learning(nowMs) || [...this.#leases.values()].some((lease) => lease.expiresAtMs > nowMs)) return false;
    // Leases that ended without a word: their members may be on their policies, and come back.
    const endedMs = Math.max(...[...this.#leases.values()].map((lease) => lease.expiresAtMs));
    if (nowMs < endedMs + terms.learnForMs) return false;
    this.#expire(nowMs, terms);
    return this.#bank.tokens(nowMs) >= this.#ratePerSecond * this.#burstSeconds;
  }

  /** Answers a settlement, or `undefined` when `membersMax` members hold leases already. */
  settle(settlement: Settlement, nowMs: number, terms: LedgerTerms): Grant | undefined {
    const ended = this.#expire(nowMs, terms);
    if (ended > 0 && this.#leases.size === 0)
      this.#learn(nowMs, Math.min(terms.learnForMs, terms.leaseMs * GATHERING), terms);
    const key = `${settlement.member}\n${settlement.incarnation}`;
    let lease = this.#leases.get(key);
    if (lease?.answer !== undefined && settlement.sequence <= lease.sequence) return lease.answer;
    this.#hearOfLimit(settlement, lease);

    if (settlement.closing) {
      if (lease !== undefined) {
        this.#leases.delete(key);
        this.#setBank(nowMs, terms);
        this.#credit(settlement.returnedTotal - lease.returnedTotal, nowMs);
      }
      return this.#answer(settlement, lease?.id ?? "", 0, 0, terms, false);
    }

    const holds = between(settlement.holdsPerSecond, 0, this.#ratePerSecond);
    if (lease === undefined) {
      if (this.#leases.size >= terms.membersMax) return undefined;
      lease = {
        // No other settlement of this incarnation has this number, whatever coordinator answered it.
        id: String(settlement.sequence),
        declaredRate: settlement.ratePerSecond,
        declaredBurst: settlement.burstSeconds,
        sequence: 0,
        wantedPerSecond: 0,
        weight: 1,
        guaranteedPerSecond: 0,
        outstandingPerSecond: 0,
        tokensTotal: 0,
        // Whatever it gave back before these books were opened is not in them.
        returnedTotal: settlement.returnedTotal,
        expiresAtMs: 0,
        newcomer: holds === 0,
        answer: undefined,
      };
      this.#leases.set(key, lease);
    }
    // The member knows best what it spends, also when these books were restored from older ones.
    lease.outstandingPerSecond = holds;
    lease.sequence = settlement.sequence;
    lease.wantedPerSecond = between(settlement.wantedPerSecond, 0, this.#ratePerSecond);
    lease.weight = between(settlement.weight, WEIGHT_MIN, WEIGHT_MAX);
    lease.guaranteedPerSecond = between(settlement.guaranteedPerSecond, 0, this.#ratePerSecond);
    lease.expiresAtMs = nowMs + terms.leaseMs;
    const returned = settlement.returnedTotal - lease.returnedTotal;
    lease.returnedTotal = settlement.returnedTotal;
    this.#setBank(nowMs, terms);
    this.#credit(returned, nowMs);

    const target = this.#target(lease, holds, nowMs, terms);
    const room = this.#room(lease, nowMs, terms);
    let granted = Math.min(target, room);
    if (granted - holds <= this.#ratePerSecond * ROUNDING) granted = Math.min(granted, holds);
    else {
      // Saved tokens go with the room for them: who gets all that is free gets all that was saved.
      const tokens = Math.max(0, this.#bank.tokens(nowMs)) * Math.min(1, (granted - holds) / (room - holds));
      this.#bank.debit(tokens, nowMs);
      lease.tokensTotal += tokens;
    }
    lease.outstandingPerSecond = Math.max(granted, holds);
    this.#setBank(nowMs, terms);
    // Not for what rounding leaves over.
    const short = granted < target * 0.99 - this.#ratePerSecond * ROUNDING;
    lease.answer = this.#answer(settlement, lease.id, granted, lease.tokensTotal, terms, short);
    return lease.answer;
  }

  #target(lease: Lease, held: number, nowMs: number, terms: LedgerTerms): number {
    const members = [...this.#leases.values()];
    if (!this.learning(nowMs)) {
      const parts = allocate(this.#ratePerSecond, members);
      return parts[members.indexOf(lease)] as number;
    }
    if (!lease.newcomer) return held;
    const newcomers = members.filter((member) => member.newcomer);
    const parts = allocate(this.#ratePerSecond * terms.learningShare, newcomers);
    return parts[newcomers.indexOf(lease)] as number;
  }

  /**
   * The flow that may be granted to `member` (to somebody new, when left out): the limit less what the others may be
   * spending.
   */
  #room(member: Lease | undefined, nowMs: number, terms: LedgerTerms): number {
    let room = this.#ratePerSecond;
    let roomForNewcomers = this.#ratePerSecond * terms.learningShare;
    for (const lease of this.#leases.values()) {
      if (lease === member) continue;
      room -= lease.outstandingPerSecond;
      if (lease.newcomer) roomForNewcomers -= lease.outstandingPerSecond;
    }
    const learnt = !this.learning(nowMs) || member?.newcomer === false;
    return Math.max(0, learnt ? room : Math.min(room, roomForNewcomers));
  }

  #learn(nowMs: number, forMs: number, terms: LedgerTerms): void {
    this.#learnUntilMs = Math.max(this.#learnUntilMs, nowMs + forMs);
    this.#setBank(nowMs, terms);
  }

  /** The bank is the slice that nobody holds. */
  #setBank(nowMs: number, terms: LedgerTerms): void {
    const limit = { ratePerSecond: this.#ratePerSecond, burstSeconds: this.#burstSeconds };
    const ratePerSecond = this.#room(undefined, nowMs, terms);
    let capacity = limit.ratePerSecond * limit.burstSeconds;
    if (this.learning(nowMs)) capacity = Math.min(capacity, Math.max(1, ratePerSecond * limit.burstSeconds));
    else for (const lease of this.#leases.values()) capacity -= shareCapacity(limit, lease.outstandingPerSecond);
    this.#bank.reconfigure({ ratePerSecond, capacity: Math.max(0, capacity) }, nowMs);
  }

  #credit(tokens: number, nowMs: number): void {
    if (tokens > 0) this.#bank.refund(Math.min(tokens, TOKENS_MAX), nowMs);
    else if (tokens < 0) this.#bank.debit(Math.min(-tokens, this.#ratePerSecond * this.#burstSeconds), nowMs);
  }

  /** Members may disagree while a change of the limit goes round; who changed its mind last is right. */
  #hearOfLimit(settlement: Settlement, lease: Lease | undefined): void {
    const { ratePerSecond, burstSeconds } = checkLimit(settlement);
    if (lease !== undefined) {
      if (lease.declaredRate === ratePerSecond && lease.declaredBurst === burstSeconds) return;
      lease.declaredRate = ratePerSecond;
      lease.declaredBurst = burstSeconds;
    }
    this.#ratePerSecond = ratePerSecond;
    this.#burstSeconds = burstSeconds;
  }

  /**
   * A lease that ended takes its tokens with it, nobody can say how many were left; its flow is the bank's from that
   * moment. Returns how many ended.
   */
  #expire(nowMs: number, terms: LedgerTerms): number {
    const ended = [...this.#leases].filter(([, lease]) => lease.expiresAtMs <= nowMs);
    ended.sort(([, a], [, b]) => a.expiresAtMs - b.expiresAtMs);
    for (const [i, [key, { expiresAtMs }]] of ended.entries()) {
      this.#leases.delete(key);
      // What ends at one moment ends together: the bank would depend on the order otherwise.
      if (ended[i + 1]?.[1].expiresAtMs !== expiresAtMs) this.#setBank(expiresAtMs, terms);
    }
    return ended.length;
  }

  #answer(
    settlement: Settlement,
    lease: string,
    ratePerSecond: number,
    tokensTotal: number,
    terms: LedgerTerms,
    short: boolean,
  ): Grant {
    return {
      limit: settlement.limit,
      sequence: settlement.sequence,
      lease,
      ratePerSecond,
      tokensTotal,
      leaseMs: terms.leaseMs,
      evenPerSecond: this.#ratePerSecond / Math.max(1, this.#leases.size),
      short,
    };
  }
}
