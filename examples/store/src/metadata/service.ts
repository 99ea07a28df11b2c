import type { Group } from "@evenkeel/paxos";
import { assertAdmitted, being } from "../api/control/admission.js";
import { controlMessages } from "../api/control/messages.js";
import { assertDeletable, changedTable, type TableUpdate } from "../api/control/settings.js";
import { ApiError } from "../api/errors.js";
import { type IndexUpdate, indexChanges } from "../api/index-updates.js";
import { messages } from "../api/messages.js";
import type { GlobalIndexDefinition, TableDefinition } from "../api/model.js";
import type { PutWrite, Write } from "../storage-node/command.js";
import { notLeader, storeErrorOf } from "../storage-node/paxos-errors.js";
import type { Writer } from "../storage-node/writer.js";
import { LEDGER_TABLE } from "../transactions/ledger-record.js";
import {
  coversRing,
  forgotten,
  hashRanges,
  type IndexEntry,
  nextPartitionKey,
  type PartitionRecord,
  partitionKey,
  putRecord,
  ringIds,
  type TableEntry,
  tableKey,
} from "./records.js";
import { endingStreams, newStream, withStream } from "./stream-service.js";
import type { MetadataView } from "./view.js";

/** A table, and the metadata's slot at which it was so. */
export interface VersionedTable {
  readonly table: TableEntry;
  readonly version: number;
}

/** What a new table is filled with: a table as it was at a moment, or a backup. */
export type RestoreSource =
  | {
      readonly source: string;
      /** The table of that name which was asked for: by now there may be another one. */
      readonly sourceId: string;
      readonly untilMs: number;
      /** `untilMs` is when that was asked, and the end of what is written by then is meant. */
      readonly latest?: boolean;
    }
  | { readonly backup: string };

export interface MetadataServiceOptions {
  readonly group: Group<number>;
  readonly writer: Writer;
  readonly view: MetadataView;
  /** The members of every new partition. */
  readonly members: () => readonly string[];
  readonly partitionsPerTable: number;
  readonly newIndexId: () => string;
  readonly nowMs: () => number;
}

function putPartitions(records: readonly PartitionRecord[], next: number): PutWrite[] {
  if (records.length === 0) return [];
  return [putRecord(nextPartitionKey(), { next }), ...records.map((record) => putRecord(partitionKey(record), record))];
}

/** Changes to tables and partitions, decided at the leader of the metadata's own group, one at a time. */
export class MetadataService {
  readonly #options: MetadataServiceOptions;
  #turn: Promise<unknown> = Promise.resolve();

  constructor(options: MetadataServiceOptions) {
    this.#options = options;
  }

  get leading(): boolean {
    return this.#options.group.status().ready;
  }

  /** The lease still runs: nobody else can have been elected. */
  get leadsAlone(): boolean {
    return this.#options.group.status().leaseRemainingMs > 0;
  }

  /** Another one after each time that this node was elected; undefined where it does not lead. */
  get reign(): number | undefined {
    const { ready, ballot } = this.#options.group.leadership();
    return ready ? ballot.round : undefined;
  }

  /** @param tableId asked for again under the same, it is the table that was made then */
  async createTable(definition: TableDefinition, tableId: string, restore?: RestoreSource): Promise<VersionedTable> {
    const { view, nowMs, partitionsPerTable } = this.#options;
    return await this.#exclusively(async () => {
      const there = view.tables.get(definition.name);
      if (there?.tableId === tableId) return this.#versioned(there);
      if (there !== undefined) throw taken(there);
      const source = restore && this.#restoreSource(restore);
      const ranges = source?.partitions ?? hashRanges(partitionsPerTable);
      const partitions = this.#newPartitions(tableId, ranges, view.nextPartition);
      const { streamViewType, globalIndexes: indexesAsked = [], ...asked } = definition;
      const globalIndexes = indexesAsked.map((index, i) => this.#newIndex(index, i + 1));
      const all = [...partitions];
      for (const { indexId } of globalIndexes)
        all.push(...this.#newPartitions(indexId, hashRanges(partitionsPerTable), view.nextPartition + all.length));
      const stream = streamViewType && newStream(view, { ...asked, tableId }, streamViewType, nowMs());
      const table: TableEntry = {
        ...asked,
        ...(globalIndexes.length > 0 && { globalIndexes, indexesMade: globalIndexes.length }),
        ...(stream && { latestStream: stream.latestStream }),
        tableId,
        status: "CREATING",
        createdAtMs: nowMs(),
        partitions: partitions.length,
        ...(source && { restore: source }),
      };
      await this.#submit([
        ...putPartitions(all, view.nextPartition + all.length),
        putRecord(tableKey(table.name), table),
        ...(stream ? [stream.write] : []),
      ]);
      return this.#versioned(table);
    });
  }

  #newPartitions(
    tableId: string,
    ranges: readonly { hashFrom: number; hashTo: number }[],
    first: number,
  ): PartitionRecord[] {
    const members = this.#options.members();
    return ranges.map(({ hashFrom, hashTo }, i) => ({ partition: first + i, tableId, hashFrom, hashTo, members }));
  }

  #newIndex(definition: GlobalIndexDefinition, number: number): IndexEntry {
    return { ...definition, number, indexId: this.#options.newIndexId(), status: "CREATING" };
  }

  /** One step on an index's way; `next` sees it as it is, and says nothing where it is to be no more. */
  async changeIndex(
    table: TableEntry,
    number: number,
    next: (index: IndexEntry) => IndexEntry | undefined,
  ): Promise<void> {
    const { view } = this.#options;
    await this.#exclusively(async () => {
      const current = view.tables.get(table.name);
      const index = current?.globalIndexes?.find((one) => one.number === number);
      if (current?.tableId !== table.tableId || index === undefined) return;
      const changed = next(index);
      const { globalIndexes = [], ...rest } = current;
      const left = globalIndexes.flatMap((one) =>
        one.number !== number ? [one] : changed === undefined ? [] : [changed],
      );
      const updated: TableEntry = { ...rest, ...(left.length > 0 && { globalIndexes: left }) };
      const gone = changed === undefined ? view.recordsOf(index.indexId) : [];
      await this.#submit([
        putRecord(tableKey(table.name), updated),
        ...gone.flatMap((record) => forgotten(record, this.#options.nowMs())),
      ]);
    });
  }

  /** The table has the items that it was restored from. */
  async restored(table: TableEntry): Promise<void> {
    await this.#exclusively(async () => {
      const current = this.#options.view.tables.get(table.name);
      if (current?.tableId !== table.tableId || current.restore === undefined) return;
      await this.#submit([putRecord(tableKey(table.name), withoutRestore(current))]);
    });
  }

  /** Which partitions of the archive, and until when. */
  #restoreSource(from: RestoreSource): NonNullable<TableEntry["restore"]> {
    const { view } = this.#options;
    if ("source" in from) {
      const table = view.tables.get(from.source);
      // What one that is being deleted leaves is written down for those who read it by then.
      if (table?.tableId !== from.sourceId || table.status === "DELETING")
        throw new ApiError("TableNotFoundException", messages.tableNotFoundPlain(from.source));
      const partitions = view.partitionsAt(table.tableId, from.untilMs);
      // Of a partition that was split so long ago nothing is left.
      if (!coversRing(partitions)) throw new ApiError("InvalidRestoreTimeException");
      return { partitions, source: from.source, untilMs: from.untilMs };
    }
    const backup = view.backups.get(from.backup);
    if (backup === undefined) throw new ApiError("BackupNotFoundException");
    const { partitions, table, untilMs } = backup;
    return { partitions, source: table.name, backup: from.backup, untilMs };
  }

  async deleteTable(name: string): Promise<VersionedTable> {
    return await this.#exclusively(async () => {
      const table = this.#table(name);
      if (table.status !== "ACTIVE" && table.status !== "ARCHIVED") throw notDeletable(table);
      assertDeletable(table);
      const deleting: TableEntry = { ...table, status: "DELETING" };
      await this.#submit([putRecord(tableKey(name), deleting), ...endingStreams(this.#options.view, table.tableId)]);
      return this.#versioned(deleting);
    });
  }

  /**
   * Changes what is said of a table, begins to make or to delete global indexes of it, begins or ends its stream: whatever of that one request asks for, as one entry of
   * the log. Where a part of it cannot be, nothing of it is.
   */
  async updateTable(
    name: string,
    { indexUpdates = [], streamViewType, ...change }: TableUpdate,
  ): Promise<VersionedTable> {
    const { view, nowMs } = this.#options;
    return await this.#exclusively(async () => {
      const table = this.#table(name);
      assertAdmitted(table, { indexUpdates, ...(streamViewType !== undefined && { streamViewType }), ...change });
      const indexed = this.#withIndexes(changedTable(table, change, nowMs()), indexUpdates);
      const { table: updated, writes } = withStream(view, indexed.table, streamViewType, nowMs());
      await this.#submit([...indexed.writes, putRecord(tableKey(name), updated), ...writes]);
      return this.#versioned(updated);
    });
  }

  #withIndexes(table: TableEntry, updates: readonly IndexUpdate[]): { table: TableEntry; writes: readonly Write[] } {
    if (updates.length === 0) return { table, writes: [] };
    const { view, partitionsPerTable, nowMs } = this.#options;
    const { changed, created } = indexChanges<IndexEntry>(table, updates, nowMs());
    const kept = (table.globalIndexes ?? []).map((old) => changed.find((one) => one.number === old.number) ?? old);
    if (created === undefined) return { table: { ...table, globalIndexes: kept }, writes: [] };
    const number = (table.indexesMade ?? 0) + 1;
    const index: IndexEntry = { ...this.#newIndex(created, number), backfilling: false };
    const partitions = this.#newPartitions(index.indexId, hashRanges(partitionsPerTable), view.nextPartition);
    return {
      table: { ...table, globalIndexes: [...kept, index], indexesMade: number },
      writes: putPartitions(partitions, view.nextPartition + partitions.length),
    };
  }

  /** The table is ready for its users. */
  async activate(table: TableEntry): Promise<void> {
    await this.#exclusively(async () => {
      const current = this.#options.view.tables.get(table.name);
      if (current?.tableId !== table.tableId || (current.status !== "CREATING" && current.status !== "UPDATING"))
        return;
      await this.#submit([putRecord(tableKey(table.name), { ...withoutRestore(current), status: "ACTIVE" })]);
    });
  }

  /** The table's restore can never succeed: it stays, for its owner to see why and to delete it. */
  async giveUp(table: TableEntry, reason: string): Promise<void> {
    await this.#exclusively(async () => {
      const current = this.#options.view.tables.get(table.name);
      if (current?.tableId !== table.tableId || current.status !== "CREATING") return;
      const { restore: _given, ...rest } = current;
      const failure = { reason, atMs: this.#options.nowMs() };
      await this.#submit([putRecord(tableKey(table.name), { ...rest, status: "ARCHIVED", failure })]);
    });
  }

  /** Forgets a table that is being deleted; the nodes then drop its partitions. */
  async forget(table: TableEntry): Promise<void> {
    const { view } = this.#options;
    await this.#exclusively(async () => {
      if (view.tables.get(table.name)?.tableId !== table.tableId) return;
      const writes: Write[] = [{ op: "delete", key: tableKey(table.name) }];
      for (const ringId of ringIds(view.tables.get(table.name) ?? table)) {
        for (const record of view.recordsOf(ringId)) writes.push(...forgotten(record, this.#options.nowMs()));
      }
      await this.#submit(writes);
    });
  }

  /** One step on a partition's way to other members; `next` sees the record as it is, and says nothing where the step is not to be made any more. */
  async changePartition(
    partition: number,
    next: (record: PartitionRecord) => PartitionRecord | undefined,
  ): Promise<PartitionRecord | undefined> {
    return await this.#exclusively(async () => {
      const record = this.#options.view.partitions.get(partition);
      const changed = record && next(record);
      if (changed !== undefined) await this.#submit([putRecord(partitionKey(changed), changed)]);
      return changed;
    });
  }

  /** One change, decided upon the metadata as they are; none where there is nothing to write. Resolves with the metadata's slot as of which it is so. */
  async change(decide: (view: MetadataView) => readonly Write[]): Promise<number> {
    const { view } = this.#options;
    return await this.#exclusively(async () => {
      const writes = decide(view);
      if (writes.length > 0) await this.#submit(writes);
      return view.appliedThrough;
    });
  }

  /** Runs at the leader, upon everything that was acknowledged before. */
  async read<T>(read: (view: MetadataView) => T): Promise<T> {
    return await this.#read(() => read(this.#options.view));
  }

  async describeTable(name: string): Promise<VersionedTable> {
    return await this.#read(() => this.#versioned(this.#table(name)));
  }

  async listTables(after: string | undefined, limitMax: number): Promise<{ names: string[]; more: boolean }> {
    return await this.#read(() => {
      const names = [...this.#options.view.tables.keys()]
        .filter((name) => name !== LEDGER_TABLE && (after === undefined || name > after))
        .sort();
      return { names: names.slice(0, limitMax), more: names.length > limitMax };
    });
  }

  #versioned(table: TableEntry): VersionedTable {
    return { table, version: this.#options.view.appliedThrough };
  }

  #table(name: string): TableEntry {
    const table = this.#options.view.tables.get(name);
    if (table === undefined) {
      throw new ApiError("ResourceNotFoundException", messages.tableNotFoundNamed(name));
    }
    return table;
  }

  async #read<T>(read: () => T): Promise<T> {
    const { group } = this.#options;
    const status = group.status();
    if (!status.ready) throw notLeader(status.leader);
    try {
      return await group.read(read);
    } catch (error) {
      throw storeErrorOf(error);
    }
  }

  async #submit(writes: readonly Write[]): Promise<void> {
    await this.#options.writer.submit(writes);
  }

  async #exclusively<T>(change: () => Promise<T>): Promise<T> {
    const mine = this.#turn.then(async () => {
      await this.#read(() => undefined);
      return await change();
    });
    this.#turn = mine.catch(() => undefined);
    return await mine;
  }
}

const notDeletable = ({ name, status }: TableEntry): ApiError =>
  new ApiError(
    "ResourceInUseException",
    status === "UPDATING" ? controlMessages.deletedBesideStream : controlMessages.tableBeing(being(status), name),
  );

/** A table that is restored: it knows what from, and no longer where in the archive that was. */
function withoutRestore({ restore, ...table }: TableEntry): TableEntry {
  if (restore === undefined) return table;
  const { partitions: _read, ...restoredFrom } = restore;
  return { ...table, restoredFrom };
}

/** What is said of a name that is to be a new table's and is another one's. */
export function taken({ name, status, restore }: Pick<TableEntry, "name" | "status" | "restore">): ApiError {
  if (status !== "CREATING") return new ApiError("ResourceInUseException", messages.tableExistsNamed(name));
  return new ApiError(
    "ResourceInUseException",
    controlMessages.tableBeing(restore === undefined ? "created" : "used", name),
  );
}
