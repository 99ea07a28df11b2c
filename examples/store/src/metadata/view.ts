import type { StreamRecord } from "../api/streams/model.js";
import type { Replica } from "../storage-node/replica.js";
import {
  type BackupRecord,
  holds,
  isLive,
  type PartitionRecord,
  type Remains,
  ringIds,
  type TableEntry,
} from "./records.js";

export interface MetadataChange {
  readonly key: Uint8Array;
  /** Absent: deleted. */
  readonly json: Uint8Array | undefined;
}

export interface MetadataObserver {
  changed(slot: number, changes: readonly MetadataChange[]): void;
  /** The node had fallen behind and was given the whole: everything may be different. */
  replaced(): void;
}

/** The metadata as this node's replica has applied it, as objects. */
export class MetadataView {
  readonly tables = new Map<string, TableEntry>();
  /** All that nodes have something to do about: also those that are being filled, and those that were split and are not in the archive yet. */
  readonly partitions = new Map<number, PartitionRecord>();
  /** Those that were split. */
  readonly closed = new Map<number, PartitionRecord>();
  /** Of partitions that are no more. */
  readonly remains = new Map<number, Remains>();
  /** By key. */
  readonly streams = new Map<string, StreamRecord>();
  readonly #tablesById = new Map<string, TableEntry>();
  /** By id. */
  readonly backups = new Map<string, BackupRecord>();
  readonly #records = new Map<string, PartitionRecord>();
  /** The same, by the table or index that they are of. */
  readonly #recordsOf = new Map<string, Set<PartitionRecord>>();
  nextPartition = 1;
  appliedThrough: number;

  constructor(replica: Replica, observer: MetadataObserver) {
    this.appliedThrough = replica.appliedThrough;
    this.#load(replica);
    replica.observe((changes, slot) => {
      for (const change of changes) this.#take(change);
      this.appliedThrough = slot;
      observer.changed(slot, changes);
    });
    replica.observeTakeOver(() => {
      this.tables.clear();
      this.#tablesById.clear();
      this.partitions.clear();
      this.backups.clear();
      this.streams.clear();
      this.closed.clear();
      this.remains.clear();
      this.#records.clear();
      this.#recordsOf.clear();
      this.#load(replica);
      observer.replaced();
    });
  }

  #load(replica: Replica): void {
    this.appliedThrough = replica.appliedThrough;
    for (const { key, value } of replica.range({})) this.#take({ key, json: value.json });
  }

  /** Those that a hash is looked up among. */
  partitionsOf(tableId: string): PartitionRecord[] {
    return inOrder(
      this.recordsOf(tableId).filter((record) => this.partitions.get(record.partition) === record && isLive(record)),
    );
  }

  /** The same by the table's name; none where there is no such table. */
  partitionsOfTable(name: string): PartitionRecord[] {
    const table = this.tables.get(name);
    return table === undefined ? [] : this.partitionsOf(table.tableId);
  }

  /** Those among which a hash would have been looked up at a moment: whose archives say what was written before it. */
  partitionsAt(tableId: string, atMs: number): PartitionRecord[] {
    const all = [...this.partitionsOf(tableId), ...this.closed.values()];
    return inOrder(
      all.filter(
        ({ tableId: of, sinceMs = 0, closed }) =>
          of === tableId && sinceMs <= atMs && atMs < (closed?.untilMs ?? Number.POSITIVE_INFINITY),
      ),
    );
  }

  /** Every record of a table's or index's partitions, whatever they are at the moment. */
  recordsOf(tableId: string): PartitionRecord[] {
    return [...(this.#recordsOf.get(tableId) ?? [])];
  }

  /** The partition, or what it was split into by now; none where its table is gone. */
  heirsOf(partition: number): PartitionRecord[] {
    const closed = this.closed.get(partition)?.closed;
    if (closed !== undefined) return closed.parts.flatMap((part) => this.heirsOf(part));
    const record = this.partitions.get(partition);
    return record !== undefined && isLive(record) ? [record] : [];
  }

  /** The partition of a table or index that holds a hash. */
  partitionAt(tableId: string, hash: number): PartitionRecord | undefined {
    return this.partitionsOf(tableId).find((record) => holds(record, hash));
  }

  /** The table whose items, or whose index's entries, lie in a partition. */
  ownerOf({ tableId }: PartitionRecord): TableEntry | undefined {
    return this.#tablesById.get(tableId) ?? [...this.tables.values()].find((table) => ringIds(table).includes(tableId));
  }

  /** The moment of the oldest backup that a partition's archive is kept for, if there is one. */
  keptSinceMs(partition: number): number | undefined {
    let oldest: number | undefined;
    for (const { partitions, untilMs } of this.backups.values()) {
      if (!partitions.some((record) => record.partition === partition)) continue;
      oldest = Math.min(oldest ?? untilMs, untilMs);
    }
    return oldest;
  }

  /** Whether a backup, a restore that is under way or a stream still has to be read out of a partition's archive. */
  isRead(partition: number): boolean {
    if (this.keptSinceMs(partition) !== undefined) return true;
    const isIt = (one: { readonly partition: number }) => one.partition === partition;
    if ([...this.tables.values()].some(({ restore }) => restore?.partitions.some(isIt))) return true;
    return [...this.streams.values()].some(({ shards }) => shards.some(isIt));
  }

  /** Those of a table, oldest first: at most one of them is on. */
  streamsOf(tableId: string): StreamRecord[] {
    return [...this.streams.values()]
      .filter((stream) => stream.tableId === tableId)
      .sort((a, b) => a.createdAtMs - b.createdAtMs);
  }

  /** The table that a partition belongs to. */
  tableOf(partition: number): TableEntry | undefined {
    const tableId = this.partitions.get(partition)?.tableId;
    return tableId === undefined ? undefined : this.#tablesById.get(tableId);
  }

  #take({ key, json }: MetadataChange): void {
    const name = Buffer.from(key).toString();
    const value: unknown = json === undefined ? undefined : JSON.parse(Buffer.from(json).toString());
    switch (name.slice(0, 2)) {
      case "n":
        if (value !== undefined) this.nextPartition = (value as { next: number }).next;
        return;
      case "t/":
        return this.#takeTable(name.slice(2), value as TableEntry | undefined);
      case "b/":
        return put(this.backups, name.slice(2), value as BackupRecord | undefined);
      case "s/":
        return put(this.streams, name, value as StreamRecord | undefined);
      case "d/":
        return put(this.remains, Number(name.slice(2)), value as Remains | undefined);
      case "r/":
      case "c/":
      case "h/":
        return this.#takePartition(name, value as PartitionRecord | undefined);
    }
  }

  #takeTable(name: string, table: TableEntry | undefined): void {
    const old = this.tables.get(name);
    if (old !== undefined) this.#tablesById.delete(old.tableId);
    put(this.tables, name, table);
    if (table !== undefined) this.#tablesById.set(table.tableId, table);
  }

  /** A split changes several records in one entry, whose order says nothing: what a partition has become is not undone by what it is no more. */
  #takePartition(name: string, record: PartitionRecord | undefined): void {
    const old = this.#records.get(name);
    if (old !== undefined) {
      if (this.partitions.get(old.partition) === old) this.partitions.delete(old.partition);
      if (this.closed.get(old.partition) === old) this.closed.delete(old.partition);
      this.#records.delete(name);
      const siblings = this.#recordsOf.get(old.tableId);
      siblings?.delete(old);
      if (siblings?.size === 0) this.#recordsOf.delete(old.tableId);
    }
    if (record === undefined) return;
    this.#records.set(name, record);
    const siblings = this.#recordsOf.get(record.tableId);
    if (siblings === undefined) this.#recordsOf.set(record.tableId, new Set([record]));
    else siblings.add(record);
    if (record.closed !== undefined) this.closed.set(record.partition, record);
    if (record.closed?.archived !== true) this.partitions.set(record.partition, record);
  }
}

const inOrder = (records: PartitionRecord[]): PartitionRecord[] => records.sort((a, b) => a.hashFrom - b.hashFrom);

function put<K, V>(map: Map<K, V>, key: K, value: V | undefined): void {
  if (value === undefined) map.delete(key);
  else map.set(key, value);
}
