import { allocate } from "./allocation.js";
import type { Level, NewLevel } from "./level.js";
import { between, checkLimit, type Grant, type Settlement, shareCapacity, TOKENS_MAX } from "./protocol.js";

/** What the coordinator knows of one member. */
interface Lease {
  readonly id: string;
  /** The whole limit as this member last declared it: only a change of its mind is news. */
  declaredRate: number;
  declaredBurst: number;
  sequence: number;
  wantedPerSecond: number;
  /**
   * What it may be spending: more than it was granted last until it has confirmed a smaller share by settling with it.
   */
  outstandingPerSecond: number;
  tokensTotal: number;
  returnedTotal: number;
  expiresAtMs: number;
  /** Came without a lease while the coordinator was learning. */
  readonly newcomer: boolean;
  answer: Grant | undefined;
}

export interface LedgerTerms {
  readonly leaseMs: number;
  /** Members of an earlier coordinator may hold leases that this one has not heard of. */
  readonly learning: boolean;
  /** The part of the limit that newcomers share while learning: 0 to 1. */
  readonly learningShare: number;
  readonly membersMax: number;
  /** A name for a new lease, never used before by any coordinator. */
  readonly leaseId: () => string;
  readonly newLevel: NewLevel;
}

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

  /** `first`: the settlement that made the limit known; its limit must be valid (see `checkLimit`). */
  constructor(first: Settlement, nowMs: number, terms: LedgerTerms) {
    const { ratePerSecond, burstSeconds } = checkLimit(first);
    this.#ratePerSecond = ratePerSecond;
    this.#burstSeconds = burstSeconds;
    const capacity = ratePerSecond * burstSeconds;
    // At least one whole token, or a small limit would refuse its very first request.
    const tokens = terms.learning ? Math.min(capacity, Math.max(1, capacity * terms.learningShare)) : capacity;
    this.#bank = terms.newLevel({ ratePerSecond: 0, capacity, tokens }, nowMs);
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
    this.#expire(nowMs, terms);
    return this.#leases.size === 0 && this.#bank.tokens(nowMs) >= this.#ratePerSecond * this.#burstSeconds;
  }

  /** Answers a settlement, or `undefined` when `membersMax` members hold leases already. */
  settle(settlement: Settlement, nowMs: number, terms: LedgerTerms): Grant | undefined {
    this.#expire(nowMs, terms);
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
        id: terms.leaseId(),
        declaredRate: settlement.ratePerSecond,
        declaredBurst: settlement.burstSeconds,
        sequence: 0,
        wantedPerSecond: 0,
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
    lease.expiresAtMs = nowMs + terms.leaseMs;
    const returned = settlement.returnedTotal - lease.returnedTotal;
    lease.returnedTotal = settlement.returnedTotal;
    this.#setBank(nowMs, terms);
    this.#credit(returned, nowMs);

    const target = this.#target(lease, holds, terms);
    const room = this.#room(lease, terms);
    const granted = Math.min(target, room);
    if (granted > holds) {
      // Saved tokens go with the room for them: who gets all that is free gets all that was saved.
      const tokens = Math.max(0, this.#bank.tokens(nowMs)) * Math.min(1, (granted - holds) / (room - holds));
      this.#bank.debit(tokens, nowMs);
      lease.tokensTotal += tokens;
    }
    lease.outstandingPerSecond = Math.max(granted, holds);
    this.#setBank(nowMs, terms);
    const short = granted < target * 0.99;
    lease.answer = this.#answer(settlement, lease.id, granted, lease.tokensTotal, terms, short);
    return lease.answer;
  }

  #target(lease: Lease, held: number, terms: LedgerTerms): number {
    const members = [...this.#leases.values()];
    if (!terms.learning) {
      const parts = allocate(
        this.#ratePerSecond,
        members.map((member) => member.wantedPerSecond),
      );
      return parts[members.indexOf(lease)] as number;
    }
    if (!lease.newcomer) return held;
    const newcomers = members.filter((member) => member.newcomer);
    const parts = allocate(
      this.#ratePerSecond * terms.learningShare,
      newcomers.map((member) => member.wantedPerSecond),
    );
    return parts[newcomers.indexOf(lease)] as number;
  }

  /**
   * The flow that may be granted to `member` (to somebody new, when left out): the limit less what the others may be
   * spending.
   */
  #room(member: Lease | undefined, terms: LedgerTerms): number {
    let room = this.#ratePerSecond;
    let roomForNewcomers = this.#ratePerSecond * terms.learningShare;
    for (const lease of this.#leases.values()) {
      if (lease === member) continue;
      room -= lease.outstandingPerSecond;
      if (lease.newcomer) roomForNewcomers -= lease.outstandingPerSecond;
    }
    const learnt = !terms.learning || member?.newcomer === false;
    return Math.max(0, learnt ? room : Math.min(room, roomForNewcomers));
  }

  /** The bank is the slice that nobody holds. */
  #setBank(nowMs: number, terms: LedgerTerms): void {
    const limit = { ratePerSecond: this.#ratePerSecond, burstSeconds: this.#burstSeconds };
    const ratePerSecond = this.#room(undefined, terms);
    let capacity = limit.ratePerSecond * limit.burstSeconds;
    if (terms.learning) capacity = Math.min(capacity, Math.max(1, ratePerSecond * limit.burstSeconds));
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
   * moment.
   */
  #expire(nowMs: number, terms: LedgerTerms): void {
    const ended = [...this.#leases].filter(([, lease]) => lease.expiresAtMs <= nowMs);
    ended.sort(([, a], [, b]) => a.expiresAtMs - b.expiresAtMs);
    for (const [key, lease] of ended) {
      this.#leases.delete(key);
      this.#setBank(lease.expiresAtMs, terms);
    }
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
