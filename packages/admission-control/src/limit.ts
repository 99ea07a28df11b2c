import { type Chargeable, type Clock, TOKENS_MAX } from "@evenkeel/token-bucket";
import { checkNumber } from "./core/errors.js";
import type { MemberShare, ShareMode } from "./core/member-share.js";
import { checkLimitChange, type MemberLimitOptions } from "./core/protocol.js";

export interface LimitStats {
  readonly name: string;
  /** See `ShareMode`; anything but "lease" for longer than a settlement means that the coordinator is away. */
  readonly mode: ShareMode;
  readonly ratePerSecond: number;
  readonly burstSeconds: number;
  /** The part of `ratePerSecond` that this member holds. */
  readonly sharePerSecond: number;
  /** Units a second that were asked for lately, refused ones included. */
  readonly wantedPerSecond: number;
  /** What can be spent at once; negative while a debit is being paid back. */
  readonly tokens: number;
  readonly leaseRemainingMs: number;
  /** Units spent, refunds taken off. */
  readonly used: number;
  readonly refused: number;
}

/** What the limit asks of the admission that it belongs to. */
export interface LimitHost {
  readonly now: Clock;
  readonly settleEveryMs: number;
  /** Settles in this turn of the event loop or the next. */
  settleSoon(limit: Limit): void;
  /** Settles a good deal sooner than the timer would. */
  hurry(limit: Limit): void;
  /** Settles one limit without waiting, if the coordinator can; whether it then has a lease. */
  settleInThisTurn(limit: Limit): boolean;
  leave(limit: Limit): void;
}

/**
 * One global limit, as this member sees it. Every decision is local and synchronous; none ever waits for the
 * coordinator.
 */
export class Limit implements Chargeable {
  readonly name: string;
  readonly #share: MemberShare;
  readonly #host: LimitHost;
  readonly #now: Clock;

  /** Made by `Admission.limit`. */
  constructor(name: string, share: MemberShare, host: LimitHost) {
    this.name = name;
    this.#share = share;
    this.#host = host;
    this.#now = host.now;
  }

  /** Spends `units` (default 1; fractions allowed) if this member's share has them. */
  tryTake(units = 1): boolean {
    checkUnits(units);
    if (this.#share.tryTake(units, this.#now())) return true;
    // Slept past the end of the lease: where the answer can be had in this turn, the first request need not suffer for
    // it.
    if (this.#share.lapsed && this.#host.settleInThisTurn(this)) return this.#share.tryTake(units, this.#now());
    // The first refusal that is news to the coordinator; the next settlement forgets it.
    if (this.#share.takeSurprise()) this.#host.hurry(this);
    return false;
  }

  /**
   * Whether `tryTake(units)` would succeed now. With `debit`, lets a limit stand in `tryTakeAll` of
   * `@evenkeel/token-bucket`.
   */
  has(units = 1): boolean {
    checkUnits(units);
    return this.#share.has(units, this.#now());
  }

  /**
   * Charges `units` (0 to 1e15) whose cost is known only now. The balance may fall below zero; it is paid back first.
   */
  debit(units: number): void {
    checkNumber("units", units, 0, TOKENS_MAX);
    this.#share.debit(units, this.#now());
  }

  /** Gives back `units` that were charged and not used. */
  refund(units: number): void {
    checkUnits(units);
    this.#share.refund(units, this.#now());
  }

  /**
   * Milliseconds until `units` can be there, for a `Retry-After`. An estimate: the share may grow or shrink meanwhile.
   * What the present share cannot hold may come with the next settlement, so that is the answer then; `Infinity` when
   * the whole limit could never hold that much.
   */
  msUntil(units = 1): number {
    checkUnits(units);
    const waitMs = this.#share.msUntil(units, this.#now());
    const { ratePerSecond, burstSeconds } = this.#share.limit;
    if (Number.isFinite(waitMs) || units > ratePerSecond * burstSeconds) return waitMs;
    return this.#share.mode(this.#now()) === "closed" ? waitMs : this.#host.settleEveryMs;
  }

  /**
   * Changes the whole limit. A cut holds here at once, for all members when each has settled; more is there after the
   * next settlement, which is made soon. `weight` and `guaranteedPerSecond` are this member's alone.
   */
  reconfigure(change: Partial<MemberLimitOptions>): void {
    this.#share.reconfigure(checkLimitChange(change), this.#now());
    this.#host.settleSoon(this);
  }

  stats(): LimitStats {
    const nowMs = this.#now();
    return {
      name: this.name,
      mode: this.#share.mode(nowMs),
      ratePerSecond: this.#share.limit.ratePerSecond,
      burstSeconds: this.#share.limit.burstSeconds,
      sharePerSecond: this.#share.heldPerSecond,
      wantedPerSecond: this.#share.wantedPerSecond,
      tokens: this.#share.tokens(nowMs),
      leaseRemainingMs: this.#share.leaseRemainingMs(nowMs),
      used: this.#share.used,
      refused: this.#share.refused,
    };
  }

  /**
   * Gives the share back with the next settlement, and refuses everything from now on. For limits that are no more,
   * such as those of a deleted table.
   */
  close(): void {
    if (this.#share.mode(this.#now()) === "closed") return;
    this.#share.close(this.#now());
    this.#host.leave(this);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.close();
  }
}

function checkUnits(units: unknown): void {
  if (typeof units !== "number" || !(units >= 0 && units <= Number.MAX_VALUE)) {
    checkNumber("units", units, 0, Number.MAX_VALUE);
  }
}
