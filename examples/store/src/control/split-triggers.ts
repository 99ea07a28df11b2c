import { isLive, type PartitionRecord } from "../metadata/records.js";
import type { MetadataView } from "../metadata/view.js";
import { StoreError } from "../storage-node/errors.js";
import type { PartitionHost } from "../storage-node/partition-host.js";
import { middleOf } from "../storage-node/split-point.js";
import type { Upkeep } from "./upkeep.js";

/** A partition that was measured is measured again when this part of the bound has been written since. */
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

/** What is known of a partition that is led here. */
interface Known {
  /** What it held when it was measured, and how much had been written then. */
  measured?: { readonly bytes: number; readonly appliedBytes: number };
  notBeforeMs: number;
}

/**
 * Looks, at each node for the partitions that it leads, whether one is too large or too busy, and has it split: where its bytes halve, or where what it has to do halves. A partition
 * cannot have grown by more than was written to it, so how much it holds is measured only where that may be too much.
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
    const known = this.#known.get(partition) ?? { notBeforeMs: 0 };
    this.#known.set(partition, known);
    if (performance.now() < known.notBeforeMs) return;
    const busyAt = host.usage?.splitPoint();
    if (busyAt !== undefined) this.#split(known, partition, busyAt);
    else if (this.#mayBeLarge(known, replica.appliedBytes))
      this.#measuring ??= this.#measure(host, known, record).finally(() => {
        this.#measuring = undefined;
      });
  }

  #mayBeLarge({ measured }: Known, appliedBytes: number): boolean {
    const { splitBytes } = this.#options.upkeep;
    if (measured === undefined) return true;
    const grown = appliedBytes - measured.appliedBytes;
    return grown >= splitBytes * GROWN && measured.bytes + grown >= splitBytes;
  }

  /** Whatever it comes to: a value that has rotted is told by whoever reads it, and it is measured again later. */
  async #measure(host: Watched, known: Known, record: PartitionRecord): Promise<void> {
    const { partition, replica, group } = host;
    const { appliedBytes } = replica;
    const goesOn = () => !this.#closed && host.serves && group.leadership().ready;
    try {
      const { bytes, at } = await middleOf(replica, record, goesOn);
      if (!goesOn()) return;
      known.measured = { bytes, appliedBytes };
      if (bytes >= this.#options.upkeep.splitBytes && at !== undefined) this.#split(known, partition, at);
    } catch {
      known.notBeforeMs = performance.now() + ASK_AGAIN_AFTER_MS;
    }
  }

  #split(known: Known, partition: number, at: number): void {
    known.notBeforeMs = performance.now() + ASK_AGAIN_AFTER_MS;
    this.#options.split(partition, at).catch((error: unknown) => {
      // Its table is being changed, or there is nobody to ask: what was measured is forgotten, and found again.
      if (error instanceof StoreError) delete known.measured;
    });
  }

  async close(): Promise<void> {
    this.#closed = true;
    await this.#measuring;
  }
}
