import type { Write } from "../storage-node/command.js";
import { StoreError } from "../storage-node/errors.js";
import {
  forgotten,
  isLive,
  nextPartitionKey,
  type PartitionRecord,
  partitionKey,
  putRecord,
  type TableEntry,
  tableKey,
} from "./records.js";
import type { MetadataService } from "./service.js";
import { type PartitionSlot, splitStream } from "./stream-lifetime.js";
import { putStream } from "./stream-service.js";
import type { MetadataView } from "./view.js";

export interface SplitServiceOptions {
  readonly metadata: Pick<MetadataService, "change">;
}

/** When and where the parts take over. */
export interface Takeover {
  /** Unix ms: later than everything in the partition that is split, not later than anything that its parts are asked to write. */
  readonly atMs: number;
  /** Of the log of the partition that is split: nothing is written behind it. */
  readonly slot: number;
  /** By part: the slot of its own log behind which it is written to. */
  readonly openedAt: ReadonlyMap<number, number>;
}

/**
 * What the metadata say of partitions that are split, decided at their leader. That a partition is to be split, and into what, is written down before anything is done;
 * that its parts have taken over is one entry, so whoever looks a hash up finds the whole or the parts, never both and never nothing.
 */
export class SplitService {
  readonly #metadata: Pick<MetadataService, "change">;

  constructor({ metadata }: SplitServiceOptions) {
    this.#metadata = metadata;
  }

  /**
   * Two partitions are to be filled with what lies below and from a hash. Resolves with what is written down; the same for a partition that is being split already.
   * @throws StoreError ERR_STORE_UNKNOWN_PARTITION, ERR_STORE_ARGUMENT for a hash that splits nothing off, ERR_STORE_CONFLICT while it cannot be split
   */
  async begin(partition: number, at: number): Promise<PartitionRecord> {
    let begun!: PartitionRecord;
    await this.#metadata.change((view) => {
      const record = view.partitions.get(partition);
      if (record === undefined || !isLive(record))
        throw new StoreError("ERR_STORE_UNKNOWN_PARTITION", `there is no partition ${partition} to be split`);
      begun = record;
      if (record.splitting !== undefined) return [];
      assertCanBeSplit(view, record);
      const { hashFrom, hashTo } = record;
      if (!Number.isInteger(at) || at <= hashFrom || at >= hashTo)
        throw new StoreError("ERR_STORE_ARGUMENT", `at must be between ${hashFrom} and ${hashTo}; got ${at}`);
      const writes = splitInto(view.nextPartition, record, at);
      begun = writes.whole;
      return writes.all;
    });
    return begun;
  }

  /**
   * What these parts lack is lost: others are filled in their place, from the beginning. Nothing where that was done before, or cannot be done yet: ask again.
   * @param nowMs Unix time
   */
  async beginAnew(partition: number, lost: NonNullable<PartitionRecord["splitting"]>, nowMs: number): Promise<void> {
    await this.#metadata.change((view) => {
      const record = view.partitions.get(partition);
      if (record?.splitting?.lower !== lost.lower || isBeingReplaced(record)) return [];
      const parts = [lost.lower, lost.upper].flatMap((part) => view.partitions.get(part) ?? []);
      return [
        ...parts.flatMap((part) => forgotten(part, nowMs)),
        ...splitInto(view.nextPartition, record, lost.at).all,
      ];
    });
  }

  /** The parts are found by their hashes from here on, and the partition is not. Nothing where that was done before. */
  async takenOver(partition: number, { atMs, slot, openedAt }: Takeover): Promise<void> {
    await this.#metadata.change((view) => {
      const record = view.partitions.get(partition);
      if (record?.splitting === undefined) return [];
      const { splitting, ...whole } = record;
      const parts = [splitting.lower, splitting.upper].map((part) => view.partitions.get(part));
      const closed: PartitionRecord = {
        ...whole,
        closed: { untilMs: atMs, slot, parts: [splitting.lower, splitting.upper] },
      };
      const writes: Write[] = [];
      const from: PartitionSlot[] = [];
      for (const part of parts) {
        if (part === undefined) return [];
        const { filledFrom: _, ...live } = part;
        from.push({ ...part, slot: (openedAt.get(part.partition) ?? 0) + 1 });
        writes.push({ op: "delete", key: partitionKey(part) });
        const opened = { ...live, sinceMs: atMs };
        // The lower part takes the key of the whole.
        writes.push(putRecord(partitionKey(opened), opened));
      }
      for (const stream of view.streamsOf(record.tableId)) {
        const split = splitStream(stream, { partition, throughSlot: slot, atMs }, from);
        if (split !== stream) writes.push(putStream(split));
      }
      return [...writes, putRecord(partitionKey(closed), closed), ...counted(view, record)];
    });
  }

  /** All of what was split is in the archive: the nodes let go of it, and who reads of it reads there. */
  async archived(partition: number): Promise<void> {
    await this.#metadata.change((view) => {
      const record = view.closed.get(partition);
      if (record?.closed === undefined) return [];
      const done: PartitionRecord = { ...record, closed: { ...record.closed, archived: true } };
      return [putRecord(partitionKey(done), done)];
    });
  }

  /** No moment that can be restored is as old: what is left of it is in the archive, for as long as somebody reads it. */
  async forget(partition: number): Promise<void> {
    await this.#metadata.change((view) => {
      const record = view.closed.get(partition);
      return record?.closed === undefined ? [] : forgotten(record, record.closed.untilMs);
    });
  }
}

/** The whole, with what it is to be split into, and two partitions that are to be filled. */
function splitInto(lower: number, record: PartitionRecord, at: number): { whole: PartitionRecord; all: Write[] } {
  const { partition, tableId, hashFrom, hashTo, members } = record;
  const upper = lower + 1;
  const whole = { ...record, splitting: { at, lower, upper } };
  const records: PartitionRecord[] = [
    whole,
    { partition: lower, tableId, hashFrom, hashTo: at, members, filledFrom: partition },
    { partition: upper, tableId, hashFrom: at, hashTo, members, filledFrom: partition },
  ];
  const next = putRecord(nextPartitionKey(), { next: upper + 1 });
  return { whole, all: [next, ...records.map((one) => putRecord(partitionKey(one), one))] };
}

/** One of its members. */
const isBeingReplaced = ({ log = [], building = [] }: PartitionRecord): boolean => log.length + building.length > 0;

/** @throws StoreError ERR_STORE_CONFLICT */
function assertCanBeSplit(view: MetadataView, record: PartitionRecord): void {
  const refuse = (why: string): never => {
    throw new StoreError("ERR_STORE_CONFLICT", `partition ${record.partition} cannot be split now: ${why}`);
  };
  if (isBeingReplaced(record)) refuse("one of its members is being replaced");
  const table = view.ownerOf(record);
  if (table === undefined || table.status !== "ACTIVE") return refuse("its table is not ACTIVE");
  const streams = view.streamsOf(record.tableId);
  if (streams.some(({ status }) => status !== "DISABLED" && status !== "ENABLED"))
    refuse("its table's stream is being switched");
}

/** A table says how many partitions it has. */
function counted(view: MetadataView, { tableId }: PartitionRecord): Write[] {
  const table = [...view.tables.values()].find((one) => one.tableId === tableId);
  if (table === undefined) return [];
  const changed: TableEntry = { ...table, partitions: table.partitions + 1 };
  return [putRecord(tableKey(table.name), changed)];
}
