import { BucketLevel } from "@evenkeel/token-bucket";
import { CoordinatorBooks } from "../src/core/coordinator-books.js";
import { Admission, type Coordinator, type Grant, type LimitOptions, type Settlement } from "../src/index.js";
import type { SimulatedTime } from "./time.js";

/** What a scenario does to a system of either kind. */
export interface System {
  join(): SimulatedMember;
  /** The coordinator is replaced by one that knows nothing. */
  restart(): void;
  /** A replica takes over that has not heard of the last second. */
  failOver(): void;
  /** Nobody reaches the coordinator until told otherwise. */
  away(away: boolean): void;
  /** Settlement messages that were sent so far. */
  messages(): number;
}

export interface SimulatedMember {
  tryTake(): boolean;
  /** As SIGKILL does. */
  kill(): void;
}

const LEASE_MS = 10_000;
/** One way; a settlement takes two of them. */
const DELAY_MS = 3;
const LOST_MS = 1000;

/** The package as it ships, over books as the coordinators keep them, behind a line with a delay. */
export function evenkeel(limit: LimitOptions, time: SimulatedTime, random: () => number): System {
  const open = () =>
    new CoordinatorBooks(
      {
        leaseMs: LEASE_MS,
        learnForMs: LEASE_MS,
        learningShare: 0.05,
        limitsMax: 1,
        membersMax: 10_000,
        newLevel: (level, nowMs) => new BucketLevel(level, nowMs),
      },
      time.nowMs,
    );
  let primary = open();
  let replica = open();
  let behind: { readonly settlements: readonly Settlement[]; readonly atMs: number }[] = [];
  let isAway = false;
  let messages = 0;
  let joined = 0;
  const replicate = () => {
    while (behind[0] !== undefined && behind[0].atMs <= time.nowMs - LOST_MS) {
      const { settlements, atMs } = behind.shift() as (typeof behind)[number];
      replica.settle(settlements, atMs);
    }
  };
  const delay = () => new Promise<void>((resolve) => time.timer(DELAY_MS, resolve));
  const line = (dead: () => boolean): Coordinator => ({
    async settle(settlements): Promise<readonly Grant[]> {
      messages += 1;
      await delay();
      if (dead() || isAway) return new Promise<never>(() => {});
      replicate();
      behind.push({ settlements, atMs: time.nowMs });
      const grants = primary.settle(settlements, time.nowMs);
      await delay();
      if (dead() || isAway) return new Promise<never>(() => {});
      return grants;
    },
  });
  return {
    join() {
      joined += 1;
      let dead = false;
      const admission = new Admission({
        coordinator: line(() => dead),
        member: `member-${joined}`,
        now: time.now,
        timer: (delayMs, fire) => time.timer(delayMs, () => dead || fire()),
        random,
      });
      const writes = admission.limit("limit", limit);
      return {
        tryTake: () => writes.tryTake(1),
        kill: () => {
          dead = true;
        },
      };
    },
    restart() {
      primary = open();
      replica = open();
      behind = [];
    },
    failOver() {
      replicate();
      primary = replica;
      primary.restored(time.nowMs);
      // The next replica starts from what the new primary knows; here it may as well start from nothing.
      replica = open();
      behind = [];
    },
    away: (away) => {
      isAway = away;
    },
    messages: () => messages,
  };
}

/**
 * What one would write in an afternoon: every two seconds each member reports its demand, and gets the limit times its own
 * part of all demands known. No books of what is out, no leases; without an answer it keeps what it has.
 */
export function proportional(limit: LimitOptions, time: SimulatedTime, random: () => number): System {
  const SETTLE_MS = 2000;
  let known = new Map<number, { wanted: number; atMs: number }>();
  let isAway = false;
  let messages = 0;
  let joined = 0;
  return {
    join() {
      joined += 1;
      const id = joined;
      let dead = false;
      let asked = 0;
      const first = limit.ratePerSecond * 0.05;
      const bucket = new BucketLevel({ ratePerSecond: first, capacity: first * limit.burstSeconds }, time.nowMs);
      let lastMs = time.nowMs;
      const settle = () => {
        if (dead) return;
        messages += 1;
        time.timer(2 * DELAY_MS, () => {
          if (dead || isAway) return;
          const elapsedMs = Math.max(1, time.nowMs - lastMs);
          known.set(id, { wanted: (asked / elapsedMs) * 1000, atMs: time.nowMs });
          asked = 0;
          lastMs = time.nowMs;
          let all = 0;
          for (const [other, { wanted, atMs }] of known) {
            if (time.nowMs - atMs > LEASE_MS) known.delete(other);
            else all += wanted;
          }
          const mine = known.get(id)?.wanted ?? 0;
          const part = all > 0 ? mine / all : 1 / known.size;
          const ratePerSecond = limit.ratePerSecond * part;
          bucket.reconfigure({ ratePerSecond, capacity: Math.max(1, ratePerSecond * limit.burstSeconds) }, time.nowMs);
        });
        time.timer(SETTLE_MS * (0.8 + 0.4 * random()), settle);
      };
      time.timer(0, settle);
      return {
        tryTake() {
          asked += 1;
          return bucket.tryTake(1, time.nowMs);
        },
        kill: () => {
          dead = true;
        },
      };
    },
    restart() {
      known = new Map();
    },
    failOver() {
      for (const [id, { atMs }] of known) if (atMs > time.nowMs - LOST_MS) known.delete(id);
    },
    away: (away) => {
      isAway = away;
    },
    messages: () => messages,
  };
}
