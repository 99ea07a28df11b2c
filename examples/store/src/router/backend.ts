import type { TableChange } from "../api/control/settings.js";
import type { IndexUpdate } from "../api/index-updates.js";
import type { Item, ItemKey, Page, PageRequest, TableDefinition, TableRecord, WriteOp } from "../api/model.js";

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

/**
 * What the protocol side of a router asks of the storage side. Every method may throw an `ApiError` of `api/errors`
 * (ResourceNotFoundException, ResourceInUseException, ConditionalCheckFailedException, ProvisionedThroughputExceededException,
 * InternalServerError ...), which goes to the client as it is; any other error is a bug and becomes an InternalServerError.
 */
export interface Backend {
  createTable(definition: TableDefinition): Promise<TableRecord>;
  deleteTable(name: string): Promise<TableRecord>;
  /** Changes what is said of a table. */
  updateTable(name: string, change: TableChange): Promise<TableRecord>;
  /** Begins to make or delete global indexes of a table, and changes their throughput. */
  updateIndexes(name: string, updates: readonly IndexUpdate[]): Promise<TableRecord>;
  /** Reads the metadata itself, not the routing cache. */
  describeTable(name: string): Promise<TableRecord>;
  listTables(request: {
    readonly after?: string;
    readonly limitMax: number;
  }): Promise<{ names: string[]; more: boolean }>;
  /** Creates `target` from the archive of `source` as it was at `untilMs` (Unix time). */
  restoreTable(request: {
    readonly source: string;
    readonly target: string;
    readonly untilMs: number;
  }): Promise<TableRecord>;

  /** The table as the routing cache knows it: the way of every item operation. */
  table(name: string): Promise<TableRecord>;
  write(table: TableRecord, key: ItemKey, op: WriteOp): Promise<WriteOutcome>;
  get(table: TableRecord, key: ItemKey, options: { readonly consistent: boolean }): Promise<GetOutcome>;
  page(table: TableRecord, request: PageRequest): Promise<PageOutcome>;
}
