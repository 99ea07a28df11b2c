import { createHash } from "node:crypto";
import { AdmissionError, argumentError, checkNumber, checkOptions } from "../core/errors.js";
import { type Coordinator, checkLimit, type Grant, type Settlement } from "../core/protocol.js";
import { SETTLE } from "./script.js";

/** What is needed of a client: `Redis` and `Cluster` of ioredis are such. It stays yours: nothing here closes it. */
export interface RedisLike {
  evalsha(sha1: string, keys: number, ...args: (string | number)[]): Promise<unknown>;
  eval(script: string, keys: number, ...args: (string | number)[]): Promise<unknown>;
  /** While it is "reconnecting", "close" or "end", nothing is sent: it would only queue up. */
  readonly status?: string;
}

export interface RedisCoordinatorOptions {
  /** How long a share may be spent after the settlement that brought it. 10 to 3,600,000; default 10,000. */
  readonly leaseMs?: number;
  /**
   * For how long after the books of a limit were lost, or came back from a replica or from disk, nothing is granted freely.
   * Default `leaseMs`; a new limit cannot be told from a lost one and learns too. 0 gives that safety up.
   */
  readonly learnForMs?: number;
  /** The part of the limit that newcomers share meanwhile: 0 to 1, default 0.05. */
  readonly learningShare?: number;
  /** Leases for one limit; further members are not answered. Default 10,000. */
  readonly membersMax?: number;
  /** Books that nobody settled with for so long are forgotten. Default 86,400,000, a day; at least ten leases. */
  readonly keepMs?: number;
  /** In front of each key: `prefix{limit}`. Default "evenkeel:admission:". Without braces, or limits would share a slot. */
  readonly prefix?: string;
}

const names: Record<keyof RedisCoordinatorOptions, 0> = {
  leaseMs: 0,
  learnForMs: 0,
  learningShare: 0,
  membersMax: 0,
  keepMs: 0,
  prefix: 0,
};

export interface RedisCoordinatorStats {
  readonly settlements: number;
  readonly failures: number;
  readonly inFlight: number;
  /** How often the script had to be sent whole. */
  readonly scriptsSent: number;
  readonly lastError: unknown;
}

export interface RedisCoordinator extends Coordinator {
  stats(): RedisCoordinatorStats;
}

const SHA = createHash("sha1").update(SETTLE).digest("hex");
const UNUSABLE = new Set(["reconnecting", "close", "end"]);

/**
 * A coordinator in Redis (6.2 or newer, Valkey, Redis Cluster): one atomic script and one key a limit, so each settlement is
 * one command, and limits spread over a cluster's slots. Books that were lost, evicted or restored from an older state are
 * noticed, and learnt anew. The client decides about reconnecting; see the README for the options that matter.
 */
export function redisCoordinator(redis: RedisLike, options: RedisCoordinatorOptions = {}): RedisCoordinator {
  if (typeof redis?.evalsha !== "function" || typeof redis.eval !== "function") {
    throw argumentError("redis", "a client with evalsha and eval", redis);
  }
  checkOptions("redisCoordinator", options, names);
  const leaseMs = checkNumber("leaseMs", options.leaseMs ?? 10_000, 10, 3_600_000);
  const terms = [
    leaseMs,
    checkNumber("learnForMs", options.learnForMs ?? leaseMs, 0, 3_600_000),
    checkNumber("learningShare", options.learningShare ?? 0.05, 0, 1),
    checkNumber("membersMax", options.membersMax ?? 10_000, 1, 1_000_000),
    Math.ceil(checkNumber("keepMs", options.keepMs ?? Math.max(86_400_000, 10 * leaseMs), 10 * leaseMs, 2 ** 40)),
  ];
  const { prefix = "evenkeel:admission:" } = options;
  if (typeof prefix !== "string" || /[{}]/.test(prefix))
    throw argumentError("prefix", "a string without braces", prefix);
  const counts = { settlements: 0, failures: 0, scriptsSent: 0 };
  /** What is on its way. One of each limit and member at most: behind a server that stalls nothing piles up. */
  const pending = new Set<string>();
  let lastError: unknown;

  async function call(settlement: Settlement): Promise<unknown> {
    const args = [1, `${prefix}{${settlement.limit}}`, ...argumentsOf(settlement), ...terms] as const;
    const [keys, ...rest] = args;
    try {
      return await redis.evalsha(SHA, keys, ...rest);
    } catch (error) {
      // A server that was restarted, flushed or just promoted has not heard of the script.
      if (!(error instanceof Error && error.message.startsWith("NOSCRIPT"))) throw error;
      counts.scriptsSent += 1;
      return await redis.eval(SETTLE, keys, ...rest);
    }
  }

  async function settleOne(settlement: Settlement): Promise<Grant | undefined> {
    counts.settlements += 1;
    if (!isSensible(settlement)) return undefined;
    const name = `${settlement.limit}\n${settlement.incarnation}`;
    try {
      if (pending.has(name) && !settlement.closing)
        throw away("the settlement before this one has not been answered yet");
      pending.add(name);
      try {
        return grantOf(settlement, await call(settlement));
      } finally {
        pending.delete(name);
      }
    } catch (error) {
      counts.failures += 1;
      lastError = error instanceof AdmissionError ? error : away(messageOf(error), error);
      throw lastError;
    }
  }

  return {
    async settle(settlements, { signal }) {
      signal.throwIfAborted();
      if (UNUSABLE.has(redis.status ?? "ready")) throw away(`the connection to Redis is ${redis.status}`);
      // Limits live on different servers of a cluster: those that are answered in time need not suffer for the others.
      const grants: Grant[] = [];
      let failure: AdmissionError | undefined;
      const answers = settlements.map(async (settlement) => {
        try {
          const grant = await settleOne(settlement);
          if (grant !== undefined) grants.push(grant);
        } catch (error) {
          failure ??= error as AdmissionError;
        }
      });
      await Promise.race([Promise.all(answers), aborted(signal)]);
      if (grants.length === 0 && failure !== undefined) throw failure;
      if (grants.length === 0) signal.throwIfAborted();
      return grants;
    },
    stats: () => ({ ...counts, inFlight: pending.size, lastError }),
  };
}

function aborted(signal: AbortSignal): Promise<void> {
  return new Promise((resolve) => signal.addEventListener("abort", () => resolve(), { once: true }));
}

function away(message: string, cause?: unknown): AdmissionError {
  return new AdmissionError("ERR_ADMISSION_AWAY", message, { cause });
}

function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}

function argumentsOf(settlement: Settlement): (string | number)[] {
  return [
    `${settlement.member}\n${settlement.incarnation}`,
    settlement.sequence,
    settlement.ratePerSecond,
    settlement.burstSeconds,
    settlement.wantedPerSecond,
    settlement.weight,
    settlement.guaranteedPerSecond,
    settlement.holdsPerSecond,
    settlement.returnedTotal,
    settlement.closing ? 1 : 0,
  ];
}

function isSensible(settlement: Settlement): boolean {
  if (!Number.isFinite(settlement.returnedTotal) || !Number.isSafeInteger(settlement.sequence)) return false;
  try {
    checkLimit(settlement);
    return true;
  } catch {
    return false;
  }
}

function grantOf({ limit }: Settlement, reply: unknown): Grant | undefined {
  if (!Array.isArray(reply)) return undefined;
  const [sequence, lease, ratePerSecond, tokensTotal, leaseMs, evenPerSecond, short] = reply.map(String);
  return {
    limit,
    // Of the settlement that this was said to: a late one hears what a newer one heard, and is not taken for it.
    sequence: Number(sequence),
    lease: lease ?? "",
    ratePerSecond: Number(ratePerSecond),
    tokensTotal: Number(tokensTotal),
    leaseMs: Number(leaseMs),
    evenPerSecond: Number(evenPerSecond),
    short: short === "1",
  };
}
