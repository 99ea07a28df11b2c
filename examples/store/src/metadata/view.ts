import type { StreamRecord } from "../api/streams/model.js";
import type { Replica } from "../storage-node/replica.js";
import type { BackupRecord, PartitionRecord, TableEntry } from "./records.js";

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
  readonly partitions = new Map<number, PartitionRecord>();
  /** By key. */
  readonly streams = new Map<string, StreamRecord>();
  readonly #tablesById = new Map<string, TableEntry>();
  /** By id. */
  readonly backups = new Map<string, BackupRecord>();
  readonly #routes = new Map<string, PartitionRecord>();
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
      this.#routes.clear();
      this.#load(replica);
      observer.replaced();
    });
  }

  #load(replica: Replica): void {
    this.appliedThrough = replica.appliedThrough;
    for (const { key, value } of replica.range({})) this.#take({ key, json: value.json });
  }

  partitionsOf(tableId: string): PartitionRecord[] {
    return [...this.partitions.values()]
      .filter((record) => record.tableId === tableId)
      .sort((a, b) => a.hashFrom - b.hashFrom);
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
    if (name === "n") {
      if (value !== undefined) this.nextPartition = (value as { next: number }).next;
    } else if (name.startsWith("t/")) {
      const old = this.tables.get(name.slice(2));
      if (old !== undefined) this.#tablesById.delete(old.tableId);
      if (value === undefined) this.tables.delete(name.slice(2));
      else {
        const table = value as TableEntry;
        this.tables.set(name.slice(2), table);
        this.#tablesById.set(table.tableId, table);
      }
    } else if (name.startsWith("b/")) {
      if (value === undefined) this.backups.delete(name.slice(2));
      else this.backups.set(name.slice(2), value as BackupRecord);
    } else if (name.startsWith("s/")) {
      if (value === undefined) this.streams.delete(name);
      else this.streams.set(name, value as StreamRecord);
    } else if (name.startsWith("r/")) {
      const old = this.#routes.get(name);
      if (old !== undefined) this.partitions.delete(old.partition);
      this.#routes.delete(name);
      if (value !== undefined) {
        const record = value as PartitionRecord;
        this.#routes.set(name, record);
        this.partitions.set(record.partition, record);
      }
    }
  }
}
