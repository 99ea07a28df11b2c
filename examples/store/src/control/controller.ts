import type { ObjectStore } from "@evenkeel/wal/archive";
import type { PartitionRecord, TableEntry } from "../metadata/records.js";
import type { MetadataService } from "../metadata/service.js";
import type { MetadataView } from "../metadata/view.js";
import { LeaderCalls } from "../router/leader-calls.js";
import type { Caller } from "../rpc/protocol.js";
import { StoreError } from "../storage-node/errors.js";
import type { PartitionHost } from "../storage-node/partition-host.js";
import { ArchiveSchedule } from "./archive-schedule.js";
import { reachableStatuses } from "./reachable-statuses.js";
import { restorePartitions } from "./restore.js";
import { Rounds } from "./rounds.js";

export interface ControllerOptions {
  readonly metadata: Pick<MetadataService, "leading" | "leadsAlone" | "activate" | "forget">;
  readonly view: Pick<MetadataView, "tables" | "partitionsOf">;
  readonly archive: ObjectStore;
  readonly partitions: () => Iterable<PartitionHost>;
  readonly members: readonly string[];
  readonly callerTo: (nodeId: string) => Caller;
}

/** How long a new table waits for members that answer and do not vote yet; they are a message and a sync away from it. */
const VOTERS_PATIENCE_MS = 5_000;

interface Restoring {
  /** Never rejects. */
  readonly done: Promise<void>;
  failure?: unknown;
}

/**
 * What nobody asks for and must happen all the same. Runs on every node: each looks after the archive of the partitions that it leads; the
 * leader of the metadata brings tables from CREATING to ACTIVE and from DELETING to nothing. Every step may be repeated, so a controller
 * that dies half-way is simply followed by another one. Nothing waits for anything else: not a table for the archive, nor for another table.
 */
export class Controller {
  readonly #options: ControllerOptions;
  readonly #calls: LeaderCalls;
  readonly #schedule: ArchiveSchedule;
  readonly #tables: Rounds;
  readonly #archive: Rounds;
  /** Restores under way, by the new table's id: they take as long as their data are large. */
  readonly #restores = new Map<string, Restoring>();
  /** Since when each new table has had leaders and lacked voters. */
  readonly #ledSince = new Map<string, number>();
  readonly #closing = new AbortController();

  constructor(options: ControllerOptions) {
    this.#options = options;
    this.#calls = new LeaderCalls({ callerTo: (node) => this.#callerForRestore(node), deadlineMs: 10_000 });
    this.#schedule = new ArchiveSchedule(options);
    this.#tables = new Rounds(() => this.#tableRound());
    this.#archive = new Rounds(async () => {
      await this.#schedule.round();
      return false;
    });
  }

  /** Why the last rounds failed, if they did; the next ones try again. */
  get lastFailure(): unknown {
    return this.#tables.lastFailure ?? this.#archive.lastFailure;
  }

  /** A table changed: look now instead of at the next turn. */
  wake(): void {
    this.#tables.wake();
  }

  /** True when there is more to do soon. */
  async #tableRound(): Promise<boolean> {
    const { metadata, view } = this.#options;
    if (!metadata.leading) return false;
    const onTheirWay = [...view.tables.values()].filter(({ status }) => status !== "ACTIVE");
    const done = await Promise.allSettled(onTheirWay.map((table) => this.#advance(table)));
    for (const outcome of done) if (outcome.status === "rejected") throw outcome.reason;
    return onTheirWay.length > 0;
  }

  async #advance(table: TableEntry): Promise<void> {
    const { metadata } = this.#options;
    if (table.status === "DELETING") {
      this.#ledSince.delete(table.tableId);
      await metadata.forget(table);
    } else if (!(await this.#isLed(table))) return;
    else if (table.restore === undefined) await metadata.activate(table);
    else await this.#restored(table, table.restore);
  }

  /** Begins a restore, or looks how it goes; throws, and has it begin anew in the next round, when it failed. */
  async #restored(table: TableEntry, { partitions, untilMs }: NonNullable<TableEntry["restore"]>): Promise<void> {
    const { archive, metadata, view } = this.#options;
    const { tableId } = table;
    const known = this.#restores.get(tableId);
    if (known !== undefined) {
      if (known.failure === undefined) return;
      this.#restores.delete(tableId);
      throw known.failure as Error;
    }
    const targets = view.partitionsOf(tableId);
    const { signal } = this.#closing;
    const restoring: Restoring = {
      done: restorePartitions({ archive, calls: this.#calls, sources: partitions, targets, untilMs, signal })
        .then(() => metadata.activate(table))
        .then(
          () => void this.#restores.delete(tableId),
          (error: unknown) => {
            restoring.failure = error ?? new Error("the restore failed");
          },
        ),
    };
    this.#restores.set(tableId, restoring);
  }

  /**
   * Asked before each attempt of each write of a restore. A controller that leads no more must write no more: its successor restores too, and
   * opens the table to users, whose writes would be written over.
   */
  #callerForRestore(node: string): Caller {
    if (!this.#options.metadata.leadsAlone)
      throw new StoreError("ERR_STORE_CLOSED", "another node may lead the metadata by now: its controller restores");
    return this.#options.callerTo(node);
  }

  /**
   * Every partition of the table has a leader that takes writes, and every member that answers votes: a table that is ACTIVE survives the loss of
   * any one of them from the first moment on. Who cannot be reached keeps nobody waiting, who answers and never votes not for long.
   */
  async #isLed({ tableId }: TableEntry): Promise<boolean> {
    const led = new Set<number>();
    const voters = new Map<string, Set<number>>();
    for (const [node, { partitions }] of await reachableStatuses(this.#options)) {
      for (const { partition, ready } of partitions) if (ready) led.add(partition);
      voters.set(node, new Set(partitions.filter(({ voting }) => voting).map(({ partition }) => partition)));
    }
    const records: readonly PartitionRecord[] = this.#options.view.partitionsOf(tableId);
    if (!records.every(({ partition }) => led.has(partition))) return false;
    const now = performance.now();
    const since = this.#ledSince.get(tableId) ?? now;
    const complete = records.every(({ partition, members }) =>
      members.every((node) => voters.get(node)?.has(partition) ?? true),
    );
    if (complete || now - since > VOTERS_PATIENCE_MS) {
      this.#ledSince.delete(tableId);
      return true;
    }
    this.#ledSince.set(tableId, since);
    return false;
  }

  async close(): Promise<void> {
    this.#closing.abort();
    await Promise.all([this.#tables.close(), this.#archive.close()]);
    await Promise.all([...this.#restores.values()].map(({ done }) => done));
  }
}
