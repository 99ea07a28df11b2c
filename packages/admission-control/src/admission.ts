import { randomUUID } from "node:crypto";
import { BucketLevel, type Clock, type Timer } from "@evenkeel/token-bucket";
import { type AdmissionOptions, type AdmissionStats, admissionNames } from "./admission-options.js";
import { Agenda } from "./agenda.js";
import { answersInTime } from "./answers-in-time.js";
import { clockFrom, steady, systemTimer } from "./clock.js";
import { AdmissionError, argumentError, checkName, checkNumber, checkOptions } from "./core/errors.js";
import { MemberShare, type ShareTerms } from "./core/member-share.js";
import {
  type Coordinator,
  checkMemberLimit,
  type Grant,
  type MemberLimitOptions,
  type Settlement,
} from "./core/protocol.js";
import { degraded, recovered } from "./events.js";
import { Limit, type LimitHost } from "./limit.js";

interface Member {
  readonly limit: Limit;
  readonly share: MemberShare;
  readonly incarnation: string;
  /** How often in a row it was granted less than what is due to it. */
  shortTimes: number;
  /** After news of a new demand: how often it may ask again though nothing is due to it, because others' demand is ending. */
  asksLeft: number;
  /** Settlements out of turn that it may still cause, as of `extrasMs`. */
  extras: number;
  extrasMs: number;
}

/** A share that lost more of its limit than this tells so at once: others wait for it. */
const TOLD_AT_ONCE = 0.1;
/** Part of the usual delay after which a member tells of demand that nobody expected, or asks again for what others still hold. */
const HURRY_DELAY = 0.0625;
/** Demand is measured over this part of the usual delay at least; less than the shortest of the hurried ones. */
const DEMAND_WINDOW = 0.05;
/** Each time in a row that it is kept short, a member waits so much longer. */
const SHORT_BACKOFF = 1.3;
/** Who had the demand before may need two settlements to say that it is over. */
const ASKS_AFTER_NEWS = 3;
/** Part of the usual delay between two looks at demands whose end would free much. */
const PULSE_DELAY = 0.075;
/**
 * Settlements out of turn that one limit may cause at once; after that one for each usual delay. A demand that comes in
 * lumps looks like news all the time.
 */
const EXTRAS_MAX = 8;
/** Settlement messages in a row when closing a great many limits at once; what is left then ends with its lease. */
const LEAVING_MAX = 100_000;

/**
 * This process's part in any number of global limits: decides locally, settles every `settleEveryMs` with the
 * coordinator. Time and the coordinator's health change what a decision is, never how long it takes.
 */
export class Admission {
  readonly #coordinator: Coordinator;
  readonly #member: string;
  readonly #settleEveryMs: number;
  readonly #settleTimeoutMs: number;
  readonly #terms: ShareTerms;
  readonly #limitsMax: number;
  readonly #batchMax: number;
  readonly #now: Clock;
  readonly #timer: Timer;
  readonly #random: () => number;
  readonly #life = randomUUID();
  readonly #members = new Map<string, Member>();
  readonly #leaving = new Set<Member>();
  readonly #host: LimitHost;
  #incarnations = 0;
  #sequence = 0;
  #settlements = 0;
  #failures = 0;
  #degraded = false;
  #lastError: unknown;
  readonly #agenda: Agenda;
  /** Limits that have something to say out of turn. */
  readonly #news = new Set<Member>();
  /** Limits with a demand whose end is looked for between settlements. */
  readonly #watched = new Set<Member>();
  #cancelPulse: (() => void) | undefined;
  #settling: Promise<void> | undefined;
  #closing: Promise<void> | undefined;

  /** @throws AdmissionError `ERR_ADMISSION_ARGUMENT` */
  constructor(options: AdmissionOptions) {
    options = checkOptions("Admission", options, admissionNames);
    const { coordinator, whenAway = "safe-share", timer = systemTimer, random = Math.random } = options;
    if (typeof coordinator?.settle !== "function") throw argumentError("coordinator", "a Coordinator", coordinator);
    if (!["safe-share", "deny", "allow"].includes(whenAway)) {
      throw argumentError("whenAway", '"safe-share", "deny" or "allow"', whenAway);
    }
    if (typeof timer !== "function") throw argumentError("timer", "a function", timer);
    if (typeof random !== "function") throw argumentError("random", "a function", random);
    this.#coordinator = coordinator;
    this.#member = checkName("member", options.member);
    this.#settleEveryMs = checkNumber("settleEveryMs", options.settleEveryMs ?? 2000, 10, 3_600_000);
    this.#settleTimeoutMs = checkNumber(
      "settleTimeoutMs",
      options.settleTimeoutMs ?? this.#settleEveryMs,
      1,
      3_600_000,
    );
    this.#terms = {
      policy: whenAway,
      safeShare: checkNumber("safeShare", options.safeShare ?? 0.05, 0, 1),
      demandWindowMs: this.#settleEveryMs * DEMAND_WINDOW,
      newLevel: (level, nowMs) => new BucketLevel(level, nowMs),
    };
    this.#limitsMax = checkNumber("limitsMax", options.limitsMax ?? 100_000, 1, 2 ** 24);
    this.#batchMax = Math.floor(checkNumber("batchMax", options.batchMax ?? 250, 1, 100_000));
    // One that is set back must neither put settlements off nor make a lease longer, nor one that is on its way.
    this.#now = steady(clockFrom(options.now));
    this.#timer = timer;
    this.#random = random;
    this.#agenda = new Agenda(this.#now, this.#timer, (all) => void this.#settleRound(all));
    this.#host = {
      now: this.#now,
      settleEveryMs: this.#settleEveryMs,
      settleSoon: (limit) => this.#tell(this.#members.get(limit.name), 0),
      hurry: (limit) => {
        const member = this.#members.get(limit.name);
        if (member === undefined || !this.#mayTell(member)) return;
        member.asksLeft = ASKS_AFTER_NEWS;
        this.#tell(member, this.#nextDelayMs(HURRY_DELAY));
      },
      settleInThisTurn: (limit) => {
        const member = this.#members.get(limit.name);
        return member?.limit === limit && this.#settleInThisTurn(member);
      },
      leave: (limit) => this.#leave(limit),
    };
  }

  /**
   * The limit of that name, for all members together. Asked for again it is the same object, with the limit that was
   * given last.
   *
   * A new one settles at once. Until the answer is there it does what `whenAway` says; with a coordinator in the same
   * process the answer is there when this returns.
   */
  limit(name: string, options: MemberLimitOptions): Limit {
    checkName("name", name);
    const given = checkMemberLimit(options);
    if (this.#closing !== undefined)
      throw new AdmissionError("ERR_ADMISSION_CLOSED", `limit ${name}: the admission is closed`);
    const known = this.#members.get(name);
    if (known !== undefined) {
      const before = { ...known.share.limit, ...known.share.standing };
      const same = (Object.keys(given) as (keyof typeof given)[]).every((key) => before[key] === given[key]);
      if (!same) known.limit.reconfigure(given);
      return known.limit;
    }
    if (this.#members.size >= this.#limitsMax) {
      throw new AdmissionError(
        "ERR_ADMISSION_LIMITS",
        `limit ${name}: ${this.#members.size} limits are open; limitsMax allows no more`,
      );
    }
    const share = new MemberShare(given, this.#terms, this.#now());
    this.#incarnations += 1;
    const member: Member = {
      limit: new Limit(name, share, this.#host),
      share,
      incarnation: `${this.#life}.${this.#incarnations}`,
      shortTimes: 0,
      asksLeft: 0,
      extras: EXTRAS_MAX,
      extrasMs: this.#now(),
    };
    this.#members.set(name, member);
    this.#agenda.all(this.#nextDelayMs(1));
    if (!this.#settleInThisTurn(member)) this.#tell(member, 0);
    return member.limit;
  }

  /**
   * Settles now, without waiting for the timer. Resolves when every message was answered or has failed; `stats()` tells
   * which. Never rejects.
   */
  async settle(): Promise<void> {
    // What runs already may have been sent before the caller's reason to ask.
    await this.#settling;
    await this.#settleRound(true);
  }

  stats(): AdmissionStats {
    return {
      limits: this.#members.size,
      settlements: this.#settlements,
      failures: this.#failures,
      degraded: this.#degraded,
      lastError: this.#lastError,
    };
  }

  /**
   * Refuses everything from now on, and gives all leases back; resolves when the coordinator knows, or could not be
   * told in time. May be called twice.
   */
  close(): Promise<void> {
    this.#closing ??= this.#close();
    return this.#closing;
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close();
  }

  async #close(): Promise<void> {
    for (const { limit } of this.#members.values()) limit.close();
    this.#agenda.stop();
    this.#cancelPulse?.();
    await this.#settling;
    await this.#settleBatches([...this.#leaving]);
    this.#leaving.clear();
    this.#news.clear();
    this.#watched.clear();
  }

  #leave(limit: Limit): void {
    const member = this.#members.get(limit.name);
    if (member?.limit !== limit) return;
    this.#members.delete(limit.name);
    this.#news.delete(member);
    this.#watched.delete(member);
    if (this.#leaving.size < LEAVING_MAX || this.#closing !== undefined) this.#leaving.add(member);
    this.#agenda.all(this.#nextDelayMs(1));
  }

  #settleInThisTurn(member: Member): boolean {
    if (this.#coordinator.settleNow === undefined) return false;
    const sentMs = this.#now();
    this.#settlements += 1;
    try {
      const settlement = this.#settlement(member);
      this.#takeUp([member], [settlement], this.#coordinator.settleNow([settlement]), sentMs);
    } catch (error) {
      this.#failed([member], error);
    }
    return member.share.mode(this.#now()) === "lease";
  }

  #nextDelayMs(part: number): number {
    return this.#settleEveryMs * part * (0.8 + 0.4 * this.#random());
  }

  /** One limit has something to say that should not wait for its turn. */
  #tell(member: Member | undefined, delayMs: number): void {
    if (member === undefined) return;
    this.#news.add(member);
    this.#agenda.news(delayMs);
  }

  #mayTell(member: Member): boolean {
    const nowMs = this.#now();
    const earned = Math.max(0, nowMs - member.extrasMs) / this.#settleEveryMs;
    member.extras = Math.min(EXTRAS_MAX, member.extras + earned);
    member.extrasMs = nowMs;
    if (member.extras < 1) return false;
    member.extras -= 1;
    return true;
  }

  #settleRound(all: boolean): Promise<void> {
    this.#settling ??= this.#settleOnce(all).finally(() => {
      this.#settling = undefined;
      if (all) this.#scheduleAll();
      this.#agenda.release();
      this.#watchDemands();
    });
    return this.#settling;
  }

  async #settleOnce(all: boolean): Promise<void> {
    this.#agenda.hold(all);
    const round = new Set([...(all ? this.#members.values() : this.#news), ...this.#leaving]);
    this.#leaving.clear();
    this.#news.clear();
    const given = await this.#settleBatches([...round]);
    // Who gave much back says so at once; whoever is to have it need not wait for the next round.
    await this.#settleBatches(given);
  }

  #scheduleAll(): void {
    if (this.#members.size === 0 && this.#leaving.size === 0) return;
    let delayMs = this.#nextDelayMs(1);
    // Twice at least in a lease, however short the coordinator makes it.
    for (const { share } of this.#members.values()) delayMs = Math.min(delayMs, share.leaseMs / 2);
    this.#agenda.all(delayMs);
  }

  #watchDemands(): void {
    if (this.#cancelPulse !== undefined || this.#watched.size === 0 || this.#closing !== undefined) return;
    this.#cancelPulse = this.#timer(this.#settleEveryMs * PULSE_DELAY, () => {
      this.#cancelPulse = undefined;
      const nowMs = this.#now();
      for (const member of this.#watched) {
        if (!member.share.watched) this.#watched.delete(member);
        else if (member.share.pulse(nowMs) && this.#mayTell(member)) this.#tell(member, 0);
      }
      this.#watchDemands();
    });
  }

  /** Settles all of `members`, a message after the other; returns those that gave up a good part of their limit. */
  async #settleBatches(members: readonly Member[]): Promise<Member[]> {
    const given: Member[] = [];
    for (let start = 0; start < members.length; start += this.#batchMax) {
      // A coordinator in this process answers in the same turn; thousands of limits must not hold up the requests.
      if (start > 0 && this.#closing === undefined) await new Promise<void>((resolve) => void this.#timer(0, resolve));
      const batch = members.slice(start, start + this.#batchMax);
      const settlements = batch.map((member) => this.#settlement(member));
      const sentMs = this.#now();
      this.#settlements += 1;
      try {
        const grants = await answersInTime(this.#coordinator, settlements, this.#settleTimeoutMs, this.#timer);
        given.push(...this.#takeUp(batch, settlements, grants, sentMs));
      } catch (error) {
        this.#failed(batch, error);
      }
    }
    return given;
  }

  #settlement({ limit, share, incarnation }: Member): Settlement {
    this.#sequence += 1;
    return { limit: limit.name, member: this.#member, incarnation, ...share.settlement(this.#sequence, this.#now()) };
  }

  /** Hands each member its grant; returns those that gave up a good part of their limit by it. */
  #takeUp(
    batch: readonly Member[],
    settlements: readonly Settlement[],
    grants: readonly Grant[],
    sentMs: number,
  ): Member[] {
    // Of somebody's own coordinator it may be anything.
    const answered = Array.isArray(grants) ? (grants as readonly Grant[]).filter(isGrant) : [];
    const answers = new Map(answered.map((grant) => [grant.sequence, grant]));
    const nowMs = this.#now();
    const given: Member[] = [];
    const missed: Member[] = [];
    batch.forEach((member, i) => {
      const grant = answers.get(settlements[i]?.sequence ?? 0);
      const gaveUp = grant?.limit === member.limit.name ? member.share.grant(grant, sentMs, nowMs) : undefined;
      if (gaveUp === undefined) missed.push(member);
      else if (gaveUp > member.share.limit.ratePerSecond * TOLD_AT_ONCE) given.push(member);
      if (grant !== undefined) this.#heard(member, grant);
    });
    if (missed.length > 0) {
      this.#failed(
        missed,
        new AdmissionError("ERR_ADMISSION_ANSWER", `no usable answer for ${missed.length} of ${batch.length} limits`),
      );
    } else {
      this.#lastError = undefined;
      if (this.#degraded && !this.#anyOnPolicy(nowMs)) {
        this.#degraded = false;
        recovered.publish({ member: this.#member });
      }
    }
    return given;
  }

  #heard(member: Member, grant: Grant): void {
    if (member.share.watched) this.#watched.add(member);
    // Twice at least in a lease, however short the coordinator makes it.
    this.#agenda.all(grant.leaseMs / 2);
    const hopes = member.asksLeft > 0 && member.share.wantedPerSecond > grant.ratePerSecond;
    if (!grant.short && !hopes) {
      member.shortTimes = 0;
      return;
    }
    if (!grant.short) member.asksLeft -= 1;
    const part = HURRY_DELAY * SHORT_BACKOFF ** member.shortTimes;
    member.shortTimes += 1;
    if (part < 1 && this.#members.get(member.limit.name) === member) this.#tell(member, this.#nextDelayMs(part));
  }

  #failed(batch: readonly Member[], error: unknown): void {
    this.#failures += 1;
    this.#lastError = error;
    const nowMs = this.#now();
    for (const { share } of batch) share.failed(nowMs);
    if (!this.#degraded && this.#anyOnPolicy(nowMs)) {
      this.#degraded = true;
      degraded.publish({ member: this.#member, error });
    }
  }

  #anyOnPolicy(nowMs: number): boolean {
    for (const { share } of this.#members.values()) if (share.mode(nowMs) === "policy") return true;
    return false;
  }
}

function isGrant(grant: Grant | null | undefined): boolean {
  if (typeof grant !== "object" || grant === null) return false;
  const numbers = [grant.ratePerSecond, grant.tokensTotal, grant.leaseMs, grant.evenPerSecond];
  return typeof grant.lease === "string" && numbers.every((value) => Number.isFinite(value) && value >= 0);
}
