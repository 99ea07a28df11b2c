import type { Backup, BackupListRequest } from "../api/control/backups.js";
import type { TableUpdate } from "../api/control/settings.js";
import type {
  Item,
  ItemKey,
  Page,
  PageRequest,
  TableDefinition,
  TableRecord,
  TableSizes,
  TransactOp,
  WriteOp,
} from "../api/model.js";
import type { RestoreOverrides } from "../api/restores.js";
import type { WantedTimeToLive } from "../api/time-to-live.js";
import type { StreamsBackend } from "./streams/backend.js";

/** What secondary indexes have part in a sum of units, by their names. */
export interface IndexUnits {
  readonly local?: Readonly<Record<string, number>>;
  readonly global?: Readonly<Record<string, number>>;
}

export interface WriteOutcome {
  /** What `returnValues` asked for; absent when there is nothing to return. */
  readonly attributes?: Item;
  /** Write units consumed, those of indexes included. */
  readonly units: number;
  readonly indexUnits?: IndexUnits;
  /** What the item's collection weighs, where that is measured. */
  readonly collectionBytes?: number;
}

export interface GetOutcome {
  readonly item?: Item;
  /** Instead of `item`: the same as JSON in UTF-8. A storage side that keeps items so spares the router from parsing what it only hands on. */
  readonly json?: Uint8Array;
  /** Read units consumed. */
  readonly units: number;
}

export type PageOutcome = Page & {
  /** Read units consumed, those of indexes included. */
  readonly units: number;
  readonly indexUnits?: IndexUnits;
};

export interface TransactWriteRequest {
  /** Each on another item. */
  readonly actions: readonly { readonly table: TableRecord; readonly key: ItemKey; readonly op: TransactOp }[];
  readonly token?: string | undefined;
  /** The same for requests that ask the same. */
  readonly fingerprint: string;
}

export interface TransactWriteOutcome {
  /** One for each action: what each item weighs before and after, and what its indexes cost, as much as in a transaction. */
  readonly sizes: readonly {
    readonly beforeBytes: number;
    readonly afterBytes: number;
    readonly indexUnits?: IndexUnits;
    readonly collectionBytes?: number;
  }[];
  /** The same request was carried out before, under the same token: nothing was done now. */
  readonly repeated: boolean;
}

/**
 * What the protocol side of a router asks of the storage side. Every method may throw an `ApiError` of `api/errors`
 * (ResourceNotFoundException, ResourceInUseException, ConditionalCheckFailedException, ProvisionedThroughputExceededException,
 * InternalServerError ...), which goes to the client as it is; any other error is a bug and becomes an InternalServerError.
 */
export interface Backend {
  createTable(definition: TableDefinition): Promise<TableRecord>;
  deleteTable(name: string): Promise<TableRecord>;
  /** Changes what is said of a table, begins to make or delete global indexes of it, begins or ends its stream: all that is asked for, or nothing. */
  updateTable(name: string, change: TableUpdate): Promise<TableRecord>;
  /** Reads the metadata itself, not the routing cache. */
  describeTable(name: string): Promise<TableRecord>;
  /** How much a table holds, about now. Never throws: what cannot be asked is left out. */
  sizes(table: TableRecord): Promise<TableSizes>;
  listTables(request: {
    readonly after?: string;
    readonly limitMax: number;
  }): Promise<{ names: string[]; more: boolean }>;
  /** Creates `target` from the archive of `source` as it was at `untilMs` (Unix time), or as it is now. */
  restoreTable(request: {
    readonly source: string;
    readonly target: string;
    readonly untilMs: number;
    /** `untilMs` is now: everything that was written by now is wanted, whatever the clock was when it was. */
    readonly latest: boolean;
    readonly overrides: RestoreOverrides;
  }): Promise<TableRecord>;

  /** Names a moment of a table, which is kept from now on. */
  createBackup(request: {
    readonly tableName: string;
    readonly name: string;
    readonly untilMs: number;
  }): Promise<Backup>;
  describeBackup(id: string): Promise<Backup>;
  deleteBackup(id: string): Promise<Backup>;
  listBackups(request: BackupListRequest): Promise<{ backups: Backup[]; more: boolean }>;
  /** Creates `target` as the backup's table was at its moment. */
  restoreBackup(request: {
    readonly backup: Backup;
    readonly target: string;
    readonly overrides: RestoreOverrides;
  }): Promise<TableRecord>;
  /** Absent: nothing expires here. */
  setTimeToLive?(name: string, wanted: WantedTimeToLive): Promise<TableRecord>;
  /** Absent: there are no streams here. */
  readonly streams?: StreamsBackend;

  /** The table as the routing cache knows it, without a promise if it does: the way of every item operation. */
  table(name: string): TableRecord | Promise<TableRecord>;
  write(table: TableRecord, key: ItemKey, op: WriteOp): Promise<WriteOutcome>;
  get(table: TableRecord, key: ItemKey, options: { readonly consistent: boolean }): Promise<GetOutcome>;
  page(table: TableRecord, request: PageRequest): Promise<PageOutcome>;

  /** All actions or none. Throws TransactionCanceledException with the reasons, or what is wrong with the token. */
  transactWrite(request: TransactWriteRequest): Promise<TransactWriteOutcome>;
  /** Items as they were at one moment. Throws TransactionCanceledException where they will not stand still. */
  transactGet(
    gets: readonly { readonly table: TableRecord; readonly key: ItemKey }[],
  ): Promise<readonly (GetOutcome & { readonly bytes: number })[]>;
}
