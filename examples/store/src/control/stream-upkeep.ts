import type { StreamRecord } from "../api/streams/model.js";
import type { TableEntry } from "../metadata/records.js";
import { isForgotten, isMarkDue, type PartitionSlot } from "../metadata/stream-lifetime.js";
import type { StreamService } from "../metadata/stream-service.js";
import type { MetadataView } from "../metadata/view.js";
import { wantsChanges } from "../metadata/wants-changes.js";
import type { LeaderCalls } from "../router/leader-calls.js";
import type { PartitionDescription } from "../storage-node/description.js";
import { StoreError } from "../storage-node/errors.js";

/** So long a table that is being deleted waits for its transactions to end and its logs to be archived; then its streams go with it. */
const ARCHIVE_PATIENCE_MS = 30_000;
/** Between two looks at whether transactions have ended. */
const PAUSE_MS = 10;

export interface StreamUpkeepOptions {
  readonly streams: Pick<StreamService, "settled" | "tableGoes" | "marked" | "forget">;
  readonly view: Pick<
    MetadataView,
    "tables" | "streams" | "streamsOf" | "partitions" | "partitionsOf" | "isRead" | "appliedThrough"
  >;
  readonly calls: Pick<LeaderCalls, "call">;
  readonly nowMs: () => number;
}

interface Settling {
  readonly done: Promise<void>;
  failure?: unknown;
}

/**
 * Brings streams to where they are to be: tells the partitions, at the leader of the metadata, whether to record changes, and writes down from and through which slot of each log
 * they did. Everything may be done twice. What is told carries the metadata's slot as of which it was decided, so that a leader of yesterday undoes nothing.
 */
export class StreamUpkeep {
  readonly #options: StreamUpkeepOptions;
  readonly #settling = new Map<string, Settling>();
  readonly #goingSinceMs = new Map<string, number>();
  /** Tables that are being deleted and have written their last, by id. */
  readonly #ended = new Set<string>();
  #tending: Promise<void> | undefined;
  #closed = false;

  constructor(options: StreamUpkeepOptions) {
    this.#options = options;
  }

  /**
   * True when the table's partitions know what they are to record, or have written their last where somebody is to read that later; otherwise that is begun, or goes on. Throws why
   * it failed; the next call begins anew.
   */
  isSettled(table: TableEntry): boolean {
    const { tableId, status } = table;
    const running = this.#settling.get(tableId);
    if (running?.failure !== undefined) {
      this.#settling.delete(tableId);
      throw running.failure as Error;
    }
    if (running !== undefined) return false;
    const streams = this.#options.view.streamsOf(tableId);
    const gone = status === "DELETING";
    if (gone ? this.#hasEnded(tableId, streams) : streams.every(isAtRest)) {
      this.#goingSinceMs.delete(tableId);
      this.#ended.delete(tableId);
      return true;
    }
    const settling: Settling = {
      done: (gone ? this.#close(table) : this.#tell(table)).then(
        () => void this.#settling.delete(tableId),
        (error: unknown) => {
          settling.failure = error ?? new Error("the streams could not be settled");
        },
      ),
    };
    this.#settling.set(tableId, settling);
    return false;
  }

  /** What a backup or a restore reads is the log behind its moment too: of what was prepared then, what became of it. */
  #hasEnded(tableId: string, streams: readonly StreamRecord[]): boolean {
    const { view } = this.#options;
    if (!streams.every(({ tableGone }) => tableGone)) return false;
    const isRead = [...view.partitions.values()].some(
      (record) => record.tableId === tableId && view.isRead(record.partition),
    );
    return !isRead || this.#ended.has(tableId);
  }

  async #tell(table: TableEntry): Promise<void> {
    await this.#options.streams.settled(table, await this.#describe(table));
  }

  /** Ends what the table has, once no transaction has anything prepared there, and has it archived: the partitions' own logs go with them. */
  async #close(table: TableEntry): Promise<void> {
    const { calls, view, streams } = this.#options;
    const since = this.#goingSinceMs.get(table.tableId) ?? performance.now();
    this.#goingSinceMs.set(table.tableId, since);
    let slots: PartitionSlot[] | undefined;
    try {
      slots = await this.#describe(table);
      const members = new Map(view.partitionsOf(table.tableId).map((record) => [record.partition, record.members]));
      // Of those that were split what nobody archived yet.
      const split = [...view.partitions.values()].flatMap(({ tableId, partition, closed, ...record }) => {
        if (tableId !== table.tableId || closed === undefined) return [];
        members.set(partition, record.members);
        return [{ partition, slot: closed.slot }];
      });
      await Promise.all(
        [...slots, ...split].map(({ partition, slot }) =>
          calls.call(partition, members.get(partition) ?? [], "archive", { partition, throughSlot: slot }),
        ),
      );
    } catch (error) {
      if (performance.now() - since < ARCHIVE_PATIENCE_MS) throw error;
      slots = undefined;
    }
    await streams.tableGoes(table, slots);
    this.#ended.add(table.tableId);
  }

  async #describe(table: TableEntry): Promise<PartitionSlot[]> {
    const { calls, view } = this.#options;
    const on = view.streamsOf(table.tableId).find(({ status }) => status === "ENABLING" || status === "ENABLED");
    const isGoing = table.status === "DELETING";
    const stream = isGoing ? undefined : on?.label;
    const current = view.tables.get(table.name);
    if (current?.tableId !== table.tableId) throw new Error(`table ${table.name} is another one by now`);
    const description: PartitionDescription = {
      recordsChanges: wantsChanges(current),
      ...(stream && { stream }),
      asOf: view.appliedThrough,
      ...(isGoing && { ending: true }),
    };
    return await Promise.all(
      view.partitionsOf(table.tableId).map(async ({ partition, hashFrom, members }) => {
        const giveUpAt = performance.now() + ARCHIVE_PATIENCE_MS;
        for (;;) {
          const { slot } = await calls.call(partition, members, "describePartition", { partition, description });
          if (slot !== undefined) return { partition, hashFrom, slot };
          if (this.#closed || performance.now() > giveUpAt)
            throw new StoreError("ERR_STORE_CONFLICT", `partition ${partition} has a transaction that does not end`);
          await new Promise<void>((resolve) => setTimeout(resolve, PAUSE_MS));
        }
      }),
    );
  }

  /** Begins what is due of all streams, one run at a time. */
  tend(): void {
    this.#tending ??= this.#tend()
      // What could not be done now is due at the next turn as well.
      .catch(() => undefined)
      .finally(() => {
        this.#tending = undefined;
      });
  }

  async #tend(): Promise<void> {
    const { streams, view, nowMs } = this.#options;
    for (const stream of [...view.streams.values()]) {
      if (isForgotten(stream, nowMs())) await streams.forget(stream);
      else if (isMarkDue(stream, nowMs())) await streams.marked(stream, await this.#ends(stream));
    }
  }

  /** How far each partition's log is; of those that cannot say, nothing. */
  async #ends({ tableId }: StreamRecord): Promise<Map<number, number>> {
    const { calls, view } = this.#options;
    const ends = new Map<number, number>();
    await Promise.all(
      view.partitionsOf(tableId).map(async ({ partition, members }) => {
        const end = await calls.call(partition, members, "changesEnd", { partition }).catch(() => undefined);
        if (end !== undefined) ends.set(partition, end.slot);
      }),
    );
    return ends;
  }

  /** Resolves when nothing is under way, and nothing that waits goes on. */
  async close(): Promise<void> {
    this.#closed = true;
    await Promise.all([...this.#settling.values()].map(({ done }) => done));
    await this.#tending;
  }
}

const isAtRest = ({ status }: StreamRecord): boolean => status === "ENABLED" || status === "DISABLED";
