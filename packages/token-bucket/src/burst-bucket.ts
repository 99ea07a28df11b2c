import { clockFrom, timerFrom } from "./clock.js";
import type { Chargeable } from "./core/all-or-nothing.js";
import { RATE_MAX, TOKENS_MAX } from "./core/bucket-level.js";
import { BurstLevel, type BurstRates } from "./core/burst-level.js";
import { argumentError, checkNumber, checkOptions } from "./core/errors.js";
import type { Clock, Timer } from "./core/time.js";
import type { Waiter } from "./core/waiting-line.js";
import { WaitingRoom } from "./waiting-room.js";

/** A bucket on which several others draw, such as a node's: a `TokenBucket`, or anything that keeps its promises. */
export interface SharedBucket extends Chargeable {
  refund(tokens: number): void;
  msUntil(tokens: number, nowMs?: number): number;
}

export interface BurstBucketOptions {
  /** Tokens that flow in each second: 0 to 1e12, fractions allowed. */
  readonly ratePerSecond: number;
  /** For how many seconds what is not used is saved. Default 300. */
  readonly burstSeconds?: number;
  /** Provisioned tokens, at most; what they cannot hold is saved. Default: those of one second, `ratePerSecond`. */
  readonly capacity?: number;
  /** Charged for everything that is admitted; saved tokens are spent only while it has room. */
  readonly node: SharedBucket;
  /** Provisioned tokens at first. Default: `capacity`. */
  readonly tokens?: number;
  /** Saved tokens at first. Default 0: nothing has gone unused yet, and a restart is no gift. */
  readonly saved?: number;
  /** How many `take` calls may wait at once; one more is refused. Default 1,024. */
  readonly waitersMax?: number;
  /** Whether a waiting `take` keeps the process alive. Default false. */
  readonly keepAlive?: boolean;
  /** Milliseconds of a monotonic clock. Default: `performance.now`. Give it the node's: then it is read once. */
  readonly now?: Clock;
  /** What wakes `take`. Default: `setTimeout`. */
  readonly timer?: Timer;
}

const names: Record<keyof BurstBucketOptions, 0> = {
  ratePerSecond: 0,
  burstSeconds: 0,
  capacity: 0,
  node: 0,
  tokens: 0,
  saved: 0,
  waitersMax: 0,
  keepAlive: 0,
  now: 0,
  timer: 0,
};

export interface BurstBucketStats {
  /** Provisioned tokens, with fractions; negative while a debit is being paid back. */
  readonly tokens: number;
  readonly saved: number;
  readonly ratePerSecond: number;
  readonly capacity: number;
  readonly savedMax: number;
  /** `take` calls that wait now. */
  readonly waiting: number;
  /** Takes that succeeded, at once or after waiting. */
  readonly taken: number;
  /** Those among them that needed saved tokens. */
  readonly bursts: number;
  /** `tryTake` calls that returned false, and `take` calls that were refused or gave up. */
  readonly refused: number;
  /** Decisions against a burst whose tokens were there, because a node had no room. */
  readonly withoutRoom: number;
}

interface BurstWaiter extends Waiter {
  readonly further: readonly SharedBucket[];
}

const NONE: readonly SharedBucket[] = [];

/**
 * A bucket that saves what is not used, and lets it be spent as a burst where the node has room.
 *
 * A partition that is promised a rate is idle most of the time, and then needs more than its rate for a moment. Letting
 * it is free while its neighbours on the node are quiet, and takes from their promises while they are not: so the
 * provisioned tokens are spent unasked, and saved ones only if the node's bucket could pay for the request as well.
 * Everything that is admitted is charged to the node, which therefore knows how much room there is; provisioned
 * requests may push it below zero, and bursts wait until it has recovered. A write costs every replica; the further
 * buckets of a call are those of the other replicas' nodes. (Elhemali et al., "Amazon DynamoDB", USENIX ATC 2022,
 * section 3.1.)
 */
export class BurstBucket implements SharedBucket {
  /** What it reads the time from; the node is told the time if it has the same clock. */
  readonly clock: Clock;
  readonly #node: SharedBucket;
  readonly #level: BurstLevel;
  readonly #room: WaitingRoom<BurstWaiter>;
  #burstSeconds: number;
  /** What was asked for; undefined where it follows the rate. */
  #capacity: number | undefined;
  #idle = true;
  #taken = 0;
  #bursts = 0;
  #refused = 0;
  #withoutRoom = 0;

  /** @throws TokenBucketError `ERR_TOKEN_BUCKET_ARGUMENT` */
  constructor(options: BurstBucketOptions) {
    options = checkOptions("BurstBucket", options, names);
    this.#node = checkShared("node", options.node);
    this.clock = clockFrom(options.now);
    const waitersMax = checkNumber("waitersMax", options.waitersMax ?? 1024, 0, 2 ** 31);
    this.#burstSeconds = options.burstSeconds ?? 300;
    this.#capacity = options.capacity;
    const rates = ratesFrom(options.ratePerSecond, this.#burstSeconds, this.#capacity);
    const tokens = checkNumber("tokens", options.tokens ?? rates.capacity, 0, rates.capacity);
    const saved = checkNumber("saved", options.saved ?? 0, 0, rates.savedMax);
    this.#level = new BurstLevel({ ...rates, tokens, saved }, this.clock());
    this.#room = new WaitingRoom<BurstWaiter>(
      {
        serve: (waiter) => this.#serve(waiter),
        idle: (idle) => {
          this.#idle = idle;
        },
        whyNever: (waiter) => this.#whyNever(waiter),
      },
      timerFrom(options.timer, options.keepAlive),
      waitersMax,
    );
  }

  /**
   * Takes `tokens` (default 1) if the provisioned ones suffice; or if they suffice together with the saved ones and the
   * node has room for all of `tokens`, and so has each of the `further` buckets. All or nothing, and never waits. The
   * node and the further buckets are charged whenever it succeeds.
   */
  tryTake(tokens = 1, further: readonly SharedBucket[] = NONE): boolean {
    checkFurther(further);
    if (this.#idle && this.#spend(tokens, this.clock(), further)) {
      this.#taken += 1;
      return true;
    }
    checkNumber("tokens", tokens, 0, Number.MAX_VALUE);
    this.#refused += 1;
    return false;
  }

  /** Whether `tryTake(tokens, further)` would succeed now. Changes nothing. `nowMs`: for who has read `clock` already. */
  has(tokens = 1, nowMs = this.clock(), further: readonly SharedBucket[] = NONE): boolean {
    checkFurther(further);
    if (!this.#idle) return false;
    if (this.#level.hasProvisioned(tokens, nowMs)) return true;
    return this.#level.hasBoth(tokens, nowMs) && this.#haveRoom(tokens, nowMs, further);
  }

  /**
   * Takes `tokens`, waiting for them if need be, in the order of the calls; as soon as either way is open. Rejects as
   * `TokenBucket.take` does; `ERR_TOKEN_BUCKET_NEVER` also when only saved tokens would suffice and a node can never
   * have room for them.
   */
  async take(
    tokens = 1,
    options: { readonly signal?: AbortSignal | undefined; readonly further?: readonly SharedBucket[] | undefined } = {},
  ): Promise<void> {
    checkNumber("tokens", tokens, 0, Number.MAX_VALUE);
    const { signal, further = NONE } = checkOptions("take", options, { signal: 0, further: 0 });
    checkFurther(further);
    signal?.throwIfAborted();
    if (this.#idle && this.#spend(tokens, this.clock(), further)) {
      this.#taken += 1;
      return;
    }
    await this.#room.wait({ tokens, further }, signal);
  }

  /**
   * Charges `tokens` (0 to 1e15) after the fact: as `tryTake` would have if it had known, and where it would have
   * refused, to the provisioned tokens alone. They may fall below zero; what flows in pays that back first.
   */
  debit(tokens: number, nowMs = this.clock(), further: readonly SharedBucket[] = NONE): void {
    checkFurther(further);
    if (this.#spend(tokens, nowMs, further)) return;
    this.#level.debit(tokens, nowMs);
    this.#charge(tokens, nowMs, further);
  }

  /**
   * Gives `tokens` back, here, to the node and to the `further` buckets. Here they fill the provisioned ones first; what
   * those cannot hold is saved, and what is above both is lost.
   */
  refund(tokens: number, further: readonly SharedBucket[] = NONE): void {
    checkFurther(further);
    this.#level.refund(tokens, this.clock());
    this.#node.refund(tokens);
    for (const bucket of further) bucket.refund(tokens);
    this.#room.serve();
  }

  /**
   * Milliseconds until `tryTake(tokens, further)` can succeed if no others come, to this bucket or to the nodes': counts
   * those that wait now. `Infinity` when it never can.
   */
  msUntil(tokens = 1, nowMs = this.clock(), further: readonly SharedBucket[] = NONE): number {
    checkNumber("tokens", tokens, 0, Number.MAX_VALUE);
    checkFurther(further);
    if (this.#room.closed) return Number.POSITIVE_INFINITY;
    if (this.#idle) return this.#msUntil(tokens, nowMs, further);
    const { capacity, ratePerSecond } = this.#level;
    const own = this.#msUntil(tokens, nowMs, further);
    // Those in line may be more than the capacity together; it is earned and spent bit by bit.
    const have = this.#level.provisioned(nowMs) + (tokens > capacity ? this.#level.saved(nowMs) : 0);
    const missing = this.#room.tokens() + tokens - have;
    return missing <= 0 ? own : Math.max(own, (missing / ratePerSecond) * 1000);
  }

  /**
   * Changes what is named, from now on. Provisioned and saved tokens stay, each up to its new bound; those who wait are
   * served at the new rate, and refused with `ERR_TOKEN_BUCKET_NEVER` if they wait for what can no longer come. A
   * `capacity` that was never given follows the rate.
   */
  reconfigure(change: {
    readonly ratePerSecond?: number;
    readonly burstSeconds?: number;
    readonly capacity?: number;
  }): void {
    const wanted = checkOptions("reconfigure", change, { ratePerSecond: 0, burstSeconds: 0, capacity: 0 });
    const { ratePerSecond = this.#level.ratePerSecond } = wanted;
    const { burstSeconds = this.#burstSeconds, capacity = this.#capacity } = wanted;
    this.#level.reconfigure(ratesFrom(ratePerSecond, burstSeconds, capacity), this.clock());
    this.#burstSeconds = burstSeconds;
    this.#capacity = capacity;
    this.#room.reconsider();
  }

  stats(): BurstBucketStats {
    const nowMs = this.clock();
    return {
      tokens: this.#level.provisioned(nowMs),
      saved: this.#level.saved(nowMs),
      ratePerSecond: this.#level.ratePerSecond,
      capacity: this.#level.capacity,
      savedMax: this.#level.savedMax,
      waiting: this.#room.length,
      taken: this.#taken + this.#room.admitted,
      bursts: this.#bursts,
      refused: this.#refused + this.#room.refused,
      withoutRoom: this.#withoutRoom,
    };
  }

  /** Refuses those who wait with `ERR_TOKEN_BUCKET_CLOSED`, and every take from now on. May be called twice. */
  close(): void {
    this.#room.close();
  }

  [Symbol.asyncDispose](): Promise<void> {
    this.close();
    return Promise.resolve();
  }

  /** The decision, and the charges of it. */
  #spend(tokens: number, nowMs: number, further: readonly SharedBucket[]): boolean {
    if (!this.#level.tryTakeProvisioned(tokens, nowMs)) {
      if (!this.#level.hasBoth(tokens, nowMs)) return false;
      if (!this.#haveRoom(tokens, nowMs, further)) {
        this.#withoutRoom += 1;
        return false;
      }
      this.#level.takeBoth(tokens, nowMs);
      this.#bursts += 1;
    }
    this.#charge(tokens, nowMs, further);
    return true;
  }

  #haveRoom(tokens: number, nowMs: number, further: readonly SharedBucket[]): boolean {
    if (!this.#node.has(tokens, this.#timeOf(this.#node, nowMs))) return false;
    for (const bucket of further) if (!bucket.has(tokens, this.#timeOf(bucket, nowMs))) return false;
    return true;
  }

  #charge(tokens: number, nowMs: number, further: readonly SharedBucket[]): void {
    this.#node.debit(tokens, this.#timeOf(this.#node, nowMs));
    for (const bucket of further) bucket.debit(tokens, this.#timeOf(bucket, nowMs));
  }

  /** The reading that `bucket` may share; undefined when it lives by another clock and has to look itself. */
  #timeOf(bucket: SharedBucket, nowMs: number): number | undefined {
    return bucket.clock === this.clock ? nowMs : undefined;
  }

  /** Without those who wait. */
  #msUntil(tokens: number, nowMs: number, further: readonly SharedBucket[]): number {
    const provisionedMs = this.#level.msUntilProvisioned(tokens, nowMs);
    if (provisionedMs === 0) return 0;
    let burstMs = this.#level.msUntilBoth(tokens, nowMs);
    if (burstMs < provisionedMs) burstMs = Math.max(burstMs, this.#msUntilRoom(tokens, nowMs, further));
    return Math.min(provisionedMs, burstMs);
  }

  #msUntilRoom(tokens: number, nowMs: number, further: readonly SharedBucket[]): number {
    let waitMs = this.#node.msUntil(tokens, this.#timeOf(this.#node, nowMs));
    for (const bucket of further) waitMs = Math.max(waitMs, bucket.msUntil(tokens, this.#timeOf(bucket, nowMs)));
    return waitMs;
  }

  #serve({ tokens, further }: BurstWaiter): number {
    const nowMs = this.clock();
    // A node that says "now" and has no room all the same is asked again soon, not at once.
    return this.#spend(tokens, nowMs, further) ? 0 : Math.max(1, this.#msUntil(tokens, nowMs, further));
  }

  /** Asked only of those who could not be served at once. */
  #whyNever({ tokens, further }: { readonly tokens: number; readonly further: readonly SharedBucket[] }) {
    const nowMs = this.clock();
    if (this.#msUntil(tokens, nowMs, further) < Number.POSITIVE_INFINITY) return undefined;
    const { capacity, savedMax, ratePerSecond } = this.#level;
    const asked = `${tokens} tokens were asked for`;
    if (tokens > capacity + savedMax)
      return `${asked}, and the bucket never holds more than ${capacity} and ${savedMax} saved ones`;
    if (ratePerSecond === 0) return `${asked}, and ratePerSecond is 0`;
    return `${asked}, of which saved ones would have to be a part, and a node's bucket can never have room for that`;
  }
}

function ratesFrom(ratePerSecond: number, burstSeconds: number, capacity: number | undefined): BurstRates {
  checkNumber("ratePerSecond", ratePerSecond, 0, RATE_MAX);
  checkNumber("burstSeconds", burstSeconds, 0, Number.MAX_VALUE);
  if (capacity !== undefined) checkNumber("capacity", capacity, 0, TOKENS_MAX);
  const rates = { ratePerSecond, capacity: capacity ?? ratePerSecond, savedMax: ratePerSecond * burstSeconds };
  if (rates.capacity + rates.savedMax > TOKENS_MAX) {
    throw argumentError("burstSeconds", `so that no more than ${TOKENS_MAX} tokens can be saved`, burstSeconds);
  }
  return rates;
}

/** Before anything is charged: a bucket given alone, in place of a list of it, would be found only after the node has paid. */
function checkFurther(further: readonly SharedBucket[]): void {
  if (further === NONE) return;
  if (!Array.isArray(further)) throw argumentError("further", "a list of buckets", further);
  for (const bucket of further as readonly unknown[]) checkShared("further", bucket);
}

function checkShared(name: string, bucket: unknown): SharedBucket {
  const seen = bucket as SharedBucket | null | undefined;
  if (
    typeof seen?.has !== "function" ||
    typeof seen.debit !== "function" ||
    typeof seen.refund !== "function" ||
    typeof seen.msUntil !== "function"
  ) {
    throw argumentError(name, "a bucket, with has, debit, refund, msUntil", bucket);
  }
  return seen;
}
