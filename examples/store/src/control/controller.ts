import type { ObjectStore } from "@evenkeel/wal/archive";
import type { PartitionRecord, TableEntry } from "../metadata/records.js";
import type { MetadataService } from "../metadata/service.js";
import type { MetadataView } from "../metadata/view.js";
import { LeaderCalls } from "../router/leader-calls.js";
import type { Caller } from "../rpc/protocol.js";
import type { PartitionHost } from "../storage-node/partition-host.js";
import type { NodeStatus } from "../storage-node/status.js";
import { ArchiveSchedule } from "./archive-schedule.js";
import { restorePartitions } from "./restore.js";

const PERIOD_MS = 1_000;
/** While a table is on its way somewhere. */
const BUSY_PERIOD_MS = 50;

export interface ControllerOptions {
  readonly metadata: MetadataService;
  readonly view: MetadataView;
  readonly archive: ObjectStore;
  readonly partitions: () => Iterable<PartitionHost>;
  readonly members: readonly string[];
  readonly callerTo: (nodeId: string) => Caller;
}

/**
 * What nobody asks for and must happen all the same. Runs on every node: each looks after the archive of the partitions that it leads; the
 * leader of the metadata brings tables from CREATING to ACTIVE and from DELETING to nothing. Every step may be repeated, so a controller
 * that dies half-way is simply followed by another one.
 */
export class Controller {
  readonly #options: ControllerOptions;
  readonly #calls: LeaderCalls;
  readonly #schedule: ArchiveSchedule;
  #timer: NodeJS.Timeout | undefined;
  #running: Promise<void> | undefined;
  #closed = false;
  #lastFailure: unknown;

  constructor(options: ControllerOptions) {
    this.#options = options;
    this.#calls = new LeaderCalls({ callerTo: options.callerTo, deadlineMs: 10_000 });
    this.#schedule = new ArchiveSchedule(options);
    this.#sleep(PERIOD_MS);
  }

  /** Why the last round failed, if it did; the next one tries again. */
  get lastFailure(): unknown {
    return this.#lastFailure;
  }

  /** Something changed: look now instead of at the next turn. */
  wake(): void {
    this.#sleep(0);
  }

  #sleep(delayMs: number): void {
    clearTimeout(this.#timer);
    if (!this.#closed) this.#timer = setTimeout(() => this.#round(), delayMs).unref();
  }

  #round(): void {
    this.#running ??= this.#look()
      .catch((error: unknown) => {
        this.#lastFailure = error;
        return true;
      })
      .then((busy) => {
        this.#running = undefined;
        this.#sleep(busy ? BUSY_PERIOD_MS : PERIOD_MS);
      });
  }

  /** True when there is more to do soon. */
  async #look(): Promise<boolean> {
    const { metadata, view } = this.#options;
    await this.#schedule.round();
    if (!metadata.leading) return false;
    let busy = false;
    for (const table of [...view.tables.values()]) {
      if (table.status === "ACTIVE") continue;
      busy = true;
      if (table.status === "DELETING") await metadata.forget(table);
      else if (await this.#isLed(table)) await this.#finish(table);
    }
    return busy;
  }

  async #finish(table: TableEntry): Promise<void> {
    const { archive, metadata, view } = this.#options;
    if (table.restore !== undefined) {
      await restorePartitions({
        archive,
        calls: this.#calls,
        sources: table.restore.partitions,
        targets: view.partitionsOf(table.tableId),
        untilMs: table.restore.untilMs,
      });
    }
    await metadata.activate(table);
  }

  /** Every partition of the table has a leader that takes writes. */
  async #isLed(table: TableEntry): Promise<boolean> {
    const { members, callerTo, view } = this.#options;
    const statuses = await Promise.all(
      members.map((node) =>
        callerTo(node)
          .call("status", {}, { timeoutMs: 1_000 })
          .catch((): NodeStatus | undefined => undefined),
      ),
    );
    const led = new Set<number>();
    for (const status of statuses)
      for (const { partition, ready } of status?.partitions ?? []) if (ready) led.add(partition);
    return view.partitionsOf(table.tableId).every((record: PartitionRecord) => led.has(record.partition));
  }

  async close(): Promise<void> {
    this.#closed = true;
    clearTimeout(this.#timer);
    await this.#running;
    clearTimeout(this.#timer);
  }
}
