import type { Level, NewLevel } from "./level.js";
import { checkLimit, type Grant, type LimitOptions, type Settlement, shareCapacity } from "./protocol.js";

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
  readonly newLevel: NewLevel;
}

/**
 * - `lease`: spends its share.
 * - `policy`: has none and could not get one; does what the policy says.
 * - `lapsed`: slept past the end of its lease and has not asked since; spends nothing until it has.
 * - `closed`: spends nothing any more.
 */
export type ShareMode = "lease" | "policy" | "lapsed" | "closed";

/**
 * How much of a demand that is no longer seen is still reported by the next settlement: enough for a pause, not enough
 * to starve whoever took the traffic over.
 */
const DEMAND_KEPT = 0.25;
/**
 * Demand is not measured over less time than this; a settlement that follows another at once repeats what that one
 * said.
 */
const DEMAND_WINDOW_MS_MIN = 100;

/**
 * A member's side of one limit: a token bucket as large as its share, and the meters that settlement reports. Pure:
 * every method is told the time in milliseconds of the member's own clock, which need not agree with anybody's; one
 * that steps back shortens nothing and lengthens nothing.
 */
export class MemberShare {
  readonly #level: Level;
  readonly #policy: AwayPolicy;
  readonly #safeShare: number;
  #limit: LimitOptions;
  #capacity: number;
  #mode: ShareMode = "policy";
  /** No decision at or after this time without looking at the lease. */
  #untilMs = Number.POSITIVE_INFINITY;
  #lastMs: number;
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
  #wantedPerSecond = 0;
  #windowMs: number;
  #windowUnits = 0;
  #surprised = false;
  #surpriseTaken = false;

  constructor(limit: LimitOptions, terms: ShareTerms, nowMs: number) {
    this.#limit = checkLimit(limit);
    this.#capacity = limit.ratePerSecond * limit.burstSeconds;
    this.#policy = terms.policy;
    this.#safeShare = terms.safeShare;
    this.#evenPerSecond = limit.ratePerSecond;
    this.#lastMs = nowMs;
    this.#windowMs = nowMs;
    const slice = this.#policySlice();
    this.#level = terms.newLevel({ ...slice, tokens: slice.capacity }, nowMs);
  }

  get limit(): LimitOptions {
    return this.#limit;
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
    return this.#wantedPerSecond;
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
    if (nowMs >= this.#untilMs || nowMs < this.#lastMs) this.#watch(nowMs);
    this.#lastMs = nowMs;
    if (this.#level.tryTake(units, nowMs) || this.#allowsAll()) {
      this.#used += units;
      return true;
    }
    if (!this.#surprised && this.#mode === "lease" && this.#wantedPerSecond <= this.#heldPerSecond) {
      // Demand is measured from here: averaged over the quiet time before, it would look small.
      this.#surprised = true;
      this.#windowMs = nowMs;
      this.#windowUnits = this.#used + this.#refused;
    }
    this.#refused += Math.min(units, this.#capacity);
    return false;
  }

  /** Whether units were refused that the coordinator does not know to be wanted; says so once for each settlement. */
  takeSurprise(): boolean {
    if (!this.#surprised || this.#surpriseTaken) return false;
    this.#surpriseTaken = true;
    return true;
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
    if (this.#mode !== "closed" && this.#mode !== "lapsed") this.#level.refund(units, nowMs);
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
  reconfigure(change: Partial<LimitOptions>, nowMs: number): void {
    this.#watch(nowMs);
    const limit = checkLimit({ ...this.#limit, ...change });
    const ratio = this.#limit.ratePerSecond > 0 ? limit.ratePerSecond / this.#limit.ratePerSecond : 0;
    this.#limit = limit;
    this.#capacity = limit.ratePerSecond * limit.burstSeconds;
    this.#evenPerSecond = Math.min(this.#evenPerSecond * ratio, limit.ratePerSecond);
    if (this.#mode === "lease") this.#resize(this.#heldPerSecond * Math.min(1, ratio), nowMs);
    if (this.#mode === "policy") this.#level.reconfigure(this.#policySlice(), nowMs);
  }

  /** What to tell the coordinator now. */
  settlement(sequence: number, nowMs: number): Omit<Settlement, "limit" | "member" | "incarnation"> {
    this.#watch(nowMs);
    const elapsedMs = nowMs - this.#windowMs;
    if (elapsedMs >= DEMAND_WINDOW_MS_MIN) {
      const units = this.#used + this.#refused;
      const seenPerSecond = (Math.max(0, units - this.#windowUnits) / elapsedMs) * 1000;
      // What was wanted beyond the share is not remembered: many remembering it at once would leave too little for
      // those who want it now.
      const keptPerSecond = Math.min(this.#wantedPerSecond, this.#heldPerSecond) * DEMAND_KEPT;
      const wantedPerSecond = Math.max(seenPerSecond, keptPerSecond);
      this.#wantedPerSecond = Math.min(wantedPerSecond, this.#limit.ratePerSecond);
      this.#windowMs = nowMs;
      this.#windowUnits = units;
    }
    this.#surprised = false;
    this.#surpriseTaken = false;
    return {
      sequence,
      ratePerSecond: this.#limit.ratePerSecond,
      burstSeconds: this.#limit.burstSeconds,
      wantedPerSecond: this.#wantedPerSecond,
      holdsPerSecond: this.#heldPerSecond,
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
      // What was spent without a lease comes off what the lease brings.
      if (this.#mode === "policy") tokens = Math.max(0, tokens - Math.max(0, this.#used - this.#usedBeforePolicy));
      // Where everything is allowed, a debt means nothing.
      if (this.#allowsAll()) this.#level.refund(Math.max(0, -this.#level.tokens(nowMs)), nowMs);
      this.#level.reconfigure({ ratePerSecond: 0, capacity: 0 }, nowMs);
      this.#mode = "lease";
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
    if (this.#mode === "lapsed") this.#enterPolicy(nowMs);
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
    if (nowMs < this.#lastMs) {
      // The clock stepped back: the lease has as long to run as before.
      const stepMs = this.#lastMs - nowMs;
      this.#untilMs -= stepMs;
      this.#windowMs -= stepMs;
    }
    this.#lastMs = nowMs;
    if (nowMs < this.#untilMs) return;
    const endedMs = this.#untilMs;
    this.#untilMs = Number.POSITIVE_INFINITY;
    this.#heldPerSecond = 0;
    if (this.#failures > 0) {
      this.#enterPolicy(nowMs);
      return;
    }
    // Nobody could know that the coordinator is away: this member was asleep, and its share may be somebody else's by
    // now.
    this.#mode = "lapsed";
    this.#returnedTotal += Math.max(0, this.#level.tokens(endedMs));
    this.#empty(nowMs);
  }

  #enterPolicy(nowMs: number): void {
    this.#mode = "policy";
    this.#usedBeforePolicy = this.#used;
    this.#level.reconfigure(this.#policySlice(), nowMs);
  }

  #policySlice(): { ratePerSecond: number; capacity: number } {
    if (this.#policy !== "safe-share") return { ratePerSecond: 0, capacity: 0 };
    const ratePerSecond = Math.min(this.#limit.ratePerSecond * this.#safeShare, this.#evenPerSecond);
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
