import { channel } from "node:diagnostics_channel";
import type { Group } from "@evenkeel/paxos";
import type { ObjectStore } from "@evenkeel/wal/archive";
import { METADATA_PARTITION, type PartitionRecord, ringIds, type TableEntry } from "../metadata/records.js";
import type { MetadataService } from "../metadata/service.js";
import type { StreamService } from "../metadata/stream-service.js";
import type { MetadataView } from "../metadata/view.js";
import { LeaderCalls } from "../router/leader-calls.js";
import type { Caller } from "../rpc/protocol.js";
import { StoreError } from "../storage-node/errors.js";
import type { PartitionHost } from "../storage-node/partition-host.js";
import { notLeader } from "../storage-node/paxos-errors.js";
import { ArchiveRemoval } from "./archive-removal.js";
import { ArchiveSchedule } from "./archive-schedule.js";
import { countSome } from "./counting.js";
import { Expiry } from "./expiry.js";
import { Healing } from "./healing.js";
import { hasIndexOnItsWay, IndexLifecycle } from "./index-lifecycle.js";
import { reachableStatuses } from "./reachable-statuses.js";
import { isFinalForRestore, restorePartitions } from "./restore.js";
import { Rounds } from "./rounds.js";
import { SplitTriggers } from "./split-triggers.js";
import { Splitting, type SplittingOptions } from "./splitting.js";
import { StreamUpkeep } from "./stream-upkeep.js";
import type { Upkeep } from "./upkeep.js";

export interface ControllerOptions {
  readonly metadata: Pick<
    MetadataService,
    | "leading"
    | "leadsAlone"
    | "reign"
    | "activate"
    | "giveUp"
    | "forget"
    | "change"
    | "changePartition"
    | "changeIndex"
    | "restored"
  >;
  readonly streams: Pick<StreamService, "settled" | "tableGoes" | "marked" | "forget">;
  readonly splits: SplittingOptions["splits"];
  readonly view: Pick<
    MetadataView,
    | "closed"
    | "tables"
    | "partitions"
    | "partitionsOf"
    | "streams"
    | "streamsOf"
    | "appliedThrough"
    | "remains"
    | "isRead"
  >;
  readonly archive: ObjectStore;
  /** See `ArchiveScheduleOptions`. */
  readonly keptSinceMs?: (partition: number) => number | undefined;
  readonly partitions: () => Iterable<PartitionHost>;
  /** The metadata's. */
  readonly group: Pick<Group, "members" | "addStorageReplica" | "remove" | "status">;
  readonly founders: readonly string[];
  readonly nodeIds: () => readonly string[];
  /** Other nodes have taken this one's place. */
  readonly onReplaced: () => void;
  readonly callerTo: (nodeId: string) => Caller;
  readonly upkeep: Upkeep;
}

/** How long a new table waits for members that answer and do not vote yet; they are a message and a sync away from it. */
const VOTERS_PATIENCE_MS = 5_000;

type Statuses = Awaited<ReturnType<typeof reachableStatuses>>;

interface Restoring {
  /** Never rejects. */
  readonly done: Promise<void>;
  failure?: unknown;
}

/** A damage seen once may have happened on the way from the disk; seen so often, it is in the archive. */
const FINAL_FAILURES_MAX = 3;
/** Each holds what it has gathered and some objects of the archive, tens of megabytes: any others wait for their turn. */
const RESTORES_AT_ONCE_MAX = 8;
const RETRY_AFTER_MS = 250;
const RETRY_AFTER_MS_MAX = 30_000;

const restoreFailed = channel("evenkeel:store:restore-failed");

/**
 * What nobody asks for and must happen all the same. Runs on every node: each looks after the archive of the partitions that it leads; the
 * leader of the metadata brings tables from CREATING to ACTIVE and from DELETING to nothing. Every step may be repeated, so a controller
 * that dies half-way is simply followed by another one. Nothing waits for anything else: not a table for the archive, nor for another table, but restores for restores where there are many.
 */
export class Controller {
  readonly #options: ControllerOptions;
  readonly #calls: LeaderCalls;
  /** For what does no harm, and no second time, if another controller is at it as well. */
  readonly #anybody: LeaderCalls;
  readonly #indexes: IndexLifecycle;
  readonly #schedule: ArchiveSchedule;
  readonly #tables: Rounds;
  readonly #archive: Rounds;
  readonly #healing: Healing;
  readonly #streams: StreamUpkeep;
  readonly #nodes: Rounds;
  readonly #splitting: Splitting;
  readonly #splits: Rounds;
  readonly #triggers: SplitTriggers;
  readonly #expiry: Rounds;
  readonly #counting: Rounds;
  readonly #removal: Rounds;
  /** Restores under way, by the new table's id: they take as long as their data are large. */
  readonly #restores = new Map<string, Restoring>();
  /** Restores that failed, and what came of them: by the new table's id. */
  readonly #failed = new Map<string, { failures: number; final: number; notBeforeMs: number }>();
  /** Since when each new table has had leaders and lacked voters. */
  readonly #ledSince = new Map<string, number>();
  readonly #closing = new AbortController();

  constructor(options: ControllerOptions) {
    this.#options = options;
    this.#calls = new LeaderCalls({ callerTo: (node) => this.#callerForRestore(node), deadlineMs: 10_000 });
    this.#anybody = new LeaderCalls({ callerTo: options.callerTo, deadlineMs: 10_000 });
    this.#indexes = new IndexLifecycle({ metadata: options.metadata, view: options.view, calls: this.#anybody });
    this.#schedule = new ArchiveSchedule(options);
    this.#healing = new Healing(options);
    const { streams, view } = options;
    this.#streams = new StreamUpkeep({ streams, view, calls: this.#calls, nowMs: () => Date.now() });
    this.#nodes = new Rounds(() => this.#healing.round());
    const { partitions, splits, metadata, upkeep } = options;
    this.#splitting = new Splitting({
      splits,
      view,
      calls: this.#anybody,
      restorableMs: upkeep.restorableMs,
      nowMs: () => Date.now(),
    });
    const members = options.nodeIds;
    const split = (partition: number, at: number) =>
      this.#anybody.call(METADATA_PARTITION, members(), "splitPartition", { partition, at });
    this.#triggers = new SplitTriggers({ view, partitions, upkeep, split });
    this.#splits = new Rounds(async () => {
      this.#triggers.round();
      return metadata.leading && this.#splitting.round();
    });
    const expiry = new Expiry({ view, partitions, nowMs: () => Date.now() });
    this.#expiry = new Rounds(() => expiry.round());
    this.#counting = new Rounds(() => countSome(partitions()));
    const removal = new ArchiveRemoval({
      metadata,
      view,
      archive: options.archive,
      restorableMs: upkeep.restorableMs,
      nowMs: () => Date.now(),
    });
    this.#removal = new Rounds(() => removal.round());
    this.#tables = new Rounds(() => this.#tableRound());
    this.#archive = new Rounds(async () => {
      await this.#schedule.round();
      return false;
    });
  }

  /** Why the last rounds failed, if they did; the next ones try again. */
  get lastFailure(): unknown {
    return [this.#tables, this.#archive, this.#nodes, this.#expiry, this.#removal, this.#splitting].find(
      ({ lastFailure }) => lastFailure,
    )?.lastFailure;
  }

  /** The node is gone for good; see `Healing.giveUp`. */
  giveUpNode(nodeId: string): void {
    this.#healing.giveUp(nodeId);
    this.#nodes.wake();
  }

  /** At the leader of the metadata; see `Splitting`. */
  async splitPartition(partition: number, at?: number): Promise<PartitionRecord | undefined> {
    if (!this.#options.metadata.leading) throw notLeader(undefined);
    const record = await this.#splitting.begin(partition, at);
    if (record !== undefined) this.#splits.wake();
    return record;
  }

  /** Has what is written by now put into the archive, of those partitions that are not there as a whole already. */
  async archive(partitions: readonly PartitionRecord[]): Promise<void> {
    for (const { partition } of partitions) {
      const record = this.#options.view.partitions.get(partition);
      if (record === undefined) continue;
      try {
        await this.#anybody.call(partition, record.members, "archive", { partition });
      } catch (error) {
        // Let go of meanwhile: then it is in the archive.
        if (!(error instanceof StoreError) || error.code !== "ERR_STORE_UNKNOWN_PARTITION") throw error;
      }
    }
  }

  /**
   * A moment (Unix time) that all these partitions have written by now is not after: `nowMs`, or the end of their logs where the clock was ahead and has been set back. What they write from
   * now on is after it in that case, too, so that it is one moment of all of them.
   */
  async momentAfter(partitions: readonly PartitionRecord[], nowMs: number): Promise<number> {
    const ends = await Promise.all(
      partitions.map(({ partition, members }) => this.#anybody.call(partition, members, "changesEnd", { partition })),
    );
    const afterMs = Math.max(...ends.map(({ timeMs }) => timeMs));
    if (afterMs <= Date.now()) return nowMs;
    await Promise.all(
      partitions.map(({ partition, members }) =>
        this.#anybody.call(partition, members, "mark", { partition, afterMs }),
      ),
    );
    return afterMs;
  }

  /** Where the partitions of a new table go. */
  placement(): readonly string[] {
    return this.#healing.placement();
  }

  /** A table changed: look now instead of at the next turn. */
  wake(): void {
    this.#tables.wake();
  }

  /** True when there is more to do soon. */
  async #tableRound(): Promise<boolean> {
    const { metadata, view } = this.#options;
    if (!metadata.leading) return false;
    this.#streams.tend();
    const onTheirWay = [...view.tables.values()].filter(
      (table) => (table.status !== "ACTIVE" && table.status !== "ARCHIVED") || hasIndexOnItsWay(table),
    );
    let asked: Promise<Statuses> | undefined;
    const statuses = () => (asked ??= this.#statusesOf(onTheirWay));
    const done = await Promise.allSettled(onTheirWay.map((table) => this.#advance(table, statuses)));
    for (const outcome of done) if (outcome.status === "rejected") throw outcome.reason;
    return onTheirWay.length > 0;
  }

  /** Asked once for all tables that are on their way, and of their partitions alone: of thousands that there are each answer would have as many. */
  #statusesOf(tables: readonly TableEntry[]): Promise<Statuses> {
    const { nodeIds, callerTo } = this.#options;
    const only = tables.flatMap((table) => this.#recordsOf(table).map(({ partition }) => partition));
    return reachableStatuses({ members: nodeIds(), callerTo, only });
  }

  #recordsOf(table: TableEntry): readonly PartitionRecord[] {
    return ringIds(table).flatMap((ringId) => this.#options.view.partitionsOf(ringId));
  }

  async #advance(table: TableEntry, statuses: () => Promise<Statuses>): Promise<void> {
    const { metadata } = this.#options;
    if (table.status === "DELETING") {
      this.#ledSince.delete(table.tableId);
      if (this.#streams.isSettled(table)) await metadata.forget(table);
    } else if (table.status === "UPDATING") {
      if (this.#streams.isSettled(table)) await metadata.activate(table);
    } else if (!this.#isLed(table, await statuses())) return;
    else if (table.restore !== undefined) await this.#restored(table, table.restore);
    else if ((await this.#indexes.advance(table)) && table.status === "CREATING" && this.#streams.isSettled(table))
      await metadata.activate(table);
  }

  /** Begins a restore, or looks how it goes. One that failed begins anew after a while, unless it never can succeed; throws why, for whoever watches. */
  async #restored(table: TableEntry, { partitions, untilMs }: NonNullable<TableEntry["restore"]>): Promise<void> {
    const { archive, metadata, view } = this.#options;
    const { tableId } = table;
    const known = this.#restores.get(tableId);
    if (known !== undefined) {
      if (known.failure === undefined) return;
      this.#restores.delete(tableId);
      await this.#restoreFailed(table, known.failure);
      throw known.failure as Error;
    }
    if (performance.now() < (this.#failed.get(tableId)?.notBeforeMs ?? 0)) return;
    if (this.#restores.size >= RESTORES_AT_ONCE_MAX) return;
    const targets = view.partitionsOf(tableId);
    const { signal } = this.#closing;
    const { reign } = metadata;
    const calls = new LeaderCalls({ callerTo: (node) => this.#callerForRestore(node, reign), deadlineMs: 10_000 });
    const restoring: Restoring = {
      // One of them may have been split after its archive was looked at.
      done: this.archive(partitions)
        .then(() => restorePartitions({ archive, calls, sources: partitions, targets, untilMs, signal }))
        .then(() => metadata.restored(table))
        .then(
          () => {
            this.#restores.delete(tableId);
            this.#failed.delete(tableId);
          },
          (error: unknown) => {
            restoring.failure = error ?? new Error("the restore failed");
          },
        ),
    };
    this.#restores.set(tableId, restoring);
  }

  async #restoreFailed(table: TableEntry, error: unknown): Promise<void> {
    const { tableId, name } = table;
    const { failures, final } = this.#failed.get(tableId) ?? { failures: 0, final: 0 };
    const pauseMs = Math.min(RETRY_AFTER_MS * 2 ** failures, RETRY_AFTER_MS_MAX);
    const seen = {
      failures: failures + 1,
      final: isFinalForRestore(error) ? final + 1 : 0,
      notBeforeMs: performance.now() + pauseMs,
    };
    this.#failed.set(tableId, seen);
    const isFinal = seen.final >= FINAL_FAILURES_MAX;
    if (restoreFailed.hasSubscribers) restoreFailed.publish({ table: name, tableId, error, isFinal });
    if (!isFinal) return;
    const { code, message } = error as { code: string; message: string };
    await this.#options.metadata.giveUp(table, `RESTORE_FAILED: ${code}: ${message}`);
    this.#failed.delete(tableId);
  }

  /**
   * Asked before each attempt of each write of a restore. A controller that leads no more must write no more: its successor restores too, and
   * opens the table to users, whose writes would be written over; nor does it when it leads again. Of a busy machine's leader the lease lapses for a moment, again and again: then it is waited for,
   * or a large restore, which begins anew each time that it is broken off, would never come to its end.
   */
  #callerForRestore(node: string, reign = this.#options.metadata.reign): Caller {
    const { metadata, callerTo } = this.#options;
    if (reign === undefined || metadata.reign !== reign || this.#closing.signal.aborted)
      throw new StoreError("ERR_STORE_CLOSED", "another node may lead the metadata by now: its controller restores");
    if (!metadata.leadsAlone)
      throw new StoreError("ERR_STORE_UNREACHABLE", "the lease of the metadata's leader has lapsed");
    return callerTo(node);
  }

  /**
   * Every partition of the table has a leader that takes writes, and every member that answers votes: a table that is ACTIVE survives the loss of
   * any one of them from the first moment on. Who cannot be reached keeps nobody waiting, who answers and never votes not for long.
   */
  #isLed(table: TableEntry, statuses: Statuses): boolean {
    const { tableId } = table;
    const led = new Set<number>();
    const voters = new Map<string, Set<number>>();
    for (const [node, { partitions }] of statuses) {
      for (const { partition, ready } of partitions) if (ready) led.add(partition);
      voters.set(node, new Set(partitions.filter(({ voting }) => voting).map(({ partition }) => partition)));
    }
    const records = this.#recordsOf(table);
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
    const rounds = [
      this.#tables,
      this.#archive,
      this.#nodes,
      this.#expiry,
      this.#counting,
      this.#removal,
      this.#splits,
      this.#splitting,
      this.#triggers,
    ];
    await Promise.all([...rounds.map((one) => one.close()), this.#schedule.settled()]);
    await Promise.all([...this.#restores.values()].map(({ done }) => done));
    await this.#streams.close();
  }
}
