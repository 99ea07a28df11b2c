import { argumentError, checkNumber, checkOptions } from "./errors.js";

/** The whole limit, that all members together keep. */
export interface LimitOptions {
  /** Units a second: 0 to 1e12. */
  readonly ratePerSecond: number;
  /** How many seconds' worth may be saved up and spent at once: 0 to 86,400, at most 1e15 units in all. */
  readonly burstSeconds: number;
}

/** The whole limit, and how this member stands in it. */
export interface MemberLimitOptions extends LimitOptions {
  /**
   * How much of what is contested goes to this member, beside the others' weights: 0.001 to 1,000, default 1. Twice the
   * weight is twice the share when both want more than there is.
   */
  readonly weight?: number;
  /**
   * Units a second that this member is given whatever the others want, also while it wants nothing: 0 to `ratePerSecond`,
   * default 0. Where all members' guarantees exceed the limit, each is cut in proportion.
   */
  readonly guaranteedPerSecond?: number;
}

/**
 * What a member tells the coordinator about one limit. All amounts are running totals or present states, never
 * differences, so a settlement that is lost, repeated or late does no harm: the next one says everything again.
 */
export interface Settlement {
  readonly limit: string;
  readonly member: string;
  /**
   * One life of one member's limit. A member that restarts under its old name is somebody else until the old lease
   * ends.
   */
  readonly incarnation: string;
  /**
   * Grows with each settlement of an incarnation. One that was seen already changes nothing and is answered as before.
   */
  readonly sequence: number;
  /** The whole limit as this member knows it. */
  readonly ratePerSecond: number;
  readonly burstSeconds: number;
  /** Units a second that were asked for, refused ones included. */
  readonly wantedPerSecond: number;
  /** See `MemberLimitOptions`. */
  readonly weight: number;
  readonly guaranteedPerSecond: number;
  /** The flow that the member may spend at this moment, be it leased or what its policy allows: 0 without either. */
  readonly holdsPerSecond: number;
  /** Units spent so far. */
  readonly usedTotal: number;
  /** Saved tokens given back so far; falls when a debt is left behind. */
  readonly returnedTotal: number;
  /** The member leaves, and spends no more. */
  readonly closing: boolean;
}

/**
 * A lease: for `leaseMs` from when the settlement was sent, the member may spend `ratePerSecond`, and save
 * `burstSeconds` of it.
 */
export interface Grant {
  readonly limit: string;
  /** The settlement that this answers. */
  readonly sequence: number;
  /** Names the lease among those of this incarnation; another name means that `tokensTotal` counts from nothing again. */
  readonly lease: string;
  readonly ratePerSecond: number;
  /** Saved tokens handed over in this lease so far. */
  readonly tokensTotal: number;
  readonly leaseMs: number;
  /** The limit divided by the members known: what each may spend when nobody can be asked. */
  readonly evenPerSecond: number;
  /** Others still hold what is due to this member: it is worth asking again soon. */
  readonly short: boolean;
}

/**
 * Where members settle. What Redis or HTTP does, and `memoryCoordinator` here.
 *
 * Answers with one grant for each settlement that it accepts, in any order; one that it leaves out counts as not
 * answered. May reject, hang or answer late: members go on without it. When `signal` says that the time is up, the answers
 * that are there may still be handed over in the same turn.
 */
export interface Coordinator {
  settle(settlements: readonly Settlement[], options: { readonly signal: AbortSignal }): Promise<readonly Grant[]>;
  /**
   * The same in one turn, for coordinators that live in the process: lets a new limit start with its lease instead of
   * without.
   */
  settleNow?(settlements: readonly Settlement[]): readonly Grant[];
}

/** The ranges of the buckets beneath. */
const RATE_MAX = 1e12;
export const TOKENS_MAX = 1e15;
const BURST_SECONDS_MAX = 86_400;
export const WEIGHT_MIN = 0.001;
export const WEIGHT_MAX = 1000;

export function checkLimit(options: LimitOptions): LimitOptions {
  if (typeof options !== "object" || options === null)
    throw argumentError("limit", "{ ratePerSecond, burstSeconds }", options);
  const ratePerSecond = checkNumber("ratePerSecond", options.ratePerSecond, 0, RATE_MAX);
  const burstSeconds = checkNumber("burstSeconds", options.burstSeconds, 0, BURST_SECONDS_MAX);
  checkNumber("ratePerSecond * burstSeconds", ratePerSecond * burstSeconds, 0, TOKENS_MAX);
  return { ratePerSecond, burstSeconds };
}

const limitNames: Record<keyof MemberLimitOptions, 0> = {
  ratePerSecond: 0,
  burstSeconds: 0,
  weight: 0,
  guaranteedPerSecond: 0,
};

/** What a member's program says of a limit; a settlement, which says more, is for `checkLimit`. */
export function checkMemberLimit(options: MemberLimitOptions): Required<MemberLimitOptions> {
  if (typeof options === "object" && options !== null) checkOptions("limit", options, limitNames);
  return { ...checkLimit(options), ...checkStanding(options) };
}

/** What is to change, and nothing else. */
export function checkLimitChange(change: Partial<MemberLimitOptions>): Partial<MemberLimitOptions> {
  const given = Object.entries(checkOptions("reconfigure", change, limitNames));
  return Object.fromEntries(given.filter(([, value]) => value !== undefined));
}

export function checkStanding(options: Pick<MemberLimitOptions, "weight" | "guaranteedPerSecond">): Standing {
  return {
    weight: checkNumber("weight", options.weight ?? 1, WEIGHT_MIN, WEIGHT_MAX),
    guaranteedPerSecond: checkNumber("guaranteedPerSecond", options.guaranteedPerSecond ?? 0, 0, RATE_MAX),
  };
}

/** How one member stands in a limit. */
export type Standing = Required<Pick<MemberLimitOptions, "weight" | "guaranteedPerSecond">>;

/** A number from afar: NaN, negative and absurd values, and what is no number, become the nearest sensible one. */
export function between(value: number, min: number, max: number): number {
  return typeof value === "number" && value >= min ? Math.min(value, max) : min;
}

/**
 * How many tokens a share of `sharePerSecond` may save up: its part of the burst, but one whole unit at least, or a
 * small share could never admit anything.
 */
export function shareCapacity(limit: LimitOptions, sharePerSecond: number): number {
  if (sharePerSecond <= 0) return 0;
  const whole = limit.ratePerSecond * limit.burstSeconds;
  return Math.min(whole, Math.max(1, sharePerSecond * limit.burstSeconds));
}
