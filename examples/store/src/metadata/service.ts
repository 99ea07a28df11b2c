import type { Group } from "@evenkeel/paxos";
import { controlMessages } from "../api/control/messages.js";
import { assertDeletable, changedTable, type TableChange } from "../api/control/settings.js";
import { ApiError } from "../api/errors.js";
import type { TableDefinition } from "../api/model.js";
import type { Write } from "../storage-node/command.js";
import { notLeader, storeErrorOf } from "../storage-node/paxos-errors.js";
import type { Writer } from "../storage-node/writer.js";
import { LEDGER_TABLE } from "../transactions/ledger-record.js";
import {
  hashRanges,
  nextPartitionKey,
  type PartitionRecord,
  putRecord,
  routeKey,
  type TableEntry,
  tableKey,
} from "./records.js";
import { endingStreams, newStream } from "./stream-service.js";
import type { MetadataView } from "./view.js";

/** A table, and the metadata's slot at which it was so. */
export interface VersionedTable {
  readonly table: TableEntry;
  readonly version: number;
}

/** What a new table is filled with: a table as it was at a moment, or a backup. */
export type RestoreSource = { readonly source: string; readonly untilMs: number } | { readonly backup: string };

export interface MetadataServiceOptions {
  readonly group: Group<number>;
  readonly writer: Writer;
  readonly view: MetadataView;
  /** The members of every new partition. */
  readonly members: () => readonly string[];
  readonly partitionsPerTable: number;
  readonly newTableId: () => string;
  readonly nowMs: () => number;
}

const BEING = {
  CREATING: "created",
  UPDATING: "updated",
  DELETING: "deleted",
  ACTIVE: "used",
  ARCHIVED: "used",
} as const;

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

  async createTable(definition: TableDefinition, restore?: RestoreSource): Promise<VersionedTable> {
    const { members, view, newTableId, nowMs, partitionsPerTable } = this.#options;
    return await this.#exclusively(async () => {
      if (view.tables.has(definition.name))
        throw new ApiError("ResourceInUseException", `Table already exists: ${definition.name}`);
      const source = restore && this.#restored(restore);
      const tableId = newTableId();
      const ranges = source?.partitions ?? hashRanges(partitionsPerTable);
      const partitions: PartitionRecord[] = ranges.map(({ hashFrom, hashTo }, i) => ({
        partition: view.nextPartition + i,
        tableId,
        hashFrom,
        hashTo,
        members: members(),
      }));
      const { streamViewType, globalIndexes: _none, ...asked } = definition;
      const stream = streamViewType && newStream(view, { ...asked, tableId }, streamViewType, nowMs());
      const table: TableEntry = {
        ...asked,
        ...(stream && { latestStream: stream.latestStream }),
        tableId,
        status: "CREATING",
        createdAtMs: nowMs(),
        partitions: partitions.length,
        ...(source && { restore: source }),
      };
      await this.#submit([
        putRecord(nextPartitionKey(), { next: view.nextPartition + partitions.length }),
        putRecord(tableKey(table.name), table),
        ...(stream ? [stream.write] : []),
        ...partitions.map((record) => putRecord(routeKey(tableId, record.hashFrom), record)),
      ]);
      return this.#versioned(table);
    });
  }

  /** Which partitions of the archive, and until when. */
  #restored(from: RestoreSource): { partitions: readonly PartitionRecord[]; untilMs: number } {
    const { view } = this.#options;
    if ("source" in from) {
      return { partitions: view.partitionsOf(this.#table(from.source).tableId), untilMs: from.untilMs };
    }
    const backup = view.backups.get(from.backup);
    if (backup === undefined) throw new ApiError("BackupNotFoundException");
    return { partitions: backup.partitions, untilMs: backup.untilMs };
  }

  async deleteTable(name: string): Promise<VersionedTable> {
    return await this.#exclusively(async () => {
      const table = this.#table(name);
      if (table.status !== "ACTIVE" && table.status !== "ARCHIVED") {
        throw new ApiError(
          "ResourceInUseException",
          `Attempt to change a resource which is still in use: Table is being ${BEING[table.status]}: ${name}`,
        );
      }
      assertDeletable(table);
      const deleting: TableEntry = { ...table, status: "DELETING" };
      await this.#submit([putRecord(tableKey(name), deleting), ...endingStreams(this.#options.view, table.tableId)]);
      return this.#versioned(deleting);
    });
  }

  /** Changes what is said of a table, and nothing that is in it. */
  async updateTable(name: string, change: TableChange): Promise<VersionedTable> {
    return await this.#exclusively(async () => {
      const table = this.#table(name);
      if (table.status !== "ACTIVE") {
        const what = table.status === "CREATING" ? "created" : "deleted";
        throw new ApiError("ResourceInUseException", controlMessages.tableBeing(what, name));
      }
      const changed = changedTable(table, change, this.#options.nowMs());
      await this.#submit([putRecord(tableKey(name), changed)]);
      return this.#versioned(changed);
    });
  }

  /** The table is ready for its users. */
  async activate(table: TableEntry): Promise<void> {
    await this.#exclusively(async () => {
      const current = this.#options.view.tables.get(table.name);
      if (current?.tableId !== table.tableId || (current.status !== "CREATING" && current.status !== "UPDATING"))
        return;
      const { restore: _done, ...active } = current;
      await this.#submit([putRecord(tableKey(table.name), { ...active, status: "ACTIVE" })]);
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
      for (const record of view.partitionsOf(table.tableId))
        writes.push({ op: "delete", key: routeKey(table.tableId, record.hashFrom) });
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
      if (changed !== undefined) await this.#submit([putRecord(routeKey(changed.tableId, changed.hashFrom), changed)]);
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
      throw new ApiError("ResourceNotFoundException", `Requested resource not found: Table: ${name} not found`);
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
