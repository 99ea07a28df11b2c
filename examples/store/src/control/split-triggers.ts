import { isLive, type PartitionRecord } from "../metadata/records.js";
import type { MetadataView } from "../metadata/view.js";
import { StoreError } from "../storage-node/errors.js";
import type { PartitionHost } from "../storage-node/partition-host.js";
import type { Replica } from "../storage-node/replica.js";
import { middleOf } from "../storage-node/split-point.js";
import { decodeTally, TALLY_KEY } from "../storage-node/tally-record.js";
import type { Upkeep } from "./upkeep.js";

/** One that is too large and was left whole, its items having one partition key, is looked at again when it has grown by this part of what it held. */
const GROWN = 1 / 8;
/** What could not be begun is not asked for again before. */
const ASK_AGAIN_AFTER_MS = 10_000;

type Watched = Pick<PartitionHost, "partition" | "group" | "replica" | "serves" | "usage">;

export interface SplitTriggersOptions {
  readonly view: Pick<MetadataView, "partitions">;
  readonly partitions: () => Iterable<Watched>;
  readonly upkeep: Pick<Upkeep, "splitBytes">;
  /** Has a partition split: asks whoever leads the metadata. */
  readonly split: (partition: number, at: number) => Promise<unknown>;
}

/** As the service counts; 0 where nobody has counted yet. */
function bytesIn(replica: Pick<Replica, "get">): number {
  const stored = replica.get(TALLY_KEY);
  return stored === undefined ? 0 : decodeTally(stored.json).bytes;
}

/** What is known of a partition that is led here. */
interface Known {
  /** What it held when its middle was last looked for. */
  lookedAtBytes: number;
  notBeforeMs: number;
}

/**
 * Looks, at each node for the partitions that it leads, whether one is too large or too busy, and has it split: where its bytes halve, or where what it has to do halves.
 */
export class SplitTriggers {
  readonly #options: SplitTriggersOptions;
  readonly #known = new Map<number, Known>();
  #measuring: Promise<void> | undefined;
  #closed = false;

  constructor(options: SplitTriggersOptions) {
    this.#options = options;
  }

  /** Begins what is due, and waits for none of it. */
  round(): void {
    const led = new Set<number>();
    for (const host of this.#options.partitions()) {
      const record = this.#options.view.partitions.get(host.partition);
      if (record === undefined || !isLive(record) || record.splitting !== undefined) continue;
      if (!host.group.leadership().ready || !host.serves) continue;
      led.add(host.partition);
      this.#look(host, record);
    }
    for (const partition of this.#known.keys()) if (!led.has(partition)) this.#known.delete(partition);
  }

  #look(host: Watched, record: PartitionRecord): void {
    const { partition, replica } = host;
    const known = this.#known.get(partition) ?? { lookedAtBytes: 0, notBeforeMs: 0 };
    this.#known.set(partition, known);
    if (performance.now() < known.notBeforeMs) return;
    const busyAt = host.usage?.splitPoint();
    if (busyAt !== undefined) this.#split(known, partition, busyAt);
    else if (bytesIn(replica) >= Math.max(this.#options.upkeep.splitBytes, known.lookedAtBytes * (1 + GROWN)))
      this.#measuring ??= this.#halve(host, known, record).finally(() => {
        this.#measuring = undefined;
      });
  }

  /** Whatever it comes to: a value that has rotted is told by whoever reads it, and the middle is looked for again later. */
  async #halve(host: Watched, known: Known, record: PartitionRecord): Promise<void> {
    const { partition, replica, group } = host;
    const bytes = bytesIn(replica);
    const goesOn = () => !this.#closed && host.serves && group.leadership().ready;
    try {
      const { at } = await middleOf(replica, record, goesOn);
      if (!goesOn()) return;
      known.lookedAtBytes = bytes;
      if (at !== undefined) this.#split(known, partition, at);
    } catch {
      known.notBeforeMs = performance.now() + ASK_AGAIN_AFTER_MS;
    }
  }

  #split(known: Known, partition: number, at: number): void {
    known.notBeforeMs = performance.now() + ASK_AGAIN_AFTER_MS;
    this.#options.split(partition, at).catch((error: unknown) => {
      // Its table is being changed, or there is nobody to ask.
      if (error instanceof StoreError) known.lookedAtBytes = 0;
    });
  }

  async close(): Promise<void> {
    this.#closed = true;
    await this.#measuring;
  }
}
