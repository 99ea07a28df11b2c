import { DemandMeter } from "./demand-meter.js";
import type { Level, NewLevel } from "./level.js";
import {
  checkLimit,
  checkStanding,
  type Grant,
  type LimitOptions,
  type MemberLimitOptions,
  type Settlement,
  type Standing,
  shareCapacity,
} from "./protocol.js";

/**
 * What a member does with a limit whose lease has ended while the coordinator cannot be reached, or has not answered
 * yet.
 */
export type AwayPolicy = "safe-share" | "deny" | "allow";

/** What a share is made with, besides its limit. */
export interface ShareTerms {
  readonly policy: AwayPolicy;
  /** The part of the limit that "safe-share" may spend. */
  readonly safeShare: number;
  /** Demand is not measured over less time than this; a settlement that follows another at once repeats what that one said. */
  readonly demandWindowMs: number;
  readonly newLevel: NewLevel;
}

/**
 * - `lease`: spends its share.
 * - `policy`: has none and could not get one; does what the policy says.
 * - `lapsed`: slept past the end of its lease and has not asked since; spends nothing until it has.
 * - `closed`: spends nothing any more.
 */
export type ShareMode = "lease" | "policy" | "lapsed" | "closed";

/** A demand of at least this part of the limit is watched between settlements: its end would free much for others. */
const WATCHED_PART = 0.05;
/**
 * A member's side of one limit: a token bucket as large as its share, and the meters that settlement reports. Pure:
 * every method is told the time in milliseconds of the member's own clock, which need not agree with anybody's, and
 * never steps back.
 */
export class MemberShare {
  readonly #level: Level;
  readonly #policy: AwayPolicy;
  readonly #safeShare: number;
  readonly #demand: DemandMeter;
  #limit: LimitOptions;
  #capacity: number;
  #standing: Standing;
  #mode: ShareMode = "policy";
  #everLeased = false;
  /** No decision at or after this time without looking at the lease. */
  #untilMs = Number.POSITIVE_INFINITY;
  #heldPerSecond = 0;
  #evenPerSecond: number;
  #lease = "";
  #leaseMs = Number.POSITIVE_INFINITY;
  #tokensTotal = 0;
  #returnedTotal = 0;
  #used = 0;
  #refused = 0;
  #usedBeforePolicy = 0;
  #failures = 0;
  /** While other leases of the same time may still run, the policy spends no more than this lease did. */
  #graceUntilMs = Number.NEGATIVE_INFINITY;
  #heldBeforePolicy = 0;

  constructor(limit: MemberLimitOptions, terms: ShareTerms, nowMs: number) {
    this.#limit = checkLimit(limit);
    this.#standing = checkStanding(limit);
    this.#capacity = limit.ratePerSecond * limit.burstSeconds;
    this.#policy = terms.policy;
    this.#safeShare = terms.safeShare;
    this.#demand = new DemandMeter(terms.demandWindowMs, nowMs);
    this.#evenPerSecond = limit.ratePerSecond;
    const slice = this.#policySlice(nowMs);
    this.#level = terms.newLevel({ ...slice, tokens: slice.capacity }, nowMs);
  }

  get limit(): LimitOptions {
    return this.#limit;
  }

  get standing(): Standing {
    return this.#standing;
  }

  /** Units spent, refunds taken off; and units that were asked for and refused. */
  get used(): number {
    return this.#used;
  }

  get refused(): number {
    return this.#refused;
  }

  get heldPerSecond(): number {
    return this.#heldPerSecond;
  }

  get wantedPerSecond(): number {
    return this.#demand.wantedPerSecond;
  }

  /** Whether the last decision found the lease ended in its sleep. */
  get lapsed(): boolean {
    return this.#mode === "lapsed";
  }

  mode(nowMs: number): ShareMode {
    this.#watch(nowMs);
    return this.#mode;
  }

  /** How long the last lease was made for. */
  get leaseMs(): number {
    return this.#leaseMs;
  }

  leaseRemainingMs(nowMs: number): number {
    this.#watch(nowMs);
    return this.#mode === "lease" ? this.#untilMs - nowMs : 0;
  }

  tokens(nowMs: number): number {
    this.#watch(nowMs);
    return this.#level.tokens(nowMs);
  }

  tryTake(units: number, nowMs: number): boolean {
    if (nowMs >= this.#untilMs) this.#watch(nowMs);
    if (this.#level.tryTake(units, nowMs) || this.#allowsAll()) {
      this.#used += units;
      return true;
    }
    this.#refused += Math.min(units, this.#capacity);
    if (this.#mode === "lease" && this.#demand.wantedPerSecond <= this.#heldPerSecond)
      this.#demand.refusal(this.#used + this.#refused, this.#refused, nowMs);
    return false;
  }

  /** Whether units were refused that the coordinator does not know to be wanted; says so once for each settlement. */
  takeSurprise(): boolean {
    return this.#demand.takeSurprise();
  }

  /** Whether the end of this demand should be noticed before the next settlement; then `pulse` wants to be called often. */
  get watched(): boolean {
    return this.#mode === "lease" && this.#demand.wantedPerSecond >= this.#limit.ratePerSecond * WATCHED_PART;
  }

  /**
   * Whether what is asked for fell to less than half of what was reported: worth a settlement, because others may be waiting
   * for this share.
   */
  pulse(nowMs: number): boolean {
    this.#watch(nowMs);
    return this.#demand.pulse(this.#used + this.#refused, nowMs) && this.watched;
  }

  has(units: number, nowMs: number): boolean {
    this.#watch(nowMs);
    return this.#level.has(units, nowMs) || this.#allowsAll();
  }

  debit(units: number, nowMs: number): void {
    this.#watch(nowMs);
    this.#level.debit(units, nowMs);
    this.#used += units;
  }

  refund(units: number, nowMs: number): void {
    this.#watch(nowMs);
    this.#level.refund(units, nowMs);
    this.#used = Math.max(0, this.#used - units);
  }

  /** `Infinity` when the present share can never hold that much. */
  msUntil(units: number, nowMs: number): number {
    this.#watch(nowMs);
    return this.#allowsAll() ? 0 : this.#level.msUntil(units, nowMs);
  }

  /**
   * The whole limit changes. A smaller one cuts the share at once, a larger one takes effect when the coordinator
   * grants it.
   */
  reconfigure(change: Partial<MemberLimitOptions>, nowMs: number): void {
    this.#watch(nowMs);
    const standing = checkStanding({ ...this.#standing, ...change });
    const limit = checkLimit({ ...this.#limit, ...change });
    const ratio = this.#limit.ratePerSecond > 0 ? limit.ratePerSecond / this.#limit.ratePerSecond : 0;
    this.#limit = limit;
    this.#standing = standing;
    this.#capacity = limit.ratePerSecond * limit.burstSeconds;
    this.#evenPerSecond = Math.min(this.#evenPerSecond * ratio, limit.ratePerSecond);
    if (this.#mode === "lease") this.#resize(this.#heldPerSecond * Math.min(1, ratio), nowMs);
    if (this.#mode === "policy") this.#level.reconfigure(this.#policySlice(nowMs), nowMs);
  }

  /** What to tell the coordinator now. */
  settlement(sequence: number, nowMs: number): Omit<Settlement, "limit" | "member" | "incarnation"> {
    this.#watch(nowMs);
    const wantedPerSecond = this.#demand.measure(
      this.#used + this.#refused,
      this.#refused,
      this.#heldPerSecond,
      this.#limit.ratePerSecond,
      nowMs,
    );
    return {
      sequence,
      ratePerSecond: this.#limit.ratePerSecond,
      burstSeconds: this.#limit.burstSeconds,
      wantedPerSecond,
      ...this.#standing,
      // Who had a lease goes on spending a part of it, and the coordinator must not give that part to somebody else.
      holdsPerSecond:
        this.#mode === "policy" && this.#everLeased ? this.#policySlice(nowMs).ratePerSecond : this.#heldPerSecond,
      usedTotal: this.#used,
      returnedTotal: this.#returnedTotal,
      closing: this.#mode === "closed",
    };
  }

  /**
   * Takes a grant up. The lease runs from `sentMs`, when the settlement was sent, so it ends here before it ends in the
   * coordinator's books, whatever the way took. Returns the flow that was given up, or `undefined` when the lease had
   * ended before its grant arrived.
   */
  grant(grant: Grant, sentMs: number, nowMs: number): number | undefined {
    this.#watch(nowMs);
    if (this.#mode === "closed") return 0;
    const untilMs = sentMs + grant.leaseMs;
    if (nowMs >= untilMs) return undefined;
    if (grant.lease !== this.#lease) {
      this.#lease = grant.lease;
      this.#tokensTotal = 0;
    }
    let tokens = Math.max(0, grant.tokensTotal - this.#tokensTotal);
    this.#tokensTotal = grant.tokensTotal;
    if (this.#mode !== "lease") {
      // What was spent without a lease comes off what the lease brings; what was spent only because the first answer was
      // still on its way is owed, up to a burst of the share: a member that turns out small does not pay for ever.
      const spent = this.#mode === "policy" ? Math.max(0, this.#used - this.#usedBeforePolicy) : 0;
      const forgiven = this.#everLeased || this.#failures > 0 || this.#policy === "allow";
      const owed = forgiven
        ? 0
        : Math.min(Math.max(0, spent - tokens), shareCapacity(this.#limit, grant.ratePerSecond));
      tokens = Math.max(0, tokens - spent);
      // Where everything is allowed, a debt means nothing.
      if (this.#allowsAll()) this.#level.refund(Math.max(0, -this.#level.tokens(nowMs)), nowMs);
      this.#level.reconfigure({ ratePerSecond: 0, capacity: 0 }, nowMs);
      this.#level.debit(owed, nowMs);
      this.#mode = "lease";
      this.#everLeased = true;
    }
    this.#failures = 0;
    this.#untilMs = untilMs;
    this.#leaseMs = grant.leaseMs;
    this.#evenPerSecond = grant.evenPerSecond;
    const before = this.#heldPerSecond;
    this.#resize(Math.min(grant.ratePerSecond, this.#limit.ratePerSecond), nowMs);
    const over = this.#level.tokens(nowMs) + tokens - this.#level.capacity;
    if (over > 0) this.#returnedTotal += Math.min(over, tokens);
    this.#level.refund(tokens, nowMs);
    return Math.max(0, before - this.#heldPerSecond);
  }

  /** The coordinator was asked and did not answer, or not in time. */
  failed(nowMs: number): void {
    this.#failures += 1;
    this.#watch(nowMs);
    if (this.#mode === "lapsed") this.#enterPolicy(nowMs, Number.POSITIVE_INFINITY);
    else if (this.#mode === "policy" && nowMs >= this.#graceUntilMs)
      this.#level.reconfigure(this.#policySlice(nowMs), nowMs);
  }

  /** Ends the share; what is left of it, or the debt, goes into the last settlement. */
  close(nowMs: number): void {
    this.#watch(nowMs);
    if (this.#mode === "lease") this.#returnedTotal += this.#level.tokens(nowMs);
    this.#mode = "closed";
    this.#untilMs = Number.POSITIVE_INFINITY;
    this.#heldPerSecond = 0;
    this.#empty(nowMs);
  }

  #allowsAll(): boolean {
    return this.#mode === "policy" && this.#policy === "allow";
  }

  #watch(nowMs: number): void {
    if (nowMs < this.#untilMs) return;
    const endedMs = this.#untilMs;
    const heldPerSecond = this.#heldPerSecond;
    this.#untilMs = Number.POSITIVE_INFINITY;
    this.#heldPerSecond = 0;
    if (this.#failures > 0) {
      this.#enterPolicy(nowMs, heldPerSecond);
      return;
    }
    // Nobody could know that the coordinator is away: this member was asleep, and its share may be somebody else's by
    // now.
    this.#mode = "lapsed";
    this.#returnedTotal += Math.max(0, this.#level.tokens(endedMs));
    this.#empty(nowMs);
  }

  #enterPolicy(nowMs: number, heldPerSecond: number): void {
    this.#mode = "policy";
    this.#usedBeforePolicy = this.#used;
    this.#heldBeforePolicy = heldPerSecond;
    this.#graceUntilMs = nowMs + this.#leaseMs;
    this.#level.reconfigure(this.#policySlice(nowMs), nowMs);
  }

  #policySlice(nowMs: number): { ratePerSecond: number; capacity: number } {
    if (this.#policy !== "safe-share") return { ratePerSecond: 0, capacity: 0 };
    let ratePerSecond = Math.min(this.#limit.ratePerSecond * this.#safeShare, this.#evenPerSecond);
    // The leases of an outage end one after the other. If each fell to more than it was, the last would run beside too much.
    if (nowMs < this.#graceUntilMs) ratePerSecond = Math.min(ratePerSecond, this.#heldBeforePolicy);
    return { ratePerSecond, capacity: shareCapacity(this.#limit, ratePerSecond) };
  }

  #resize(ratePerSecond: number, nowMs: number): void {
    const capacity = shareCapacity(this.#limit, ratePerSecond);
    const before = this.#level.tokens(nowMs);
    if (before > capacity) this.#returnedTotal += before - capacity;
    this.#heldPerSecond = ratePerSecond;
    this.#level.reconfigure({ ratePerSecond, capacity }, nowMs);
  }

  #empty(nowMs: number): void {
    this.#level.reconfigure({ ratePerSecond: 0, capacity: 0 }, nowMs);
  }
}
