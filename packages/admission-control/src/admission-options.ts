import type { Clock, Timer } from "@evenkeel/token-bucket";
import type { AwayPolicy } from "./core/member-share.js";
import type { Coordinator } from "./core/protocol.js";

export interface AdmissionOptions {
  /** Where to settle: `memoryCoordinator`, `redisCoordinator`, `httpCoordinator`, or your own. It stays yours to close. */
  readonly coordinator: Coordinator;
  /** This member's name, for people. Two members with one name do no harm. */
  readonly member: string;
  /**
   * About how often to settle: each time 80 to 120 % of it, so that members do not fall into step. 10 to 3,600,000;
   * default 2,000.
   */
  readonly settleEveryMs?: number;
  /** After this long without an answer a settlement has failed. Default `settleEveryMs`. */
  readonly settleTimeoutMs?: number;
  /** What to do without a lease: "safe-share" (default), "deny" or "allow". */
  readonly whenAway?: AwayPolicy;
  /**
   * The part of each limit that "safe-share" may spend: 0 to 1, default 0.05; never more than an even part among the
   * members last known.
   */
  readonly safeShare?: number;
  /** One more limit is refused with `ERR_ADMISSION_LIMITS`. Default 100,000. */
  readonly limitsMax?: number;
  /** Limits in one settlement message; more go in several, one after the other. Default 250. */
  readonly batchMax?: number;
  /** Milliseconds of a monotonic clock. Default `performance.now`. */
  readonly now?: Clock;
  /** Default `setTimeout`. Give both or neither of `now` and `timer` in a simulated world. */
  readonly timer?: Timer;
  /** 0 to 1, for the jitter. Default `Math.random`. */
  readonly random?: () => number;
}

export const admissionNames: Record<keyof AdmissionOptions, 0> = {
  coordinator: 0,
  member: 0,
  settleEveryMs: 0,
  settleTimeoutMs: 0,
  whenAway: 0,
  safeShare: 0,
  limitsMax: 0,
  batchMax: 0,
  now: 0,
  timer: 0,
  random: 0,
};

export interface AdmissionStats {
  readonly limits: number;
  /** Settlement messages sent, and those of them that failed. */
  readonly settlements: number;
  readonly failures: number;
  /** Whether some limit runs on the policy because the coordinator is away. */
  readonly degraded: boolean;
  /** What the last failed settlement failed with, until one succeeds. */
  readonly lastError: unknown;
}
