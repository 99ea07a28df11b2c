import { channel } from "node:diagnostics_channel";
import { TokenBucket } from "@evenkeel/token-bucket";
import { isLive } from "../metadata/records.js";
import type { MetadataView } from "../metadata/view.js";
import { ExpirySweep } from "../storage-node/expiry-sweep.js";
import type { PartitionHost } from "../storage-node/partition-host.js";

/** What a node spends on looking for items whose time is up: so many of them a second, or KiB. */
const UNITS_PER_SECOND = 2_000;
/** A round goes no further: the next one comes a second later, or at once where there is more to do. */
const UNITS_PER_ROUND_MAX = 500;
/** A small partition is not gone through more often than this. */
const PASS_EVERY_MS = 1_000;

const expired = channel("evenkeel:store:items-expired");

type Swept = Pick<PartitionHost, "partition" | "group" | "replica" | "writer" | "serves">;

export interface ExpiryOptions {
  readonly view: Pick<MetadataView, "tables" | "partitions">;
  readonly partitions: () => Iterable<Swept>;
  /** Wall-clock time: what items say is of the same kind. */
  readonly nowMs: () => number;
  /** Monotonic, in milliseconds; default `performance.now`. */
  readonly now?: () => number;
}

interface Sweeping {
  readonly sweep: ExpirySweep;
  notBefore: number;
}

/**
 * Has items deleted whose time is up, in the partitions that are led here, each in its turn. The pace is a token bucket's, for all of them together: the same work
 * whether much expires or nothing, and however busy the tables are; where it does not suffice, items stay for longer.
 */
export class Expiry {
  readonly #options: ExpiryOptions;
  readonly #sweeps = new Map<number, Sweeping>();
  readonly #pace: TokenBucket;
  readonly #now: () => number;
  #turn = 0;
  #items = 0;

  constructor(options: ExpiryOptions) {
    this.#options = options;
    this.#now = options.now ?? (() => performance.now());
    // Nobody waits for it, so nothing needs to be woken.
    const clock = { now: this.#now, timer: () => () => undefined };
    this.#pace = new TokenBucket({ ratePerSecond: UNITS_PER_SECOND, capacity: UNITS_PER_SECOND, ...clock });
  }

  /** Items deleted in this life. */
  get items(): number {
    return this.#items;
  }

  /** A bounded piece of work. True when there is more to do soon. */
  async round(): Promise<boolean> {
    const { view, partitions, nowMs } = this.#options;
    const attributes = new Map<string, string>();
    for (const { tableId, timeToLive, status } of view.tables.values())
      if (timeToLive?.enabled && (status === "ACTIVE" || status === "UPDATING"))
        attributes.set(tableId, timeToLive.attribute);
    if (attributes.size === 0) {
      this.#sweeps.clear();
      return false;
    }
    const led = new Map<number, { host: Swept; attribute: string }>();
    for (const host of partitions()) {
      const record = view.partitions.get(host.partition);
      // A part that was opened and has not taken over may be opened once more, and what was deleted before that would be in no stream.
      if (record === undefined || !isLive(record)) continue;
      const attribute = attributes.get(record.tableId);
      if (attribute !== undefined && host.group.leadership().ready && host.serves)
        led.set(host.partition, { host, attribute });
    }
    for (const partition of this.#sweeps.keys()) if (!led.has(partition)) this.#sweeps.delete(partition);
    const inTurn = [...led.values()];
    let spent = 0;
    for (let idle = 0; idle < inTurn.length && spent < UNITS_PER_ROUND_MAX; ) {
      const { host, attribute } = inTurn[this.#turn++ % inTurn.length] as (typeof inTurn)[number];
      const sweeping = this.#sweeps.get(host.partition) ?? { sweep: new ExpirySweep(host), notBefore: 0 };
      this.#sweeps.set(host.partition, sweeping);
      if (this.#now() < sweeping.notBefore) {
        idle++;
        continue;
      }
      if (!this.#pace.tryTake(1)) return true;
      const step = await sweeping.sweep.step(attribute, nowMs()).catch(() => undefined);
      // Not led any more, or it takes no writes now: others have their turn.
      if (step === undefined || step.ended) sweeping.notBefore = this.#now() + PASS_EVERY_MS;
      idle = step === undefined || step.ended ? idle + 1 : 0;
      if (step === undefined) continue;
      if (step.units > 1) this.#pace.debit(step.units - 1);
      spent += Math.max(1, step.units);
      this.#items += step.expired;
      if (step.expired > 0 && expired.hasSubscribers)
        expired.publish({ partition: host.partition, items: step.expired });
    }
    return spent >= UNITS_PER_ROUND_MAX;
  }
}
