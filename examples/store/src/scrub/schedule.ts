import type { PassReport } from "@evenkeel/scrubber";
import { TokenBucket } from "@evenkeel/token-bucket";
import type { ObjectStore } from "@evenkeel/wal/archive";
import type { Fleet } from "../control/fleet.js";
import { reachableStatuses } from "../control/reachable-statuses.js";
import { PartitionScrubber } from "./partition-scrubber.js";

/** What a pass may read of each replica: a small part of what a disk or a core can do, whatever the load. */
const BYTES_PER_SECOND = 16 * 1024 * 1024;
const STEP_MS_MIN = 100;

export interface ScrubScheduleOptions {
  readonly fleet: Fleet;
  readonly archive: ObjectStore;
  /** Every partition is compared once in this time, if the pace allows. */
  readonly fullPassEveryMs: number;
  readonly onFinding: (line: string) => void;
}

export interface ScrubScheduleStats {
  /** Partitions compared completely. */
  readonly passes: number;
  /** Passes that could not compare everything, such as when a node was down. */
  readonly incomplete: number;
  readonly findings: number;
  /** Milliseconds since the partition that waits longest was last compared completely, or was first seen. */
  readonly oldestMs: number;
}

/** Constant work: one partition after another, evenly spread over the period, for ever. Finds and tells; repairs only when asked. */
export class ScrubSchedule {
  readonly #options: ScrubScheduleOptions;
  readonly #bucket = new TokenBucket({ ratePerSecond: BYTES_PER_SECOND, capacity: BYTES_PER_SECOND });
  /** When each partition was last compared completely, or first seen; in the order in which they will be compared next. */
  readonly #verifiedAtMs = new Map<number, number>();
  /** Who holds a replica of which partition, as of the last look. */
  readonly #members = new Map<number, readonly string[]>();
  #timer: NodeJS.Timeout | undefined;
  #running: Promise<void> | undefined;
  #closed = false;
  #passes = 0;
  #incomplete = 0;
  #findings = 0;

  constructor(options: ScrubScheduleOptions) {
    this.#options = options;
    this.#sleep();
  }

  stats(): ScrubScheduleStats {
    const oldest = Math.min(...this.#verifiedAtMs.values());
    return {
      passes: this.#passes,
      incomplete: this.#incomplete,
      findings: this.#findings,
      oldestMs: this.#verifiedAtMs.size === 0 ? 0 : performance.now() - oldest,
    };
  }

  async close(): Promise<void> {
    this.#closed = true;
    clearTimeout(this.#timer);
    this.#bucket.close();
    await this.#running;
  }

  #sleep(): void {
    if (this.#closed) return;
    const delayMs = Math.max(STEP_MS_MIN, this.#options.fullPassEveryMs / Math.max(1, this.#verifiedAtMs.size));
    this.#timer = setTimeout(() => {
      this.#running = this.#step()
        .catch(() => {
          this.#incomplete++;
        })
        .finally(() => {
          this.#running = undefined;
          this.#sleep();
        });
    }, delayMs).unref();
  }

  async #step(): Promise<void> {
    await this.#look();
    const [next] = this.#verifiedAtMs;
    if (next === undefined || this.#closed) return;
    const [partition, sinceMs] = next;
    // To the end of the line before it is compared: one that cannot be must not keep the others waiting.
    this.#verifiedAtMs.delete(partition);
    this.#verifiedAtMs.set(partition, sinceMs);
    const report = await this.#pass(partition);
    if (report.complete && report.absent.length === 0) {
      this.#verifiedAtMs.set(partition, performance.now());
      this.#passes++;
    } else this.#incomplete++;
    for (const { key, replica, against, kind } of report.divergences) {
      this.#find(
        `partition ${partition}: ${replica} differs from the ${against} (${kind}) at key ${Buffer.from(key).toString("hex")}`,
      );
    }
    for (const { replica, cause } of report.unreadable)
      this.#find(`partition ${partition}: ${replica} cannot be read: ${String(cause)}`);
  }

  #find(line: string): void {
    this.#findings++;
    this.#options.onFinding(line);
  }

  async #pass(partition: number): Promise<PassReport> {
    const { fleet, archive } = this.#options;
    const scrubber = await PartitionScrubber.open({
      partition,
      members: this.#members.get(partition) ?? fleet.nodeIds(),
      callerTo: (node) => fleet.callerTo(node),
      archive,
      take: (bytes) => this.#bucket.take(Math.min(bytes, BYTES_PER_SECOND)),
    });
    try {
      return await scrubber.pass();
    } finally {
      await scrubber.close();
    }
  }

  /** Which partitions there are now, as far as the nodes that answer know. */
  async #look(): Promise<void> {
    const { fleet } = this.#options;
    const statuses = await reachableStatuses({ members: fleet.nodeIds(), callerTo: (node) => fleet.callerTo(node) });
    if (statuses.size === 0) return;
    const found = [...statuses.values()].flatMap(({ partitions }) => partitions);
    const present = new Set(found.map(({ partition }) => partition));
    // Whoever has come furthest knows best who the members are.
    this.#members.clear();
    for (const { partition, members } of found.sort((a, b) => a.chosenThrough - b.chosenThrough))
      this.#members.set(partition, members);
    for (const partition of this.#verifiedAtMs.keys())
      if (!present.has(partition)) this.#verifiedAtMs.delete(partition);
    for (const partition of present)
      if (!this.#verifiedAtMs.has(partition)) this.#verifiedAtMs.set(partition, performance.now());
  }
}
