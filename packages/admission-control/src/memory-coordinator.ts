import { BucketLevel, type Clock } from "@evenkeel/token-bucket";
import { clockFrom, steady } from "./clock.js";
import { CoordinatorBooks } from "./core/coordinator-books.js";
import { checkNumber, checkOptions } from "./core/errors.js";
import type { Coordinator, Grant, Settlement } from "./core/protocol.js";

export interface MemoryCoordinatorOptions {
  /**
   * How long a share may be spent after the settlement that brought it. 10 to 3,600,000; default 10,000: five
   * settlements of the usual pace.
   */
  readonly leaseMs?: number;
  /**
   * For how long after its start the coordinator grants no more than `learningShare` to members that come without a
   * lease, because others may hold leases of a coordinator before it. Default `leaseMs`. Give 0 when that cannot be:
   * coordinator and members begin and end together, as in one process.
   */
  readonly learnForMs?: number;
  /**
   * The part of each limit that newcomers share while it learns. 0 to 1, default 0.05; saved tokens likewise, but at
   * least one.
   */
  readonly learningShare?: number;
  /** Limits with books; settlements for more are not answered. Default 1,000,000. */
  readonly limitsMax?: number;
  /** Leases for one limit; further members are not answered. Default 10,000. */
  readonly membersMax?: number;
  /** Milliseconds of a monotonic clock. Default `performance.now`. */
  readonly now?: Clock;
}

const names: Record<keyof MemoryCoordinatorOptions, 0> = {
  leaseMs: 0,
  learnForMs: 0,
  learningShare: 0,
  limitsMax: 0,
  membersMax: 0,
  now: 0,
};

export interface MemoryCoordinatorStats {
  readonly limits: number;
  readonly learning: boolean;
  readonly settlements: number;
}

export interface MemoryCoordinator extends Coordinator {
  settleNow(settlements: readonly Settlement[]): readonly Grant[];
  /**
   * Of one limit: members with leases, and the flow that they hold or may hold; `undefined` when nobody settled for it
   * lately.
   */
  inspect(limit: string): { readonly members: number; readonly outstandingPerSecond: number } | undefined;
  stats(): MemoryCoordinatorStats;
}

/** A coordinator in this process's memory, for members in the same process or behind a server of your own. */
export function memoryCoordinator(options: MemoryCoordinatorOptions = {}): MemoryCoordinator {
  checkOptions("memoryCoordinator", options, names);
  const now = steady(clockFrom(options.now));
  const leaseMs = checkNumber("leaseMs", options.leaseMs ?? 10_000, 10, 3_600_000);
  const books = new CoordinatorBooks(
    {
      leaseMs,
      learnForMs: checkNumber("learnForMs", options.learnForMs ?? leaseMs, 0, 3_600_000),
      learningShare: checkNumber("learningShare", options.learningShare ?? 0.05, 0, 1),
      limitsMax: checkNumber("limitsMax", options.limitsMax ?? 1_000_000, 1, 2 ** 24),
      membersMax: checkNumber("membersMax", options.membersMax ?? 10_000, 1, 1_000_000),
      newLevel: (level, nowMs) => new BucketLevel(level, nowMs),
    },
    now(),
  );
  let count = 0;
  const settleNow = (settlements: readonly Settlement[]): readonly Grant[] => {
    count += settlements.length;
    return books.settle(settlements, now());
  };
  return {
    settleNow,
    settle: async (settlements) => settleNow(settlements),
    inspect(limit) {
      const ledger = books.ledger(limit);
      return ledger && { members: ledger.members, outstandingPerSecond: ledger.outstandingPerSecond() };
    },
    stats: () => ({ limits: books.limits, learning: books.learning(now()), settlements: count }),
  };
}
